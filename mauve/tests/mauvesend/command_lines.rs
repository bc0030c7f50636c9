//! What each command line sends, as Python reads it, and which ones send nothing.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::python::Python;
use crate::station::{Station, in_short, program, run, sends};

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned()
}

/// Arguments behind the destination, and what arrives in short. `HOST` is this host's name.
const SENT: &[(&[&str], &str)] = &[
    // An alert, and what is said of it, by short and long options, joined and apart.
    (&["-i", "a"], "HOST\na raise=+0"),
    (&["-ia"], "HOST\na raise=+0"),
    (&["--id", "a"], "HOST\na raise=+0"),
    (&["--id=a"], "HOST\na raise=+0"),
    (&["-i", "a", "-s", "too long"], "HOST\na raise=+0 summary=too long"),
    (&["-i", "a", "-stoo long"], "HOST\na raise=+0 summary=too long"),
    (&["-i", "a", "-s=too long"], "HOST\na raise=+0 summary==too long"),
    (&["-i", "a", "--summary", "too long"], "HOST\na raise=+0 summary=too long"),
    (&["-i", "a", "--summary=too long"], "HOST\na raise=+0 summary=too long"),
    (&["-i", "a", "-d", "<b>54232</b> mails"], "HOST\na raise=+0 detail=<b>54232</b> mails"),
    (&["-i", "a", "--detail", "<b>"], "HOST\na raise=+0 detail=<b>"),
    (&["-i", "a", "--detail=two\nlines"], "HOST\na raise=+0 detail=two\nlines"),
    (&["-i", "a", "-t", "1 < 2 & \"3\""], "HOST\na raise=+0 detail=<pre>1 &lt; 2 &amp; \"3\"</pre>"),
    (&["-i", "a", "--text=a\nb"], "HOST\na raise=+0 detail=<pre>a\nb</pre>"),
    (&["-i", "a", "-u", "web1.example.org"], "HOST\na raise=+0 subject=web1.example.org"),
    (&["-i", "a", "--subject", "web1"], "HOST\na raise=+0 subject=web1"),
    (&["-i", "a", "-d", "d", "-s", "s", "-u", "u"], "HOST\na raise=+0 subject=u summary=s detail=d"),
    // Raised, cleared, suppressed.
    (&["-i", "a", "-r"], "HOST\na raise=+0"),
    (&["-i", "a", "--raise"], "HOST\na raise=+0"),
    (&["-i", "a", "-c"], "HOST\na clear=+0"),
    (&["-i", "a", "--clear"], "HOST\na clear=+0"),
    (&["-i", "a", "-c", "-r", "+10m"], "HOST\na raise=+600 clear=+0"),
    (&["-i", "a", "-r", "+10m", "-c"], "HOST\na raise=+600 clear=+0"),
    (&["-i", "a", "-c", "now", "-r", "+10m"], "HOST\na raise=+600 clear=+0"),
    (&["-i", "a", "-c", "-s", "down"], "HOST\na clear=+0 summary=down"),
    (&["-i", "a", "-e", "+3h"], "HOST\na raise=+0 suppress=+10800"),
    (&["-i", "a", "--suppress", "+3h", "-c"], "HOST\na clear=+0 suppress=+10800"),
    (&["-i", "a", "-e", "now"], "HOST\na raise=+0 suppress=+0"),
    // Every form of a time.
    (&["-i", "a", "-r", "now"], "HOST\na raise=+0"),
    (&["-i", "a", "-r", ""], "HOST\na raise=+0"),
    (&["-i", "a", "-r", "0"], "HOST\na raise=+0"),
    (&["-i", "a", "-c", "0", "-r", "0"], "HOST\na raise=+0"),
    (&["-i", "a", "-r", "1000000000"], "HOST\na raise=@1000000000"),
    (&["-i", "a", "-r", "18446744073709551615"], "HOST\na raise=@18446744073709551615"),
    (&["-i", "a", "-r", "+5"], "HOST\na raise=+5"),
    (&["-i", "a", "-r", "+5s"], "HOST\na raise=+5"),
    (&["-i", "a", "-r", "5s"], "HOST\na raise=+5"),
    (&["-i", "a", "-r+5m"], "HOST\na raise=+300"),
    (&["-i", "a", "--raise=5m"], "HOST\na raise=+300"),
    (&["-i", "a", "-r", "+2h"], "HOST\na raise=+7200"),
    (&["-i", "a", "-c", "+1d"], "HOST\na clear=+86400"),
    (&["-i", "a", "-r-10h"], "HOST\na raise=-36000"),
    (&["-i", "a", "--raise=-10h"], "HOST\na raise=-36000"),
    (&["-i", "a", "-r", "-10h"], "HOST\na raise=-36000"),
    (&["-i", "a", "-pr", "-90", "--cle", "-1m"], "HOST replace\na raise=-90 clear=-60"),
    (&["-i", "a", "--raise", "-90"], "HOST\na raise=-90"),
    (&["-i", "a", "-c", "-1d", "-e", "-2s"], "HOST\na clear=-86400 suppress=-2"),
    // Several alerts; what follows an id is of that one, and of two of a kind the later one counts.
    (&["-i", "a", "-i", "b"], "HOST\na raise=+0\nb raise=+0"),
    (&["-i", "a", "-s", "1", "-i", "b", "-c", "-s", "2"], "HOST\na raise=+0 summary=1\nb clear=+0 summary=2"),
    (&["-i", "a", "-c", "-i", "b", "-r", "+1m", "-i", "c"], "HOST\na clear=+0\nb raise=+60\nc raise=+0"),
    (&["-i", "a", "-s", "1", "-s", "2"], "HOST\na raise=+0 summary=2"),
    (&["-i", "a", "-d", "1", "-t", "2"], "HOST\na raise=+0 detail=<pre>2</pre>"),
    (&["-i", "a", "-t", "1", "-d", "2"], "HOST\na raise=+0 detail=2"),
    (&["-i", "a", "-i", "A", "-i", "a "], "HOST\na raise=+0\nA raise=+0\na  raise=+0"),
    // The source, and all of it.
    (&["-o", "nagios1", "-i", "a"], "nagios1\na raise=+0"),
    (&["-i", "a", "-s", "s", "--source=nagios 1"], "nagios 1\na raise=+0 summary=s"),
    (&["-p", "-i", "a"], "HOST replace\na raise=+0"),
    (&["-i", "a", "--replace"], "HOST replace\na raise=+0"),
    (&["-p", "-p", "-o", "x"], "x replace"),
    (&["-po", "x", "-i", "a", "-c"], "x replace\na clear=+0"),
    // Beginnings of long options.
    (
        &["--i", "a", "--sum=s", "--det=d", "--sub=u", "--sup", "+1s", "--cl"],
        "HOST\na clear=+0 suppress=+1 subject=u summary=s detail=d",
    ),
    (&["--sou", "x", "--rep"], "x replace"),
    // Whatever it is, it is only text.
    (&["-i", "a", "-s", "'\"`$(reboot)`\" \\ %s; #"], "HOST\na raise=+0 summary='\"`$(reboot)`\" \\ %s; #"),
    (
        &["-i", "svc:disk /", "-s", "ü \u{1f525} \u{202e}"],
        "HOST\nsvc:disk / raise=+0 summary=ü \u{1f525} \u{202e}",
    ),
    (
        &["-i", "a", "-s", "\u{1b}[2J\u{7}\u{9b}x\ty"],
        "HOST\na raise=+0 summary=\u{fffd}[2J\u{fffd}\u{fffd}x\ty",
    ),
    (&["-i", "a", "--summary=-r", "-dx"], "HOST\na raise=+0 summary=-r detail=x"),
    (&["-i-a", "-s--b"], "HOST\n-a raise=+0 summary=--b"),
];

