//! One Debian machine of a lab.

use std::fs::{self, File};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::base::Base;
use super::enclosure::{BRIDGE, Enclosure, HOSTS, MACHINES, process_one_below};
use super::network::{DOMAIN, Network};
use super::order::{Order, Said};
use crate::patience::wait_for;

/// How long a machine may take to boot or to shut down, on a computer that does much else.
const PATIENCE: Duration = Duration::from_secs(90);
/// The seconds after which a command in a machine is taken to hang. The longest install Nagios with all that it recommends.
const COMMAND_SECONDS: &str = "300";
/// Linux gives an interface at most 15 bytes for its name, and systemd-nspawn begins it with `vb-`.
const LONGEST_NAME: usize = 12;
/// Before systemd's own 80-container-host0.network, which asks for DHCP.
const CONFIGURATION: &str = "/etc/systemd/network/10-lab.network";

/// A Debian machine. It is switched off when it is dropped.
#[derive(Debug)]
pub struct Machine {
    enclosure: Arc<Enclosure>,
    name: String,
    number: u8,
    network: Network,
    /// What its disk is a layer over.
    lower: String,
    running: Mutex<Option<Running>>,
}

/// A booted system.
#[derive(Debug)]
struct Running {
    nspawn: Child,
    /// Its process 1, by the id that it has on this computer.
    leader: i32,
    /// The same, and never another process that got the id later.
    descriptor: OwnedFd,
}

/// How a machine is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// To the lab's network.
    Up,
    /// The cable is in, and what is sent goes nowhere: a fault somewhere on the way.
    Silent,
    /// The cable is out, which the machine notices.
    Unplugged,
}

/// What was on a machine's disk at some time.
#[derive(Debug)]
pub struct Backup {
    folder: String,
}

impl Machine {
    /// A machine with an empty disk over the base, or a copy of this one; not booted.
    pub(super) fn assemble(
        enclosure: &Arc<Enclosure>,
        network: Network,
        base: &Base,
        disk: Option<&Backup>,
        name: &str,
        number: u8,
    ) -> Result<Self> {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        ensure!(
            !name.is_empty()
                && name.len() <= LONGEST_NAME
                && name.chars().all(letters)
                && !name.starts_with('-'),
            "{name:?} is no name for a machine: 1 to {LONGEST_NAME} of a-z, 0-9 and -"
        );
        let machine = Self {
            enclosure: Arc::clone(enclosure),
            name: name.to_owned(),
            number,
            network,
            lower: base.lower(),
            running: Mutex::new(None),
        };
        machine.insert_disk(disk)?;
        Ok(machine)
    }

