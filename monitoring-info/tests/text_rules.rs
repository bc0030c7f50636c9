//! The traps of the text format, each by name, and what holds over any text at all.

use std::time::{Duration, Instant};

use invariants::settled;
use monitoring_info::diagnostic::{PROBLEMS_MAX, Problem, Severity};
use monitoring_info::ini::{Document, FILE_MAX};
use monitoring_info::service::KINDS;
use proptest::prelude::*;

mod invariants;

/// Panics where one of the promises does not hold.
fn hold(bytes: &[u8]) {
    invariants::hold_of_a_definition_file(bytes);
    invariants::hold_of_overrides(bytes);
}

fn parse(text: &str) -> (Document, Vec<Problem>) {
    Document::parse(text.as_bytes())
}

/// The sections as `name key=value key=value`, the faulty ones with a `!`.
fn sections(text: &str) -> Vec<String> {
    let shown = |section: &monitoring_info::ini::Section| {
        let entries: String = section
            .entries
            .iter()
            .flat_map(|entry| [" ", entry.key.as_str(), "=", entry.value.as_str()])
            .collect();
        format!("{}{}{entries}", if section.faulty { "!" } else { "" }, section.name)
    };
    parse(text).0.sections.iter().map(shown).collect()
}

/// `line:column message` of each problem.
fn faults(text: &str) -> Vec<String> {
    parse(text)
        .1
        .iter()
        .map(|problem| {
            let place = problem.place.as_ref().unwrap();
            format!("{}:{} {}", place.line, place.column, problem.message)
        })
        .collect()
}

#[test]
fn what_may_be_the_rest_of_a_password_is_not_shown() {
    for text in ["password = s3cret\n  s3cret", "password = s3cret\\\ns3cret", "pasword: s3cret\n\ts3cret x"]
    {
        for problem in parse(&format!("[a]\ntype = imap\n{text}\nusername = u\n")).1 {
            assert!(!problem.to_string().contains("s3cret"), "{problem}");
        }
    }
    let shown = parse("[a]\npassword = x\n[b\n").1[0].to_string();
    assert!(shown.contains("[b"), "{shown}");
}

#[test]
fn a_line_without_equals_sign_does_not_swallow_the_next() {
    let text = "[a]\ntype http\nport = 80\n";
    assert_eq!(sections(text), ["!a port=80"]);
    assert_eq!(faults(text), ["2:1 this line is neither `[name]`, nor `key = value`, nor a comment"]);
}

#[test]
fn a_trailing_backslash_joins_no_lines() {
    assert_eq!(sections("[a]\nbase = x\\\nport = 1\n"), ["a base=x\\ port=1"]);
    assert_eq!(sections("[a]\nbase = \\\nport = 1\n"), ["a base=\\ port=1"]);
    assert_eq!(sections("[a]\nbase = x\\"), ["a base=x\\"]);
    assert!(faults("[a]\nbase = x\\\nport = 1\n").is_empty());
}

#[test]
fn a_backslash_stays_in_the_value() {
    assert_eq!(sections("[a]\nuri = /\\d\\n\\t\\x41\\0\\\\\n"), ["a uri=/\\d\\n\\t\\x41\\0\\\\"]);
}

#[test]
fn quotes_stay_in_the_value() {
    assert_eq!(sections("[a]\nb = \"x\"\nc = 'y'\nd = \"z\ne = `w`\n"), ["a b=\"x\" c='y' d=\"z e=`w`"]);
}

#[test]
fn a_section_header_stands_on_one_line() {
    let text = "[a\n]\ntype = http\n[b]\nport = 1\n";
    assert_eq!(sections(text), ["b port=1"], "the keys below a refused header belong to nobody");
    assert_eq!(
        faults(text),
        [
            "1:1 the section header has no closing `]`",
            "2:1 this line is neither `[name]`, nor `key = value`, nor a comment"
        ]
    );
}

#[test]
fn a_byte_order_mark_hides_nothing() {
    let text = "\u{feff}[a]\ntype = http\n";
    assert!(sections(text).is_empty());
    assert_eq!(faults(text), ["1:1 the file begins with a byte order mark"]);
    assert_eq!(faults("[a]\n\u{feff}type = http\n"), ["2:1 the invisible character U+FEFF"]);
}

#[test]
fn of_two_sections_of_one_name_neither_counts() {
    let text = "[a]\ntype = ssh\n[b]\ntype = ssh\n[a]\nport = 2222\n";
    assert_eq!(sections(text), ["!a type=ssh", "b type=ssh"]);
    assert_eq!(faults(text), ["5:1 the section `a` is there twice; the first time on line 1"]);
}

#[test]
fn a_key_stands_once_in_whatever_case() {
    let text = "[a]\nport = 1\nPORT = 2\n[b]\nPort = 3\n";
    assert_eq!(sections(text), ["!a port=1", "b port=3"]);
    assert_eq!(faults(text), ["3:1 `PORT` is set twice; the first time on line 2"]);
}

