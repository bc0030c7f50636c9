//! Machines that share this one's disk and kernel, and nothing else: namespaces of their own for network, name and
//! mounts, joined by a switch. What they write to `/etc`, `/var/lib` and `/run` stays theirs.
//!
//! The namespaces live as long as a process in them, which the kernel kills with this one: whatever happens, nothing is
//! left behind.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// A network of machines.
pub struct Network {
    switch: Child,
    folder: tempfile::TempDir,
    machines: usize,
}

/// A machine.
pub struct Machine {
    init: Child,
    number: usize,
    programs: PathBuf,
}

/// A program that runs on a machine until this goes.
pub struct Running {
    child: Child,
    log: PathBuf,
}

/// A process in new namespaces that dies with this one.
fn enclosed(namespaces: &[&str], script: &str) -> Child {
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", "unshare"])
        .args(namespaces)
        .args(["sh", "-ec", &format!("{script}\necho up\nexec sleep infinity")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut up = [0; 3];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).expect("root and its namespaces");
    child
}

impl Network {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let programs = folder.path().join("programs");
        fs::create_dir(&programs).unwrap();
        let this = std::env::current_exe().unwrap();
        for name in ["auto-monitor", "auto-monitor-server"] {
            let built = this.parent().unwrap().parent().unwrap().join(name);
            fs::copy(&built, programs.join(name))
                .unwrap_or_else(|error| panic!("{}: {error}", built.display()));
        }
        let switch =
            enclosed(&["--net"], "ip link add switch type bridge mcast_snooping 0; ip link set switch up");
        Self { switch, folder, machines: 0 }
    }

    /// A machine of this name, whose one interface `lan0` is up and has the addresses that it gives itself.
    pub fn machine(&mut self, name: &str) -> Machine {
        self.machines += 1;
        let number = self.machines;
        let disk = self.folder.path().join(format!("disk{number}"));
        let mut script =
            format!("hostname {name}\nip link set lo up\nmount -t tmpfs -o mode=755 none /run\n");
        for (at, folder) in ["/etc", "/var/lib"].iter().enumerate() {
            let part = |kind: &str| {
                let part = disk.join(format!("{kind}{at}"));
                fs::create_dir_all(&part).unwrap();
                part.display().to_string()
            };
            // Writing to a String cannot fail.
            let _ = writeln!(
                script,
                "mount -t overlay -o lowerdir={folder},upperdir={},workdir={} none {folder}",
                part("upper"),
                part("work")
            );
        }
        let _ = writeln!(script, "echo {number:032x} > /etc/machine-id");
        // No name server answers here, and none is waited for.
        script += "mkdir -p /run/sshd\nrm -f /etc/resolv.conf\n: > /etc/resolv.conf\n";
        let init = enclosed(&["--net", "--uts", "--mount"], &script);
        let machine = Machine { init, number, programs: self.folder.path().join("programs") };
        let joined = Command::new("nsenter")
            .args(["-t", &self.switch.id().to_string(), "-n", "sh", "-ec"])
            .arg(format!(
                "ip link add port{number} type veth peer name lan0 netns {}\n\
                 ip link set port{number} master switch up",
                machine.init.id()
            ))
            .status();
        assert!(joined.unwrap().success());
        machine.shell("ip link set lan0 up");
        machine
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Machine {
    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.init.id().to_string(), "-n", "-u", "-m", "--"]);
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.programs.display());
        command.env("PATH", path).stdin(Stdio::null()).current_dir("/");
        command
    }

    /// Runs a program.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.enter().args(arguments).output().unwrap()
    }

    /// Runs a program, which must end with this status; what it said on both.
    #[track_caller]
    pub fn say(&self, status: i32, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(status), "{arguments:?}\n{out}\n{err}");
        (out, err)
    }

    /// Runs a script of the shell, which must succeed.
    #[track_caller]
    pub fn shell(&self, script: &str) -> String {
        self.say(0, &["sh", "-ec", script]).0
    }

    /// What tells this machine from others of its name.
    pub fn mark(&self) -> String {
        let digest =
            self.shell("printf 'auto-monitor announcement\\000%s' \"$(cat /etc/machine-id)\" | sha256sum");
        digest[..8].to_owned()
    }

    /// Where a server on this machine announces that it is.
    pub fn place(&self) -> String {
        format!("{}-{}.local", self.shell("hostname").trim().split('.').next().unwrap(), self.mark())
    }

    /// What `auto-monitor discover` finds.
    #[track_caller]
    pub fn discover(&self) -> serde_json::Value {
        serde_json::from_str(&self.say(0, &["auto-monitor", "discover", "--json"]).0).unwrap()
    }

    /// Looks until as many servers are found; what was found last.
    #[track_caller]
    pub fn discovers(&self, servers: usize, patience: Duration) -> serde_json::Value {
        let until = Instant::now() + patience;
        loop {
            let found = self.discover();
            if found["servers"].as_array().unwrap().len() == servers {
                return found;
            }
            assert!(Instant::now() < until, "{servers} servers were not found: {found:#}");
        }
    }

    /// Starts a program, and waits until its log holds this.
    #[track_caller]
    pub fn start(&self, arguments: &[&str], until: &str) -> Running {
        let log = self.programs.join(format!("../{}-{}.log", self.number, arguments[0].replace('/', "_")));
        let mut command = Command::new("setpriv");
        let enter = self.enter();
        command.args(["--pdeathsig", "TERM", "--"]).arg(enter.get_program()).args(enter.get_args());
        command.envs(enter.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let file = fs::File::create(&log).unwrap();
        let child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut running = Running { child, log };
        let patience = Instant::now() + Duration::from_secs(20);
        while !running.log().contains(until) {
            let ended = running.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < patience, "{arguments:?}: {}", running.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }

    /// Makes this machine a monitoring server with a running endpoint that announces itself.
    pub fn serve(&self) -> [Running; 2] {
        self.shell(
            "useradd --system --shell /bin/sh --home-dir / auto-monitor\n\
             install -d -o auto-monitor -g auto-monitor -m 0750 /var/lib/auto-monitor-server-nagios",
        );
        let endpoint = self.start(&["auto-monitor-server", "endpoint"], "Server listening on 0.0.0.0");
        [endpoint, self.announce()]
    }

    pub fn announce(&self) -> Running {
        self.start(&["auto-monitor-server", "announce"], "event=announce ")
    }
}

impl Running {
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Has the program do nothing, as on a machine that is too busy for it, until it may go on.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Asks the program to end, which it must do well.
    pub fn end(mut self) {
        self.signal(Signal::TERM);
        assert!(self.child.wait().unwrap().success(), "{}", self.log());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = rustix::process::kill_process(Pid::from_child(&self.child), Signal::TERM);
            drop(self.child.wait());
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.init.kill());
        drop(self.init.wait());
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.switch.kill());
        drop(self.switch.wait());
    }
}
