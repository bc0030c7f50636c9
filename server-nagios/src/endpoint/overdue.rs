//! Ends connections that last longer than any session does.
//!
//! Every key may log in, and a client that has logged in and opens no session, or has had its answer and stays, holds
//! processes of ours for as long as it likes. sshd knows a bound for that since OpenSSH 9.3 (`UnusedConnectionTimeout`);
//! beside an older one, which Debian 12 has, this process runs. It is a child of the sshd, looks at its siblings, which
//! are the connections, every few seconds, and ends with its parent.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

use crate::cli;

/// How often connections are looked at.
const INTERVAL: Duration = Duration::from_secs(5);

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
/// The system does not say which processes there are.
pub fn end_overdue(arguments: &cli::EndOverdue) -> anyhow::Result<ExitCode> {
    let listener = arguments.listener;
    set_parent_process_death_signal(Some(Signal::TERM)).context("cannot ask to end with sshd")?;
    let bound = Duration::from_secs(arguments.seconds);
    let mut seen = HashMap::new();
    // Once its parent is gone, a process has another one; it may have gone before the line above.
    while parent_id() == listener {
        let now = Instant::now();
        let before = std::mem::take(&mut seen);
        for connection in children(listener).context("cannot find out which connections there are")? {
            let since = before.get(&connection).copied().unwrap_or(now);
            if now.duration_since(since) > bound {
                // It may have ended just now, which is as well.
                let _ = kill_process(connection.pid, Signal::TERM);
            }
            seen.insert(connection, since);
        }
        std::thread::sleep(INTERVAL.min(bound));
    }
    Ok(ExitCode::SUCCESS)
}

/// A process. Numbers are used again, so the time at which it began belongs to it.
#[derive(PartialEq, Eq, Hash)]
struct Process {
    pid: Pid,
    began: String,
}

/// The children of a process, without this one (proc(5)).
fn children(parent: u32) -> io::Result<Vec<Process>> {
    let own = rustix::process::getpid();
    let pids = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
    let pids = pids.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
    Ok(pids
        .filter(|pid| *pid != own)
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
            // Behind the command, which can hold anything, follow the fields from the third on.
            let (_, fields) = stat.rsplit_once(')')?;
            Some(Process { pid, began: fields.split_ascii_whitespace().nth(19)?.to_owned() })
        })
        .collect())
}
