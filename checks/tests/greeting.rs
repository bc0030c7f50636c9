//! `check_greeting` against servers that do what they want: threads of this test, each on a port of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use auto_monitor_checks::answer::Answer;
use auto_monitor_checks::connection::{Connection, Endpoint, Error};
use auto_monitor_checks::deadline::Deadline;
use auto_monitor_checks::dialogue::Dialogue;
use auto_monitor_checks::protocol::{Protocol, Security, ssh};
use auto_monitor_checks::tls::Stream;
use monitoring_info::state::State;
use nix::sys::socket::{Backlog, listen};
use proptest::prelude::*;
use rustix::process::{Pid, Signal, kill_process};

/// Peak memory of a check, in KiB.
const MEMORY_MAX: u32 = 12 << 10;

/// One thing that a server does.
#[derive(Debug, Clone, Copy)]
enum Step {
    Say(&'static [u8]),
    /// The same, a packet for each byte.
    Spell(&'static [u8]),
    /// Waits for a line that begins so.
    Hear(&'static str),
    /// A byte every tenth of a second, without end.
    Drip,
    /// These bytes again and again, a gigabyte of them.
    Flood(&'static [u8]),
    /// Nothing any more, and the connection stays.
    Stall,
}

use Step::{Drip, Flood, Hear, Say, Spell, Stall};

/// Plays the steps to whoever connects, and closes.
fn serve(steps: &[Step]) -> u16 {
    serve_on([127, 0, 0, 1].into(), steps)
}

fn serve_on(address: IpAddr, steps: &[Step]) -> u16 {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let steps = steps.to_vec();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, steps) = (stream.unwrap(), steps.clone());
            // Who hung up has had enough.
            thread::spawn(move || play(stream, &steps));
        }
    });
    port
}

fn play(stream: TcpStream, steps: &[Step]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut heard = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    for step in steps {
        match *step {
            Say(bytes) => stream.write_all(bytes)?,
            Spell(bytes) => {
                for byte in bytes {
                    stream.write_all(&[*byte])?;
                    thread::sleep(Duration::from_millis(1));
                }
            }
            Hear(start) => {
                let mut line = String::new();
                heard.read_line(&mut line)?;
                assert!(line.starts_with(start) && line.ends_with("\r\n"), "{line:?}, not {start:?}");
            }
            Drip => loop {
                stream.write_all(b"x")?;
                thread::sleep(Duration::from_millis(100));
            },
            Flood(bytes) => {
                let block = bytes.repeat((1 << 16) / bytes.len());
                for _ in 0..(1 << 30) / block.len() {
                    stream.write_all(&block)?;
                }
            }
            // Until the other side goes.
            Stall => drop(heard.read_to_end(&mut Vec::new())?),
        }
    }
    Ok(())
}

/// What came of a check.
#[derive(Debug)]
struct Ran {
    state: State,
    text: String,
    wall: Duration,
}

fn check(arguments: &[&str]) -> Ran {
    run(Command::new(env!("CARGO_BIN_EXE_check_greeting")).args(arguments))
}

fn run(command: &mut Command) -> Ran {
    let begun = Instant::now();
    let output = command.stdin(Stdio::null()).output().unwrap();
    let wall = begun.elapsed();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout).unwrap();
    let text = text.strip_suffix('\n').unwrap().to_owned();
    let states = [State::Ok, State::Critical, State::Unknown];
    let state = states.into_iter().find(|state| output.status.code() == Some(state.exit_status().into()));
    let state = state.unwrap_or_else(|| panic!("{}: {text}", output.status));
    assert!(text.starts_with(&format!("{state}: ")), "{text}");
    assert!(!text.contains(|c: char| c.is_control()) && text.matches('|').count() <= 1, "{text:?}");
    assert_eq!(text.contains('|'), state == State::Ok, "{text}");
    Ran { state, text, wall }
}

