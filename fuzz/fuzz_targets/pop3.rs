//! Anything as what a POP3 server says: the agreement to STLS, and a look into a mailbox up to the farewell.
//!
//! No mail is deleted that has not shown a token of ours, nor more of them looked at than are to be; the password is said once
//! and is in no error; no plain text behind the agreement to STLS is taken for what came over TLS.
#![no_main]

use auto_monitor_checks::deadline::Deadline;
use auto_monitor_checks::mailflow::pop3;
use auto_monitor_checks::protocol::Protocol;
use auto_monitor_fuzz::mailbox::{MAILBOX, PASSWORD};
use auto_monitor_fuzz::server::{DEADLINE, dialogue, script};
use auto_monitor_fuzz::told;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (said, piece) = script(input);
    nothing_is_injected(said);
    let (mut dialogue, heard) = dialogue(said, piece);
    if let Err(error) = Protocol::Pop3.greet(&mut dialogue) {
        told(error.state(), &error);
        return;
    }
    let account = MAILBOX.account();
    let mut look = MAILBOX.look();
    let seen = pop3::look_into(dialogue, &account, &mut look, Deadline::within(DEADLINE));
    let asked = heard.lines();
    let count = |word: &str| asked.iter().filter(|line| line.starts_with(word)).count();
    MAILBOX.judge(said, &look.tally, count("DELE") > 0);
    assert!(count("TOP ") <= 200 && count("DELE ") <= count("TOP "));
    assert!(
        asked.iter().filter(|line| line.contains(PASSWORD)).all(|line| *line == format!("PASS {PASSWORD}"))
    );
    assert!(count("PASS ") <= 1 && count("QUIT") <= 1);
    let error = match seen {
        Ok(seen) => {
            assert_eq!(asked.last().map(String::as_str), Some("QUIT"));
            seen.not_removed
        }
        Err(error) => Some(error),
    };
    if let Some(error) = error.map(|error| error.safe(&account)) {
        assert!(!told(error.state(), &error).contains(PASSWORD));
    }
});

fn nothing_is_injected(said: &[u8]) {
    let (mut dialogue, heard) = dialogue(said, usize::MAX);
    if Protocol::Pop3.greet(&mut dialogue).is_err() {
        return;
    }
    match Protocol::Pop3.starttls(dialogue) {
        // All of it came at once, so the agreement is the end of it.
        Ok(_) => {
            let lines: Vec<_> = said.split_inclusive(|&byte| byte == b'\n').collect();
            assert!(lines.len() == 2 && lines[1].starts_with(b"+OK"));
            assert_eq!(heard.lines(), ["STLS"]);
        }
        Err(error) => {
            told(error.state(), &error);
        }
    }
}
