//! The server: its endpoint, its Nagios, its administrator's commands.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context, Result, ensure};
use rustix::process::geteuid;

use crate::host::Host;
use crate::installed::Installed;
use crate::nagios::Nagios;
use crate::process::Process;
use crate::service::{free_port, wait_until_it_listens};

/// The server's root, below the site's folder.
const SERVER: &str = "server";
/// The seconds after which a command of a person is taken to hang.
const COMMAND_SECONDS: &str = "60";

/// A site. Everything of it ends with it; its folder is the caller's.
#[derive(Debug)]
pub struct Site {
    folder: PathBuf,
    installed: Installed,
    network: [u8; 3],
    endpoint_address: SocketAddr,
    endpoint: Option<Process>,
    publisher: Option<Process>,
    /// The engine.
    pub nagios: Nagios,
}

/// The first three octets of loopback addresses that no other site uses: this process's id and a count make them.
#[must_use]
pub fn own_network() -> [u8; 3] {
    static COUNT: AtomicU8 = AtomicU8::new(0);
    let [high, low, ..] = std::process::id().to_le_bytes();
    [127, 16 + high % 128 + COUNT.fetch_add(1, Ordering::Relaxed) % 64, low]
}

impl Site {
    /// Lays a server out in a folder: its configuration, the shipped templates, and a Nagios that does not know of us.
    /// Addresses are taken from this network of three octets; `.1` is the server.
    ///
    /// # Errors
    /// Something is not built or installed, or the folder cannot be written.
    pub fn lay_out(folder: &Path, network: [u8; 3]) -> Result<Self> {
        let installed = Installed::find()?;
        let root = folder.join(SERVER);
        let [a, b, c] = network;
        let address = IpAddr::V4(Ipv4Addr::new(a, b, c, 1));
        let endpoint_address = SocketAddr::new(address, free_port(address)?);

        let configuration = root.join("etc/auto-monitor-server-nagios");
        fs::create_dir_all(&configuration)?;
        fs::write(
            configuration.join("server.conf"),
            format!(
                "listen = {endpoint_address}\ncheck-program = {}\ncontact-groups = administrators\nquiet = 1s\nquiet-at-most = 5s\n",
                installed.program("check_registered").display()
            ),
        )?;
        let templates = root.join("usr/share/auto-monitor/templates/nagios");
        fs::create_dir_all(&templates)?;
        let shipped = installed.templates.join("nagios");
        for entry in fs::read_dir(&shipped).with_context(|| format!("cannot read {}", shipped.display()))? {
            let entry = entry?;
            fs::copy(entry.path(), templates.join(entry.file_name()))?;
        }
        let nagios = Nagios::configure(&root)?;
        Ok(Self {
            folder: folder.to_owned(),
            installed,
            network,
            endpoint_address,
            endpoint: None,
            publisher: None,
            nagios,
        })
    }

