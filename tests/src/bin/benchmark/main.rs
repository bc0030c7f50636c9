//! `make bench`: the promised bounds, each measured beside what it is compared with, in the same run.

mod client;
mod crowd;
mod mauve;
mod measure;
mod outcome;
mod peer;
mod probes;
mod scale;

use std::env;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use auto_monitor_tests::site::{Site, own_network};
use serde_json::Value;

use crate::outcome::Outcome;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("The benchmark could not be run.\n{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures in a scratch folder.
type Measure = fn(&Path) -> Result<Vec<Outcome>>;

/// What can be asked for by name (`make bench WHAT='crowd publish'`), in this order; without a name, all of it.
const PARTS: [(&str, Measure); 9] = [
    ("check", |folder| client::check(&site(folder)?)),
    ("registered", |folder| probes::registered(&site(folder)?)),
    ("certificate", |folder| probes::certificate(&site(folder)?)),
    ("mailflow", |folder| probes::mailflow(&site(folder)?)),
    ("mauvesend", |_| mauve::send()),
    ("register", |folder| client::register(&mut site(folder)?)),
    ("crowd", |folder| crowd::sessions(&mut site(folder)?)),
    ("change", scale::change),
    ("publish", scale::publish),
];

fn site(folder: &Path) -> Result<Site> {
    Site::lay_out(folder, own_network())
}

/// The table goes to standard error, and with `--json` the same to standard output for programs.
fn run() -> Result<bool> {
    let (options, wanted): (Vec<String>, Vec<String>) =
        env::args().skip(1).partition(|word| word == "--json");
    let names = PARTS.map(|(name, _)| name);
    if let Some(unknown) = wanted.iter().find(|word| !names.contains(&word.as_str())) {
        bail!("nothing is called {unknown:?}; there are {}", names.join(", "));
    }
    eprintln!("{}", Outcome::heading());
    let mut outcomes = Vec::new();
    for (_, measure) in
        PARTS.into_iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|one| one == name))
    {
        let folder = tempfile::Builder::new().prefix("benchmark").tempdir()?;
        // Each when it is measured: all of them take a quarter of an hour.
        for outcome in measure(folder.path())? {
            eprintln!("{outcome}");
            outcomes.push(outcome);
        }
    }
    if !options.is_empty() {
        let all: Vec<Value> = outcomes.iter().map(Outcome::json).collect();
        println!("{:#}", Value::from(all));
    }
    Ok(outcomes.iter().all(Outcome::kept))
}