#[test]
fn comments_stand_on_lines_of_their_own() {
    assert_eq!(sections("# c\n ; c\n[a]\n\t# x = y\n;\nport = 1\n"), ["a port=1"]);
    let text = "[a]\nuri = /x ; no comment\nbase = a#b;c\n";
    assert_eq!(sections(text), ["a uri=/x ; no comment base=a#b;c"]);
    assert_eq!(faults(text), ["2:10 this is part of the value, not a comment"]);
    assert_eq!(parse(text).1[0].severity, Severity::Warning);
    assert_eq!(faults("[a] # c\n"), ["1:4 a comment cannot stand behind a section header"]);
}

#[test]
fn a_colon_is_no_equals_sign() {
    for text in ["[a]\nport: 80\n", "[a]\nport : 80\n", "[a]\nuri: /x?a=b\n"] {
        assert_eq!(faults(text), ["2:1 a key and its value are joined by `=`, not by `:`"], "{text}");
    }
    assert_eq!(sections("[a]\nuri = /a:b\n"), ["a uri=/a:b"]);
}

#[test]
fn crlf_ends_a_line_and_a_lone_carriage_return_is_refused() {
    assert_eq!(sections("[a]\r\ntype = ssh\r\n\r\nport = 1\n"), ["a type=ssh port=1"]);
    assert!(faults("[a]\r\ntype = ssh\r\n").is_empty());
    for (text, at) in [
        ("[a]\ntype = ssh\rport = 1\n", "2:11"),
        ("[a]\ntype = ssh\r\r\n", "2:11"),
        ("[a]\ntype = ssh\r", "2:11"),
        ("[a]\r[b]\n", "1:4"),
    ] {
        assert_eq!(faults(text), [format!("{at} a carriage return inside a line")], "{text:?}");
    }
}

#[test]
fn tabs_are_blanks_but_not_in_a_value() {
    assert_eq!(sections("\t[a]\t\n\ttype\t=\tssh\t\n#\ta\tb\n"), ["a type=ssh"]);
    assert!(faults("\t[a]\t\n\ttype\t=\tssh\t\n#\ta\tb\n").is_empty());
    for text in ["[a]\nuri = /x\ty\n", "[a]\nuri = /x\t=y\n", "[a]\nuri = /=\ty\n"] {
        assert_eq!(faults(text).len(), 1, "{text:?}");
        assert!(faults(text)[0].ends_with("a tab inside a name, a key or a value"), "{text:?}");
    }
}

#[test]
fn a_refused_header_gives_its_keys_to_nobody() {
    let text = "[a]\ntype = ssh\n[b\u{7}]\nport = 1\n";
    assert_eq!(sections(text), ["a type=ssh"]);
}

#[test]
fn text_that_shows_itself_otherwise_than_it_is_is_refused() {
    for c in ['\u{202e}', '\u{2066}', '\u{200f}', '\u{61c}', '\u{2028}', '\u{85}', '\u{1b}', '\u{7f}'] {
        for text in [format!("[a]\nuri = /{c}x\n"), format!("# {c}\n"), format!("[a{c}]\n")] {
            assert_eq!(faults(&text).len(), 1, "{text:?}");
        }
    }
}

#[test]
fn a_blank_that_only_looks_like_one_is_refused() {
    for text in ["[a]\nuri =\u{a0}/x\n", "[a]\nuri = /x\u{3000}\n", "[a]\nuri = \u{a0}\n"] {
        assert_eq!(
            faults(text)[0].split_once(' ').unwrap().1,
            "a blank that is neither space nor tab stands at the edge of the value",
            "{text:?}"
        );
    }
    assert_eq!(faults("[a]\nuri\u{a0}= /x\n"), ["2:1 `uri\u{a0}` cannot be a key"]);
}

#[test]
fn an_empty_value_is_there() {
    assert_eq!(sections("[a]\nbase =\nport = 1\n"), ["a base= port=1"]);
    assert_eq!(sections("[a]\nbase="), ["a base="]);
}

#[test]
fn the_limits_are_exact() {
    let filled = |size: usize| format!("{}\n", "#".repeat(size - 1));
    assert!(faults(&filled(FILE_MAX)).is_empty());
    assert_eq!(parse(&filled(FILE_MAX + 1)).1[0].message, "the file is larger than 64 KiB");
    assert!(faults(&format!("[a]\nb = {}\n", "x".repeat(4096))).is_empty());
    assert_eq!(faults(&format!("[a]\nb = {}\n", "x".repeat(4097))).len(), 1);
    let sections = |n: usize| (0..n).map(|n| format!("[a{n}]\ntype = ssh\n")).collect::<Vec<_>>().concat();
    assert_eq!(settled(sections(200).as_bytes()).0.len(), 200);
    let (definitions, problems) = settled(sections(201).as_bytes());
    assert!(definitions.is_empty());
    assert_eq!(problems[0].message, "the file holds 201 definitions; a host can have at most 200");
}

