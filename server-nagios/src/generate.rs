//! The man pages and the completions, from what the program itself runs on: the command line, the tables of keys, and the
//! names that templates are given.

use std::fs;
use std::io;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::CommandFactory;
use monitoring_info::diagnostic::instead;
use monitoring_info::reference::page::Page;

use crate::cli::{Cli, Generate};
use crate::configuration::mauve::{MAUVE_KEYS, NOTIFY_KEYS};
use crate::target::{mauve, nagios};
use crate::{administrator, completion, configuration};

mod texts;

/// Runs `generate`.
///
/// # Errors
/// There is no such page, or it cannot be written.
pub fn generate(what: &Generate) -> anyhow::Result<ExitCode> {
    match what {
        Generate::Man { page, directory: None } => {
            let pages = pages()?;
            let Some(page) = pages.iter().find(|one| one.name() == page) else {
                bail!(
                    "there is no page {page}; {}",
                    instead(page, pages.iter().map(Page::name), "the pages are")
                );
            };
            crate::print(page.to_roff())?;
        }
        Generate::Man { directory: Some(directory), .. } => {
            fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
            for page in pages()? {
                let file = directory.join(page.file_name());
                fs::write(&file, page.to_roff())
                    .with_context(|| format!("cannot write {}", file.display()))?;
            }
        }
        Generate::Completions { shell } => {
            let script = completion::COMPLETION.script(*shell);
            crate::print(script.with_context(|| format!("cannot write completions for {shell}"))?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Every page: that of the program comes first.
fn pages() -> io::Result<Vec<Page>> {
    let mut pages = manual::pages(Cli::command(), 8, of_the_whole)?;
    pages.extend([server_conf(), host_conf(), templates()]);
    Ok(pages)
}

/// The name of every page.
#[must_use]
pub fn names() -> Vec<String> {
    pages().unwrap_or_default().iter().map(|page| page.name().to_owned()).collect()
}

/// What holds for all commands, and so stands in auto-monitor-server(8).
fn of_the_whole(page: &mut Page) {
    for (heading, paragraphs) in texts::SECTIONS {
        page.section(heading);
        for (at, paragraph) in paragraphs.iter().enumerate() {
            if at == 0 {
                page.text(paragraph);
            } else {
                page.paragraph(paragraph);
            }
        }
    }
    page.section("FILES");
    for (file, what) in texts::files() {
        page.item(&format!("`{}`", file.display()), what);
    }
    page.see_also([
        "auto-monitor-server.conf(5)",
        "auto-monitor-server-host.conf(5)",
        "auto-monitor-server-templates(5)",
        "check_registered(1)",
        "auto-monitor(1)",
        "monitoring-info(5)",
        "sshd(8)",
    ]);
}

/// The page auto-monitor-server.conf(5).
fn server_conf() -> Page {
    let mut page = Page::new("auto-monitor-server.conf", 5, "the configuration of the monitoring server");
    page.section("DESCRIPTION");
    page.text(
        "`/etc/auto-monitor-server-nagios/server.conf` holds lines of the form `key = value`; `#` begins a comment on a \
         line of its own. Every key may be left out. A key that does not exist is an error, and with an \
         error nothing is published: what Nagios has stays. An error in a `[notify NAME]`, or in the name of a section \
         beside `[mauve]`, stops the station's routing alone. Whatever is published takes effect with the next publish; \
         `listen` and `sshd` when the endpoint is started again.",
    );
    keys(&mut page, configuration::KEYS);
    page.section("AN ALERT STATION");
    page.text(
        "Two kinds of sections, which stand behind all of these keys, are about an alert station (Mauve): Nagios tells it of \
         every problem, and it decides who hears of it. The station includes \
         `/var/lib/auto-monitor-server-nagios/mauve/*.conf` in front of its own last group, and is restarted after a \
         change.",
    );
    page.subsection("[mauve]");
    keys(&mut page, MAUVE_KEYS);
    page.subsection("[notify NAME]");
    page.text(
        "Who is told of what. The first section that fits an alert decides; in it, `tags`, `types` and `hosts` must all fit, \
         each by one of its names. A section `[notify` NAME`/`MORE`]` behind it tells others of the same, with `people`, \
         `every`, `during` and `after` of its own. An alert that no section fits goes to the last group of the station \
         itself.",
    );
    keys(&mut page, NOTIFY_KEYS);
    page.section("EXAMPLE");
    page.text("A group that is told, a network of trusted hosts, and a shorter patience than usual:");
    page.literal(SERVER_CONF_EXAMPLE);
    page.see_also([
        "auto-monitor-server(8)",
        "auto-monitor-server-host.conf(5)",
        "auto-monitor-server-doctor(8)",
    ]);
    page
}

/// The example of `server.conf`.
const SERVER_CONF_EXAMPLE: &str = "\
contact-groups = admins
auto-approve = 192.0.2.0/24
stale-after = 2d
";

fn keys<T>(page: &mut Page, keys: &[configuration::Key<T>]) {
    for key in keys {
        page.key(key.name, key.form, key.summary, Some(key.default));
    }
}

/// The page auto-monitor-server-host.conf(5).
fn host_conf() -> Page {
    let mut page = Page::new(
        "auto-monitor-server-host.conf",
        5,
        "what the monitoring server's administrator says of one host",
    );
    page.section("DESCRIPTION");
    page.text(
        "A file `/etc/auto-monitor-server-nagios/hosts/`NAME`.conf` is about the host of that name, as \
         `auto-monitor-server list` shows it; it may be there before the host is. It holds lines of the form `key = value`, \
         without sections; `#` begins a comment on a line of its own. Every key may be left out. A fault in any of these \
         files stops every publish, with a message that says where, because what was meant is unknown; what Nagios has \
         stays. It takes effect with the next publish.",
    );
    for key in administrator::KEYS {
        page.key(key.name, key.form, key.summary, None);
    }
    page.section("EXAMPLE");
    page.text("In `hosts/db1.example.org.conf`:");
    page.literal(HOST_CONF_EXAMPLE);
    page.see_also([
        "auto-monitor-server(8)",
        "auto-monitor-server.conf(5)",
        "auto-monitor-server-explain(8)",
    ]);
    page
}

/// The example of `hosts/NAME.conf`.
const HOST_CONF_EXAMPLE: &str = "\
contact-groups = database-admins
interval = 1m
";

/// The page auto-monitor-server-templates(5).
fn templates() -> Page {
    let mut page = Page::new(
        "auto-monitor-server-templates",
        5,
        "the templates of what Nagios and an alert station read",
    );
    page.section("DESCRIPTION");
    page.text(
        "What Nagios reads, and what an alert station (Mauve) does, is rendered with handlebars templates. Those of \
         `/usr/share/auto-monitor/templates/` are replaced when the package is upgraded; a copy of one in \
         `/etc/auto-monitor-server-nagios/templates/`, in the folder of the same name, takes its place as a whole. \
         `auto-monitor-server diff` then shows what it would change, and a publish has the outcome verified: with a \
         template whose outcome is refused, what was published stays.",
    );
    page.paragraph(
        "`{{name}}` is replaced by a value in a form that is one value to the reader; `{{{name}}}` would not be, and is \
         needed only where it says so. A name that is not listed here is an error, but inside of `{{#if name}}` it counts \
         as false.",
    );
    page.section("NAGIOS");
    page.text("In `templates/nagios/`. Nagios itself verifies the outcome.");
    names_in(&mut page, nagios::TEMPLATES);
    page.section("MAUVE");
    page.text(
        "In `templates/mauve/`. Mauve's configuration is Ruby, of which the outcome may hold no more than what the shipped \
         templates make; `{{name}}` belongs between single quotes. 10-people.conf is written once.",
    );
    names_in(&mut page, mauve::TEMPLATES);
    page.see_also([
        "auto-monitor-server-diff(8)",
        "auto-monitor-server-publish(8)",
        "auto-monitor-server.conf(5)",
    ]);
    page
}

fn names_in(page: &mut Page, templates: &[(&str, &[(&str, &str)])]) {
    for (template, names) in templates {
        page.subsection(&format!("{template}.hbs"));
        for (name, meaning) in *names {
            page.item(&format!("`{name}`"), meaning);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn text(page: &Page) -> String {
        page.to_roff().replace("\\-", "-").replace("\\&", "")
    }

    #[test]
    fn every_command_has_a_page_and_those_for_sshd_have_none() {
        fn walk(command: &clap::Command, name: &str, names: &BTreeSet<String>) {
            for command in command.get_subcommands() {
                let name = format!("{name}-{}", command.get_name());
                assert_eq!(names.contains(&format!("{name}.8")), !command.is_hide_set(), "{name}");
                walk(command, &name, names);
            }
        }
        let names: BTreeSet<String> = pages().unwrap().iter().map(Page::file_name).collect();
        walk(&Cli::command(), "auto-monitor-server", &names);
        assert!(names.contains("auto-monitor-server-token-create.8"), "{names:?}");
    }

    #[test]
    fn every_key_is_in_the_page_of_its_file() {
        let (server, host) = (text(&server_conf()), text(&host_conf()));
        let sections = MAUVE_KEYS.iter().map(|key| key.name).chain(NOTIFY_KEYS.iter().map(|key| key.name));
        for key in configuration::KEYS.iter().map(|key| key.name).chain(sections) {
            assert!(server.contains(&format!("\n\\fB{key}\\fR")), "{key}");
        }
        for key in administrator::KEYS {
            assert!(host.contains(&format!("\n\\fB{}\\fR", key.name)), "{}", key.name);
        }
    }

    #[test]
    fn the_examples_and_the_shipped_file_are_sound() {
        configuration::Configuration::parse("server.conf", SERVER_CONF_EXAMPLE.as_bytes()).unwrap();
        administrator::parse("db1.conf", HOST_CONF_EXAMPLE.as_bytes()).unwrap();
        let shipped = include_str!("../../debian/server/server.conf");
        let settings: Vec<&str> = shipped
            .lines()
            .map(|line| line.trim_start_matches('#'))
            .filter(|line| (line.contains(" = ") || line.starts_with('[')) && !line.starts_with(' '))
            .collect();
        assert!(settings.len() >= 4, "{settings:?}");
        let read =
            configuration::Configuration::parse("server.conf", settings.join("\n").as_bytes()).unwrap();
        assert_eq!(read.mauve.unwrap().faults, []);
    }

    #[test]
    fn the_files_are_where_the_program_looks_for_them() {
        let files = texts::files();
        for path in
            ["/etc/auto-monitor-server-nagios/server.conf", "/var/lib/auto-monitor-server-nagios/current"]
        {
            assert!(files.iter().any(|(file, _)| file == Path::new(path)), "{files:?}");
        }
    }
}
