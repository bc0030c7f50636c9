//! A lab of real Debian machines: booted systems with systemd, apt and a network of their own.
//!
//! What matters to users happens between machines: packages, triggers, units, multicast, SSH. So the system tests of the
//! packages boot Debian. systemd-nspawn does it in less than a second; a machine's disk is a layer over a [`Base`] that
//! all share, in memory, and what is written to it is thrown away at the end.
//!
//! [`Lab::boot`] is where to begin reading; `tests/lab.rs` shows every use.
//!
//! Needs root. What a lab does, it does in namespaces of its own (see `enclosure`), so that this computer's network and
//! mounts stay as they are, several labs do not see each other, and nothing is left of a lab whose owner was killed. It is
//! no sandbox: root in a machine is root.

mod base;
mod cgroup;
mod enclosure;
mod machine;
mod monitor;
mod network;
mod order;
pub mod packages;
mod requirements;
mod site;
mod snapshot;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};

pub use base::{Base, Recipe};
pub use machine::{Backup, Link, Machine};
pub use monitor::{Monitor, PATIENCE};
pub use network::Network;
pub use order::Said;
pub use packages::Packages;
pub use site::Site;
pub use snapshot::Snapshot;

use crate::process::descendants;
use enclosure::{Enclosure, HOSTS, MACHINES};

/// Machines on one network.
#[derive(Debug)]
pub struct Lab {
    enclosure: Arc<Enclosure>,
    base: Base,
    network: Network,
    /// Short names and numbers of all that were ever booted.
    machines: Mutex<Vec<(String, u8)>>,
    succeeded: bool,
}

impl Lab {
    /// A network without machines.
    ///
    /// # Errors
    /// The kernel refuses a namespace or a mount.
    pub fn start(base: &Base, network: Network) -> Result<Self> {
        Ok(Self {
            enclosure: Arc::new(Enclosure::start(base.folder())?),
            base: base.clone(),
            network,
            machines: Mutex::new(Vec::new()),
            succeeded: false,
        })
    }

    /// Boots new machines with these short names, all at once, and gives them in the same order. Every machine of the lab
    /// knows all names. The first has address 1, and so on.
    ///
    /// # Errors
    /// A name does not suit or is taken, or a machine does not boot.
    pub fn boot<const N: usize>(&self, names: [&str; N]) -> Result<[Machine; N]> {
        self.boot_on(&self.base, names)
    }

    /// As [`Lab::boot`], with what the disks are to begin with, which was made of the lab's base.
    ///
    /// # Errors
    /// As there.
    pub fn boot_on<const N: usize>(&self, base: &Base, names: [&str; N]) -> Result<[Machine; N]> {
        let booted = self.boot_all(&names.map(|name| (name, base)))?;
        booted.try_into().map_err(|_| anyhow!("there are not as many machines as names"))
    }

    /// As [`Lab::boot_on`], with an own beginning for each.
    ///
    /// # Errors
    /// As there.
    pub fn boot_all(&self, wanted: &[(&str, &Base)]) -> Result<Vec<Machine>> {
        self.boot_on_disks(&wanted.iter().map(|&(name, base)| (name, base, None)).collect::<Vec<_>>())
    }

    /// As [`Lab::boot`], each machine with what is on this disk, made of the lab's base: machines that are cloned from one
    /// image.
    ///
    /// # Errors
    /// As there.
    pub fn boot_from(&self, disk: &Backup, names: &[&str]) -> Result<Vec<Machine>> {
        self.boot_on_disks(&names.iter().map(|&name| (name, &self.base, Some(disk))).collect::<Vec<_>>())
    }

