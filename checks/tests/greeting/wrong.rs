//! What a protocol does not have: the answer says what was being done, what came, and what would have been right.

use crate::check::check_port;
use crate::server::Step::{self, Hear, Say, Stall};
use crate::server::serve;

/// Protocol, more arguments, what the server does, and how the answer begins.
type Case = (&'static str, &'static [&'static str], &'static [Step], &'static str);

const CASES: &[Case] = &[
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

#[test]
fn what_a_protocol_does_not_have_is_critical_and_says_what_came() {
    for (protocol, more, steps, expected) in CASES {
        let ran = check_port(protocol, serve(steps), more);
        assert!(ran.text.starts_with(&format!("CRITICAL: {expected}")), "{}", ran.text);
    }
}