    /// Adds lines to the end of `server.conf`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn configure(&self, lines: &str) -> Result<()> {
        let path = self.root().join("etc/auto-monitor-server-nagios/server.conf");
        let text = fs::read_to_string(&path)? + lines;
        Ok(fs::write(path, text)?)
    }

    /// The site's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Below this the server's paths are.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.folder.join(SERVER)
    }

    /// Where hosts register, as `client.conf` has it. An unprivileged sshd logs in nobody but its own user.
    ///
    /// # Errors
    /// This user has no name.
    pub fn endpoint(&self) -> Result<String> {
        Ok(format!("{}@{}", user_name()?, self.endpoint_address))
    }

    /// Starts the endpoint and waits until it listens.
    ///
    /// # Errors
    /// It does not.
    pub fn start_endpoint(&mut self) -> Result<()> {
        let as_root = if geteuid().is_root() { &["--allow-root"][..] } else { &[] };
        let mut process = self.start_server("endpoint", &[&["endpoint"], as_root].concat())?;
        wait_until_it_listens(&mut process, self.endpoint_address)?;
        self.endpoint = Some(process);
        Ok(())
    }

    /// Ends the endpoint.
    pub fn stop_endpoint(&mut self) {
        self.endpoint = None;
    }

    /// The ids of the endpoint's and of the publisher's process, while they run.
    #[must_use]
    pub fn ids(&self) -> (Option<u32>, Option<u32>) {
        (self.endpoint.as_ref().map(Process::id), self.publisher.as_ref().map(Process::id))
    }

    /// Has no change wait for further ones before it is published (`quiet`), or for as long as shipped.
    ///
    /// # Errors
    /// `server.conf` cannot be written.
    pub fn set_quiet(&self, lines: &str) -> Result<()> {
        let path = self.root().join("etc/auto-monitor-server-nagios/server.conf");
        let text = fs::read_to_string(&path)?;
        let kept = text.lines().filter(|line| !line.starts_with("quiet")).flat_map(|line| [line, "\n"]);
        Ok(fs::write(path, kept.collect::<String>() + lines)?)
    }

    /// Starts the publisher, which publishes whenever something has changed.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_publisher(&mut self) -> Result<()> {
        self.publisher = Some(self.start_server("publisher", &["publish", "--watch"])?);
        Ok(())
    }

    fn start_server(&self, name: &str, arguments: &[&str]) -> Result<Process> {
        let root = self.root().display().to_string();
        let arguments = [&["--root", &root], arguments].concat();
        let log = self.folder.join(format!("{name}.log"));
        Process::start(name, &self.installed.program("auto-monitor-server"), &arguments, &log)
    }

    /// Starts whatever was started and has ended, as systemd does, and says what it was.
    ///
    /// # Errors
    /// It does not start again.
    pub fn restart_what_ended(&mut self) -> Result<Vec<&'static str>> {
        let mut restarted = Vec::new();
        if self.endpoint.as_mut().is_some_and(Process::has_ended) {
            self.start_endpoint()?;
            restarted.push("endpoint");
        }
        if self.publisher.as_mut().is_some_and(Process::has_ended) {
            self.start_publisher()?;
            restarted.push("publisher");
        }
        if self.nagios.has_ended() {
            self.nagios.start()?;
            restarted.push("nagios");
        }
        Ok(restarted)
    }

    /// The fingerprint of the endpoint's key, which its administrator tells those of the hosts.
    ///
    /// # Errors
    /// There is no key yet.
    pub fn fingerprint(&self) -> Result<String> {
        let folder = self.root().join(monitoring_info::published::STATE_DIR).join("endpoint");
        let key = fs::read_dir(&folder)
            .with_context(|| format!("cannot read {}", folder.display()))?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.extension() == Some(OsStr::new("pub")))
            .with_context(|| format!("no public key in {}", folder.display()))?;
        let output = Command::new("ssh-keygen").arg("-lf").arg(&key).stdin(Stdio::null()).output()?;
        let text = String::from_utf8(output.stdout)?;
        let fingerprint = text.split(' ').nth(1).context("ssh-keygen -l printed no fingerprint")?;
        Ok(fingerprint.to_owned())
    }

    /// A host with a root and an address of its own, the `number`th of the network.
    ///
    /// # Errors
    /// Its folder cannot be written.
    pub fn host(&self, name: &str, number: u8) -> Result<Host> {
        let [a, b, c] = self.network;
        self.host_at(name, IpAddr::V4(Ipv4Addr::new(a, b, c, number)))
    }

    /// A host with an address on which its services listen already.
    ///
    /// # Errors
    /// Its folder cannot be written.
    pub fn host_at(&self, name: &str, address: IpAddr) -> Result<Host> {
        Host::lay_out(self, name, address)
    }

    /// Where a program of ours is.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.installed.program(name)
    }

    /// A command of the server's administrator.
    #[must_use]
    pub fn server(&self, arguments: &[&str]) -> Invocation {
        self.invocation("auto-monitor-server", SERVER, arguments)
    }

    /// What the engine runs to look at a service.
    #[must_use]
    pub fn probe(&self, host: &str, service: &str) -> Invocation {
        self.invocation("check_registered", SERVER, &[host, service])
    }

    /// `PROGRAM --root ROOT ARGUMENTS…`, as a person in the site's folder would call it.
    pub(crate) fn invocation(&self, program: &str, root: &str, arguments: &[&str]) -> Invocation {
        Invocation {
            program: self.installed.program(program),
            words: [&[program, "--root", root], arguments].concat().into_iter().map(str::to_owned).collect(),
            folder: self.folder.clone(),
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Nagios first: a publisher that goes while Nagios runs is the ordinary case, the other way round is not.
        self.nagios.stop();
    }
}

/// A command as a person gives it.
#[derive(Debug, Clone)]
pub struct Invocation {
    program: PathBuf,
    words: Vec<String>,
    folder: PathBuf,
}

/// How a command ended and what it said.
#[derive(Debug, Clone)]
pub struct Said {
    /// The exit status; none when a signal ended it.
    pub status: Option<i32>,
    /// What it printed, standard error last.
    pub text: String,
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.words.iter().enumerate() {
            let blank = if at > 0 { " " } else { "" };
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,+".contains(c);
            if !word.is_empty() && word.chars().all(plain) {
                write!(f, "{blank}{word}")?;
            } else {
                write!(f, "{blank}'{}'", word.replace('\'', r"'\''"))?;
            }
        }
        Ok(())
    }
}

impl Invocation {
    /// The same with more arguments.
    #[must_use]
    pub fn with(&self, arguments: &[&str]) -> Self {
        let mut longer = self.clone();
        longer.words.extend(arguments.iter().map(|&argument| argument.to_owned()));
        longer
    }

    /// The same for the system, to be run in another way than [`Invocation::run`] does.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.words[1..]).current_dir(&self.folder);
        command
    }

    /// Runs it, with nothing on standard input.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(&self) -> Result<Said> {
        let output = Command::new("timeout")
            .args(["--kill-after=5", COMMAND_SECONDS])
            .arg(&self.program)
            .args(&self.words[1..])
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {self}"))?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok(Said { status: output.status.code(), text })
    }

    /// Runs it; it must end with this status.
    ///
    /// # Errors
    /// It ends otherwise.
    pub fn expect(&self, status: i32) -> Result<Said> {
        let said = self.run()?;
        ensure!(
            said.status == Some(status),
            "{self}\nended with status {:?} instead of {status}, and said:\n{}",
            said.status,
            said.text
        );
        Ok(said)
    }
}

fn user_name() -> Result<String> {
    let output = Command::new("id").arg("-un").stdin(Stdio::null()).output().context("cannot run id")?;
    ensure!(output.status.success(), "this user has no name: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
