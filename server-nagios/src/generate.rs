//! The man page and the completions, made from the command line's own definition and from the table of server.conf.

use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use crate::cli::{Cli, Generate};
use crate::configuration::KEYS;

const NAME: &str = "auto-monitor-server";

/// Runs `generate`.
///
/// # Errors
/// Standard output cannot be written.
pub fn generate(what: &Generate) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match what {
        Generate::Man => man(&mut out)?,
        Generate::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), NAME, &mut text);
            out.write_all(&text)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The page auto-monitor-server(8).
fn man(out: &mut impl Write) -> std::io::Result<()> {
    let mut command = Cli::command();
    command.build();
    let page = clap_mangen::Man::new(command.clone())
        .section("8")
        .manual("System Manager's Manual")
        .source(format!("auto-monitor {}", env!("CARGO_PKG_VERSION")));
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;

    let mut roff = Roff::new();
    for (heading, paragraphs) in SECTIONS {
        roff.control("SH", [*heading]);
        for (at, paragraph) in paragraphs.iter().enumerate() {
            if at > 0 {
                roff.control("PP", []);
            }
            roff.text([roman(*paragraph)]);
        }
    }
    roff.control("SH", ["COMMANDS"]);
    commands(&mut roff, &command, "");
    roff.control("SH", ["CONFIGURATION"]);
    roff.text([
        roman("The file "),
        italic("/etc/auto-monitor-server-nagios/server.conf"),
        roman(
            " holds lines of the form key = value, without sections; # begins a comment on a line of its own. Every key \
             may be left out. A key that does not exist is an error.",
        ),
    ]);
    for key in KEYS {
        roff.control("TP", []);
        roff.text([bold(key.name), roman(" = "), italic(key.form)]);
        roff.text([roman(sentence(key.summary)), roman(" "), default(key.default)]);
    }
    roff.control("SH", ["FILES"]);
    for (file, what) in FILES {
        roff.control("TP", []);
        roff.text([italic(*file)]);
        roff.text([roman(*what)]);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([
        bold("auto-monitor"),
        roman("(1), "),
        bold("monitoring-info"),
        roman("(5), "),
        bold("sshd"),
        roman("(8)"),
    ]);
    roff.to_writer(out)
}

/// What a stranger needs to know before the commands.
const SECTIONS: &[(&str, &[&str])] = &[
    (
        "ENROLMENT",
        &[
            "A host is known by an SSH key of its own, and a key is bound to one name. `auto-monitor enrol SERVER` on a \
             host makes its key wait here; `pending` shows it with its fingerprint, and `approve` binds it to the name. \
             From then on the host registers by itself. Or `token create` prints a string with which \
             `auto-monitor enrol TOKEN` needs no approval; or auto-approve in server.conf lets whole networks in.",
            "A name never changes hands unasked: another key that asks for it waits, and `approve --replace` gives it the \
             name. `reject` turns a key away and `revoke` takes an approval back; either is undone by `approve \
             FINGERPRINT`. A revoked host stays watched as it is, and its name stays its own. `remove` ends the watching \
             and forgets the key, which may then ask again like any other. At most 1,000 keys wait, 10 from one address, \
             for 7 days.",
        ],
    ),
    (
        "ENDPOINT",
        &[
            "The endpoint is an OpenSSH server of its own, on TCP port 2929. It needs nothing of root: it runs as the \
             account that the state folder belongs to, which must have a login shell, and which hosts log in as. There is no login beyond one command: no shell, terminal, file transfer or forwarding, and no key \
             but Ed25519. A registration is at most 256 KiB and 200 definitions and is complete within 10 seconds. It is \
             on the disk before the host is answered.",
            "What sessions did and what was refused is in the system's log, one line of key=value pairs each; below \
             another --root, in the file endpoint/session.log of the state folder.",
        ],
    ),
    (
        "MAINTENANCE",
        &[
            "`auto-monitor maintenance begin` on a host, which packaging runs before an upgrade, has `publish --watch` \
             schedule a fixed downtime for the host and its services, of half an hour or what was asked for, up to 4 \
             hours; `end` takes it back. Downtimes that somebody else has scheduled are left alone. Nagios is told by \
             its command_file, where the account that the state folder belongs to must be able to write; with \
             check_external_commands=0 it cannot be told, and `doctor` says so.",
        ],
    ),
    (
        "JSON",
        &[
            "With --json, one object is printed. Those of `pending`, `list` and `token list` hold one array, called \
             pending, hosts and tokens. Times are those of RFC 3339, in UTC; what is not known is null. Of definitions, \
             the settings are left out, because passwords can be among them. Later versions may add fields.",
        ],
    ),
];

const FILES: &[(&str, &str)] = &[
    ("/etc/auto-monitor-server-nagios/server.conf", "What is described above."),
    ("/etc/auto-monitor-server-nagios/hosts/NAME.conf", "Overrides for one host."),
    ("/etc/auto-monitor-server-nagios/templates/nagios/", "Replacements of the shipped templates."),
    (
        "/var/lib/auto-monitor-server-nagios/endpoint/",
        "The host key and the configuration of the endpoint's sshd.",
    ),
    (
        "/var/lib/auto-monitor-server-nagios/enrolment/",
        "The keys of hosts and how they stand, and the tokens' hashes.",
    ),
    ("/var/lib/auto-monitor-server-nagios/registry/", "The newest registration of each host."),
    (
        "/var/lib/auto-monitor-server-nagios/maintenance/",
        "What hosts have said of maintenance; beside it, in downtimes, what Nagios was told.",
    ),
    (
        "/var/lib/auto-monitor-server-nagios/current",
        "What Nagios reads, and what its probes read; with the folder seen beside it, it must be readable by the group \
         of Nagios.",
    ),
];

fn default(text: &str) -> Inline {
    roman(if text.is_empty() { "Default: nothing.".to_owned() } else { format!("Default: {text}.") })
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}

fn commands(roff: &mut Roff, command: &clap::Command, before: &str) {
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = format!("{before}{}", command.get_name());
        if command.has_subcommands() {
            commands(roff, command, &format!("{name} "));
            continue;
        }
        let mut usage = vec![bold(&name)];
        for argument in own_arguments(command) {
            let optional = argument.get_long().is_some();
            usage.push(roman(if optional { " [" } else { " " }));
            usage.extend(shape(argument));
            usage.push(roman(if optional { "]" } else { "" }));
        }
        roff.control("TP", []);
        roff.text(usage);
        let about = command.get_long_about().or(command.get_about()).map(ToString::to_string);
        let about = about.unwrap_or_default();
        roff.text([roman(if about.ends_with('.') { about } else { format!("{about}.") })]);
        roff.control("RS", []);
        for argument in own_arguments(command) {
            roff.control("TP", []);
            roff.text(shape(argument));
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let defaults: Vec<_> =
                argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
            let default = if defaults.is_empty() || !argument.get_action().takes_values() {
                String::new()
            } else {
                format!(" Default: {}.", defaults.join(", "))
            };
            roff.text([roman(format!("{help}.{default}"))]);
        }
        roff.control("RE", []);
    }
}

