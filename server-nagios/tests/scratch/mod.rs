//! A server in a scratch folder: a real endpoint on a free port of the loopback interface, and OpenSSH's own client.

#![allow(dead_code, reason = "each test program uses its own part of this")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use monitoring_info::registration::{Enrolment, RefusalCode, Reply};
use serde_json::{Value, json};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_auto-monitor-server");

/// Whether root runs the tests.
pub fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// A server; it and its folder go when this goes.
pub struct Server {
    folder: tempfile::TempDir,
    /// Beside it, because OpenSSH's client expands `%` in the paths of keys.
    keys: tempfile::TempDir,
    endpoint: Option<Child>,
    pub port: u16,
}

/// A host: a key, and a name that it gives itself.
pub struct Host {
    key: PathBuf,
    port: u16,
    pub name: String,
}

impl Server {
    /// A running endpoint, with these lines in server.conf besides `listen`.
    pub fn start(configuration: &str) -> Self {
        let mut server = Self::prepare(configuration);
        server.run(configuration);
        server
    }

    /// The same, not yet running.
    pub fn prepare(configuration: &str) -> Self {
        // The blank and the quotes in the path are part of every test.
        let folder = tempfile::Builder::new().prefix("it's a \"server\" %f ").tempdir().unwrap();
        let keys = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("etc/auto-monitor-server-nagios")).unwrap();
        let mut server = Self { folder, keys, endpoint: None, port: 0 };
        server.listen(configuration);
        server
    }

    /// With the state folder that the first start of an endpoint would make.
    pub fn with_state(self) -> Self {
        fs::create_dir_all(self.state()).unwrap();
        self
    }

    fn listen(&mut self, configuration: &str) {
        self.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = self.root().join("etc/auto-monitor-server-nagios/server.conf");
        fs::write(file, format!("listen = 127.0.0.1:{}\n{configuration}", self.port)).unwrap();
    }

    pub fn run(&mut self, configuration: &str) {
        // Between looking for a free port and using it, somebody else may take it.
        for _ in 0..5 {
            let log = fs::File::create(self.root().join("endpoint.log")).unwrap();
            let mut endpoint = Command::new(PROGRAM)
                .arg("--root")
                .arg(self.root())
                .arg("endpoint")
                .args(is_root().then_some("--allow-root"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap();
            let deadline = Instant::now() + Duration::from_secs(60);
            while endpoint.try_wait().unwrap().is_none() {
                if self.log().contains("Server listening") {
                    self.endpoint = Some(endpoint);
                    return;
                }
                assert!(Instant::now() < deadline, "the endpoint does not listen:\n{}", self.log());
                std::thread::sleep(Duration::from_millis(20));
            }
            assert!(self.log().contains("Address already in use"), "the endpoint ended:\n{}", self.log());
            self.listen(configuration);
        }
        panic!("no free port");
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn state(&self) -> PathBuf {
        self.root().join(monitoring_info::published::STATE_DIR)
    }

    pub fn endpoint_pid(&self) -> u32 {
        self.endpoint.as_ref().unwrap().id()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.root().join("endpoint.log")).unwrap_or_default()
    }

    pub fn session_log(&self) -> String {
        fs::read_to_string(self.state().join("endpoint/session.log")).unwrap_or_default()
    }

    pub fn record(&self, name: &str) -> Option<Value> {
        let bytes = fs::read(self.state().join(format!("registry/{name}.json"))).ok()?;
        Some(serde_json::from_slice(&bytes).unwrap())
    }

    /// Runs an administrator's command.
    pub fn command(&self, arguments: &[&str]) -> Output {
        Command::new(PROGRAM).arg("--root").arg(self.root()).args(arguments).output().unwrap()
    }

    /// Runs an administrator's command that must succeed; what it prints.
    pub fn say(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs an administrator's command whose answer must be bad news; what it complains of.
    pub fn bad_news(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// A host with a new key.
    pub fn host(&self, name: &str) -> Host {
        let key = tempfile::tempdir_in(&self.keys).unwrap().keep().join("id_ed25519");
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.unwrap().success());
        Host { key, port: self.port, name: name.to_owned() }
    }

    /// A host that is approved.
    pub fn approved(&self, name: &str) -> Host {
        let host = self.host(name);
        assert_eq!(host.enrol().enrolment, Enrolment::Pending);
        self.say(&["approve", name]);
        host
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Server {
    /// Ends the endpoint.
    pub fn stop(&mut self) {
        if let Some(mut endpoint) = self.endpoint.take() {
            // The listening sshd; the sessions end by themselves.
            let _ = endpoint.kill();
            let _ = endpoint.wait();
        }
    }
}

impl Host {
    /// OpenSSH's client on its way to the endpoint.
    pub fn ssh(&self, command: &str) -> Command {
        self.ssh_with(&["-T"], command)
    }

    /// The same with options of its own.
    pub fn ssh_with(&self, options: &[&str], command: &str) -> Command {
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).unwrap().unwrap().name;
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none"])
            .args(["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes"])
            .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "GlobalKnownHostsFile=/dev/null"])
            .args(["-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=30"])
            .arg("-i")
            .arg(&self.key)
            .args(["-p", &self.port.to_string(), "-l", &user])
            .args(options)
            .arg("127.0.0.1")
            // With `-W` there is none.
            .args(Some(command).filter(|_| !options.contains(&"-W")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        ssh
    }

    /// The whole exchange; the answer as it came.
    pub fn exchange(&self, command: &str, document: &[u8]) -> Output {
        let mut child = self.ssh(command).spawn().unwrap();
        // The server may have stopped reading, and is right then.
        let _ = child.stdin.take().unwrap().write_all(document);
        child.wait_with_output().unwrap()
    }

    pub fn send(&self, command: &str, document: &[u8]) -> Reply {
        let mut output = self.exchange(command, document);
        // On a machine that is busy with other tests, a client can be turned away at the door. It comes again, as ours
        // does.
        for _ in 0..4 {
            if output.status.code() != Some(255) || !output.stdout.is_empty() {
                break;
            }
            output = self.exchange(command, document);
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:.80?}: {:?} {complaint}", output.status);
        assert_eq!(output.stdout.last(), Some(&b'\n'));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub fn request(&self) -> Value {
        json!({"version": 1, "name": self.name})
    }

    pub fn enrol(&self) -> Reply {
        self.send("enrol", self.request().to_string().as_bytes())
    }

    pub fn enrol_with(&self, secret: &str) -> Reply {
        let mut request = self.request();
        request["secret"] = secret.into();
        self.send("enrol", request.to_string().as_bytes())
    }

    pub fn status(&self) -> Reply {
        self.send("status", self.request().to_string().as_bytes())
    }

    pub fn registration(&self, generation: u64, services: &[&str]) -> Value {
        let definitions: Vec<Value> = services.iter().map(|name| definition(name)).collect();
        let mut request = self.request();
        request["registration"] = json!({"generation": generation, "definitions": definitions});
        request
    }

    pub fn register(&self, generation: u64, services: &[&str]) -> Reply {
        self.send("register", self.registration(generation, services).to_string().as_bytes())
    }

    /// A session that is open, and has not got its document yet.
    pub fn open(&self, command: &str) -> Open {
        Open(self.ssh(command).spawn().unwrap())
    }
}

pub fn definition(name: &str) -> Value {
    json!({"name": name, "type": "ssh", "settings": {}, "file": "/etc/monitoring-info/test.conf"})
}

pub struct Open(pub Child);

impl Open {
    pub fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let input = self.0.stdin.as_mut().unwrap();
        input.write_all(bytes)?;
        input.flush()
    }

    /// Closes the document; the reply.
    pub fn finish(mut self) -> Reply {
        drop(self.0.stdin.take());
        let mut text = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        self.0.wait().unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

/// The code of a refusal, which must be there.
pub fn code(reply: &Reply) -> RefusalCode {
    reply.refusal.as_ref().unwrap_or_else(|| panic!("not refused: {reply:?}")).code
}