#[test]
fn each_sends_what_it_says() {
    let mut python = Python::start();
    let station = Station::at("127.0.0.1:0");
    let destination = station.address().to_string();
    for (arguments, expected) in SENT {
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        sends(&[&[&*destination], *arguments].concat());
        let read = python.read(&station.receive());
        assert_eq!(in_short(&read), expected.replace("HOST", &host()), "{arguments:?}");
        assert_eq!(read["canonical"], true, "{arguments:?}: {read}");
        assert_eq!(read["update"]["signature"], "", "{read}");
        let after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!((before..=after).contains(&read["update"]["transmission_time"].as_u64().unwrap()));
    }
}

/// What is refused before anything is sent, and a piece of why.
const REFUSED: &[(&[&str], &str)] = &[
    (&[], "there is nothing to send; begin an alert with --id, or clear all of them with --replace"),
    (&["-o", "x"], "there is nothing to send"),
    (&["-s", "s"], "say --id first: what follows an id is of that alert"),
    (&["-c"], "say --id first"),
    (&["-r", "+1m", "-i", "a"], "say --id first"),
    (&["-e", "now"], "say --id first"),
    (&["-i", "a", "-c=5"], "invalid value '=5'"),
    (&["-t", "x"], "say --id first"),
    (&["-i", "a", "-i", "a"], "the id `a` is given to two alerts; each needs its own"),
    (&["-i", "a", "-i", "b", "--id=a"], "the id `a` is given to two alerts"),
    (&["-o", "x", "-i", "a", "-o", "y"], "the argument '--source <NAME>' cannot be used multiple times"),
    // What is missing never takes the next option for itself.
    (&["-i"], "a value is required for '--id <ID>'"),
    (&["-i", "-s", "s"], "a value is required for '--id <ID>'"),
    (&["-i", "a", "-s", "-c"], "a value is required for '--summary <TEXT>'"),
    (&["-i", "a", "-e"], "a value is required for '--suppress <TIME>'"),
    (&["-i", ""], "invalid value '' for '--id <ID>': it cannot be empty"),
    (&["-i", "a", "-s", ""], "it cannot be empty"),
    (&["-i", "a", "-d", ""], "it cannot be empty"),
    (&["-i", "a", "--text="], "it cannot be empty"),
    (&["-i", "a", "-u", ""], "it cannot be empty"),
    (&["-i", "a", "-e", ""], "a value is required for '--suppress <TIME>'"),
    (&["-o", "", "-i", "a"], "it cannot be empty"),
    // No times.
    (&["-i", "a", "-r", "tomorrow"], "invalid value 'tomorrow' for '--raise [<TIME>]': a time is `now`"),
    (&["-i", "a", "-c", "1w"], "invalid value '1w' for '--clear [<TIME>]'"),
    (&["-i", "a", "-cri", "b"], "invalid value 'ri' for '--clear [<TIME>]'"),
    (&["-i", "a", "-r", "99999999999999999999"], "that time is before 1970, or after everything"),
    (
        &["-i", "a", "-r", "-99999d"],
        "cannot send the alert `a`: that time is before 1970, or after everything",
    ),
    // A time behind what takes none.
    (&["-i", "a", "-v", "-5m"], "unexpected argument '-5'"),
    (&["-i", "a", "-sr", "-5m"], "unexpected argument '-5'"),
    (&["-i", "a", "-s", "-5m"], "unexpected argument '-5'"),
    // No options.
    (&["-i", "a", "-x"], "unexpected argument '-x'"),
    (&["-i", "a", "--s", "s"], "unexpected argument '--s'"),
    (&["-i", "a", "--replace=yes"], "unexpected value 'yes' for '--replace'"),
    (&["-i", "a", "-s", "-", "-d", "-"], "standard input (`-`) can be read for one option only"),
    (&["-i", "a", "-t", "-", "-i", "b", "-s-"], "standard input (`-`) can be read for one option only"),
];

