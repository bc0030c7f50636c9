//! Servers that want to do harm: each of these ends in time, within bounded memory, and with a sentence that forges nothing
//! and does not tell the password.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::cost::measured;
use super::monitor::{Answered, LIST, Monitor, PASSWORD, PLAIN_PASSWORD, PLAIN_USER, answered};
use super::scripted::serve;

/// Peak memory in KiB, in a build for tests, which is a third more than in one for use.
pub const MEMORY_MAX: u64 = 16 << 10;
/// The deadline of each check, in seconds; a machine that builds at the same time starts and ends programs late.
const SECONDS: u64 = 1;

/// Runs a check, and holds it to what is true of all.
#[track_caller]
fn run(monitor: &Monitor, program: &str, arguments: &[String]) -> Answered {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = monitor.command(program, &arguments);
    command.args(["-t", &SECONDS.to_string()]);
    let begun = Instant::now();
    let (output, used) = measured(&command);
    let answer = answered(&output);
    let text = &answer.text;
    assert!(begun.elapsed() < Duration::from_secs(SECONDS + 15), "{:?}: {text}", begun.elapsed());
    assert!(used.memory <= MEMORY_MAX, "{} KiB: {text}", used.memory);
    assert!(text.ends_with('\n') && text.len() < 4000, "{text}");
    assert!(text.matches('|').count() <= 1, "{text}");
    assert!(!text.trim_end_matches('\n').contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    for password in [PASSWORD, PLAIN_PASSWORD] {
        assert!(!text.contains(password), "{text}");
    }
    answer
}

fn receive(protocol: &str, address: SocketAddr) -> Answered {
    receive_at(&Monitor::new(), protocol, address)
}

fn receive_at(monitor: &Monitor, protocol: &str, address: SocketAddr) -> Answered {
    let user = (PLAIN_USER, PLAIN_PASSWORD);
    let arguments = monitor.look_as(user, protocol, address, &["--allow-plain-text"]);
    run(monitor, "check_mailflow_receive", &arguments)
}

fn send_at(monitor: &Monitor, address: SocketAddr) -> Answered {
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let arguments = ["-H", &host, "-p", &port, "--to", "a@example.org", "--list", LIST];
    run(monitor, "check_mailflow_send", &arguments.map(str::to_owned))
}

/// What no greeting and no answer should be.
fn harm() -> Vec<Vec<u8>> {
    let mut harm: Vec<Vec<u8>> = [
        "\r\n",
        "\n\n\n\n",
        "|a=1\r\nOK: all is well|b=2\r\n",
        "\x1b[2J\x1b]0;x\x07\r\n",
        "\u{202e}\u{feff}ü\r\n",
        "+ \r\n",
        "* BYE |a=1\r\n",
        "a99 OK x\r\n",
        "a1 PREAUTH x\r\n",
        "-ERR |a=1 \x1b[2J\r\n",
        "999 x\r\n",
        "421 |a=1\r\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    harm.push((0..=255).collect());
    harm.push(vec![0; 100_000]);
    harm.push(b"x".repeat(100_000));
    harm.push(b"* OK \r\n".repeat(20_000));
    harm.push(b"250-x\r\n".repeat(20_000));
    harm.push(b"x\n".repeat(1_000_000));
    harm.push(b"x".repeat(16 << 20));
    harm
}

/// Every harm in answer to each command; the commands at once, because most of the time is spent on waiting.
fn each(commands: &[&'static str], check: impl Fn(&'static str, Vec<u8>) + Sync) {
    thread::scope(|scope| {
        for &command in commands {
            let check = &check;
            scope.spawn(move || harm().into_iter().for_each(|harm| check(command, harm)));
        }
    });
}

#[test]
fn no_greeting_does_harm() {
    each(&["imap", "pop3", "smtp"], |protocol, harm| {
        let address = serve(harm, |_| None);
        let answer = match protocol {
            "smtp" => send_at(&Monitor::new(), address),
            protocol => receive(protocol, address),
        };
        assert_ne!(answer.status, 0, "{answer:?}");
    });
}

/// An IMAP server that answers one command with this, and the others as it should.
fn imap(command: &'static str, said: Vec<u8>) -> SocketAddr {
    serve(b"* OK ready\r\n".to_vec(), move |line| {
        let mut words = line.split(' ');
        let tag = words.next().unwrap_or_default();
        let asked = match words.next().unwrap_or_default() {
            "UID" => words.next().unwrap_or_default(),
            asked => asked,
        };
        if asked == command {
            return Some(said.clone());
        }
        let untagged = match asked {
            "SEARCH" => "* SEARCH 1 2\r\n",
            "CAPABILITY" => "* CAPABILITY IMAP4rev1\r\n",
            "LOGOUT" => "* BYE\r\n",
            _ => "",
        };
        Some(format!("{untagged}{tag} OK done\r\n").into_bytes())
    })
}

#[test]
fn no_answer_by_imap_does_harm() {
    each(&["CAPABILITY", "LOGIN", "SELECT", "SEARCH", "FETCH", "LOGOUT"], |command, harm| {
        let answer = receive("imap", imap(command, harm));
        assert_ne!(answer.status, 0, "{command}: {answer:?}");
    });
    let brackets = |open: &str| format!("* 1 FETCH {}\r\n", open.repeat(100_000)).into_bytes();
    for (command, said) in [
        ("FETCH", brackets("(")),
        ("FETCH", brackets("(BODYSTRUCTURE (")),
        ("FETCH", b"* 1 FETCH (UID 1 BODY[HEADER.FIELDS (A)] {4294967296}\r\n".to_vec()),
        ("FETCH", b"* 1 FETCH (UID 1 BODY[HEADER.FIELDS (A)] {99999999999999999999999}\r\n".to_vec()),
        ("FETCH", b"* 1 FETCH (UID 1 BODY[HEADER.FIELDS (A)] {1}\r\nx".repeat(100_000)),
        ("FETCH", b"* 1 FETCH (UID 1 BODY[HEADER.FIELDS (A)] {1}\r\nx)\r\n".repeat(100_000)),
        (
            "FETCH",
            [&b"* 1 FETCH (UID 1 BODY[HEADER.FIELDS (A)] {60000}\r\n"[..], &b"\n".repeat(70_000)].concat(),
        ),
        ("FETCH", b"* 99999999999999999999 FETCH (UID 99999999999999999999)\r\n".to_vec()),
        ("FETCH", b"* 1 FETCH (INTERNALDATE \"\xff\xff\")\r\n".to_vec()),
        ("FETCH", b"* 1 FETCH (UID\r\n".to_vec()),
        ("SEARCH", b"* SEARCH 99999999999999999999\r\n".to_vec()),
        ("SEARCH", [&b"* SEARCH"[..], &b" 1".repeat(2_000_000)].concat()),
        ("SEARCH", b"* SEARCH {4294967296}\r\n".to_vec()),
        ("SELECT", b"* NO [ALERT] |a=1\r\na2 NO [READ-ONLY |a=1] \xff\x1b[2J\r\n".to_vec()),
        ("LOGIN", b"+ \r\n+ \r\n+ \r\n".to_vec()),
    ] {
        let answer = receive("imap", imap(command, said));
        assert_ne!(answer.status, 0, "{command}: {answer:?}");
    }
}

#[test]
fn no_answer_by_pop3_does_harm() {
    each(&["CAPA", "USER", "PASS", "STAT", "TOP", "QUIT"], |command, harm| {
        let address = serve(b"+OK ready\r\n".to_vec(), move |line| {
            let asked = line.split(' ').next().unwrap_or_default();
            if asked == command {
                return Some(harm.clone());
            }
            Some(match asked {
                "CAPA" => b"-ERR\r\n".to_vec(),
                "STAT" => b"+OK 4294967295 1\r\n".to_vec(),
                "TOP" => b"+OK\r\nA: b\r\n\r\n.\r\n".to_vec(),
                _ => b"+OK\r\n".to_vec(),
            })
        });
        let answer = receive("pop3", address);
        // Refusing to list what one can do is sound.
        if command != "CAPA" {
            assert_ne!(answer.status, 0, "{command}: {answer:?}");
        }
    });
}

#[test]
fn no_answer_by_smtp_does_harm_and_none_leaves_a_token() {
    each(&["EHLO", "MAIL", "RCPT", "DATA", "."], |command, harm| {
        let monitor = Monitor::new();
        let mail = Mutex::new(false);
        let address = serve(b"220 ready\r\n".to_vec(), move |line| {
            let mut mail = mail.lock().unwrap();
            let asked = line.split(' ').next().unwrap_or_default();
            if *mail && line != "." {
                return Some(Vec::new());
            }
            *mail = asked == "DATA";
            if asked == command {
                return Some(harm.clone());
            }
            Some(if *mail { b"354\r\n".to_vec() } else { b"250 ok\r\n".to_vec() })
        });
        let answer = send_at(&monitor, address);
        assert_ne!(answer.status, 0, "{command}: {answer:?}");
        assert_eq!(monitor.outstanding(), 0);
        let list = monitor.store.folder().join("mailflow/web1.example.org/inbound");
        assert_eq!(std::fs::read_dir(list).map_or(0, Iterator::count), 0, "no pending one, either");
    });
}

#[test]
fn a_password_that_is_repeated_is_not_shown() {
    let quoted = PLAIN_PASSWORD.replace('\\', "\\\\").replace('"', "\\\"");
    let spelt: String = PLAIN_PASSWORD.chars().flat_map(|c| [c, ' ']).collect();
    for said in [PLAIN_PASSWORD, &quoted, &spelt, &PLAIN_PASSWORD.to_uppercase()] {
        let words = "the server refuses the login: \"(not shown, because it repeats the password)\"";
        let said = said.replace('|', "");
        receive("imap", imap("LOGIN", format!("a1 NO it is {said}\r\n").into())).assert("CRITICAL", words);
        let error = format!("-ERR it is {said}\r\n");
        let address = serve(b"+OK ready\r\n".to_vec(), move |line| {
            let said = if line.starts_with("PASS") { &error } else { "+OK 0 0\r\n" };
            Some(if line == "CAPA" { b"-ERR\r\n".to_vec() } else { said.as_bytes().to_vec() })
        });
        receive("pop3", address).assert("CRITICAL", words);
        let answer = receive("imap", imap("SELECT", format!("a2 NO it is {said}\r\n").into()));
        answer.assert("CRITICAL", "while opening INBOX, the server refused: \"(not shown");
    }
}

/// What is not ours stays, whatever the server says about it.
#[test]
fn only_a_mail_that_was_asked_for_and_proved_is_removed() {
    let monitor = Monitor::new();
    let tokens: Vec<String> = (0..6).map(|_| monitor.sent(LIST, 0)).collect();
    let said: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&said);
    let fetch = |sequence: u32, attributes: &str, token: &str| {
        let header = format!("Auto-Monitor-Token: {token}\r\n\r\n");
        format!(
            "* {sequence} FETCH ({attributes}BODY[HEADER.FIELDS (AUTO-MONITOR-TOKEN CONTENT-TYPE)] {{{}}}\r\n{header})\r\n",
            header.len()
        )
    };
    let fetches = [
        fetch(1, "UID 11 ", &tokens[0]),
        // Never asked for.
        fetch(7, "UID 17 ", &tokens[1]),
        // Without a UID.
        fetch(2, "", &tokens[2]),
        // Said twice, and not the same.
        fetch(3, "UID 13 ", &tokens[3]),
        fetch(3, "UID 13 ", &tokens[4]),
        // No news of the header.
        "* 4 FETCH (UID 14 FLAGS (\\Seen))\r\n* 9 EXPUNGE\r\n* 3 EXISTS\r\n".to_owned(),
        // A token that is no token.
        fetch(5, "UID 15 ", &tokens[5].to_lowercase()),
    ]
    .concat();
    let address = serve(b"* OK ready\r\n".to_vec(), move |line| {
        heard.lock().unwrap().push(line.to_owned());
        let tag = line.split(' ').next().unwrap_or_default();
        let untagged = match line {
            _ if line.contains("SEARCH DELETED") => "* SEARCH 11 99\r\n",
            _ if line.contains("SEARCH") => "* SEARCH 11 12 13 14 15\r\n",
            _ if line.contains("FETCH") => &fetches,
            _ if line.contains("CAPABILITY") => "* CAPABILITY IMAP4rev1\r\n",
            _ if line.contains("LOGOUT") => "* BYE\r\n",
            _ => "",
        };
        Some(format!("{untagged}{tag} OK done\r\n").into_bytes())
    });
    let answer = receive_at(&monitor, "imap", address);
    answer.assert("OK", "1 mail has arrived|arrived=1;;;0");
    assert!(answer.text.contains("1 mail removed by whoever expunges next"), "{answer:?}");
    assert_eq!(monitor.outstanding(), 5);
    let said = said.lock().unwrap();
    let stored: Vec<&String> = said.iter().filter(|line| line.contains("STORE")).collect();
    assert_eq!(stored.len(), 1, "{said:?}");
    assert!(stored[0].ends_with("UID STORE 11 +FLAGS.SILENT (\\Deleted)"), "{said:?}");
    // Mail 99 is marked, too, and this server can only expunge all.
    assert!(!said.iter().any(|line| line.contains("EXPUNGE")), "{said:?}");
}

/// Some servers give the mailbox to several sessions at once; what another one removes is nobody's fault.
#[test]
fn a_mail_that_another_session_removes_meanwhile_is_passed_over() {
    for capabilities in ["+OK\r\nUSER\r\nTOP\r\n.\r\n", "-ERR\r\n"] {
        let monitor = Monitor::new();
        let header = format!("Auto-Monitor-Token: {}\r\n\r\n", monitor.sent(LIST, 0));
        let address = serve(b"+OK ready\r\n".to_vec(), move |line| {
            let said = match line.trim_end() {
                "CAPA" => capabilities.to_owned(),
                "STAT" => "+OK 3 1\r\n".to_owned(),
                // A server that does not say what it can do has shown it by one.
                "TOP 3 0" if capabilities.starts_with('-') => "+OK\r\nA: b\r\n\r\n.\r\n".to_owned(),
                "TOP 1 0" => format!("+OK\r\n{header}.\r\n"),
                line if line.starts_with("TOP") => "-ERR Message expunged.\r\n".to_owned(),
                _ => "+OK\r\n".to_owned(),
            };
            Some(said.into_bytes())
        });
        receive_at(&monitor, "pop3", address).assert("OK", "logged in; 1 mail has arrived");
    }
}

/// The trip is proved, and the mailbox fills up: both are said.
#[test]
fn a_mailbox_that_lets_nothing_be_removed_is_a_warning() {
    let monitor = Monitor::new();
    let token = monitor.sent(LIST, 0);
    let header = format!("Auto-Monitor-Token: {token}\r\n\r\n");
    let fetch = format!("* 1 FETCH (UID 1 BODY[HEADER] {{{}}}\r\n{header})\r\n", header.len());
    let address = serve(b"* OK ready\r\n".to_vec(), move |line| {
        let tag = line.split(' ').next().unwrap_or_default();
        let (untagged, status) = match line {
            _ if line.contains("SEARCH") => ("* SEARCH 1\r\n", "OK"),
            _ if line.contains("FETCH") => (&*fetch, "OK"),
            _ if line.contains("STORE") => ("", "NO [READ-ONLY]"),
            _ if line.contains("LOGOUT") => ("* BYE\r\n", "OK"),
            _ => ("", "OK"),
        };
        Some(format!("{untagged}{tag} {status} so\r\n").into_bytes())
    });
    let words = "logged in; 1 mail has arrived; our mails cannot be removed: while marking our mails as deleted, the server \
                 refused: \"(READ-ONLY) so\"";
    receive_at(&monitor, "imap", address).assert("WARNING", words);
    assert_eq!(monitor.outstanding(), 0);
}
