//! What a protocol does not have: the answer says what was being done, what came, and what would have been right. What exactly,
//! stands in a table of `docs/probes.md`.

use std::collections::BTreeMap;
use std::fs;

use crate::check::check_port;
use crate::server::Step::{self, Hear, Say, Stall};
use crate::server::serve;

/// What the server does, in words; the protocol, more arguments, and what it does.
type Case = (&'static str, &'static str, &'static [&'static str], &'static [Step]);

const HEADING: &str = "### What each greeting gives\n";

const CASES: &[Case] = &[
    ("SMTP: refuses", "smtp", &[], &[Say(b"554 5.7.1 no service here\r\n")]),
    ("SMTP: is another protocol's", "smtp", &[], &[Say(b"SSH-2.0-OpenSSH_9.2p1\r\n")]),
    ("SMTP: contradicts itself", "smtp", &[], &[Say(b"220-one\r\n250 two\r\n")]),
    ("SMTP: does not know QUIT", "smtp", &[], &[Say(b"220 x\r\n"), Hear("QUIT"), Say(b"500 what?\r\n")]),
    (
        "SMTP: offers no STARTTLS",
        "smtp",
        &["--starttls"],
        &[Say(b"220 x\r\n"), Hear("EHLO [127.0.0.1]"), Say(b"250-x\r\n250 SIZE 1\r\n")],
    ),
    (
        "SMTP: does not know EHLO",
        "smtp",
        &["--starttls"],
        &[Say(b"220 x\r\n"), Hear("EHLO "), Say(b"502 no\r\n")],
    ),
    (
        "SMTP: refuses STARTTLS",
        "smtp",
        &["--starttls"],
        &[
            Say(b"220 x\r\n"),
            Hear("EHLO "),
            Say(b"250-x\r\n250 STARTTLS\r\n"),
            Hear("STARTTLS"),
            Say(b"454 not now\r\n"),
        ],
    ),
    (
        "SMTP: plain text behind the agreement to STARTTLS",
        "smtp",
        &["--starttls"],
        &[
            Say(b"220 x\r\n"),
            Hear("EHLO "),
            Say(b"250-x\r\n250 STARTTLS\r\n"),
            Hear("STARTTLS"),
            Say(b"220 go\r\n250 injected\r\n"),
        ],
    ),
    ("IMAP: refuses", "imap", &[], &[Say(b"* BYE too many connections\r\n")]),
    ("IMAP: greets with another word", "imap", &[], &[Say(b"* OKAY\r\n")]),
    (
        "IMAP: answers LOGOUT with another tag",
        "imap",
        &[],
        &[Say(b"* OK\r\n"), Hear("l LOGOUT"), Say(b"* BYE\r\nx OK\r\n")],
    ),
    ("IMAP: ends without BYE", "imap", &[], &[Say(b"* OK\r\n"), Hear("l LOGOUT"), Say(b"l OK\r\n")]),
    (
        "IMAP: does not know LOGOUT",
        "imap",
        &[],
        &[Say(b"* OK\r\n"), Hear("l LOGOUT"), Say(b"* BYE\r\nl BAD no\r\n")],
    ),
    (
        "IMAP: does not know STARTTLS",
        "imap",
        &["--starttls"],
        &[Say(b"* OK\r\n"), Hear("s STARTTLS"), Say(b"s BAD what\r\n")],
    ),
    (
        "IMAP: ends when asked for STARTTLS",
        "imap",
        &["--starttls"],
        &[Say(b"* OK\r\n"), Hear("s STARTTLS"), Say(b"* BYE going down\r\n")],
    ),
    ("POP3: refuses", "pop3", &[], &[Say(b"-ERR no mailbox service\r\n")]),
    (
        "POP3: does not know STLS",
        "pop3",
        &["--starttls"],
        &[Say(b"+OK\r\n"), Hear("STLS"), Say(b"-ERR no\r\n")],
    ),
    ("POP3: plain text where TLS was expected", "pop3", &["--tls"], &[Say(b"+OK plain\r\n"), Stall]),
    ("SSH: a version of the last century", "ssh", &[], &[Say(b"SSH-1.5-old\r\n")]),
    ("POP3: bytes that are no text", "pop3", &[], &[Say(b"\x00\xff\x1b[31m|x=1\r\n")]),
];

#[test]
fn what_a_protocol_does_not_have_is_critical_and_says_what_came() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/probes.md")).unwrap();
    let (_, section) = text.split_once(HEADING).unwrap();
    let documented: BTreeMap<&str, &str> = section
        .split("\n#")
        .take(1)
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix("` |")?.split_once(" | `"))
        .collect();
    let seen: Vec<(&str, String)> = CASES
        .iter()
        .map(|(server, protocol, more, steps)| (*server, check_port(protocol, serve(steps), more).text))
        .collect();
    let rows: Vec<String> = seen.iter().map(|(server, line)| format!("| {server} | `{line}` |")).collect();
    let seen: BTreeMap<&str, &str> = seen.iter().map(|(server, line)| (*server, line.as_str())).collect();
    assert_eq!(seen.len(), CASES.len());
    assert!(seen.values().all(|line| line.starts_with("CRITICAL: ")), "{seen:?}");
    assert!(
        documented == seen,
        "the table of docs/probes.md says something else than was seen:\n{}",
        rows.join("\n")
    );
}
