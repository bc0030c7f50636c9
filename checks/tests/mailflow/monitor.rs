//! A monitoring server's files in a folder of their own, and its checks.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use auto_monitor_checks::mailflow::List;
use auto_monitor_checks::mailflow::store::{Store, now};
use auto_monitor_checks::mailflow::token::{Key, Mark, Serial, Token};
use auto_monitor_tests::servers::authority::{Authority, Files, Request};
use auto_monitor_tests::servers::dovecot::{Dovecot, Options};
use tempfile::TempDir;

/// What the servers of these tests are called.
pub const NAME: &str = "mail.example.org";
/// Who has a mailbox there.
pub const USER: &str = "probe@example.org";
/// What it opens by; it has what a protocol could stumble over.
pub const PASSWORD: &str = "se \"cr\\et {5} ü";
/// Another, whose password is in ASCII, which IMAP has another command for.
pub const PLAIN_USER: &str = "plain user@example.org";
pub const PLAIN_PASSWORD: &str = r#"s"e\c r{3}e%t"#;
/// The list that most tests use.
pub const LIST: &str = "web1.example.org/inbound";

/// A monitoring server.
pub struct Monitor {
    root: TempDir,
    pub store: Store,
}

/// What a check answered.
#[derive(Debug)]
pub struct Answered {
    pub status: i32,
    pub text: String,
}

impl Monitor {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        Self { root, store }
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// A file with the password, and whatever else a test wants to put down.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.root().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// A check that is about to run.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let path = match program {
            "check_mailflow" => env!("CARGO_BIN_EXE_check_mailflow"),
            "check_mailflow_send" => env!("CARGO_BIN_EXE_check_mailflow_send"),
            "check_mailflow_receive" => env!("CARGO_BIN_EXE_check_mailflow_receive"),
            other => panic!("no program {other}"),
        };
        let mut command = Command::new(path);
        command.arg("--root").arg(self.root()).args(arguments).stdin(Stdio::null());
        command
    }

    pub fn run(&self, program: &str, arguments: &[&str]) -> Answered {
        answered(&self.command(program, arguments).output().unwrap())
    }

    /// The arguments of a look into the mailbox.
    pub fn look(&self, protocol: &str, address: SocketAddr, more: &[&str]) -> Vec<String> {
        self.look_as((USER, PASSWORD), protocol, address, more)
    }

    pub fn look_as(
        &self,
        (user, password): (&str, &str),
        protocol: &str,
        address: SocketAddr,
        more: &[&str],
    ) -> Vec<String> {
        let password = self.file(user, password).display().to_string();
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        ["-H", &host, "-p", &port, "--protocol", protocol, "--hostname", NAME, "--username", user]
            .iter()
            .chain(&["--password-file", &password, "--list", LIST])
            .chain(more)
            .map(ToString::to_string)
            .collect()
    }

    pub fn receive(&self, protocol: &str, address: SocketAddr, more: &[&str]) -> Answered {
        let arguments = self.look(protocol, address, more);
        self.run("check_mailflow_receive", &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub fn send(&self, address: SocketAddr, more: &[&str]) -> Answered {
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        self.run("check_mailflow_send", &[&["-H", &*host, "-p", &*port], more].concat())
    }

    /// `check_mailflow` on the list.
    pub fn delay(&self, seconds: &str) -> Answered {
        self.run("check_mailflow", &["--list", LIST, "-c", seconds])
    }

    pub fn key(&self) -> Key {
        self.store.key().unwrap()
    }

    /// A token that was sent so many seconds ago, as text.
    pub fn sent(&self, list: &str, ago: u64) -> String {
        let list: List = list.parse().unwrap();
        let time = now() - ago;
        let pending = self.store.begin(&list, time).unwrap();
        let token = Token { mark: Mark::of(Some(&list)), serial: *pending.serial() };
        pending.accepted(time).unwrap();
        self.key().seal(&token)
    }

    /// A token of ours that no list has, of so many seconds ago.
    pub fn unknown(&self, list: Option<&str>, ago: u64, number: u8) -> String {
        let list: Option<List> = list.map(|list| list.parse().unwrap());
        let serial = Serial { time: now() - ago, nonce: [number; 16] };
        self.key().seal(&Token { mark: Mark::of(list.as_ref()), serial })
    }

    /// How many tokens the list has.
    pub fn outstanding(&self) -> usize {
        self.store.outstanding(&LIST.parse().unwrap()).unwrap().serials.len()
    }
}

pub fn answered(output: &Output) -> Answered {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.is_empty(), "on standard error: {error}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    Answered { status: output.status.code().unwrap_or_else(|| panic!("{output:?}")), text }
}

impl Answered {
    /// That it is this state, and holds these words.
    #[track_caller]
    pub fn assert(&self, state: &str, words: &str) {
        let status = ["OK", "WARNING", "CRITICAL", "UNKNOWN"].iter().position(|name| *name == state);
        assert_eq!(usize::try_from(self.status).ok(), status, "{self:?}");
        assert!(
            self.text.starts_with(&format!("{state}: ")) && self.text.contains(words),
            "{words} in {self:?}"
        );
    }
}

/// A mail as a Maildir holds it.
pub fn mail(fields: &str) -> Vec<u8> {
    format!("From: someone@example.net\nSubject: one\n{fields}\n\nHello.\n").into_bytes()
}

pub fn with_token(token: &str) -> Vec<u8> {
    mail(&format!("Auto-Monitor-Token: {token}"))
}

/// An authority that this monitoring server trusts, and a certificate of it for the name.
pub fn certificate(monitor: &Monitor) -> Files {
    let authority = Authority::new("Test root").unwrap();
    authority.trust(monitor.root()).unwrap();
    authority.issue(&Request::named(NAME)).unwrap().write(&monitor.root().join("tls"), "mail").unwrap()
}

/// A Dovecot with the user's mailbox and TLS.
pub fn dovecot(monitor: &Monitor, folder: &Path) -> Dovecot {
    let options = Options {
        users: [(USER, PASSWORD), (PLAIN_USER, PLAIN_PASSWORD)]
            .map(|(user, password)| (user.to_owned(), password.to_owned()))
            .to_vec(),
        tls: Some(certificate(monitor)),
        plain_text_logins: true,
        ..Options::default()
    };
    Dovecot::start(folder, &options).unwrap()
}

/// What was in a mailbox and is not, as content.
pub fn missing(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    for (name, mail) in after {
        assert_eq!(before.get(name), Some(mail), "{name} is new or changed");
    }
    let missing = before.iter().filter(|(name, _)| !after.contains_key(*name));
    missing.map(|(_, mail)| String::from_utf8_lossy(mail).into_owned()).collect()
}
