//! The command `explain`: what is run for a host, and where every part of it comes from.
//!
//! Two command lines a probe: the one that the engine runs, and the one that it becomes, which a person can run to see the
//! same. Both come from what is published, not from what is registered, because that is what runs. Secrets are masked.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use monitoring_info::host::ServiceName;
use monitoring_info::probe::{self, Program, Suite};
use monitoring_info::published::Published;
use serde_json::{Value, json};

use crate::configuration::Configuration;
use crate::{Context, cli, publication, registry};

/// Runs the command.
///
/// # Errors
/// It could not be run, or there is no such host, service or probe.
pub fn explain(context: &Context, arguments: cli::Explain) -> anyhow::Result<ExitCode> {
    let cli::Explain { host, service, probe, output } = arguments;
    let configuration = context.configuration()?;
    let paths = &context.paths;
    let record = registry::load(paths, &host)?;
    let Some(published) = publication::published(paths, &host) else {
        match record {
            Some(_) => {
                bail!("{host} is registered, and not published yet; run `auto-monitor-server publish`")
            }
            None => bail!("there is no host {host}; `auto-monitor-server list` shows those that there are"),
        }
    };
    let known: Vec<&str> = published.definitions.iter().map(|sent| sent.name.as_str()).collect();
    if let Some(service) = service.as_ref().filter(|service| !known.contains(&service.as_str())) {
        bail!("{host} has no service {service}; it has {}", known.join(", "));
    }
    let mut services = Vec::new();
    for sent in &published.definitions {
        if service.as_ref().is_some_and(|service| service.as_str() != sent.name) {
            continue;
        }
        let Ok(name) = sent.name.parse::<ServiceName>() else { continue };
        let probes = probes(context, &configuration, &published, &name, probe.as_deref());
        if let Some(probe) = probe.as_ref().filter(|_| probes.is_empty()) {
            bail!("the service {name} of {host} has no probe {probe}");
        }
        services.push(json!({ "name": sent.name, "type": sent.kind, "file": sent.file, "probes": probes }));
    }
    let override_file = paths.host_overrides().join(format!("{host}.conf"));
    let alive = probe::host_alive(published.address);
    let registered = record.as_ref().map(|record| record.registration.generation);
    let explained = json!({
        "host": host,
        "address": published.address,
        "address_from": address_from(record.as_ref(), &published, override_file.exists()),
        "registration": paths.record(&host),
        "generation": published.generation,
        "registered_generation": registered,
        "received": record.as_ref().map(|record| record.received),
        "fingerprint": record.as_ref().map(|record| record.fingerprint.as_str()),
        "override": override_file.exists().then_some(&override_file),
        "publication": publication::of(paths, &host),
        "alive": command_line(paths.root(), &configuration, &alive),
        "services": services,
    });
    if output.json {
        crate::print(format_args!("{explained}\n"))?;
    } else {
        crate::print(shown(&explained, service.is_none()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn address_from(record: Option<&registry::Record>, published: &Published, overridden: bool) -> &'static str {
    match record {
        Some(record) if overridden && record.address != published.address => "the override",
        Some(record) if record.address == record.peer => "the connection of the host",
        Some(_) => "the name of the host, which it claims",
        None => "an earlier registration",
    }
}

fn probes(
    context: &Context,
    configuration: &Configuration,
    published: &Published,
    service: &ServiceName,
    only: Option<&str>,
) -> Vec<Value> {
    let runs = |name: Option<&str>| {
        let mut words = vec![configuration.check_program.display().to_string()];
        if context.paths.root() != Path::new("/") {
            words.extend(["--root".to_owned(), context.paths.root().display().to_string()]);
        }
        if configuration.plugins != Configuration::default().plugins {
            words.extend(["--plugins".to_owned(), configuration.plugins.display().to_string()]);
        }
        words.extend([published.name.to_string(), service.to_string()]);
        words.extend(name.map(str::to_owned));
        quoted(&words)
    };
    match published.probes(service) {
        Ok(probes) => probes
            .into_iter()
            .filter(|probe| only.is_none() || probe.name == only)
            .map(|probe| {
                let becomes = command_line(context.paths.root(), configuration, &probe.program);
                json!({ "probe": probe.name, "runs": runs(probe.name), "becomes": becomes, "is": null })
            })
            .collect(),
        Err(_) if only.is_some() => Vec::new(),
        Err(error) => {
            vec![
                json!({ "probe": null, "runs": runs(None), "becomes": null, "is": format!("UNKNOWN: {error}") }),
            ]
        }
    }
}

/// The command line of a program, for a person to run in a shell that knows `<<<`.
fn command_line(root: &Path, configuration: &Configuration, program: &Program) -> String {
    let mut words: Vec<String> =
        program.environment.iter().map(|(name, value)| format!("{name}={}", quote(value))).collect();
    words.push(quote(&configuration.program(program).display().to_string()));
    if program.suite == Suite::AutoMonitor && root != Path::new("/") {
        words.push(quote(&format!("--root={}", root.display())));
    }
    words.extend(program.arguments.iter().map(|argument| quote(argument)));
    // They are handed over out of sight; a person types them, instead of the asterisks.
    words.extend(program.secrets.iter().zip(3..).map(|((name, _), descriptor)| match program.suite {
        Suite::MonitoringPlugins => format!("--{name}='********'"),
        Suite::AutoMonitor => format!("--{name}-file=/dev/fd/{descriptor} {descriptor}<<<'********'"),
    }));
    words.join(" ")
}

fn quoted(words: &[String]) -> String {
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

/// A word for a shell, in quotes if it needs them.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%_-+=:,./".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn shown(explained: &Value, whole: bool) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let bold = anstyle::Style::new().bold();
    let mut out = String::new();
    let _ = writeln!(out, "{bold}{}{bold:#}", text(&explained["host"]));
    let _ = writeln!(
        out,
        "  address       {}, from {}",
        text(&explained["address"]),
        text(&explained["address_from"])
    );
    let _ = writeln!(
        out,
        "  registration  {}, generation {}",
        text(&explained["registration"]),
        explained["generation"]
    );
    if explained["registered_generation"] != explained["generation"]
        && !explained["registered_generation"].is_null()
    {
        let _ = writeln!(
            out,
            "                (generation {} is registered, and not what runs)",
            explained["registered_generation"]
        );
    }
    if !explained["override"].is_null() {
        let _ = writeln!(out, "  override      {}", text(&explained["override"]));
    }
    if let Some(reason) = explained["publication"]["reason"].as_str() {
        let _ = writeln!(out, "  {:<13} {reason}", text(&explained["publication"]["standing"]));
    }
    if whole {
        let _ = writeln!(out, "  is it up?     {}", text(&explained["alive"]));
    }
    for service in explained["services"].as_array().into_iter().flatten() {
        for probe in service["probes"].as_array().into_iter().flatten() {
            let label = match probe["probe"].as_str() {
                Some(probe) => format!("{} {probe}", text(&service["name"])),
                None => text(&service["name"]),
            };
            let _ = writeln!(
                out,
                "\n{bold}{label}{bold:#} ({}, from {} on the host)",
                text(&service["type"]),
                text(&service["file"])
            );
            let _ = writeln!(out, "  runs          {}", text(&probe["runs"]));
            match probe["becomes"].as_str() {
                Some(becomes) => {
                    let _ = writeln!(out, "  which becomes {becomes}");
                }
                None => {
                    let _ = writeln!(out, "  which is      {}", text(&probe["is"]));
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let words = ["a", "", "a b", "it's", "$USER1$ `id` \\ \"x\" !", "ä*"];
        let line = format!("printf '%s\\n' {}", quoted(&words.map(str::to_owned)));
        let output = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), words.map(|word| format!("{word}\n")).concat());
    }

    #[test]
    fn secrets_are_masked_and_programs_are_where_they_run() {
        let shown = |root: &str, program: Program| {
            let program = program.with_secret("password", "geheim");
            command_line(Path::new(root), &Configuration::default(), &program)
        };
        let plugin = Program::plugin("check_x", ["-H", "::1"]);
        let ours = Program::ours("check_mailflow_receive", ["-H", "::1"]);
        let folder = "/usr/lib/nagios/plugins";
        assert_eq!(shown("/srv", plugin), format!("{folder}/check_x -H ::1 --password='********'"));
        assert_eq!(
            shown("/", ours.clone()),
            format!("{folder}/check_mailflow_receive -H ::1 --password-file=/dev/fd/3 3<<<'********'")
        );
        assert_eq!(
            shown("/srv", ours),
            format!(
                "{folder}/check_mailflow_receive --root=/srv -H ::1 --password-file=/dev/fd/3 3<<<'********'"
            )
        );
    }
}
