//! Every test that `docs/security.md` names for a promise exists, in the crate that it names; and of what is fuzzed, it says
//! what each target holds. `docs/format.md` says of every type which program probes it, and why that one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use monitoring_info::service::KINDS;

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

/// The rows of the table with this header, of this page.
fn table(page: &str, header: &str) -> Vec<String> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = fs::read_to_string(docs.join(page)).unwrap();
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
    for row in table("security.md", "| it cannot | because | test |") {
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

    let rows = table("security.md", "| target | reads | and holds that |");
    let told = rows.iter().flat_map(|row| quoted(row.split(" | ").next().unwrap()));
    assert_eq!(told.map(str::to_owned).collect::<BTreeSet<_>>(), targets);

    // cargo runs what the manifest names, and finds nothing in this folder by itself.
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    for target in &targets {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
    }
}

#[test]
fn of_every_type_it_is_said_which_program_probes_it() {
    let rows = table("format.md", "| definition | program | why not the one of monitoring-plugins |");
    let told: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| row.trim_start_matches("| ").split(" | ").next())
        .flat_map(|definitions| definitions.split(", "))
        .collect();
    let untold: Vec<&str> = KINDS.iter().map(|kind| kind.name).filter(|name| !told.contains(name)).collect();
    assert_eq!(untold, [""; 0], "write a row for these");
}
