//! Anything as what an IMAP server says: the agreement to STARTTLS, and a look into a mailbox up to the farewell. So the crate
//! `imap`, and the guard that stands before it, read it too.
//!
//! Nothing is marked or removed that has not shown a token of ours; the password is said once and is in no error; no plain text
//! behind the agreement to STARTTLS is taken for what came over TLS.
#![no_main]

use auto_monitor_checks::mailflow::imap;
use auto_monitor_checks::protocol::Protocol;
use auto_monitor_fuzz::mailbox::{MAILBOX, PASSWORD};
use auto_monitor_fuzz::server::{dialogue, script};
use auto_monitor_fuzz::told;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (said, piece) = script(input);
    nothing_is_injected(said);
    let (mut dialogue, heard) = dialogue(said, piece);
    if let Err(error) = Protocol::Imap.greet(&mut dialogue) {
        told(error.state(), &error);
        return;
    }
    let account = MAILBOX.account();
    let mut look = MAILBOX.look();
    let seen = imap::look_into(dialogue, &account, &mut look);
    let asked = heard.lines();
    let has = |word: &str| asked.iter().any(|line| line.contains(word));
    MAILBOX.judge(said, &look.tally, has(" STORE ") || has("EXPUNGE"));
    assert!(asked.iter().filter(|line| line.contains(PASSWORD)).count() <= 1);
    assert!(
        asked.iter().filter(|line| line.contains(" LOGIN ") || line.contains(" AUTHENTICATE ")).count() <= 1
    );
    let error = match seen {
        Ok(seen) => {
            assert!(asked.last().is_some_and(|line| line.ends_with(" LOGOUT")));
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
    if Protocol::Imap.greet(&mut dialogue).is_err() {
        return;
    }
    match Protocol::Imap.starttls(dialogue) {
        // All of it came at once, so the agreement is the end of it.
        Ok(_) => {
            let last = said.strip_suffix(b"\n").and_then(|said| said.rsplit(|&byte| byte == b'\n').next());
            assert!(last.is_some_and(|line| line[..4].eq_ignore_ascii_case(b"s OK")));
            assert_eq!(heard.lines(), ["s STARTTLS"]);
        }
        Err(error) => {
            told(error.state(), &error);
        }
    }
}
