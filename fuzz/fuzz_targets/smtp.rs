//! Anything as what an SMTP server says: the greeting, the reply to EHLO, the agreement to STARTTLS, any replies, the farewell.
//!
//! Each reply is written again as it was read, within its bounds, and no plain text behind the agreement to STARTTLS is
//! taken for what came over TLS.
#![no_main]

use auto_monitor_checks::protocol::Protocol;
use auto_monitor_checks::protocol::smtp::{self, Reply};
use auto_monitor_fuzz::server::{dialogue, script};
use auto_monitor_fuzz::told;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (said, piece) = script(input);
    replies_are_written_as_they_were_read(said, piece);
    nothing_is_injected(said);
    let (mut dialogue, heard) = dialogue(said, piece);
    let greeted = Protocol::Smtp.greet(&mut dialogue).and_then(|greeting| {
        assert!(greeting.starts_with("220 "));
        let offered = smtp::hello(&mut dialogue)?;
        assert_eq!(offered.code, 250);
        assert!(!offered.announces(""));
        Protocol::Smtp.farewell(&mut dialogue)
    });
    if let Err(error) = &greeted {
        told(error.state(), error);
    }
    let asked = heard.lines();
    assert!(["EHLO [127.0.0.1]", "QUIT"].starts_with(&asked.iter().map(String::as_str).collect::<Vec<_>>()));
    assert!(greeted.is_err() || asked.len() == 2);
});

fn replies_are_written_as_they_were_read(said: &[u8], piece: usize) {
    let (mut dialogue, _) = dialogue(said, piece);
    let text = said.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut lines = text.map(String::from_utf8_lossy);
    loop {
        match smtp::reply(&mut dialogue) {
            Ok(Reply { code, lines: read }) => {
                assert!((200..600).contains(&code) && (1..=100).contains(&read.len()));
                for (at, text) in read.iter().enumerate() {
                    let mark = if at + 1 < read.len() { '-' } else { ' ' };
                    let written = format!("{code}{mark}{text}");
                    let line = lines.next().expect("a line that was read was said");
                    assert!(
                        line == written || text.is_empty() && line == code.to_string(),
                        "{line} {written}"
                    );
                }
            }
            Err(error) => {
                told(error.state(), &error);
                return;
            }
        }
    }
}

fn nothing_is_injected(said: &[u8]) {
    let (mut dialogue, heard) = dialogue(said, usize::MAX);
    if Protocol::Smtp.greet(&mut dialogue).is_err() {
        return;
    }
    match Protocol::Smtp.starttls(dialogue) {
        // All of it came at once, so the agreement is the end of it.
        Ok(_) => {
            let last = said.strip_suffix(b"\n").and_then(|said| said.rsplit(|&byte| byte == b'\n').next());
            assert!(last.is_some_and(|line| line.starts_with(b"220")));
            assert_eq!(heard.lines(), ["EHLO [127.0.0.1]", "STARTTLS"]);
        }
        Err(error) => {
            told(error.state(), &error);
        }
    }
}
