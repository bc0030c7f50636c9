//! `check_greeting` against servers that do what they want: threads of this test, each on a port of its own.

mod addresses;
mod check;
mod random;
mod server;
mod wrong;

use std::net::Ipv6Addr;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use monitoring_info::state::State;
use rustix::process::{Pid, Signal, kill_process};

use check::{check, check_port, check_within_memory};
use server::Step::{self, Drip, Flood, Hear, Say, Spell, Stall};
use server::{serve, serve_on};

/// Each protocol with a dialogue that is as it should be, in plain.
const SOUND: &[(&str, &[Step])] = &[
    ("smtp", &[Say(b"220 mx.example.org ESMTP\r\n"), Hear("QUIT"), Say(b"221 2.0.0 Bye\r\n")]),
    ("imap", &[Say(b"* OK ready\r\n"), Hear("l LOGOUT"), Say(b"* BYE\r\nl OK done\r\n")]),
    ("pop3", &[Say(b"+OK ready\r\n"), Hear("QUIT"), Say(b"+OK bye\r\n")]),
];

#[test]
fn a_sound_dialogue_is_ok() {
    for (protocol, steps) in SOUND {
        let ran = check_port(protocol, serve(steps), &[]);
        assert_eq!(ran.state, State::Ok, "{}", ran.text);
        // Every byte in a packet of its own.
        let spelled: Vec<Step> =
            steps.iter().map(|step| if let Say(bytes) = step { Spell(bytes) } else { *step }).collect();
        let ran = check_port(protocol, serve(&spelled), &[]);
        assert_eq!(ran.state, State::Ok, "{}", ran.text);
        // Over IPv6.
        let port = serve_on(Ipv6Addr::LOCALHOST.into(), steps).to_string();
        let ran = check(&["-H", "::1", "-p", &port, "--protocol", protocol]);
        assert_eq!(ran.state, State::Ok, "{}", ran.text);
    }
}

#[test]
fn what_a_protocol_leaves_open_is_ok() {
    let cases: &[(&str, &[Step], &str)] = &[
        ("smtp", &[Say(b"220-one\r\n220-\r\n220 two\r\n"), Hear("QUIT"), Say(b"221\r\n")], "220 one  two"),
        ("smtp", &[Say(b"220\n"), Hear("QUIT"), Say(b"221 x\n")], "220 "),
        ("imap", &[Say(b"* PREAUTH hi\r\n"), Hear("l "), Say(b"* bye x\r\nl ok\r\n")], "* PREAUTH hi"),
        (
            "imap",
            &[
                Say(b"* OK [CAPABILITY IMAP4rev1] hi\r\n* 1 EXISTS\r\n"),
                Hear("l "),
                Say(b"* BYE\r\nl OK\r\n"),
            ],
            "* OK [CAPABILITY IMAP4rev1] hi",
        ),
        ("pop3", &[Say(b"+OK\r\n"), Hear("QUIT"), Say(b"+OK\r\n")], "+OK"),
        (
            "ssh",
            &[Say(b"SSH-2.0-OpenSSH_9.2p1\r\n"), Hear("SSH-2.0-check_greeting_")],
            "SSH-2.0-OpenSSH_9.2p1",
        ),
        ("ssh", &[Say(b"welcome\r\n\r\nSSH-1.99-x y\n")], "SSH-1.99-x y"),
        ("ssh", &[Spell(b"SSH-2.0-slow\r\n")], "SSH-2.0-slow"),
        ("ssh", &[Say(b"SSH-2.0-a|time=1s\x1b[2J\x00\r\n"), Stall], "SSH-2.0-a¦time=1s [2J "),
        ("pop3", &[Say(b"+OK a|b=1;;\x07\r\n"), Hear("QUIT"), Say(b"+OK\r\n")], "+OK a¦b=1;; "),
    ];
    for (protocol, steps, greeting) in cases {
        let ran = check_port(protocol, serve(steps), &[]);
        assert!(ran.text.starts_with(&format!("OK: {greeting}|time=0.")), "{}", ran.text);
    }
}

#[test]
fn a_server_that_stops_after_any_step_is_told_by_what_it_did_not_do() {
    const STARTTLS: &[(&str, &[Step], &[&str])] = &[
        (
            "smtp",
            &[
                Say(b"220 x\r\n"),
                Hear("EHLO"),
                Say(b"250-x\r\n250 starttls\r\n"),
                Hear("STARTTLS"),
                Say(b"220 go\r\n"),
            ],
            &["waiting for the greeting", "saying EHLO", "asking for STARTTLS", "making the TLS handshake"],
        ),
        (
            "imap",
            &[Say(b"* OK\r\n"), Hear("s STARTTLS"), Say(b"s OK\r\n")],
            &["waiting for the greeting", "asking for STARTTLS", "making the TLS handshake"],
        ),
        (
            "pop3",
            &[Say(b"+OK\r\n"), Hear("STLS"), Say(b"+OK\r\n")],
            &["waiting for the greeting", "asking for STARTTLS", "making the TLS handshake"],
        ),
    ];
    let mut checks = Vec::new();
    let mut stop = |protocol: &'static str, steps: &[Step], more: &'static [&str], stage: &'static str| {
        for stalls in [false, true] {
            let mut steps = steps.to_vec();
            if stalls {
                steps.push(Stall);
            }
            let ending = if stalls { "timed out after 3 s" } else { "the server closed the connection" };
            checks.push(thread::spawn(move || {
                let ran = check_port(protocol, serve(&steps), &[&["-t", "3"], more].concat());
                assert_eq!(ran.text, format!("CRITICAL: {ending} while {stage}"));
                assert!(ran.wall < Duration::from_secs(15), "{:?}", ran.wall);
            }));
        }
    };
    for (protocol, steps) in SOUND {
        let farewell = if *protocol == "imap" { "saying LOGOUT" } else { "saying QUIT" };
        stop(protocol, &[], &[], "waiting for the greeting");
        stop(protocol, &[], &["--tls"], "making the TLS handshake");
        stop(protocol, &steps[..2], &[], farewell);
    }
    stop("ssh", &[Say(b"SSH-2.0-half")], &[], "waiting for the greeting");
    stop("imap", &[Say(b"* OK\r\n"), Hear("l"), Say(b"* BYE\r\n")], &[], "saying LOGOUT");
    for (protocol, steps, stages) in STARTTLS {
        let said = steps.iter().enumerate().filter(|(_, step)| matches!(step, Say(_))).map(|(at, _)| at);
        let heard = |at: usize| if at + 1 < steps.len() { at + 2 } else { at + 1 };
        for (at, stage) in said.zip(&stages[1..]) {
            stop(protocol, &steps[..heard(at)], &["--starttls"], stage);
        }
    }
    for check in checks {
        check.join().unwrap();
    }
}

