//! The command `publish`.

use std::fmt::Write as _;
use std::process::ExitCode;

use monitoring_info::registration::Standing;
use rustix::fs::Mode;
use rustix::process::umask;

use super::last::recorded;
use super::stations::Outcome;
use super::{Error, Published, is_under_way, watch};
use crate::table::count;
use crate::{BAD_NEWS, COULD_NOT_RUN, Context, cli, identity, with_causes};

/// Runs the command.
///
/// # Errors
/// The configuration cannot be read, or the result cannot be printed.
pub fn publish(context: &Context, arguments: cli::Publish) -> anyhow::Result<ExitCode> {
    let cli::Publish { watch, confirm_removal, output } = arguments;
    identity::act_as_owner(&context.paths.state())?;
    // The engine reads its sets by their group, also where a cautious person publishes. Nobody else gains a right.
    let umask = umask(Mode::RWXG | Mode::RWXO);
    rustix::process::umask(umask - (Mode::RGRP | Mode::XGRP));
    if watch {
        return watch::watch(context);
    }
    let configuration = context.configuration()?;
    if is_under_way(&context.paths) {
        anstream::eprintln!("Waiting for another publish to end.");
    }
    let (outcome, stations) = recorded(&context.paths, &configuration, confirm_removal);
    if output.json {
        print_json(&outcome, &stations)?;
    } else {
        match &outcome {
            Ok(published) => crate::print(shown(published))?,
            Err(error) => {
                anstream::eprintln!("error: {}\nThe last good set stays in force.", with_causes(error));
            }
        }
        crate::print(stations.iter().map(station_shown).collect::<String>())?;
    }
    let untold = stations.iter().any(|station| station.error.is_some());
    Ok(ExitCode::from(status(&outcome).max(if untold { BAD_NEWS } else { 0 })))
}

fn status(outcome: &Result<Published, Error>) -> u8 {
    match outcome {
        Ok(published) if published.notes.values().any(|note| bad(note.publication.standing)) => BAD_NEWS,
        Ok(_) => 0,
        Err(Error::File(_) | Error::Registry(_) | Error::Engine(_)) => COULD_NOT_RUN,
        Err(_) => BAD_NEWS,
    }
}

/// Whether somebody has to do something.
fn bad(standing: Standing) -> bool {
    standing != Standing::Published
}

fn print_json(outcome: &Result<Published, Error>, stations: &[Outcome]) -> anyhow::Result<()> {
    let mut json = match outcome {
        Ok(published) => serde_json::json!({
            "generation": published.generation,
            "changed": published.changed,
            "hosts": published.hosts,
            "services": published.services,
            "notes": published.notes.iter().map(|(name, note)| (name.to_string(), &note.publication)).collect::<std::collections::BTreeMap<_, _>>(),
            "warnings": published.warnings,
            "error": null,
        }),
        Err(error) => serde_json::json!({ "error": with_causes(error) }),
    };
    json["stations"] = serde_json::to_value(stations)?;
    Ok(crate::print(format_args!("{json}\n"))?)
}

/// How it went with a station, for a person.
fn station_shown(outcome: &Outcome) -> String {
    let Outcome { station, set, changed, error, next, doubts } = outcome;
    let mut text = String::new();
    if let Some(error) = error {
        let _ = writeln!(text, "{station}: error: {error}");
    } else if let (true, Some(set)) = (changed, set) {
        let _ = writeln!(text, "{station}: published routing {set}.");
    }
    if let Some(next) = next {
        let _ = writeln!(text, "{station}: {next}");
    }
    for doubt in doubts {
        let _ = writeln!(text, "{station}: warning: {doubt}");
    }
    text
}

/// The result for a person.
fn shown(published: &Published) -> String {
    let mut text = String::new();
    let size = format!("{}, {}", count(published.hosts, "host"), count(published.services, "service"));
    let _ = match (published.generation, published.changed) {
        (Some(generation), true) => writeln!(text, "Published generation {generation}: {size}."),
        (Some(generation), false) => {
            writeln!(text, "Nothing to publish: generation {generation} is in force, {size}.")
        }
        (None, _) => writeln!(text, "Nothing to publish: no host is registered."),
    };
    for (name, note) in &published.notes {
        let word = match note.publication.standing {
            Standing::Held => "held",
            Standing::Quarantined => "quarantined",
            Standing::Waiting => "left as it was",
            Standing::Published | Standing::Other => "published",
        };
        let reason = note.publication.reason.as_deref().unwrap_or_default();
        let _ = writeln!(text, "  {name}: {word}: {reason}");
    }
    if published.notes.values().any(|note| note.publication.standing == Standing::Held) {
        text.push_str("To let go what is held: auto-monitor-server publish --confirm-removal\n");
    }
    for warning in &published.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    if let Some(leftovers) = &published.leftovers {
        let _ = writeln!(text, "warning: {leftovers}; the next publish tries again");
    }
    text
}
