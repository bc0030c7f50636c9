//! A host in a scratch folder, and a real sshd that answers as a server would.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A host below a root of its own.
pub struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    /// A host with this name and these files.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let host = Self { folder: tempfile::tempdir().unwrap() };
        host.write("etc/hostname", "web1.example.org\n");
        for (path, text) in files {
            host.write(path, text);
        }
        host
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    pub fn state(&self) -> serde_json::Value {
        serde_json::from_str(&self.read("var/lib/auto-monitor/state.json")).unwrap()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("auto-monitor"));
        command.arg("--root").arg(self.folder.path()).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs the program; it must end with this status.
    #[track_caller]
    pub fn run(&self, status: i32, arguments: &[&str]) -> Answer {
        let answer = Answer::of(&self.command(arguments).output().unwrap(), self.folder.path());
        assert_eq!(answer.status, status, "{arguments:?}\n{}\n{}", answer.out, answer.err);
        answer
    }

    /// As [`Host::run`], and reads the JSON on standard output.
    #[track_caller]
    pub fn json(&self, status: i32, arguments: &[&str]) -> serde_json::Value {
        let answer = self.run(status, &[arguments, &["--json"]].concat());
        serde_json::from_str(&answer.out).unwrap_or_else(|error| panic!("{error}: {}", answer.out))
    }
}

/// What the program said, with the root left out of all paths.
pub struct Answer {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Answer {
    pub fn of(output: &Output, root: &Path) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(root.to_str().unwrap(), "");
        Self {
            status: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

/// A real sshd on a free port of the loopback, run by whoever runs the test. A verb is answered with the text of the
/// file `VERB.N` for the N-th call, else of `VERB`.
pub struct Endpoint {
    folder: tempfile::TempDir,
    sshd: Child,
    port: u16,
}

const SSHD: &str = "/usr/sbin/sshd";

impl Endpoint {
    pub fn start() -> Self {
        assert!(Path::new(SSHD).exists(), "this test needs a real sshd: apt install openssh-server");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        Self::make_key(path);
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        fs::write(
            path.join("keys"),
            format!("echo \"restrict,command=\\\"sh {}/session\\\" $1 $2\"\n", path.display()),
        )
        .unwrap();
        fs::write(
            path.join("session"),
            format!(
                "cd {}\nverb=\"$SSH_ORIGINAL_COMMAND\"\ncat > request.$$\nmkdir -p calls\n\
                 n=1; while ! mkdir calls/$verb.$n 2>/dev/null; do n=$((n+1)); done\n\
                 mv request.$$ request-$verb.$n\n\
                 test -e slow && sleep 1\n\
                 if test -e $verb.$n; then cat $verb.$n; else cat $verb; fi\n",
                path.display()
            ),
        )
        .unwrap();
        let user = user();
        fs::write(
            path.join("sshd_config"),
            format!(
                "ListenAddress 127.0.0.1:{port}\nHostKey {0}/host_key\nPidFile none\nUsePAM no\nStrictModes no\n\
                 PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
                 AuthorizedKeysFile none\nAuthorizedKeysCommand /usr/bin/env sh {0}/keys %t %k\n\
                 AuthorizedKeysCommandUser {user}\nMaxStartups 100\n",
                path.display()
            ),
        )
        .unwrap();
        if user == "root" {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let log = fs::File::create(path.join("log")).unwrap();
        let sshd = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(path.join("sshd_config"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let endpoint = Self { folder, sshd, port };
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "sshd does not listen: {}", endpoint.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        endpoint.answer("register", r#"{"version":1,"enrolment":"approved","name":"web1.example.org"}"#);
        endpoint.answer("enrol", r#"{"version":1,"enrolment":"approved","name":"web1.example.org"}"#);
        endpoint.answer("deregister", r#"{"version":1,"enrolment":"approved","name":"web1.example.org"}"#);
        endpoint
    }

    fn make_key(folder: &Path) {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(folder.join("host_key"))
            .status()
            .unwrap();
        assert!(made.success());
    }

    /// Gives the server another key, as a reinstallation or an impostor would.
    pub fn change_key(&mut self) -> String {
        for file in ["host_key", "host_key.pub"] {
            fs::remove_file(self.folder.path().join(file)).unwrap();
        }
        Self::make_key(self.folder.path());
        // sshd reads its key when it starts.
        self.sshd.kill().unwrap();
        self.sshd.wait().unwrap();
        self.sshd = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(self.folder.path().join("sshd_config"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < until);
            std::thread::sleep(Duration::from_millis(20));
        }
        self.fingerprint()
    }

    pub fn address(&self) -> String {
        format!("{}@127.0.0.1:{}", user(), self.port)
    }

    pub fn fingerprint(&self) -> String {
        let output = Command::new("ssh-keygen")
            .arg("-lf")
            .arg(self.folder.path().join("host_key.pub"))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
    }

    /// The lines of `client.conf` that name this server and vouch for it.
    pub fn configuration(&self) -> String {
        format!("server = {}\nserver-fingerprint = {}\n", self.address(), self.fingerprint())
    }

    /// What a verb, or its N-th call, is answered with.
    pub fn answer(&self, call: &str, json: &str) {
        // Renamed, because a session may be reading.
        fs::write(self.folder.path().join("next"), json).unwrap();
        fs::rename(self.folder.path().join("next"), self.folder.path().join(call)).unwrap();
    }

    /// Lets every session take a second.
    pub fn slow_down(&self) {
        fs::write(self.folder.path().join("slow"), "").unwrap();
    }

    /// What the N-th call of a verb sent.
    pub fn request(&self, call: &str) -> serde_json::Value {
        let text = fs::read_to_string(self.folder.path().join(format!("request-{call}"))).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// How often a verb was called.
    pub fn calls(&self, verb: &str) -> usize {
        (1..1000).take_while(|n| self.folder.path().join(format!("request-{verb}.{n}")).exists()).count()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // It may have ended by itself, which the test has noticed then.
        drop(self.sshd.kill());
        drop(self.sshd.wait());
    }
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
