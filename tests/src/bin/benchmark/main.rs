//! `make bench`: the promised bounds, each measured beside what it is compared with, in the same run.

mod client;
mod crowd;
mod mauve;
mod measure;
mod probes;
mod scale;

use std::env;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use auto_monitor_tests::site::{Site, own_network};

/// A measurement and what was promised of it.
#[derive(Clone)]
struct Outcome {
    what: &'static str,
    /// Ours and theirs, medians with their units.
    ours: String,
    beside: &'static str,
    theirs: String,
    /// In words, what the bound is about.
    measured: String,
    /// Nothing, where nothing was promised.
    bound: &'static str,
    kept: bool,
}

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

/// What can be asked for by name (`make bench WHAT='crowd scale'`), in this order; without a name, all of it.
const PARTS: [(&str, Measure); 8] = [
    ("check", |folder| client::check(&site(folder)?)),
    ("registered", |folder| probes::registered(&site(folder)?)),
    ("certificate", |folder| probes::certificate(&site(folder)?)),
    ("mailflow", |folder| probes::mailflow(&site(folder)?)),
    ("mauvesend", |_| mauve::send()),
    ("register", |folder| client::register(&mut site(folder)?)),
    ("crowd", |folder| crowd::sessions(&mut site(folder)?)),
    ("scale", |folder| Ok([scale::change(folder)?, scale::publish(folder)?].concat())),
];

fn site(folder: &Path) -> Result<Site> {
    Site::lay_out(folder, own_network())
}

fn run() -> Result<bool> {
    let wanted: Vec<String> = env::args().skip(1).collect();
    let names = PARTS.map(|(name, _)| name);
    if let Some(unknown) = wanted.iter().find(|word| !names.contains(&word.as_str())) {
        bail!("nothing is called {unknown:?}; there are {}", names.join(", "));
    }
    println!(
        "{:46}  {:>9}  {:36}  {:>9}  {:15}  {:10}",
        "WHAT", "OURS", "BESIDE IT", "THEIRS", "MEASURED", "BOUND"
    );
    let mut outcomes = Vec::new();
    for (_, measure) in
        PARTS.into_iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|one| one == name))
    {
        let folder = tempfile::Builder::new().prefix("benchmark").tempdir()?;
        // Each when it is measured: all of them take a quarter of an hour.
        for outcome in measure(folder.path())? {
            show(&outcome);
            outcomes.push(outcome);
        }
    }
    Ok(outcomes.iter().all(|outcome| outcome.kept))
}

fn show(outcome: &Outcome) {
    println!(
        "{:46}  {:>9}  {:36}  {:>9}  {:15}  {:10}  {}",
        outcome.what,
        outcome.ours,
        outcome.beside,
        outcome.theirs,
        outcome.measured,
        outcome.bound,
        match (outcome.bound, outcome.kept) {
            ("", _) => "",
            (_, true) => "kept",
            (_, false) => "MISSED",
        }
    );
}
