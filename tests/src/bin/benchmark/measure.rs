//! Measuring programs: how long they take, and how much of a processor.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// From its start to its end.
    pub wall: Duration,
    /// On a processor.
    pub processor: Duration,
}

/// Runs a program once; it must end with one of these statuses.
pub fn once(command: &mut Command, statuses: &[i32]) -> Result<Run> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
    // Not reaped yet, so that the kernel's account of it is still there: nanoseconds, where `times` has ticks of 10 ms.
    waitid(WaitId::Pid(Pid::from_child(&child)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    let wall = began.elapsed();
    let account = format!("/proc/{}/schedstat", child.id());
    let text = fs::read_to_string(&account).with_context(|| format!("cannot read {account}"))?;
    let nanoseconds = text.split(' ').next().unwrap_or_default().parse().context("an odd schedstat")?;
    let status = child.wait()?;
    ensure!(
        status.code().is_some_and(|code| statuses.contains(&code)),
        "{command:?} ended with {status}, not with one of {statuses:?}"
    );
    Ok(Run { wall, processor: Duration::from_nanos(nanoseconds) })
}

/// Runs two programs by turns, so that whatever else happens on the machine happens to both; after a first pair that
/// only warms the caches.
pub fn pairs(
    count: usize,
    mut ours: impl FnMut() -> Result<Run>,
    mut theirs: impl FnMut() -> Result<Run>,
) -> Result<(Vec<Run>, Vec<Run>)> {
    let mut runs = (Vec::new(), Vec::new());
    for at in 0..=count {
        let (our, their) = (ours()?, theirs()?);
        if at > 0 {
            runs.0.push(our);
            runs.1.push(their);
        }
    }
    Ok(runs)
}

/// The median of what is looked at, in milliseconds.
pub fn median(runs: &[Run], of: impl Fn(&Run) -> Duration) -> f64 {
    let mut values: Vec<Duration> = runs.iter().map(of).collect();
    values.sort();
    values.get(values.len() / 2).map_or(f64::NAN, |value| value.as_secs_f64() * 1000.0)
}
