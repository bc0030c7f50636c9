//! Ends connections that last longer than any session does.
//!
//! Every key may log in, and a client that has logged in and opens no session, or has had its answer and stays, holds
//! processes of ours for as long as it likes. sshd knows a bound for that since OpenSSH 9.3 (`UnusedConnectionTimeout`);
//! beside an older one, which Debian 12 has, this process runs. It is a child of the sshd, looks at its siblings, which
//! are the connections, every few seconds, and ends with its parent.
//!
//! A process that ends others must not be wrong about whom: it works for no parent but the sshd whose number it was
//! given, never for process 1, which inherits everybody's orphans, and it ends only what is that sshd's child, runs as
//! the user that it runs as itself, and is an sshd.

use std::collections::HashMap;
use std::io;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, geteuid, kill_process, set_parent_process_death_signal};

use crate::cli;
use crate::process::Process;

/// How often connections are looked at.
const INTERVAL: Duration = Duration::from_secs(5);
/// What an sshd is called, and from OpenSSH 9.8 on its part for one connection.
const NAMES: [&str; 2] = ["sshd", "sshd-session"];

/// Starts the process beside what this process is about to become.
pub(super) fn start(program: &Path, bound: Duration) -> io::Result<()> {
    Command::new(program)
        .arg("end-overdue")
        .arg(std::process::id().to_string())
        .arg(bound.as_secs().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map(drop)
}

/// Runs `end-overdue`: returns when there is nobody to do it for.
///
/// # Errors
/// The parent is not the sshd that this is for, or the system does not say which processes there are.
pub fn end_overdue(arguments: &cli::EndOverdue) -> anyhow::Result<ExitCode> {
    let listener = arguments.listener;
    if listener <= 1 {
        bail!(
            "process {listener} has children that are no connections; run the endpoint below an init process"
        );
    }
    set_parent_process_death_signal(Some(Signal::TERM)).context("cannot ask to end with sshd")?;
    if parent_id() != listener {
        bail!("process {listener} is not the parent of this one; only sshd runs end-overdue");
    }
    let bound = Duration::from_secs(arguments.seconds);
    let mut seen = HashMap::new();
    loop {
        // First of all, because the parent has yet to become the sshd.
        std::thread::sleep(INTERVAL.min(bound));
        // Once its parent is gone, a process has another one.
        if parent_id() != listener {
            return Ok(ExitCode::SUCCESS);
        }
        require_sshd(listener)?;
        let now = Instant::now();
        let before = std::mem::take(&mut seen);
        for connection in connections(listener).context("cannot find out which connections there are")? {
            let known = (connection.id, connection.began);
            let since = before.get(&known).copied().unwrap_or(now);
            // Looked at once more: since the list was made, it may have ended, which is as well.
            if now.duration_since(since) > bound && Process::of(connection.id).as_ref() == Some(&connection) {
                let _ = kill_process(connection.id, Signal::TERM);
            }
            seen.insert(known, since);
        }
    }
}

fn require_sshd(listener: u32) -> anyhow::Result<()> {
    let parent = i32::try_from(listener).ok().and_then(Pid::from_raw).and_then(Process::of);
    match parent {
        Some(parent) if !is_sshd(&parent) => {
            bail!("process {listener} is no sshd but `{}`; only sshd runs end-overdue", parent.name)
        }
        // It has just ended, which is found out in a moment.
        _ => Ok(()),
    }
}

fn is_sshd(process: &Process) -> bool {
    NAMES.contains(&process.name.as_str())
}

/// The connections of an sshd.
fn connections(listener: u32) -> io::Result<impl Iterator<Item = Process>> {
    let own = geteuid().as_raw();
    Ok(Process::all()?.filter(move |process| {
        process.parent == listener && is_sshd(process) && !process.ended && process.user() == Some(own)
    }))
}
