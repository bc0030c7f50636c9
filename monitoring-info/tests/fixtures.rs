//! Every rejection and its exact words, every type and its exact values: the folders `tests/invalid` and `tests/valid`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use monitoring_info::definition::{self, Definition};
use monitoring_info::diagnostic::{Problem, arranged};
use monitoring_info::host::HostName;
use monitoring_info::overrides::Overrides;
use monitoring_info::service::Kind;

const UPDATE: &str = "UPDATE_FIXTURES";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests").join(name)
}

/// The stems of the files with this extension.
fn stems(folder: &Path, extension: &str) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

fn settle(name: &str, bytes: &[u8]) -> (Vec<Definition>, Vec<Problem>) {
    let (drafts, mut problems) = definition::read(name, bytes);
    let mut definitions = Vec::new();
    for draft in drafts {
        let (definition, more) = draft.settle();
        definitions.extend(definition);
        problems.extend(more);
    }
    (definitions, arranged(problems))
}

/// Every problem of a fixture of `invalid`, as `auto-monitor check` prints them.
fn problems_of(name: &str, bytes: &[u8]) -> String {
    let path = format!("{name}.conf");
    let problems = if name.starts_with("overrides-") {
        arranged(Overrides::parse(&path, bytes).1)
    } else {
        settle(&path, bytes).1
    };
    assert!(!problems.is_empty(), "{name} is accepted");
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The text without the lists of types in its messages, so that a new type changes no fixture.
fn without_types(text: &str) -> String {
    let mut shown = String::new();
    for line in text.split_inclusive('\n') {
        let list = ["the types are ", "it is a key of "].iter().find_map(|begin| line.split_once(begin));
        let Some((_, list)) = list else {
            shown.push_str(line);
            continue;
        };
        let end = list.find([';', '\n']).unwrap_or(list.len());
        shown.extend([line.strip_suffix(list).unwrap(), "…", &list[end..]]);
    }
    shown
}

/// Compares what each `NAME.conf` of the folder yields with its `NAME.txt`.
fn compare(folder: &Path, least: usize, yielded: impl Fn(&str, &[u8]) -> String) {
    let names = stems(folder, "conf");
    assert!(names.len() >= least, "only {} fixtures in {}", names.len(), folder.display());
    let update = std::env::var_os(UPDATE).is_some();
    let mut different = String::new();
    for name in &names {
        let expected = folder.join(format!("{name}.txt"));
        let actual = yielded(name, &fs::read(folder.join(format!("{name}.conf"))).unwrap());
        if update {
            fs::write(&expected, actual).unwrap();
        } else if fs::read_to_string(&expected).ok().as_ref() != Some(&actual) {
            write!(different, "--- {}\n{actual}\n", expected.display()).unwrap();
        }
    }
    assert!(
        different.is_empty(),
        "not what is written there (if it is right, run with {UPDATE}=1):\n{different}"
    );
    assert_eq!(names, stems(folder, "txt"), "each .conf has its .txt, and each .txt its .conf");
}

#[test]
fn every_rejection_has_its_words() {
    compare(&folder("invalid"), 70, |name, bytes| without_types(&problems_of(name, bytes)));
}

#[test]
fn every_type_has_its_values() {
    let host: HostName = "web1.example.org".parse().unwrap();
    compare(&folder("valid"), 15, |name, bytes| {
        let (definitions, problems) = settle(&format!("{name}.conf"), bytes);
        assert!(problems.is_empty(), "{}", problems.iter().map(ToString::to_string).collect::<String>());
        let shown = definitions.iter().map(|definition| {
            let mut shown = format!("[{}]\ntype = {}\n", definition.name(), definition.kind().name);
            for key in definition.kind().keys() {
                let mark = if definition.value(key.name).is_some() { "" } else { "# " };
                if let Some(value) = definition.value_for(key.name, &host) {
                    writeln!(shown, "{mark}{} = {value}", key.name).unwrap();
                }
            }
            shown
        });
        shown.collect::<Vec<_>>().join("\n")
    });
}

#[test]
fn the_fixture_of_a_type_uses_all_its_keys() {
    let kinds: Vec<&Kind> =
        stems(&folder("valid"), "conf").iter().filter_map(|name| Kind::named(name)).collect();
    assert!(kinds.len() >= 9, "only {} types have a fixture", kinds.len());
    for kind in kinds {
        let bytes = fs::read(folder("valid").join(format!("{}.conf", kind.name))).unwrap();
        let definitions = settle(kind.name, &bytes).0;
        for key in kind.keys() {
            assert!(
                definitions
                    .iter()
                    .any(|definition| definition.kind() == kind && definition.value(key.name).is_some()),
                "tests/valid/{}.conf does not use `{}`",
                kind.name,
                key.name
            );
        }
    }
}

/// Messages that no file can provoke, and why.
const UNPROVOKED: &[(&str, &str)] = &[
    (
        "can be read in two ways",
        "only if the line index and rust-ini disagreed; a property test holds that they do not",
    ),
    ("write it in another way, and report this", "as above"),
    ("the value of `{}`", "as above"),
    ("the file cannot be read as INI: {}", "as above"),
    ("this section", "as above"),
    ("the host name is empty", "an empty value has its own message"),
    ("has upper-case letters", "values are put in lower case before they are judged"),
    ("is an address, not a host name", "an address is a value of these keys"),
    ("the {noun} is empty", "an empty name or value has its own message"),
    ("a host name is made of labels", "values have a help of their own"),
    ("give the host its own name", "as above"),
    ("the password in its first line {why}", "the client's to provoke: it reads the file"),
    ("write the password alone into the file's first line", "as above"),
    ("has blanks at its edges", "as above"),
    ("holds control characters", "as above"),
    ("is too long", "as above"),
    ("is empty", "as above"),
    ("the form above says so", "an assertion about the sources"),
    ("give any text", "an empty value has its own message"),
    ("it is empty", "as above"),
];

/// The string literals of a source, without comments and tests, that are whole phrases.
fn phrases(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap();
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut phrases = Vec::new();
    let mut chars = code.chars();
    let mut before = String::new();
    while let Some(c) = chars.next() {
        if c == '\'' {
            // A character, which may be a quotation mark; or a lifetime, which is none.
            let mut ahead = chars.clone();
            if ahead.next() == Some('"') && ahead.next() == Some('\'') {
                chars = ahead;
            }
        }
        if c != '"' {
            before.push(c);
            continue;
        }
        // Not messages, but documentation.
        let documents = before.ends_with("name: ") || before.ends_with("form: ");
        before.clear();
        let mut literal = String::new();
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '\\' => match chars.next() {
                    Some('\n') => chars = chars.as_str().trim_start().chars(),
                    // What a person sees of a literal `\xEF` is not resolved; no message has another escape.
                    Some(escaped) => literal.push(escaped),
                    None => {}
                },
                c => literal.push(c),
            }
        }
        if literal.trim().contains(' ') && !documents {
            phrases.push(literal);
        }
    }
    phrases
}

