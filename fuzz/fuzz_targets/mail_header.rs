//! Anything as a mail's header, and as the token in one.
//!
//! The reader of tokens takes what its writer gives, and nothing else; a mail is only ours to remove if it carries exactly one
//! token, and that is this server's; the header that we write is read.
#![no_main]

use auto_monitor_checks::connection::Endpoint;
use auto_monitor_checks::mailflow::List;
use auto_monitor_checks::mailflow::mail::{Tally, Verdict};
use auto_monitor_checks::mailflow::message::{Message, transparent};
use auto_monitor_checks::mailflow::token::{HEADER, Mark, Origin, Serial, Token};
use auto_monitor_fuzz::mailbox::MAILBOX;
use monitoring_info::value;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    a_text_is_what_its_reader_writes(&text);
    if let Some((header, numbers)) = bytes.split_last_chunk::<26>() {
        another_token_is_no_token_of_ours(header, numbers);
    }
    a_mail_is_ours_if_it_carries_our_token_and_no_other(bytes, &text);
    our_own_mail_is_read(&text);
});

fn a_text_is_what_its_reader_writes(text: &str) {
    let key = &MAILBOX.key;
    for word in text.split_ascii_whitespace().chain([text]) {
        if let Origin::Ours(token) = key.judge(word) {
            assert_eq!(key.seal(&token), word);
        }
        if let Some(serial) = Serial::read(word) {
            assert_eq!(serial.to_string(), word);
        }
        if let Ok(list) = word.parse::<List>() {
            assert_eq!(list.to_string(), word);
        }
    }
}

fn another_token_is_no_token_of_ours(header: &[u8], numbers: &[u8; 26]) {
    let key = &MAILBOX.key;
    let mut nonce = [0; 16];
    nonce.copy_from_slice(&numbers[..16]);
    let mut eight = [0; 8];
    eight.copy_from_slice(&numbers[16..24]);
    let mark = if header.len() % 2 == 0 { Mark::None } else { Mark::List(eight) };
    let token = Token { mark, serial: Serial { time: u64::from_le_bytes(eight), nonce } };
    let sealed = key.seal(&token);
    assert_eq!(key.judge(&sealed), Origin::Ours(token));
    // One byte of it, by another of any kind.
    let at = usize::from(numbers[24]) % sealed.len();
    let changed = format!("{}{}{}", &sealed[..at], char::from(numbers[25]), &sealed[at + 1..]);
    assert!(changed == sealed || !matches!(key.judge(&changed), Origin::Ours(_)), "{changed}");
}

/// The names of the fields of a header, with what stands behind them, as RFC 5322, section 2.2 has it.
fn tokens(text: &str) -> usize {
    let lines = text.lines().take_while(|line| !line.is_empty());
    let names = lines.filter(|line| !line.starts_with([' ', '\t'])).filter_map(|line| line.split_once(':'));
    names.filter(|(name, _)| name.trim_end().eq_ignore_ascii_case(HEADER)).count()
}

fn judged(header: &[u8]) -> (Verdict, Tally) {
    let mut look = MAILBOX.look();
    let verdict = look.judge(header).expect("the store works");
    MAILBOX.judge(header, &look.tally, verdict == Verdict::Remove);
    (verdict, look.tally)
}

fn count(tally: &Tally) -> usize {
    let Tally { arrived, known, others, old, foreign, forged, doubtful, .. } = tally;
    arrived + known + others + old + foreign + forged + doubtful
}

fn a_mail_is_ours_if_it_carries_our_token_and_no_other(header: &[u8], text: &str) {
    let (verdict, tally) = judged(header);
    let carried = tokens(text);
    assert_eq!(count(&tally), carried.min(1), "{tally:?}");
    assert!(carried < 2 || tally.doubtful == 1, "{tally:?}");
    assert!(verdict == Verdict::Leave || tally.arrived + tally.known + tally.old == 1, "{tally:?}");

    // With ours before it, as a line of its own.
    let ours = MAILBOX.key.seal(&MAILBOX.token);
    let (_, tally) = judged(&[format!("{HEADER}: {ours}\r\nX:\r\n").as_bytes(), header].concat());
    let is_report = text.to_ascii_lowercase().contains("multipart/report");
    assert!(tally.doubtful == 1 || tally.arrived == 1, "{tally:?}");
    assert_eq!(tally.arrived == 1, carried == 0 && tally.doubtful == 0, "{tally:?}");
    assert!(carried > 0 || is_report || tally.arrived == 1, "{tally:?}");
}

fn our_own_mail_is_read(text: &str) {
    let mut words = text.split_ascii_whitespace();
    let to = words.next().filter(|word| (value::EMAIL.parse)(word).is_ok()).unwrap_or("probe@example.org");
    let from = words.next().filter(|word| (value::EMAIL.parse)(word).is_ok());
    let mail = Message {
        to,
        from,
        through: &Endpoint { host: "mail.example.org".into(), port: 25 },
        list: Some(&MAILBOX.list),
        serial: &MAILBOX.token.serial,
        token: &MAILBOX.key.seal(&MAILBOX.token),
    }
    .text();
    assert!(mail.is_ascii() && mail.lines().all(|line| line.len() <= 998));
    assert_eq!(judged(mail.as_bytes()).1.arrived, 1, "{mail}");
    // And nothing in it ends it before its end, or makes two mails of it.
    let data = transparent(&mail);
    assert_eq!(data.find("\r\n.\r\n"), Some(data.len() - 5));
}
