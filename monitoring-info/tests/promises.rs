//! Every test that `docs/security.md` names for a promise exists, in the crate that it names; and of what is fuzzed, it says
//! what each target holds.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn source_of(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&source_of(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
    text
}

/// The rows of the table with this header.
fn table(header: &str) -> Vec<String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/security.md")).unwrap();
    let rows = page.lines().skip_while(|line| *line != header).take_while(|line| line.starts_with('|'));
    rows.skip(2).map(str::to_owned).collect()
}

/// What stands in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_promise_has_its_test() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut named = 0;
    for row in table("| it cannot | because | test |") {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for of_crate in tests.split("; ") {
            let (name, tests) = of_crate.split_once(": ").unwrap_or_else(|| panic!("{row}"));
            let source = source_of(&checkout.join(name));
            for test in quoted(tests) {
                assert!(source.contains(&format!("fn {test}(")), "{name} has no test {test}");
                named += 1;
            }
        }
    }
    assert!(named > 10, "{named}");
}

#[test]
fn every_fuzz_target_is_run_and_told_of() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let files = fs::read_dir(folder.join("fuzz_targets")).unwrap();
    let targets: BTreeSet<String> =
        files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();

    let rows = table("| target | reads | and holds that |");
    let told = rows.iter().flat_map(|row| quoted(row.split(" | ").next().unwrap()));
    assert_eq!(told.map(str::to_owned).collect::<BTreeSet<_>>(), targets);

    // cargo runs what the manifest names, and finds nothing in this folder by itself.
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    for target in &targets {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
    }
}