/// The fixed pieces of a format string.
fn pieces(phrase: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut depth = 0;
    for c in phrase.chars() {
        match c {
            '{' => {
                depth += 1;
                pieces.push(String::new());
            }
            '}' => depth -= 1,
            c if depth == 0 => pieces.last_mut().unwrap().push(c),
            _ => {}
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

#[test]
fn every_message_of_the_sources_is_in_a_fixture() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let invalid = folder("invalid");
    let texts: Vec<String> = stems(&invalid, "conf")
        .into_iter()
        .map(|name| problems_of(&name, &fs::read(invalid.join(format!("{name}.conf"))).unwrap()))
        .collect();
    let mut missing = Vec::new();
    for file in [
        "ini.rs",
        "ini/line.rs",
        "definition.rs",
        "definition/judgement.rs",
        "value.rs",
        "host.rs",
        "overrides.rs",
        "overrides/pattern.rs",
    ] {
        for phrase in phrases(&fs::read_to_string(src.join(file)).unwrap()) {
            let provoked =
                texts.iter().any(|text| pieces(&phrase).iter().all(|piece| text.contains(piece.as_str())));
            let excused = UNPROVOKED.iter().any(|(excused, _)| phrase.contains(excused));
            if !provoked && !excused {
                missing.push(format!("{file}: {phrase}"));
            }
        }
    }
    assert!(missing.is_empty(), "no fixture in tests/invalid provokes:\n{}", missing.join("\n"));
}