/// Fails where the program takes more memory. The kernel lets a process begin with the peak of the one that started it
/// (`ru_maxrss` of getrusage(2) survives `execve`), and this one has many threads; so a small one stands in between.
const WITHIN_MEMORY: &str = "
import os, sys
process = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(process, 0)
if usage.ru_maxrss > int(sys.argv[1]):
    sys.exit(f'{usage.ru_maxrss} KiB')
sys.exit(os.waitstatus_to_exitcode(status))
";

fn check_within_memory(protocol: &str, port: u16, more: &[&str]) -> Ran {
    let mut command = Command::new("python3");
    command.args(["-I", "-S", "-c", WITHIN_MEMORY, &MEMORY_MAX.to_string()]);
    command.arg(env!("CARGO_BIN_EXE_check_greeting"));
    run(command.args(["-H", "127.0.0.1", "-p", &port.to_string(), "--protocol", protocol]).args(more))
}

fn check_port(protocol: &str, port: u16, more: &[&str]) -> Ran {
    let port = port.to_string();
    check(&[&["-H", "127.0.0.1", "-p", &port, "--protocol", protocol], more].concat())
}

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
fn what_a_protocol_does_not_have_is_critical_and_says_what_came() {
    let cases: &[(&str, &[&str], &[Step], &str)] = &[
        (
            "smtp",
            &[],
            &[Say(b"554 5.7.1 no service here\r\n")],
            "while waiting for the greeting, the server said \"554 5.7.1 no service here\", not a greeting with the code 220",
        ),
        (
            "smtp",
            &[],
            &[Say(b"SSH-2.0-OpenSSH_9.2p1\r\n")],
            "while waiting for the greeting, the server said \"SSH-2.0-OpenSSH_9.2p1\", not a reply of three digits and a text",
        ),
        (
            "smtp",
            &[],
            &[Say(b"220-one\r\n250 two\r\n")],
            "while waiting for the greeting, the server said \"250 two\", not the code of the reply's first line",
        ),
        (
            "smtp",
            &[],
            &[Say(b"220 x\r\n"), Hear("QUIT"), Say(b"500 what?\r\n")],
            "while saying QUIT, the server said \"500 what?\", not the code 221",
        ),
        (
            "smtp",
            &["--starttls"],
            &[Say(b"220 x\r\n"), Hear("EHLO [127.0.0.1]"), Say(b"250-x\r\n250 SIZE 1\r\n")],
            "the server does not offer STARTTLS",
        ),
        (
            "smtp",
            &["--starttls"],
            &[Say(b"220 x\r\n"), Hear("EHLO "), Say(b"502 no\r\n")],
            "while saying EHLO, the server said \"502 no\", not the code 250",
        ),
        (
            "smtp",
            &["--starttls"],
            &[
                Say(b"220 x\r\n"),
                Hear("EHLO "),
                Say(b"250-x\r\n250 STARTTLS\r\n"),
                Hear("STARTTLS"),
                Say(b"454 not now\r\n"),
            ],
            "the server refuses STARTTLS: \"454 not now\"",
        ),
        (
            "smtp",
            &["--starttls"],
            &[
                Say(b"220 x\r\n"),
                Hear("EHLO "),
                Say(b"250-x\r\n250 STARTTLS\r\n"),
                Hear("STARTTLS"),
                Say(b"220 go\r\n250 injected\r\n"),
            ],
            "plain text followed the agreement to STARTTLS",
        ),
        (
            "imap",
            &[],
            &[Say(b"* BYE too many connections\r\n")],
            "while waiting for the greeting, the server said \"* BYE too many connections\", not a greeting",
        ),
        (
            "imap",
            &[],
            &[Say(b"* OKAY\r\n")],
            "while waiting for the greeting, the server said \"* OKAY\", not a greeting",
        ),
        (
            "imap",
            &[],
            &[Say(b"* OK\r\n"), Hear("l LOGOUT"), Say(b"* BYE\r\nx OK\r\n")],
            "while saying LOGOUT, the server said \"x OK\", not an answer to our command",
        ),
        (
            "imap",
            &[],
            &[Say(b"* OK\r\n"), Hear("l LOGOUT"), Say(b"l OK\r\n")],
            "while saying LOGOUT, the server said \"l OK\", not an untagged BYE before it",
        ),
        (
            "imap",
            &[],
            &[Say(b"* OK\r\n"), Hear("l LOGOUT"), Say(b"* BYE\r\nl BAD no\r\n")],
            "while saying LOGOUT, the server said \"l BAD no\", not \"l OK\"",
        ),
        (
            "imap",
            &["--starttls"],
            &[Say(b"* OK\r\n"), Hear("s STARTTLS"), Say(b"s BAD what\r\n")],
            "the server refuses STARTTLS: \"s BAD what\"",
        ),
        (
            "imap",
            &["--starttls"],
            &[Say(b"* OK\r\n"), Hear("s STARTTLS"), Say(b"* BYE going down\r\n")],
            "the server refuses STARTTLS: \"* BYE going down\"",
        ),
        (
            "pop3",
            &[],
            &[Say(b"-ERR no mailbox service\r\n")],
            "while waiting for the greeting, the server said \"-ERR no mailbox service\", not a greeting",
        ),
        (
            "pop3",
            &["--starttls"],
            &[Say(b"+OK\r\n"), Hear("STLS"), Say(b"-ERR no\r\n")],
            "the server refuses STARTTLS: \"-ERR no\"",
        ),
        (
            "pop3",
            &["--tls"],
            &[Say(b"+OK plain\r\n"), Stall],
            "the server answers in plain text where TLS was expected: \"+OK",
        ),
        (
            "ssh",
            &[],
            &[Say(b"SSH-1.5-old\r\n")],
            "while waiting for the greeting, the server said \"SSH-1.5-old\", not an identification",
        ),
        (
            "pop3",
            &[],
            &[Say(b"\x00\xff\x1b[31m|x=1\r\n")],
            r#"while waiting for the greeting, the server said "\u{0}�\u{1b}[31m¦x=1", not a greeting"#,
        ),
    ];
    for (protocol, more, steps, expected) in cases {
        let ran = check_port(protocol, serve(steps), more);
        assert!(ran.text.starts_with(&format!("CRITICAL: {expected}")), "{}", ran.text);
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
            let ending = if stalls { "no end within 1 s" } else { "the server closed the connection" };
            checks.push(thread::spawn(move || {
                let ran = check_port(protocol, serve(&steps), &[&["-t", "1"], more].concat());
                assert_eq!(ran.text, format!("CRITICAL: {ending} while {stage}"));
                assert!(ran.wall < Duration::from_secs(5), "{:?}", ran.wall);
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
        ("smtp", &["-t", "1"], &[Drip], "CRITICAL: no end within 1 s while waiting for the greeting"),
        ("imap", &["-t", "1"], &[Drip], "CRITICAL: no end within 1 s while waiting for the greeting"),
        ("pop3", &["-t", "1", "--tls"], &[Drip], "CRITICAL: "),
        ("ssh", &["-t", "1"], &[Drip], "CRITICAL: no end within 1 s while waiting for the greeting"),
    ];
    for (protocol, more, steps, expected) in cases {
        let ran = check_within_memory(protocol, serve(steps), more);
        assert!(ran.text.starts_with(expected), "{}", ran.text);
        assert!(ran.wall < Duration::from_secs(3), "{:?}: {}", ran.wall, ran.text);
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
fn nobody_there_is_critical_and_no_name_is_unknown() {
    let ran = check_port("smtp", closed_port(), &[]);
    assert!(ran.text.starts_with("CRITICAL: cannot connect to 127.0.0.1:"), "{}", ran.text);
    assert!(ran.text.ends_with(": Connection refused"), "{}", ran.text);
    let ran = check(&["-H", "nowhere.invalid", "-p", "25", "--protocol", "smtp", "-t", "5"]);
    assert!(ran.text.starts_with("UNKNOWN: cannot resolve nowhere.invalid: "), "{}", ran.text);
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

fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
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
    assert!(begun.elapsed() < Duration::from_secs(2));
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
        std::fs::write(folder.path().join(name), text).unwrap();
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
    let silent = std::net::UdpSocket::bind("127.85.3.1:53").unwrap();
    let resolver = "nameserver 127.85.3.1\n";
    // The last address alone is alive, and the first takes no packets: 192.0.2.0/24 is nobody's (RFC 5737).
    let listener = TcpListener::bind("127.85.3.4:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = play(stream.unwrap(), &[Say(b"SSH-2.0-alive\r\n")]);
        }
    });
    let hosts = "127.85.3.2 many.example.org\n127.85.3.3 many.example.org\n127.85.3.4 many.example.org\n";
    let (said, _) =
        check_with_names(hosts, resolver, &["-H", "many.example.org", "-p", &port, "--protocol", "ssh"]);
    assert!(said.starts_with("OK: SSH-2.0-alive|"), "{said}");

    let arguments = ["-H", "unknown.example.org", "-p", "22", "--protocol", "ssh", "-t", "2"];
    let (said, took) = check_with_names(hosts, resolver, &arguments);
    assert_eq!(said, "UNKNOWN: cannot resolve unknown.example.org: the resolver did not answer within 2 s\n");
    assert!(took < Duration::from_secs(4), "{took:?}");
    drop(silent);
}

/// Bytes as a server could send them: pieces of the protocols, whole and cut, among anything.
fn spoken() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            "220", "221", "250", "554", " ", "-", "\r\n", "\n", "* ", "OK", "BYE", "PREAUTH", "l ", "s ", "+OK", "-ERR",
            "STARTTLS", "SSH-2.0-", "\0", "\x1b[2J", "|", "ä",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => (1..9000usize).prop_map(|length| vec![b'x'; length]),
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

/// A connection to somebody who says just that and closes.
fn said(bytes: Vec<u8>) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    Endpoint { host: "127.0.0.1".into(), port }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever is said, there is an answer of one line, and it is OK exactly where the protocol's grammar says so.
    #[test]
    fn whatever_is_said_is_judged(bytes in spoken()) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let first = text.split_once('\n').map(|(line, _)| line.strip_suffix('\r').unwrap_or(line));
        let first = first.filter(|line| line.len() <= 4096);
        for (protocol, sound) in [
            (Protocol::Imap, first.map(|line| {
                let word = line.strip_prefix("* ").unwrap_or("").split(' ').next().unwrap_or("");
                word == "OK" || word == "PREAUTH"
            })),
            (Protocol::Pop3, first.map(|line| line.split(' ').next() == Some("+OK"))),
            (Protocol::Smtp, None),
        ] {
            let root = std::path::Path::new("/nonexistent");
            let deadline = Deadline::within(Duration::from_secs(10));
            let greeted = protocol.open(&said(bytes.clone()), Security::Plain, "x", root, deadline);
            if let Some(sound) = sound {
                prop_assert_eq!(greeted.is_ok(), sound, "{:?} {:?}", protocol, greeted.err());
            }
            let done = greeted.map_err(|error| Answer::because(error.state(), &error)).and_then(|mut greeted| {
                protocol.farewell(&mut greeted.dialogue).map_err(|error: Error| Answer::because(error.state(), &error))
            });
            if let Err(answer) = done {
                prop_assert_eq!(answer.state, State::Critical);
                let line = answer.to_string();
                prop_assert!(!line.contains(|c: char| c.is_control() || c == '|'), "{}", line);
            }
        }
    }
}
