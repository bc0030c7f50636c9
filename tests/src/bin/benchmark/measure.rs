//! Measuring programs: how long they take, and how much of a processor.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use wait4::Wait4;

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// From its start to its end.
    pub wall: Duration,
    /// On a processor, user and system, of all its threads.
    pub processor: Duration,
    /// The most memory that it held at once, in bytes (`ru_maxrss` of getrusage(2)). The kernel counts what the forked
    /// child had before it became the program; so this is never below what this benchmark itself holds.
    pub memory: u64,
}

/// Runs a program once; it must end with one of these statuses.
pub fn once(command: &mut Command, statuses: &[i32]) -> Result<Run> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
    let ended = child.wait4()?;
    let wall = began.elapsed();
    ensure!(
        ended.status.code().is_some_and(|code| statuses.contains(&code)),
        "{command:?} ended with {}, not with one of {statuses:?}",
        ended.status
    );
    let usage = ended.rusage;
    Ok(Run { wall, processor: usage.utime + usage.stime, memory: usage.maxrss })
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

/// The most memory of any run, in MiB.
pub fn peak(runs: &[Run]) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a peak of more than 2^52 bytes would be told first by other means"
    )]
    let most = runs.iter().map(|run| run.memory).max().unwrap_or_default() as f64;
    most / f64::from(1 << 20)
}

/// The most memory that a running process has held, in MiB (`VmHWM` of `proc_pid_status(5)`).
pub fn most_memory(id: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no VmHWM")?;
    Ok(kibibytes.parse::<f64>()? / 1024.0)
}
