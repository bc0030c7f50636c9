//! Every type against servers that want to harm who asks: each check ends in time, and what it says is one answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use monitoring_info::state::State;

use crate::site::Site;

/// Every way to connect to something over TCP and to expect an answer.
const DEFINITIONS: &[&str] = &[
    "type = http\nport = PORT",
    "type = http\nport = PORT\nssl = True",
    "type = tcp\nport = PORT\nssl = True",
    "type = ssh\nport = PORT",
    "type = smtp\nport = PORT",
    "type = smtp\nport = PORT\nssl = starttls",
    "type = imap\nport = PORT",
    "type = imap\nport = PORT\nssl = True",
    "type = pop3\nport = PORT\nssl = starttls",
    "type = ldap\nport = PORT",
    "type = ldap\nport = PORT\nssl = starttls",
    "type = ldap\nport = PORT\nssl = True",
];

/// What each sends before it does its worst: what all the protocols begin with, so that none hangs up at the first word.
const FORGED: &[u8] = b"HTTP/1.1 500 x|forged=1;;\x1b[2J\x07\xff\x00\r\nOK: forged|forged=2\n\r\n";

#[derive(Debug, Clone, Copy)]
enum Manner {
    /// Takes the connection, and nothing more.
    Stalls,
    /// A byte every half second.
    Drips,
    /// A gigabyte without the end of a line.
    Floods,
    /// What looks like performance data, a line, and a terminal's commands.
    Forges,
    /// Hangs up.
    Closes,
}

fn treat(mut stream: TcpStream, manner: Manner) -> std::io::Result<()> {
    match manner {
        Manner::Closes => Ok(()),
        Manner::Stalls => stream.read_to_end(&mut Vec::new()).map(drop),
        Manner::Drips => loop {
            stream.write_all(b"2")?;
            thread::sleep(Duration::from_millis(500));
        },
        Manner::Floods => {
            let block = vec![b'0'; 1 << 16];
            (0..1 << 14).try_for_each(|_| stream.write_all(&block))
        }
        Manner::Forges => {
            stream.write_all(FORGED)?;
            stream.read_to_end(&mut Vec::new()).map(drop)
        }
    }
}

fn serve(manner: Manner) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            // Who hangs up has had enough.
            thread::spawn(move || treat(stream, manner));
        }
    });
    at
}

fn endure(definition: &str, probe: Option<&str>, manner: Manner) {
    let verdict = Site::new().probe(serve(manner), definition, probe);
    let what = format!("{manner:?} {definition} {probe:?}: {}", verdict.text);
    assert_eq!(verdict.state, State::Critical, "{what}");
    assert!(verdict.wall < Duration::from_secs(25), "{:?} {what}", verdict.wall);
    assert!(!verdict.text.contains(|c: char| c.is_control() && c != '\n'), "{what:?}");
    let data: Vec<&str> = verdict.text.split('|').skip(1).collect();
    assert!(data.len() <= 1 && !data.concat().contains("forged"), "{what}");
    assert!(!verdict.text.lines().skip(1).any(|line| line.starts_with("OK")), "{what}");
    assert!(verdict.text.len() < 4096, "{what}");
}

#[test]
fn whatever_a_server_does_there_is_one_answer_in_time() {
    // All at once: most of them wait for their deadline.
    thread::scope(|scope| {
        for manner in [Manner::Stalls, Manner::Drips, Manner::Floods, Manner::Forges, Manner::Closes] {
            for definition in DEFINITIONS {
                scope.spawn(move || endure(definition, None, manner));
                if definition.contains("ssl") {
                    scope.spawn(move || endure(definition, Some("certificate"), manner));
                }
            }
        }
    });
}