    /// Its short name; what a user of the machine sees as `hostname`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its fully qualified domain name.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{DOMAIN}", self.name)
    }

    /// Its addresses, IPv4 first.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.network.addresses(self.number)
    }

    /// Boots it, and waits until its systemd has nothing more to start and its addresses are there.
    ///
    /// # Errors
    /// It runs already, it does not boot, or a unit fails.
    pub fn boot(&self) -> Result<()> {
        self.switch_on()?;
        self.wait_until_up()
    }

    /// Whether it is booted.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.running().is_some()
    }

    /// The first half of booting, which takes no time.
    pub(super) fn switch_on(&self) -> Result<()> {
        let mut running = self.running();
        ensure!(running.is_none(), "{} runs already", self.name);
        let console = self.enclosure.outside(&self.folder("console.log"));
        let console = File::options().create(true).append(true).open(&console)?;
        let mut container = self.enclosure.container(&self.name)?;
        container.args(["--boot", "--console=read-only"]).env("TERM", "dumb");
        container.arg(format!("--network-bridge={BRIDGE}"));
        container.arg(format!("--directory={}", self.folder("root")));
        container.stdout(console.try_clone()?).stderr(console);
        let mut nspawn = container.spawn().context("cannot start systemd-nspawn")?;
        let leader = wait_for("the machine's process 1", PATIENCE, || {
            if let Some(status) = nspawn.try_wait()? {
                bail!("{} did not boot ({status}):\n{}", self.name, self.console());
            }
            Ok(process_one_below(nspawn.id(), 2).ok_or_else(|| "none".to_owned()))
        })?;
        let descriptor = Pid::from_raw(leader).context("a process has an id")?;
        let descriptor =
            pidfd_open(descriptor, PidfdFlags::empty()).context("the machine's process 1 ended")?;
        *running = Some(Running { nspawn, leader, descriptor });
        Ok(())
    }

    pub(super) fn wait_until_up(&self) -> Result<()> {
        let up = wait_for("systemd is up", PATIENCE, || {
            let said = self.run(&["systemctl", "is-system-running", "--wait"])?;
            Ok(match said.output.trim() {
                state @ ("running" | "degraded") => Ok(state.to_owned()),
                _ => Err(said.to_string()),
            })
        });
        let state = up.with_context(|| format!("{} does not boot:\n{}", self.name, self.console()))?;
        if state == "degraded" {
            let failed = self.run(&["systemctl", "--failed", "--no-legend", "--plain"])?;
            bail!(
                "{} booted, and units failed:\n{failed}{}",
                self.name,
                self.journal(&["--priority=warning"])?
            );
        }
        let seconds = format!("--timeout={}", PATIENCE.as_secs());
        let wait_online = "/lib/systemd/systemd-networkd-wait-online";
        self.expect(0, &[wait_online, "--interface=host0:routable", &seconds])?;
        Ok(())
    }

    /// Shuts it down as its administrator would.
    ///
    /// # Errors
    /// It does not run, or does not end.
    pub fn shut_down(&self) -> Result<()> {
        self.run(&["systemctl", "poweroff", "--no-block"])?;
        let mut running = self.running();
        if let Some(system) = running.as_mut() {
            wait_for("the machine shuts down", PATIENCE, || {
                Ok(system.nspawn.try_wait()?.map(|_| ()).ok_or_else(|| self.console()))
            })?;
        }
        *running = None;
        Ok(())
    }

    /// Pulls the plug: no process gets to say anything more. (What was written is written: the disk is not one that could
    /// lose it.)
    pub fn switch_off(&self) {
        let mut running = self.running();
        if let Some(system) = running.as_mut() {
            let _ = pidfd_send_signal(&system.descriptor, Signal::KILL);
            let _ = system.nspawn.wait();
        }
        *running = None;
    }

    /// Shuts it down and boots it.
    ///
    /// # Errors
    /// It does not run, does not end, or does not boot.
    pub fn reboot(&self) -> Result<()> {
        self.shut_down()?;
        self.boot()
    }

    /// Runs a command in it as root, with a short environment and nothing on standard input.
    ///
    /// # Errors
    /// The machine does not run.
    pub fn run(&self, words: &[&str]) -> Result<Said> {
        self.command(words)?.run()
    }

    /// Runs a command in it, which must end with this status.
    ///
    /// # Errors
    /// It ends otherwise, or the machine does not run.
    pub fn expect(&self, status: i32, words: &[&str]) -> Result<Said> {
        self.command(words)?.expect(status).with_context(|| format!("on {}", self.name))
    }

    /// As [`Machine::expect`], with this on standard input.
    ///
    /// # Errors
    /// As there.
    pub fn expect_with_input(&self, status: i32, words: &[&str], input: &[u8]) -> Result<Said> {
        self.command(words)?.with_input(input).expect(status).with_context(|| format!("on {}", self.name))
    }

    /// Runs a command on it while it is not booted: no systemd is there, nor a network, as in the containers and chroots
    /// that images are built in. Nobody is there to answer apt's questions.
    ///
    /// # Errors
    /// It runs.
    pub fn run_unbooted(&self, words: &[&str]) -> Result<Said> {
        ensure!(!self.runs(), "{} runs; shut it down first", self.name);
        self.enclosure.run_unbooted(&self.name, &self.folder("root"), words)
    }

    /// Runs a command on it, as [`Machine::run`] while it is booted and as [`Machine::run_unbooted`] while it is not; it
    /// must succeed, and nobody is there to answer questions.
    ///
    /// # Errors
    /// It fails.
    pub fn expect_either_way(&self, words: &[&str]) -> Result<Said> {
        let said = if self.runs() {
            self.run(&[&["env", "DEBIAN_FRONTEND=noninteractive"], words].concat())?
        } else {
            self.run_unbooted(words)?
        };
        ensure!(said.status == Some(0), "on {}: {} failed and said:\n{said}", self.name, words.join(" "));
        Ok(said)
    }

    /// Installs packages of the archive as `apt install` does where nobody is there to answer.
    ///
    /// # Errors
    /// apt fails.
    pub fn install(&self, packages: &[&str]) -> Result<Said> {
        self.apt(&[&["install"], packages].concat())
    }

    /// `apt-get WORDS` where nobody is there to answer, whether the machine runs or not.
    ///
    /// # Errors
    /// apt fails.
    pub fn apt(&self, words: &[&str]) -> Result<Said> {
        self.expect_either_way(&[&["apt-get", "--quiet", "--yes"], words].concat())
    }

    /// Installs packages from files of this computer, with what they depend on, as `apt install ./FILE…` does.
    ///
    /// # Errors
    /// A file cannot be copied, or apt fails.
    pub fn install_files(&self, files: &[PathBuf]) -> Result<Said> {
        let mut paths = Vec::new();
        for file in files {
            let name =
                file.file_name().and_then(|name| name.to_str()).context("a package's file has a name")?;
            let path = format!("/root/{name}");
            self.copy_in(file, &path)?;
            paths.push(path);
        }
        self.install(&paths.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Writes a file, with its folders; whether the machine runs or not.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &str, mode: u32, contents: &[u8]) -> Result<()> {
        let script = r#"mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1""#;
        let words = ["sh", "-c", script, "write", path, &format!("{mode:o}")];
        let order = if self.runs() { self.command(&words)? } else { self.on_disk(&words) };
        order
            .with_input(contents)
            .expect(0)
            .with_context(|| format!("cannot write {path} on {}", self.name))?;
        Ok(())
    }

    /// Copies a file of this computer into it; whether it runs or not.
    ///
    /// # Errors
    /// The one cannot be read or the other not be written.
    pub fn copy_in(&self, file: &Path, path: &str) -> Result<()> {
        let contents = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        self.write(path, 0o644, &contents)
    }

    /// Its journal, of all boots; with arguments for journalctl (`-u UNIT`, `--priority=…`). Whether it runs or not: a
    /// machine that hangs is just one whose journal is wanted.
    ///
    /// # Errors
    /// journalctl fails.
    pub fn journal(&self, arguments: &[&str]) -> Result<String> {
        journal(&self.enclosure, &self.name, arguments)
    }

    /// Changes how it is connected. A machine that boots is connected.
    ///
    /// # Errors
    /// It does not run.
    pub fn connect(&self, link: Link) -> Result<()> {
        ensure!(self.runs(), "{} does not run", self.name);
        let interface = format!("vb-{}", self.name);
        let mut words = vec!["ip", "link", "set", &interface];
        words.extend(match link {
            Link::Up => &["master", BRIDGE, "up"][..],
            Link::Silent => &["nomaster", "up"],
            Link::Unplugged => &["down"],
        });
        self.enclosure.expect(&words)?;
        Ok(())
    }

    /// Runs a command by a clock that is so many seconds fast, or slow.
    ///
    /// The kernel has one clock of the day for all: time namespaces (`time_namespaces(7)`) hold only the monotonic clocks.
    /// So this is libfaketime's, which programs that are linked dynamically see, with all that they start; but not who is
    /// asked to do something for them, as systemd is, nor the time stamps of files and of the journal. A whole machine
    /// cannot be shifted: systemd does not survive it.
    ///
    /// # Errors
    /// The machine does not run.
    pub fn run_shifted(&self, seconds: i64, words: &[&str]) -> Result<Said> {
        let clock = shifted_clock(seconds);
        let mut whole = vec!["env"];
        whole.extend(clock.iter().map(String::as_str));
        whole.extend(words);
        self.run(&whole)
    }

    /// Restarts a unit by a clock that is so many seconds fast, or slow, or by the right one (0), until it is told
    /// otherwise, over boots. What [`Machine::run_shifted`] says holds here.
    ///
    /// # Errors
    /// systemd does not restart it.
    pub fn restart_shifted(&self, seconds: i64, unit: &str) -> Result<()> {
        let clock: Vec<String> = if seconds == 0 { Vec::new() } else { shifted_clock(seconds).into() };
        let settings: String = clock.iter().map(|setting| ["Environment=", setting, "\n"].concat()).collect();
        let file = format!("/etc/systemd/system/{unit}.d/lab-clock.conf");
        self.write(&file, 0o644, format!("[Service]\n{settings}").as_bytes())?;
        self.expect(0, &["systemctl", "daemon-reload"])?;
        self.expect(0, &["systemctl", "restart", unit])?;
        Ok(())
    }

    /// What is on its disk now. Shut it down or switch it off first: so do those who want their backup back.
    ///
    /// # Errors
    /// It runs, or the disk cannot be copied.
    pub fn back_up(&self) -> Result<Backup> {
        ensure!(!self.runs(), "{} runs; shut it down before its disk is copied", self.name);
        let made = self.enclosure.expect(&["mktemp", "--directory", &self.folder("backup.XXXXXX")])?;
        let folder = made.output.trim().to_owned();
        self.enclosure.expect(&["cp", "--archive", &self.folder("upper"), &folder])?;
        Ok(Backup { folder })
    }

    /// Switches it off and gives it the disk of a backup, of its own or of another machine; or with none an empty disk, as
    /// if Debian had been installed anew. It keeps its name and addresses.
    ///
    /// # Errors
    /// The disk cannot be copied.
    pub fn restore(&self, backup: Option<&Backup>) -> Result<()> {
        self.switch_off();
        self.enclosure.expect(&["umount", &self.folder("root")])?;
        self.insert_disk(backup)
    }

    /// A disk: a layer over the base, and in it who the machine is.
    fn insert_disk(&self, backup: Option<&Backup>) -> Result<()> {
        let (root, upper, work) = (self.folder("root"), self.folder("upper"), self.folder("work"));
        self.enclosure.expect(&["rm", "--recursive", "--force", &upper, &work])?;
        self.enclosure.expect(&["mkdir", "--parents", &root, &work])?;
        match backup {
            Some(backup) => {
                self.enclosure.expect(&["cp", "--archive", &format!("{}/upper", backup.folder), &upper])?
            }
            None => self.enclosure.expect(&["mkdir", &upper])?,
        };
        self.enclosure.overlay(&self.lower, &upper, &work, &root)?;
        self.enclosure.expect(&["cp", HOSTS, &format!("{root}/etc/hosts")])?;
        self.write("/etc/hostname", 0o644, format!("{}\n", self.name).as_bytes())?;
        self.write(CONFIGURATION, 0o644, self.network.configuration(self.number).as_bytes())
    }

    fn command(&self, words: &[&str]) -> Result<Order> {
        let mut running = self.running();
        let ended = match running.as_mut() {
            Some(system) => system.nspawn.try_wait()?.is_some(),
            None => true,
        };
        if ended {
            *running = None;
        }
        let leader = running.as_ref().map(|system| system.leader.to_string());
        let leader = leader.with_context(|| format!("{} does not run", self.name))?;
        let mut way = entrance(&leader);
        way.extend(["timeout", "--kill-after=5", COMMAND_SECONDS]);
        Ok(Order::new(&way, words))
    }

    /// A command on its disk, which sees no system that runs.
    fn on_disk(&self, words: &[&str]) -> Order {
        let root = self.folder("root");
        let mut order = vec!["chroot", &root];
        order.extend(words);
        self.enclosure.order(&order)
    }

    fn folder(&self, below: &str) -> String {
        format!("{MACHINES}/{}/{below}", self.name)
    }

    /// The end of what it has written to its console, for an error.
    fn console(&self) -> String {
        let text = console(&self.enclosure, &self.name);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        // A thread that panicked has changed nothing by halves: it is one assignment.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.switch_off();
    }
}

