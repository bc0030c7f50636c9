//! What holds over any bytes whatever: for the property tests, and for the fuzz targets `definition_file` and `overrides`.

use monitoring_info::definition::{self, Definition, Draft};
use monitoring_info::diagnostic::{PROBLEMS_MAX, Problem, Severity};
use monitoring_info::ini::{Document, Section, Spot};
use monitoring_info::overrides::{self, Overrides, Pattern};
use monitoring_info::registration::{Judged, Sent};

/// The sound definitions of a file, and every problem.
pub fn settled(bytes: &[u8]) -> (Vec<Definition>, Vec<Problem>) {
    let (drafts, mut problems) = definition::read("file", bytes);
    let mut definitions = Vec::new();
    for draft in drafts {
        let (definition, more) = draft.settle();
        definitions.extend(definition);
        problems.extend(more);
    }
    (definitions, problems)
}

/// Panics where one of the promises about a definition file does not hold.
pub fn hold_of_a_definition_file(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let lines: Vec<&str> = text.split('\n').collect();
    places_lead_back_to_what_was_read(bytes, text, &lines);
    let (definitions, problems) = settled(bytes);
    for problem in &problems {
        a_problem_stands_in_the_file_and_helps(problem, &lines);
    }
    for definition in definitions {
        a_definition_is_the_same_behind_the_wire(definition);
    }
}

/// Panics where one of the promises about the overrides does not hold.
pub fn hold_of_overrides(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let lines: Vec<&str> = text.split('\n').collect();
    let (overrides, problems) = Overrides::parse("overrides", bytes);
    for problem in &problems {
        a_problem_stands_in_the_file_and_helps(problem, &lines);
    }
    edits_do_what_they_say(&overrides, text);
    an_opt_out_is_where_the_file_says_so(&overrides, &lines);
    a_definition_gets_what_was_said_of_it(&overrides);
}

fn places_lead_back_to_what_was_read(bytes: &[u8], text: &str, lines: &[&str]) {
    let (document, problems) = Document::parse(bytes);
    assert!(problems.len() <= PROBLEMS_MAX + 1);
    let at = |spot: Spot| {
        let line = lines.get(spot.line - 1)?;
        assert_eq!(line.as_ptr() as usize - text.as_ptr() as usize, spot.offset);
        line.get(spot.start..spot.start + spot.length)
    };
    let sound = !problems.iter().any(|problem| problem.severity == Severity::Error);
    let check = |section: &Section| {
        assert!(!(sound && section.faulty), "a faulty section without a problem");
        for entry in &section.entries {
            assert_eq!(at(entry.value_place), Some(entry.value.as_str()));
            assert_eq!(at(entry.key_place).map(str::to_ascii_lowercase).as_ref(), Some(&entry.key));
        }
    };
    check(&document.head);
    for section in &document.sections {
        assert_eq!(at(section.place), Some(section.name.as_str()));
        check(section);
    }
}

fn a_problem_stands_in_the_file_and_helps(problem: &Problem, lines: &[&str]) {
    // These two would mean that the line index and rust-ini disagree.
    assert!(!problem.message.ends_with("can be read in two ways"), "{problem}");
    assert!(!problem.message.starts_with("the file cannot be read as INI"), "{problem}");
    assert!(problem.help.is_some() || problem.message.ends_with("of this file not shown"), "{problem}");
    // Bytes that are no text have no lines here.
    if let Some(place) = problem.place.as_ref().filter(|_| lines != [""]) {
        assert!(lines.get(place.line - 1).is_some(), "{problem}");
        // One behind the end is where something is missing.
        let end = place.text.chars().count() + 1;
        assert!(place.column >= 1 && place.width >= 1 && place.column + place.width <= end + 1, "{problem}");
    }
    let shown = problem.to_string();
    assert!(!shown.contains(|c: char| c != '\n' && c.is_control()), "{shown:?}");
}

fn a_definition_is_the_same_behind_the_wire(mut definition: Definition) {
    if definition.value("password_file").is_some() {
        definition.resolve_password("secret\n").expect("a sound password");
    }
    let sent = Sent::new(&definition, "/etc/monitoring-info/file.conf");
    let json = serde_json::to_string(&sent).expect("text can be written");
    let received: Sent = serde_json::from_str(&json).expect("what was written can be read");
    match received.judge() {
        Judged::Sound(judged) => assert_eq!(judged, definition),
        other => panic!("{received:?} was judged {other:?}"),
    }
}

/// A service is opted out only where `enabled` can be read below the section that is named.
fn an_opt_out_is_where_the_file_says_so(overrides: &Overrides, lines: &[&str]) {
    for opt_out in overrides.opt_outs() {
        let below = &lines[opt_out.place.line - 1..];
        assert!(below[0].contains(&format!("[{}]", opt_out.pattern)), "{opt_out:?}");
        let section = below.iter().skip(1).take_while(|line| !line.trim_start().starts_with('['));
        assert!(
            section.clone().any(|line| line.trim_start().to_ascii_lowercase().starts_with("enabled")),
            "{opt_out:?}"
        );
        if let Some(said) = &opt_out.reason {
            assert!(section.clone().any(|line| line.contains(said.as_str())), "{opt_out:?}");
        }
    }
}

/// Every setting of a definition is the definition's own or the overrides', each key is there once, and said twice, the
/// overrides say no more.
fn a_definition_gets_what_was_said_of_it(overrides: &Overrides) {
    for own in ["[a]\ntype = ssh\nport = 1\n", "[apache2]\ntype = http\nssl = True\n"] {
        for mut draft in definition::read("own", own.as_bytes()).0 {
            overrides.apply(&mut draft);
            for (at, setting) in draft.settings.iter().enumerate() {
                let line = setting.file.text.split('\n').nth(setting.value_place.line - 1);
                assert!(line.is_some_and(|line| line.contains(&setting.value)), "{setting:?}");
                assert!(draft.settings[..at].iter().all(|before| before.key != setting.key), "{setting:?}");
            }
            let said = |draft: &Draft| -> Vec<(String, String)> {
                let mut said: Vec<_> = draft
                    .settings
                    .iter()
                    .map(|setting| (setting.key.clone(), setting.value.clone()))
                    .collect();
                said.sort();
                said
            };
            let once = said(&draft);
            overrides.apply(&mut draft);
            assert_eq!(said(&draft), once);
            let _ = draft.settle();
        }
    }
}

fn edits_do_what_they_say(overrides: &Overrides, text: &str) {
    let today = jiff::civil::date(2026, 11, 20);
    let names = overrides.patterns().take(1).cloned();
    for pattern in names.chain("apache2".parse::<Pattern>()) {
        if let Ok(edited) = overrides::disable(text, &pattern, Some("because"), None) {
            if edited.len() <= monitoring_info::ini::FILE_MAX {
                let edited = Overrides::parse("overrides", edited.as_bytes()).0;
                let opt_out = edited.opted_out(pattern.as_str(), today).expect("it was opted out");
                assert_eq!(opt_out.reason.as_deref(), Some("because"));
            }
        }
        if let Ok(edited) = overrides::enable(text, &pattern, today) {
            let edited = Overrides::parse("overrides", edited.text.as_bytes()).0;
            assert!(edited.opted_out(pattern.as_str(), today).is_none());
        }
    }
}
