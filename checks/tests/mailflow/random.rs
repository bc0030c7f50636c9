//! Servers that say anything, in any order: nothing of it takes a token off its list, removes a mail, or forges an answer.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::monitor::{LIST, Monitor, PLAIN_PASSWORD, PLAIN_USER, USER};
use super::scripted::serve;

/// A piece of what a server says; `TAG` stands for the command's tag, `TOKEN` for a token that is nearly one.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        12 => prop::sample::select(vec![
            "TAG OK done\r\n", "TAG NO |a=1\r\n", "TAG BAD\r\n", "* SEARCH 1 2 3\r\n", "* SEARCH\r\n", "* 1 FETCH (UID 1 ",
            "* 2 FETCH (UID 2 BODY[HEADER] {50}\r\nAuto-Monitor-Token: TOKEN\r\n", "BODY[HEADER] ", "{12}\r\n", "\"x\" NIL)\r\n",
            ")\r\n", "(", "* CAPABILITY IMAP4rev1 UIDPLUS\r\n", "* BYE\r\n", "* 1 EXPUNGE\r\n", "+ \r\n", "+OK 2 200\r\n",
            "+OK\r\n", "-ERR\r\n", ".\r\n", "Auto-Monitor-Token: TOKEN\r\n", "\r\n", "250 ok\r\n", "250-STARTTLS\r\n",
            "354 go\r\n", "451 no\r\n", "221\r\n",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn replaced(said: &[u8], what: &str, with: &str) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = said;
    while let Some(at) = rest.windows(what.len()).position(|window| window == what.as_bytes()) {
        text.extend_from_slice(&rest[..at]);
        text.extend_from_slice(with.as_bytes());
        rest = &rest[at + what.len()..];
    }
    [&text, rest].concat()
}

/// What each command is answered: as it should be up to a point, then anything.
fn answer(line: &str, count: usize, sound: usize, said: &[Vec<u8>], token: &str) -> Option<Vec<u8>> {
    let mut words = line.split(' ');
    let tag = words.next().unwrap_or_default();
    if count < sound {
        let command = words.find(|word| *word != "UID").unwrap_or_default();
        let untagged = match command {
            "CAPABILITY" => "* CAPABILITY IMAP4rev1\r\n",
            "SEARCH" => "* SEARCH 1 2\r\n",
            _ => "",
        };
        return Some(match tag {
            "CAPA" => b"-ERR\r\n".to_vec(),
            "USER" | "PASS" => b"+OK\r\n".to_vec(),
            "STAT" => b"+OK 2 200\r\n".to_vec(),
            "EHLO" | "MAIL" | "RCPT" => b"250 ok\r\n".to_vec(),
            "DATA" => b"354 go\r\n".to_vec(),
            _ => format!("{untagged}{tag} OK done\r\n").into_bytes(),
        });
    }
    let said = said.get(count - sound)?;
    Some(replaced(&replaced(said, "TAG", tag), "TOKEN", token))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_said_nothing_is_removed_that_was_not_proved(
        sound in 0..6usize,
        said in prop::collection::vec(pieces(), 8),
    ) {
        let monitor = Monitor::new();
        let mut token = monitor.sent(LIST, 0);
        let last = token.pop();
        token.push(if last == Some('A') { 'Q' } else { 'A' });
        for (protocol, greeting) in [("imap", "* OK\r\n"), ("pop3", "+OK\r\n"), ("smtp", "220 x\r\n")] {
            let heard: Arc<Mutex<Vec<String>>> = Arc::default();
            let (lines, said, token) = (Arc::clone(&heard), said.clone(), token.clone());
            let address = serve(greeting.into(), move |line| {
                let mut lines = lines.lock().unwrap();
                lines.push(line.to_owned());
                answer(line, lines.len() - 1, sound, &said, &token)
            });
            let answer = if protocol == "smtp" {
                monitor.send(address, &["--to", USER, "--list", LIST, "-t", "1"])
            } else {
                let user = (PLAIN_USER, PLAIN_PASSWORD);
                let arguments = monitor.look_as(user, protocol, address, &["--allow-plain-text", "-t", "1"]);
                monitor.run("check_mailflow_receive", &arguments.iter().map(String::as_str).collect::<Vec<_>>())
            };
            let text = answer.text.trim_end();
            prop_assert!((0..=3).contains(&answer.status), "{}", text);
            prop_assert!(text.matches('|').count() <= 1, "{}", text);
            prop_assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{:?}", text);
            prop_assert!(!text.contains(PLAIN_PASSWORD), "{}", text);
            let heard = heard.lock().unwrap();
            let removes = |line: &&String| ["DELE", "STORE", "EXPUNGE"].iter().any(|word| line.contains(word));
            prop_assert!(protocol == "smtp" || heard.iter().find(removes).is_none(), "{:?}", heard);
            // A mail counts only if the server took it.
            let taken = usize::from(protocol == "smtp" && answer.status == 0 && text.contains("a mail was taken"));
            prop_assert_eq!(monitor.outstanding(), 1 + taken, "{}", text);
        }
    }
}
