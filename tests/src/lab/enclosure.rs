//! What holds a lab: namespaces of its own for mounts, the network and processes.
//!
//! The bridge, the machines' disks and every process are inside, so that this computer sees nothing of them:
//! nothing that it has can be reached from a machine, two labs may use the same addresses, and nothing needs to be undone.
//! When process 1 of the namespace ends, the kernel ends all others; with the last of them the namespaces go, and with
//! these the interfaces and the mounts.
//!
//! That process 1 waits for the end of a pipe that only the lab's owner holds open. The kernel closes it when the owner
//! ends, however it ends. (`prctl(PR_SET_PDEATHSIG)` would not do: it tells of the end of a thread, and a lab may outlive
//! the test thread that made it.)

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::base::{ARCHIVE, ARCHIVE_INSIDE};
use super::cgroup::Branch;
use super::order::{Order, Said};
use crate::patience::wait_for;
use crate::process::descendants;

/// Inside: the folder of the base, with the root, the archive and the layers.
pub(super) const BASE: &str = "/run/lab/base";
/// Inside: `/etc/hosts` of every machine.
pub(super) const HOSTS: &str = "/run/lab/hosts";
/// Inside: a folder for each machine.
pub(super) const MACHINES: &str = "/run/lab/machines";
/// Inside: the bridge that all machines are at.
pub(super) const BRIDGE: &str = "lab";

/// A shell and not `cat` itself is process 1, because a shell waits for orphans. What this computer has in `/run` (its bus,
/// its resolver, what systemd-nspawn notes of its containers) is hidden. Multicast goes to every machine: nobody is there
/// who would ask machines for their groups, as snooping needs it.
const INIT: &str = "
set -eu
mount -t tmpfs -o mode=755 lab /run
mkdir -p /run/lab/base /run/lab/machines
: >/run/lab/hosts
mount --bind \"$1\" /run/lab/base
ip link set lo up
ip link add lab type bridge mcast_snooping 0
ip link set lab up
echo ready
cat >/dev/null
";

/// The namespaces of one lab.
#[derive(Debug)]
pub(super) struct Enclosure {
    /// `unshare`, whose standard input is the pipe; none when it has ended.
    keeper: Mutex<Option<Child>>,
    /// Process 1 inside, by its id outside.
    init: i32,
    cgroup: Branch,
}

impl Enclosure {
    /// Makes one, with the folder of a base to be seen inside.
    ///
    /// # Errors
    /// The kernel refuses a namespace or a mount.
    pub(super) fn start(base: &Path) -> Result<Self> {
        Branch::sweep()?;
        let cgroup = Branch::grow()?;
        let complaints = tempfile::NamedTempFile::new()?;
        let mut keeper = Command::new("unshare")
            .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
            .args(["sh", "-c", INIT, "lab"])
            .arg(base)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(complaints.reopen()?)
            // An interrupt from the terminal is for the owner, who may want to read journals first.
            .process_group(0)
            .spawn()
            .context("cannot start unshare (util-linux)")?;
        let mut line = String::new();
        if let Some(output) = keeper.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let init = process_one_below(keeper.id(), 1);
        match init {
            Some(init) if line == "ready\n" => Ok(Self { keeper: Mutex::new(Some(keeper)), init, cgroup }),
            _ => {
                drop(keeper.stdin.take());
                let _ = keeper.wait();
                let _ = cgroup.cut();
                bail!("cannot make the lab's namespaces: {}", fs::read_to_string(complaints.path())?.trim())
            }
        }
    }

    /// A command inside, by a program of this computer.
    pub(super) fn order(&self, words: &[&str]) -> Order {
        let target = self.init.to_string();
        Order::new(&["nsenter", "--target", &target, "--mount", "--net", "--pid", "--"], words)
    }

    /// Runs a command inside, which must succeed.
    ///
    /// # Errors
    /// It fails.
    pub(super) fn expect(&self, words: &[&str]) -> Result<Said> {
        self.order(words).expect(0)
    }

    /// Mounts a folder to write to over others, the uppermost first.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub(super) fn overlay(&self, lower: &str, upper: &str, work: &str, at: &str) -> Result<()> {
        let layers = format!("lowerdir={lower},upperdir={upper},workdir={work}");
        self.expect(&["mount", "-t", "overlay", "-o", &layers, "lab", at]).map(drop)
    }

    /// What will run systemd-nspawn for a container of this name: in a control group of its own, below which the
    /// container's systemd makes those of its units.
    ///
    /// # Errors
    /// The control group cannot be made.
    pub(super) fn container(&self, name: &str) -> Result<Command> {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            r#"while [ "$1" != -- ]; do echo 0 >"$1"; shift; done; shift; exec "$@""#,
            "lab",
        ]);
        command.args(self.cgroup.fork(name)?).arg("--");
        command.args(["nsenter", "--target", &self.init.to_string(), "--mount", "--net", "--pid", "--"]);
        // Neither this computer's settings nor its bus, journal, resolver or time zone.
        command.args(["systemd-nspawn", "--quiet", "--settings=no", "--register=no", "--keep-unit"]);
        command.args(["--link-journal=no", "--resolv-conf=off", "--timezone=off"]);
        command.arg(format!("--machine={name}"));
        command.arg(format!("--bind-ro={BASE}/{ARCHIVE}:{ARCHIVE_INSIDE}"));
        command.stdin(Stdio::null()).process_group(0);
        Ok(command)
    }

    /// Runs a command in a root that is not booted: no systemd is there, nor a network, as in the containers and chroots
    /// that images are built in.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn run_unbooted(&self, name: &str, root: &str, words: &[&str]) -> Result<Said> {
        let mut container = self.container(name)?;
        container.args(["--private-network", "--as-pid2", "--pipe"]);
        container.arg(format!("--directory={root}"));
        container
            .args(["--setenv=DEBIAN_FRONTEND=noninteractive", "--setenv=LANG=C.UTF-8", "--"])
            .args(words);
        let output = container.output().context("cannot run systemd-nspawn")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Said { status: output.status.code(), output: text(&output.stdout), errors: text(&output.stderr) })
    }

    /// Where something inside is seen from outside. Nothing that a machine can write may stand on the way: a link in
    /// it would lead to the files of this computer.
    pub(super) fn outside(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.init))
    }

    /// Ends everything inside, without asking; and is done when the last process is gone, and with it the namespaces.
    ///
    /// # Errors
    /// Something does not end.
    pub(super) fn end(&self) -> Result<()> {
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut keeper) = keeper else { return Ok(()) };
        drop(keeper.stdin.take());
        let ended = wait_for("the lab's processes end", Duration::from_secs(30), || {
            Ok(keeper.try_wait()?.map(|_| ()).ok_or_else(|| "they run".to_owned()))
        });
        if ended.is_err() {
            let _ = keeper.kill();
            let _ = keeper.wait();
        }
        ended.and(self.cgroup.cut())
    }
}

impl Drop for Enclosure {
    fn drop(&mut self) {
        // Who wants to know calls `end` before.
        let _ = self.end();
    }
}

/// The process 1 of the namespace that many levels below this one's, among the descendants of a process.
pub(super) fn process_one_below(ancestor: u32, levels: usize) -> Option<i32> {
    descendants(ancestor).into_iter().map(|running| running.id.as_raw_nonzero().get()).find(|id| {
        // Its ids, from the namespace of this process inwards (proc_pid_status(5)).
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        let ids: Vec<&str> = ids.split_whitespace().collect();
        ids.len() == levels + 1 && ids.last() == Some(&"1")
    })
}
