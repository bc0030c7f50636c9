//! Processes that end with the value that stands for them, and with this process, however it ends.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::num::NonZeroI32;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{
    Pid, PidfdFlags, Signal, geteuid, kill_process, kill_process_group, pidfd_open, pidfd_send_signal,
    set_child_subreaper,
};

/// How long a process may take to end by itself after it was asked to.
const GRACE: Duration = Duration::from_secs(5);

/// A server process in the foreground, in a process group of its own.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program; what it prints goes to a log file.
    ///
    /// `setpriv` (util-linux) has the kernel send SIGTERM when this process dies: std could only do so with `unsafe`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(name: &str, program: &Path, arguments: &[&str], log: &Path) -> Result<Self> {
        Self::spawn(&mut Command::new("setpriv"), name, program, arguments, log)
    }

    /// As [`Process::start`], by root for another user.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_as(user: &str, name: &str, program: &Path, arguments: &[&str], log: &Path) -> Result<Self> {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", user, "--regid", user, "--init-groups"]);
        Self::spawn(&mut command, name, program, arguments, log)
    }

    fn spawn(
        setpriv: &mut Command,
        name: &str,
        program: &Path,
        arguments: &[&str],
        log: &Path,
    ) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = setpriv
            .args(["--pdeathsig", "TERM", "--"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", program.display()))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// The process's id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process as a crash does: at once, and with nobody told.
    ///
    /// # Errors
    /// It has ended already.
    pub fn kill(&self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::KILL)
            .with_context(|| format!("cannot kill {}", self.name))
    }

    /// Passes if the process runs.
    ///
    /// # Errors
    /// It has ended; the error has the end of its log.
    pub fn assert_running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended ({status}): {}", self.name, last_lines(&self.log)),
        }
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    fn descriptors_below(&self) -> BTreeMap<NonZeroI32, OwnedFd> {
        descendants(self.child.id())
            .into_iter()
            .filter_map(|Running { id, .. }| {
                Some((id.as_raw_nonzero(), pidfd_open(id, PidfdFlags::empty()).ok()?))
            })
            .collect()
    }

    fn end(&mut self) {
        // The group's leader has this id until it is waited for, so the signal reaches nobody else.
        let group = Pid::from_child(&self.child);
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // By descriptors, which mean these processes even when their ids mean others. Nagios begins new probes while it
        // ends, so it is looked again and again.
        let mut below = self.descriptors_below();
        let _ = kill_process_group(group, Signal::TERM);
        let deadline = Instant::now() + GRACE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            below.extend(self.descriptors_below());
            sleep(Duration::from_millis(5));
        }
        if !self.has_ended() {
            let _ = kill_process_group(group, Signal::KILL);
            let _ = self.child.wait();
        }
        // Killed, not asked: Nagios's workers pass on to their probes that SIGTERM is ignored.
        for process in below.into_values() {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Makes this process the parent of whatever loses its own below it, as the probes do that Nagios has begun when it reads
/// its configuration anew; so that [`end_descendants`] finds them.
///
/// # Errors
/// The kernel is older than Linux 3.4.
pub fn adopt_orphans() -> Result<()> {
    set_child_subreaper(Some(rustix::process::getpid())).context("cannot become the parent of orphans")
}

/// Ends every process below this one.
pub fn end_descendants() {
    for Running { id, .. } in descendants(std::process::id()) {
        if let Ok(descriptor) = pidfd_open(id, PidfdFlags::empty()) {
            let _ = pidfd_send_signal(descriptor, Signal::KILL);
        }
    }
}

/// A process that runs.
#[derive(Debug, Clone)]
pub struct Running {
    /// Its id.
    pub id: Pid,
    /// Its parent's.
    pub parent: i32,
    /// Its program's name, of which the kernel keeps 15 bytes.
    pub name: String,
}

/// Every process below this one. Nagios's workers put each probe into a process group of its own, which a signal to
/// Nagios's group does not reach; a probe may well run for another ten seconds.
#[must_use]
pub fn descendants(ancestor: u32) -> Vec<Running> {
    let running = alive();
    let mut ancestors: Vec<i32> = i32::try_from(ancestor).into_iter().collect();
    let mut found = Vec::new();
    while let Some(ancestor) = ancestors.pop() {
        for child in running.iter().filter(|process| process.parent == ancestor) {
            ancestors.push(child.id.as_raw_nonzero().get());
            found.push(child.clone());
        }
    }
    found
}

/// Every process of the user who runs this, whoever its parent is.
#[must_use]
pub fn of_this_user() -> Vec<Running> {
    let user = geteuid().as_raw().to_string();
    // The folder's owner does not tell: it is root for a process that nobody may look into, which sshd's are.
    let is_ours = |process: &Running| {
        let status =
            fs::read_to_string(format!("/proc/{}/status", process.id.as_raw_nonzero())).unwrap_or_default();
        let users = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        users.and_then(|users| users.split_ascii_whitespace().nth(1)) == Some(user.as_str())
    };
    alive().into_iter().filter(is_ours).collect()
}

/// Every process that has not ended.
fn alive() -> Vec<Running> {
    let mut running = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        // `PID (NAME) STATE PARENT …`; the name may hold anything, even a `)`. What is no process has no such file.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parsed = stat.rsplit_once(") ").and_then(|(before, after)| {
            let (id, name) = before.split_once(" (")?;
            let mut fields = after.split(' ');
            let alive = fields.next()? != "Z";
            let parent = fields.next()?.parse::<i32>().ok()?;
            let id = Pid::from_raw(id.parse().ok()?)?;
            alive.then(|| Running { id, parent, name: name.to_owned() })
        });
        running.extend(parsed);
    }
    running
}

/// The end of a log, for an error.
fn last_lines(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