#[test]
fn what_is_refused_sends_nothing() {
    let station = Station::at("127.0.0.1:0");
    let destination = station.address().to_string();
    for (arguments, why) in REFUSED {
        let ran = run(program().arg(&destination).args(*arguments));
        assert_eq!((ran.status, &*ran.said), (Some(1), ""), "{arguments:?}: {}", ran.complained);
        assert!(ran.complained.contains(why), "{arguments:?}: {}", ran.complained);
        station.receives_nothing();
    }
}

#[test]
fn a_destination_stands_anywhere() {
    let mut python = Python::start();
    let station = Station::at("127.0.0.1:0");
    let destination = station.address().to_string();
    for arguments in [
        &[&*destination, "-i", "a", "-c"][..],
        &["-i", "a", &destination, "-c"],
        &["-i", "a", "-c", "--", &destination],
        &["-i", "a", "-c", "now", &destination],
    ] {
        sends(arguments);
        assert_eq!(
            in_short(&python.read(&station.receive())),
            format!("{}\na clear=+0", host()),
            "{arguments:?}"
        );
    }
    // As of the original, it is taken for the time.
    let ran = run(program().args(["-i", "a", "-c", &destination]));
    assert!(ran.complained.contains("for '--clear [<TIME>]': a time is `now`"), "{}", ran.complained);
}

