//! `make bench`: the promised bounds, each measured beside what it is compared with, in the same run.

mod client;
mod mauve;
mod measure;
mod probes;

use std::process::ExitCode;

use anyhow::Result;
use auto_monitor_tests::site::{Site, own_network};

/// A measurement and what was promised of it.
struct Outcome {
    what: &'static str,
    /// Ours and theirs, medians with their units.
    ours: String,
    beside: &'static str,
    theirs: String,
    /// In words, what the bound is about.
    measured: String,
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

fn run() -> Result<bool> {
    let folder = tempfile::Builder::new().prefix("benchmark").tempdir()?;
    let mut site = Site::lay_out(folder.path(), own_network())?;
    println!(
        "{:40}  {:>9}  {:34}  {:>9}  {:14}  {:10}",
        "WHAT", "OURS", "BESIDE IT", "THEIRS", "MEASURED", "BOUND"
    );
    // Each row when it is measured: all of them take minutes.
    let mut kept = true;
    kept &= show(&client::check(&site)?);
    kept &= show(&probes::registered(&site)?);
    kept &= show(&probes::certificate(&site)?);
    kept &= show(&probes::mailflow(&site)?);
    kept &= show(&mauve::send()?);
    kept &= show(&client::register(&mut site)?);
    Ok(kept)
}

/// Whether all of them kept their bound.
fn show(outcomes: &[Outcome]) -> bool {
    for outcome in outcomes {
        println!(
            "{:40}  {:>9}  {:34}  {:>9}  {:14}  {:10}  {}",
            outcome.what,
            outcome.ours,
            outcome.beside,
            outcome.theirs,
            outcome.measured,
            outcome.bound,
            if outcome.kept { "kept" } else { "MISSED" }
        );
    }
    outcomes.iter().all(|outcome| outcome.kept)
}