/// The environment of a shifted clock. The monotonic clocks stay right: timeouts are not what is tried.
fn shifted_clock(seconds: i64) -> [String; 3] {
    [
        // The dynamic linker puts the architecture's folder in the place of $LIB, see ld.so(8).
        "LD_PRELOAD=/usr/$LIB/faketime/libfaketime.so.1".to_owned(),
        format!("FAKETIME={seconds:+}"),
        "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
    ]
}

/// What leads into a machine, before the words of a command.
pub(super) fn entrance(leader: &str) -> Vec<&str> {
    let mut way = vec!["nsenter", "--target", leader];
    way.extend(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"]);
    way.extend(["env", "--ignore-environment", "HOME=/root", "LANG=C.UTF-8"]);
    way.push("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    way
}

/// What a machine has written to its console.
pub(super) fn console(enclosure: &Enclosure, name: &str) -> String {
    let file = enclosure.outside(&format!("{MACHINES}/{name}/console.log"));
    fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The journal of a machine.
pub(super) fn journal(enclosure: &Enclosure, name: &str, arguments: &[&str]) -> Result<String> {
    let folder = format!("--directory={MACHINES}/{name}/root/var/log/journal");
    let mut words = vec!["journalctl", "--quiet", "--no-pager", "--output=short-iso-precise", &folder];
    words.extend(arguments);
    Ok(enclosure.expect(&words)?.output)
}