    fn boot_on_disks(&self, wanted: &[(&str, &Base, Option<&Backup>)]) -> Result<Vec<Machine>> {
        let mut new = Vec::new();
        for &(name, base, disk) in wanted {
            ensure!(base.folder() == self.base.folder(), "the base of {name} is not the lab's");
            let mut all = self.machines();
            ensure!(all.iter().all(|(other, _)| other != name), "there is a machine {name} already");
            let number = u8::try_from(all.len() + 1).ok().filter(|&number| number < u8::MAX);
            let number = number.context("a lab has at most 254 machines")?;
            new.push(Machine::assemble(&self.enclosure, self.network, base, disk, name, number)?);
            all.push((name.to_owned(), number));
        }
        let hosts = self.network.hosts(&self.machines());
        self.enclosure.order(&["tee", HOSTS]).with_input(hosts.as_bytes()).expect(0)?;
        for (name, _) in self.machines().iter() {
            self.enclosure.expect(&["cp", HOSTS, &format!("{MACHINES}/{name}/root/etc/hosts")])?;
        }
        for machine in &new {
            machine.switch_on()?;
        }
        for machine in &new {
            machine.wait_until_up()?;
        }
        Ok(new)
    }

    /// Ends a lab that did what it was to do: all machines are switched off. A lab that is dropped instead is taken for
    /// one of a failed test, and its journals are kept.
    ///
    /// # Errors
    /// Its processes do not end.
    pub fn end(mut self) -> Result<()> {
        self.succeeded = true;
        self.enclosure.end()
    }

    /// Keeps what tells of a failure, in a folder named for the test, and says where.
    fn keep_journals(&self) -> Result<PathBuf> {
        let thread = thread::current();
        let test = thread.name().unwrap_or("unnamed").replace("::", ".");
        let kept = folder().join("failed").join(test);
        // Of the last time.
        let _ = fs::remove_dir_all(&kept);
        fs::create_dir_all(&kept).with_context(|| format!("cannot make {}", kept.display()))?;
        for (name, _) in self.machines().iter() {
            let journal = machine::journal(&self.enclosure, name, &[]);
            let journal = journal.unwrap_or_else(|error| format!("{error:#}\n"));
            fs::write(kept.join(format!("{name}.journal")), journal)?;
            fs::write(kept.join(format!("{name}.console")), machine::console(&self.enclosure, name))?;
        }
        Ok(kept)
    }

    fn machines(&self) -> MutexGuard<'_, Vec<(String, u8)>> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !self.succeeded && !self.machines().is_empty() {
            match self.keep_journals() {
                Ok(kept) => eprintln!("lab: the journals of all machines are in {}", kept.display()),
                Err(error) => eprintln!("lab: the journals could not be kept: {error:#}"),
            }
        }
        if let Err(error) = self.enclosure.end() {
            eprintln!("lab: {error:#}");
        }
    }
}

/// Where bases and the journals of failed tests are kept: `.lab` in this checkout, or where `AUTO_MONITOR_LAB` says.
#[must_use]
pub fn folder() -> PathBuf {
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).join(".lab");
    env::var_os("AUTO_MONITOR_LAB").map_or_else(here, PathBuf::from)
}

/// A login shell in a machine of a lab that another process owns; with a terminal of the machine's, so that what asks
/// people there finds one.
///
/// # Errors
/// That process has no such machine.
pub fn shell(owner: u32, name: &str) -> Result<Command> {
    let argument = format!("--machine={name}");
    let nspawn = descendants(owner).into_iter().find(|running| {
        let line = fs::read(format!("/proc/{}/cmdline", running.id.as_raw_nonzero())).unwrap_or_default();
        running.name == "systemd-nspawn"
            && line.split(|&byte| byte == 0).any(|word| word == argument.as_bytes())
    });
    let leader = nspawn.and_then(|running| {
        enclosure::process_one_below(running.id.as_raw_nonzero().get().unsigned_abs(), 2)
    });
    let leader =
        leader.with_context(|| format!("process {owner} has no machine {name} that runs"))?.to_string();
    let (program, way) = ("nsenter", machine::entrance(&leader));
    let terminal = env::var("TERM").unwrap_or_else(|_| "dumb".to_owned());
    let mut command = Command::new(program);
    command.args(&way[1..]).arg(format!("TERM={terminal}"));
    command.args([
        "systemd-run",
        "--quiet",
        "--collect",
        "--pty",
        "--setenv=HOME=/root",
        "--setenv=LANG=C.UTF-8",
    ]);
    command.args(["--setenv=TERM", "--working-directory=/root", "--", "/bin/bash", "--login"]);
    Ok(command)
}
