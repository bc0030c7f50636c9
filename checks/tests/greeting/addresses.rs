//! Names without an address and with several, and addresses that are dead, alive, or swallow packets.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use auto_monitor_checks::answer::Answer;
use auto_monitor_checks::connection::Connection;
use auto_monitor_checks::deadline::Deadline;
use auto_monitor_checks::dialogue::Dialogue;
use auto_monitor_checks::protocol::ssh;
use auto_monitor_checks::tls::Stream;
use auto_monitor_tests::service::closed;
use monitoring_info::state::State;
use nix::sys::socket::{Backlog, listen};

use crate::check::{check, check_port};
use crate::server::Step::Say;
use crate::server::serve;

#[test]
fn nobody_there_is_critical_and_no_name_is_unknown() {
    let ran = check_port("smtp", closed_port(), &[]);
    assert!(ran.text.starts_with("CRITICAL: cannot connect to 127.0.0.1:"), "{}", ran.text);
    assert!(ran.text.ends_with(": Connection refused"), "{}", ran.text);
    let ran = check(&["-H", "nowhere.invalid", "-p", "25", "--protocol", "smtp", "-t", "5"]);
    assert!(ran.text.starts_with("UNKNOWN: cannot resolve nowhere.invalid: "), "{}", ran.text);
}

fn closed_port() -> u16 {
    closed().port()
}

/// A listener that nobody is let in at any more: whoever else knocks gets no answer, because Linux leaves a SYN unanswered
/// where the backlog is full (`tcp_abort_on_overflow` of tcp(7)).
fn swallowing() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let mut inside = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        inside.push(stream);
    }
    (listener, inside, address)
}

#[test]
fn every_address_is_tried_and_each_gets_its_share_of_the_time() {
    let dead: SocketAddr = ([127, 0, 0, 1], closed_port()).into();
    let (_listener, _inside, swallowing) = swallowing();
    let alive: SocketAddr = ([127, 0, 0, 1], serve(&[Say(b"SSH-2.0-alive\r\n")])).into();

    let begun = Instant::now();
    let deadline = Deadline::within(Duration::from_secs(3));
    let connection = Connection::open_any(&[dead, swallowing, alive], deadline).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(3));
    let greeting = ssh::identify(&mut Dialogue::over(Stream::Plain(connection))).unwrap();
    assert_eq!(greeting, "SSH-2.0-alive");

    let error =
        Connection::open_any(&[dead, swallowing], Deadline::within(Duration::from_secs(1))).unwrap_err();
    assert_eq!(error.state(), State::Critical);
    assert_eq!(
        Answer::because(error.state(), &error).to_string(),
        format!(
            "CRITICAL: cannot connect to {dead}: Connection refused; {swallowing}: no answer within 1.0 s"
        )
    );
}

/// Runs the program with other `/etc/hosts` and `/etc/resolv.conf`, in a mount namespace of its own.
fn check_with_names(hosts: &str, resolver: &str, arguments: &[&str]) -> (String, Duration) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("hosts", hosts), ("resolv.conf", resolver)] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let begun = Instant::now();
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-ec"])
        .arg("mount --bind \"$1/hosts\" /etc/hosts; mount --bind \"$1/resolv.conf\" /etc/resolv.conf; shift; exec \"$@\"")
        .arg("sh")
        .arg(folder.path())
        .arg(env!("CARGO_BIN_EXE_check_greeting"))
        .args(arguments)
        .output()
        .unwrap();
    assert_eq!(output.stderr, b"", "{}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).unwrap(), begun.elapsed())
}

#[test]
#[ignore = "needs root: /etc/hosts and /etc/resolv.conf are others for the check"]
fn a_name_with_many_addresses_and_a_resolver_that_is_silent() {
    let silent = UdpSocket::bind("127.85.3.1:53").unwrap();
    let resolver = "nameserver 127.85.3.1\n";
    // The last address alone is alive, and the first takes no packets: 192.0.2.0/24 is nobody's (RFC 5737).
    let listener = TcpListener::bind("127.85.3.4:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"SSH-2.0-alive\r\n");
        }
    });
    let hosts = "127.85.3.2 many.example.org\n127.85.3.3 many.example.org\n127.85.3.4 many.example.org\n";
    let (said, _) =
        check_with_names(hosts, resolver, &["-H", "many.example.org", "-p", &port, "--protocol", "ssh"]);
    assert!(said.starts_with("OK: SSH-2.0-alive|"), "{said}");

    let arguments = ["-H", "unknown.example.org", "-p", "22", "--protocol", "ssh", "-t", "2"];
    let (said, took) = check_with_names(hosts, resolver, &arguments);
    assert_eq!(said, "UNKNOWN: cannot resolve unknown.example.org: the resolver did not answer within 2 s\n");
    assert!(took < Duration::from_secs(8), "{took:?}");
    drop(silent);
}