#[test]
fn a_server_that_never_ends_is_not_listened_to_for_ever() {
    const LINE: &[u8] = &[b'x'; 1 << 10];
    let long = "CRITICAL: the server sent more than 8 KiB without a line's end while";
    let cases: &[(&str, &[&str], &[Step], &str)] = &[
        ("smtp", &[], &[Flood(LINE)], long),
        ("imap", &[], &[Flood(LINE)], long),
        ("pop3", &[], &[Flood(b"\x00")], long),
        ("ssh", &[], &[Flood(LINE)], long),
        (
            "smtp",
            &[],
            &[Flood(b"220-again\r\n")],
            "CRITICAL: the server sent more than 100 lines in a reply while waiting for the greeting",
        ),
        (
            "imap",
            &[],
            &[Say(b"* OK\r\n"), Hear("l"), Flood(b"* 1 EXISTS\r\n")],
            "CRITICAL: the server sent more than 100 lines while saying LOGOUT",
        ),
        (
            "ssh",
            &[],
            &[Flood(b"hello\r\n")],
            "CRITICAL: the server sent more than 100 lines without an identification while",
        ),
        (
            "smtp",
            &["--tls"],
            &[Flood(LINE)],
            "CRITICAL: the server answers in plain text where TLS was expected",
        ),
        ("smtp", &["--tls"], &[Flood(b"\x16\x03\x03")], "CRITICAL: "),
        // A record of TLS that says that it is a handshake of 2^24 bytes (RFC 8446, section 4).
        ("smtp", &["--tls"], &[Flood(b"\x16\x03\x03\x00\x04\x02\xff\xff\xff")], "CRITICAL: "),
        ("smtp", &["-t", "1"], &[Drip], "CRITICAL: timed out after 1 s while waiting for the greeting"),
        ("imap", &["-t", "1"], &[Drip], "CRITICAL: timed out after 1 s while waiting for the greeting"),
        ("pop3", &["-t", "1", "--tls"], &[Drip], "CRITICAL: "),
        ("ssh", &["-t", "1"], &[Drip], "CRITICAL: timed out after 1 s while waiting for the greeting"),
    ];
    for (protocol, more, steps, expected) in cases {
        let ran = check_within_memory(protocol, serve(steps), more);
        assert!(ran.text.starts_with(expected), "{}", ran.text);
        assert!(ran.wall < Duration::from_secs(8), "{:?}: {}", ran.wall, ran.text);
        assert!(ran.text.len() < 1100, "{}", ran.text);
    }
}

#[test]
fn a_greeting_longer_than_anybody_reads_is_cut() {
    let greeting: &'static [u8] = Box::leak([b"+OK ", [b'y'; 8000].as_slice(), b"\r\n"].concat().into());
    let ran = check_port("pop3", serve(&[Say(greeting), Hear("QUIT"), Say(b"+OK\r\n")]), &[]);
    assert_eq!(ran.state, State::Ok);
    assert!(ran.text.len() < 1100 && ran.text.contains("y|time="), "{}", ran.text);
}

#[test]
fn a_check_that_was_stopped_goes_on() {
    let port = serve(&[
        Spell(b"+OK a greeting that takes its time, so that there is time to stop who waits for it\r\n"),
        Hear("QUIT"),
        Spell(b"+OK and a farewell that does so too, because one time alone would prove little\r\n"),
    ]);
    let child = Command::new(env!("CARGO_BIN_EXE_check_greeting"))
        .args(["-H", "127.0.0.1", "-p", &port.to_string(), "--protocol", "pop3"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let id = Pid::from_child(&child);
    for _ in 0..8 {
        thread::sleep(Duration::from_millis(10));
        kill_process(id, Signal::STOP).unwrap();
        thread::sleep(Duration::from_millis(5));
        kill_process(id, Signal::CONT).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.stdout.starts_with(b"OK: +OK a greeting"), "{output:?}");
}

#[test]
fn misuse_is_unknown() {
    for arguments in [
        &["-H", "127.0.0.1", "-p", "0", "--protocol", "smtp"][..],
        &["-H", "127.0.0.1", "-p", "25"],
        &["-H", "127.0.0.1", "-p", "25", "--protocol", "gopher|x=1\n"],
        &["-H", "127.0.0.1", "-p", "25", "--protocol", "smtp", "--tls", "--starttls"],
        &["-H", "127.0.0.1", "-p", "25", "--protocol", "ssh", "--tls"],
    ] {
        assert_eq!(check(arguments).state, State::Unknown);
    }
}
