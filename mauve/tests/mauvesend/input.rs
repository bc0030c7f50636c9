//! Text from standard input: whatever a program prints, without a shell.

use std::io::Write;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use mauve::{Alert, AlertUpdate};

use crate::station::{Ran, Station, program};

fn begin(station: &Station, arguments: &[&str]) -> Child {
    program()
        .arg(station.address().to_string())
        .args(["-i", "a"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn end(child: Child) -> Ran {
    let began = Instant::now();
    (child.wait_with_output().unwrap(), began.elapsed()).into()
}

fn send(station: &Station, arguments: &[&str], input: &[u8]) -> Ran {
    let mut child = begin(station, arguments);
    // What is longer than it wants to know, it does not read.
    let _ = child.stdin.take().unwrap().write_all(input);
    end(child)
}

/// The alert that arrives when this is on standard input.
fn alert(arguments: &[&str], input: &[u8]) -> Alert {
    let station = Station::at("127.0.0.1:0");
    let ran = send(&station, arguments, input);
    assert_eq!((ran.status, &*ran.complained), (Some(0), ""), "{arguments:?}");
    AlertUpdate::decode(&station.receive()).unwrap().alerts.remove(0)
}

/// What plugins print when they want to be remembered.
const NASTY: &str = "DISK CRITICAL - \"/\" 'full' `id` $(reboot) $HOME ${x} \\ %n !! ; | & <script>alert(1)</script>\n\
                     second line\t* ? [a-z] ~ # -r --id=b\n'; touch /tmp/owned; '\nü \u{1f525}";

#[test]
fn plugin_output_arrives_as_it_was_printed() {
    let escaped = NASTY.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    assert_eq!(&*alert(&["-t", "-"], NASTY.as_bytes()).detail, format!("<pre>{escaped}</pre>"));
    assert_eq!(
        &*alert(&["--text=-"], format!("{NASTY}\n\n").as_bytes()).detail,
        format!("<pre>{escaped}</pre>")
    );
    assert_eq!(&*alert(&["-d", "-"], NASTY.as_bytes()).detail, NASTY);
    assert_eq!(&*alert(&["-s", "-"], NASTY.as_bytes()).summary, NASTY);
    // As arguments too, of which there is no shell either.
    assert_eq!(&*alert(&["-s", NASTY], b"").summary, NASTY);
    assert_eq!(&*alert(&["-t", NASTY], b"").detail, format!("<pre>{escaped}</pre>"));
}

#[test]
fn the_most_that_a_plugin_may_print_fits_whatever_it_is() {
    for letter in ["x", "&", "<", "\"", "\u{1f525}", "\0", "\u{ff}"] {
        let output = letter.repeat(8192 / letter.len());
        let detail = alert(&["-t", "-"], output.as_bytes()).detail;
        assert!(detail.len() >= output.len(), "{letter:?}");
    }
}

#[test]
fn what_is_no_text_is_replaced() {
    let alert = alert(&["-t", "-"], b"a\0b\x1b]0;title\x07c\r\ncaf\xe9 \x9b");
    assert_eq!(&*alert.detail, "<pre>a\u{fffd}b\u{fffd}]0;title\u{fffd}c\r\ncaf\u{fffd} \u{fffd}</pre>");
}

#[test]
fn without_its_text_an_alert_is_sent_all_the_same() {
    for arguments in [["-t", "-"], ["-d", "-"], ["-s", "-"]] {
        for input in [&b""[..], b"\n \n"] {
            let alert = alert(&arguments, input);
            assert_eq!((&*alert.detail, &*alert.summary), ("", ""), "{arguments:?}");
        }
    }
}

#[test]
fn whoever_does_not_end_is_waited_for_for_five_seconds() {
    let station = Station::at("127.0.0.1:0");
    let mut child = begin(&station, &["-t", "-"]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"so far").unwrap();
    let ran = end(child);
    assert_eq!(ran.status, Some(0));
    assert_eq!(ran.complained, "mauvesend: standard input may be cut short: it did not end within 5 s\n");
    assert!((Duration::from_secs(4)..Duration::from_secs(9)).contains(&ran.took), "{:?}", ran.took);
    let update = AlertUpdate::decode(&station.receive()).unwrap();
    assert_eq!(&*update.alerts[0].detail, "<pre>so far</pre>");
    drop(input);
}

#[test]
fn what_is_endless_or_too_long_is_refused() {
    let station = Station::at("127.0.0.1:0");
    let ran = send(&station, &["-d", "-"], &b"x".repeat(200_000));
    assert_eq!(ran.status, Some(1));
    assert_eq!(
        ran.complained,
        "mauvesend: standard input holds more than 65507 bytes, which is what a datagram holds; say less\n"
    );
    // It fits as it is, and not as HTML.
    let ran = send(&station, &["-t", "-", "-o", "x"], &b"&".repeat(20_000));
    assert_eq!(ran.status, Some(1));
    assert!(ran.complained.starts_with("mauvesend: the alerts take 1000"), "{}", ran.complained);
    station.receives_nothing();
}
