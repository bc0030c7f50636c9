//! Servers that say anything.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use auto_monitor_checks::answer::Answer;
use auto_monitor_checks::connection::{Endpoint, Error};
use auto_monitor_checks::deadline::Deadline;
use auto_monitor_checks::protocol::{Protocol, Security};
use auto_monitor_checks::tls::Purpose;
use monitoring_info::state::State;
use proptest::prelude::*;

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
            let greeted = protocol.open(&said(bytes.clone()), Security::Plain, "x", Purpose::Look(root), deadline);
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