fn own_arguments(command: &clap::Command) -> impl Iterator<Item = &clap::Arg> {
    command.get_arguments().filter(|argument| {
        !argument.is_hide_set()
            && !argument.is_global_set()
            && !["help", "version"].contains(&argument.get_id().as_str())
    })
}

/// An argument as it is written: `--names GLOB`, `[SERVICE]`, `NAME…`.
fn shape(argument: &clap::Arg) -> Vec<Inline> {
    let value = argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let value = value.unwrap_or_else(|| argument.get_id().as_str().to_uppercase());
    match argument.get_long() {
        Some(long) if argument.get_action().takes_values() => {
            vec![bold(format!("--{long}")), roman(" "), italic(value)]
        }
        Some(long) => vec![bold(format!("--{long}"))],
        None if argument.get_num_args().is_some_and(|count| count.max_values() > 1) => {
            vec![italic(value), roman("...")]
        }
        None if argument.is_required_set() => vec![italic(value)],
        None => vec![roman("["), italic(value), roman("]")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_man_page_names_every_command_and_every_key() {
        let mut page = Vec::new();
        man(&mut page).unwrap();
        let page = String::from_utf8(page).unwrap().replace("\\-", "-");
        for key in KEYS {
            assert!(page.contains(&format!("\\fB{}\\fR = ", key.name)), "{}", key.name);
        }
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            assert!(page.contains(&format!("\\fB{}", command.get_name())), "{}", command.get_name());
        }
        assert!(!page.contains("authorized-keys"));
    }
}