/// What takes longest of 64 KiB: each once, in a build without optimisation, with a wide margin.
#[test]
fn no_file_takes_long() {
    let fill = |pattern: &str| pattern.repeat(FILE_MAX / pattern.len());
    let unique = |line: &dyn Fn(usize) -> String| {
        let mut text = "[a]\ntype = http\n".to_owned();
        for n in 0.. {
            let line = line(n);
            if text.len() + line.len() > FILE_MAX {
                return text;
            }
            text.push_str(&line);
        }
        text
    };
    let files = [
        fill("\t"),
        format!("#{}", &fill("\t")[1..]),
        format!("a={}", &fill("\t")[2..]),
        fill("\t="),
        fill("x\n"),
        fill("=\n"),
        fill("[\n"),
        fill("[a]\n"),
        fill("\r"),
        fill(" ;"),
        fill("\u{a0}"),
        fill("\n"),
        format!("[a]\n{}", fill("p=\n")),
        unique(&|n| format!("k{n}=\n")),
        unique(&|n| format!("{n:x<60}=1\n").replacen(|c: char| c.is_ascii_digit(), "k", 1)),
        unique(&|n| format!("[s{n}]\n")),
        unique(&|n| format!("k{n}=a #\n")),
    ];
    for file in files {
        let start = Instant::now();
        let (_, problems) = settled(file.as_bytes());
        let shown: usize = problems.iter().map(|problem| problem.to_string().len()).sum();
        let taken = start.elapsed();
        let head: String = file.chars().take(20).collect();
        assert!(taken < Duration::from_secs(2), "{head:?} took {taken:?}");
        assert!(problems.len() <= 2 * (PROBLEMS_MAX + 1), "{head:?}: {} problems", problems.len());
        assert!(shown < 1 << 20, "{head:?}: {shown} bytes of problems");
    }
}

/// The name of a type.
fn kind() -> impl Strategy<Value = String> {
    let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    prop::sample::select(names).prop_map(str::to_owned)
}

/// Text that looks like a definition file more often than chance would have it.
fn ini_like() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        "(type|port|uri|ssl|base|email|id|seconds|username|password|Hostname|expire_before_days)",
        "[a-zA-Z][a-zA-Z0-9_-]{0,8}",
        "\\PC{0,4}",
    ];
    let value = prop_oneof![
        kind(),
        "(True|no|starttls|80|0|/|dc=a|a@b.c)",
        "\\PC{0,12}",
        "[\\\\\"'`;#=:\\[\\] \t/a\u{a0}\u{3000}]{0,12}",
        ".{0,8}",
    ];
    let line = prop_oneof![
        4 => (key, "[ \t]{0,2}[=:][ \t]{0,2}", value).prop_map(|(key, joint, value)| format!("{key}{joint}{value}")),
        2 => "\\[[a-c.*]{1,3}\\]",
        1 => "[ \t]{0,2}\\[?[\\PC]{0,6}\\]?[ \t]{0,2}",
        1 => "[ \t]{0,2}[#;].{0,12}",
        1 => "[ \t]{0,3}",
        1 => ".{0,12}",
    ];
    let end =
        prop_oneof![8 => Just("\n"), 2 => Just("\r\n"), 1 => Just("\r"), 1 => Just("\\\n"), 1 => Just("")];
    prop::collection::vec((line, end), 0..20)
        .prop_map(|lines| lines.into_iter().flat_map(|(line, end)| [line, end.to_owned()]).collect())
}

/// Definitions that are sound more often than not.
fn nearly_sound() -> impl Strategy<Value = String> {
    let setting = prop_oneof![
        "port = (1|080|65535)",
        "uri = /[!-~]{0,8}",
        "ssl = (True|no|ON|0|STARTTLS)",
        "(ssl_)?hostname = (WWW.Example.org|192.0.2.1|::1|localhost)",
        "accept_redirection = (yes|FALSE)",
        "ignore_invalid_ssl = (yes|FALSE)",
        "expire_before_days = (0|014)",
        "username = \\PC{1,4}",
        "password = \\PC{1,4}",
        "email = [a-c]@[a-c]",
        "(mailflow)?id = [a-c]",
        "seconds = 0?9",
        "base = (|dc=a)",
    ];
    (kind(), prop::collection::vec(setting, 0..5)).prop_map(|(kind, settings)| {
        format!("[a]\ntype = {kind}\nport = 7\n{}\n", settings.join("\n")).replacen(
            if kind == "mailflow" { "port = 7\n" } else { "\u{0}" },
            "",
            1,
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        hold(&bytes);
    }

    #[test]
    fn the_line_index_and_rust_ini_agree_over_any_text(text in "(?s).{0,300}") {
        hold(text.as_bytes());
    }

    #[test]
    fn the_line_index_and_rust_ini_agree_over_what_looks_like_a_definition_file(text in ini_like()) {
        hold(text.as_bytes());
    }

    #[test]
    fn a_definition_is_the_same_behind_the_wire(text in nearly_sound()) {
        hold(text.as_bytes());
    }
}
