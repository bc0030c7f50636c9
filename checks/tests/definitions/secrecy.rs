//! A password is for the server that it belongs to: nobody else on the machine of the checks sees it, whatever they look at.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use auto_monitor_tests::servers::dovecot::{self, Dovecot};
use auto_monitor_tests::servers::slapd::{self, Slapd};
use monitoring_info::mail::Policy;
use monitoring_info::state::State;
use rustix::process::{Pid, Signal, kill_process};

use crate::site::Site;

const PASSWORD: &str = "Kn0wn-t0-nobody-else";
const CHECKS: usize = 1000;

const LDAP: &str =
    "type = ldap\nport = PORT\nusername = cn=probe,dc=example,dc=org\npassword = Kn0wn-t0-nobody-else";
const IMAP: &str = "type = imap\nport = PORT\nssl = True\nusername = probe\npassword = Kn0wn-t0-nobody-else";
const POP3: &str = "type = pop3\nport = PORT\nssl = True\nusername = probe\npassword = Kn0wn-t0-nobody-else";

fn holds_password(bytes: &[u8]) -> bool {
    bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes())
}

/// Looks at all that the kernel shows of every process's words, again and again.
fn watch(ended: &AtomicBool, checks_seen: &AtomicUsize) {
    while !ended.load(Ordering::Relaxed) {
        for process in fs::read_dir("/proc").unwrap().flatten() {
            for place in ["cmdline", "environ"] {
                // Others' processes, and those that have ended meanwhile, show nothing.
                let shown = fs::read(process.path().join(place)).unwrap_or_default();
                assert!(
                    !holds_password(&shown),
                    "{}: {}",
                    process.path().display(),
                    String::from_utf8_lossy(&shown)
                );
                if place == "cmdline" && shown.windows(6).any(|window| window == b"check_") {
                    checks_seen.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        // The checks are to run, too.
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn no_process_shows_a_password_while_many_checks_run() {
    let site = Site::new();
    let users = vec![("probe".to_owned(), PASSWORD.to_owned())];
    let slapd = slapd::Options { users: users.clone(), ..slapd::Options::default() };
    let slapd = Slapd::start(&site.folder("slapd"), &slapd).unwrap();
    let tls = Some(site.certificate());
    let dovecot = dovecot::Options { users, tls, ..dovecot::Options::default() };
    let dovecot = Dovecot::start(&site.folder("dovecot"), &dovecot).unwrap();
    let (ended, checks_seen) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&ended, &checks_seen));
        for number in 0..CHECKS {
            let (at, definition) =
                [(slapd.ldap, LDAP), (dovecot.imaps, IMAP), (dovecot.pop3s, POP3)][number % 3];
            let verdict = site.probe(at, definition, None);
            assert_eq!(verdict.state, State::Ok, "{}", verdict.text);
            assert!(!holds_password(verdict.text.as_bytes()), "{}", verdict.text);
        }
        ended.store(true, Ordering::Relaxed);
        watcher.join().unwrap();
    });
    let seen = checks_seen.load(Ordering::Relaxed);
    assert!(seen > CHECKS / 3, "{seen} looks at a check prove little");
}

/// A server that greets, and tells when it has got the first bytes; it answers nothing more.
fn holding(greeting: &'static [u8]) -> (SocketAddr, thread::JoinHandle<std::net::TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let held = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(greeting).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_ne!(stream.read(&mut [0; 8192]).unwrap(), 0);
        stream
    });
    (at, held)
}

/// The probe, allowed to leave as large a core where it runs as this process may allow.
fn started(site: &Site, folder: &std::path::Path) -> Child {
    let check = site.command(None);
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -c \"$(ulimit -H -c)\" && exec \"$@\"", "sh"])
        .arg(check.get_program())
        .args(check.get_args());
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_check_that_is_killed_leaves_no_core() {
    let site = Site::new().with_policy(Policy { plain_text_logins: true, ..Policy::default() });
    for (definition, greeting) in [
        (LDAP.to_owned(), &b""[..]),
        (IMAP.replace("ssl = True", "ssl = False"), b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n"),
        (POP3.replace("ssl = True", "ssl = False"), b"+OK hello\r\n"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (at, held) = holding(greeting);
        site.publish(at, &definition);
        let mut child = started(&site, folder.path());
        let stream = held.join().unwrap();
        // More than once: Rust's own handler takes the first one, and waits for what caused it to happen again.
        while child.try_wait().unwrap().is_none() {
            kill_process(Pid::from_child(&child), Signal::SEGV).unwrap();
            thread::sleep(Duration::from_millis(10));
        }
        let output = child.wait_with_output().unwrap();
        drop(stream);
        assert_eq!(output.status.signal(), Some(Signal::SEGV.as_raw()), "{output:?}");
        assert!(!output.status.core_dumped(), "{definition}");
        // Where the kernel writes a core beside the program, there would be one.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{definition}");
    }
}