#[test]
fn bytes_that_are_no_utf_8_are_replaced() {
    let mut python = Python::start();
    let station = Station::at("127.0.0.1:0");
    let ran = run(program()
        .arg(station.address().to_string())
        .args(["-i", "a", "-s"])
        .arg(OsStr::from_bytes(b"caf\xe9 \xe2\x82")));
    assert_eq!((ran.status, &*ran.complained), (Some(0), ""));
    let read = python.read(&station.receive());
    assert_eq!(read["update"]["alert"][0]["summary"], "caf\u{fffd} \u{fffd}");
}

#[test]
fn every_transmission_has_a_number_of_its_own_that_is_anything() {
    let station = Station::at("127.0.0.1:0");
    let numbers: Vec<u64> = (0..40)
        .map(|_| {
            sends(&[&*station.address().to_string(), "-i", "a"]);
            mauve::AlertUpdate::decode(&station.receive()).unwrap().transmission_id
        })
        .collect();
    let ones = numbers.iter().fold(0, |ones, number| ones | number);
    let zeros = numbers.iter().fold(0, |zeros, number| zeros | !number);
    // That a bit is the same forty times is as likely as 2^-39.
    assert_eq!((ones, zeros), (u64::MAX, u64::MAX));
}

#[test]
fn what_was_sent_is_said_if_asked_for() {
    let station = Station::at("127.0.0.1:0");
    let destination = station.address().to_string();
    let ran = run(program().args([&destination, "-v", "-o", "x", "-i", "a", "-s", "s"]));
    let id = mauve::AlertUpdate::decode(&station.receive()).unwrap().transmission_id;
    assert_eq!((ran.status, ran.said), (Some(0), format!("Sent {id} from x to {destination}\n")));
    let ran = run(program().args([&destination, "-vv", "-o", "x", "-i", "a", "-s", "s"]));
    let update = mauve::AlertUpdate::decode(&station.receive()).unwrap();
    assert_eq!(ran.said, format!("Sent {update:?} to {destination}\n"));
    assert!(ran.said.contains("id: \"a\"") && ran.said.contains("summary: \"s\""), "{}", ran.said);
}

#[test]
fn what_fits_into_no_datagram_is_refused_with_its_size() {
    let station = Station::at("127.0.0.1:0");
    let destination = station.address().to_string();
    let send = |length| run(program().args([&*destination, "-o", "x", "-i", "a", "-s", &"x".repeat(length)]));
    // All that is beside the summary, whose length takes three bytes, as that of its alert. The number of the
    // transmission takes nine or ten bytes, or fewer.
    assert_eq!(send(100).status, Some(0));
    let rest = station.receive().len() - 100 + 4;
    let ran = send(mauve::SENT_MAX - rest - 5);
    assert_eq!((ran.status, &*ran.complained), (Some(0), ""));
    assert!((mauve::SENT_MAX - 10..=mauve::SENT_MAX).contains(&station.receive().len()));
    let ran = send(mauve::SENT_MAX - rest + 10);
    assert_eq!(ran.status, Some(1));
    let words: Vec<&str> = ran.complained.split("655").collect();
    assert_eq!((words.len(), words[0]), (3, "mauvesend: the alerts take "), "{}", ran.complained);
    assert!(ran.complained.ends_with(" bytes, and a datagram holds 65507; say less, or send them apart\n"));
    station.receives_nothing();
}
