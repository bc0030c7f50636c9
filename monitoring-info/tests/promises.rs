//! Every test that `docs/security.md` names for a promise exists, in the crate that it names.

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

#[test]
fn every_promise_has_its_test() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(checkout.join("docs/security.md")).unwrap();
    let mut named = 0;
    for row in page.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for of_crate in tests.split("; ") {
            let (name, tests) = of_crate.split_once(": ").unwrap_or_else(|| panic!("{row}"));
            let source = source_of(&checkout.join(name));
            for test in tests.split('`').skip(1).step_by(2) {
                assert!(source.contains(&format!("fn {test}(")), "{name} has no test {test}");
                named += 1;
            }
        }
    }
    assert!(named > 10, "{named}");
}
