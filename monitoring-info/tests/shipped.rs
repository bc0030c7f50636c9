//! Every definition file that we ship is sound, and is named for its package; also once what is commented out in it is
//! taken into use.

use std::fs;
use std::path::{Path, PathBuf};

use monitoring_info::definition::{self, Definition};

fn shipped() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../monitoring-info.d");
    let files = fs::read_dir(&folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    });
    let files: Vec<_> = files.collect();
    assert!(!files.is_empty(), "no definition found in {}", folder.display());
    files
}

/// What stands behind `;` is a definition that is commented out; prose stands behind `#`.
fn uncommented(text: &str) -> String {
    text.lines().map(|line| line.strip_prefix(';').unwrap_or(line)).flat_map(|line| [line, "\n"]).collect()
}

fn sound(path: &Path, text: &str) -> Vec<Definition> {
    let (drafts, mut problems) = definition::read(&path.display().to_string(), text.as_bytes());
    let mut definitions = Vec::new();
    for draft in &drafts {
        let (definition, more) = draft.settle();
        definitions.extend(definition);
        problems.extend(more);
    }
    assert!(problems.is_empty(), "{}", problems.iter().map(ToString::to_string).collect::<String>());
    definitions
}

#[test]
fn every_shipped_definition_is_sound() {
    for (path, text) in shipped() {
        sound(&path, &text);
        let definitions = sound(&path, &uncommented(&text));
        assert!(!definitions.is_empty(), "{} has no definition, not even commented out", path.display());
        let package = path.file_stem().unwrap().to_str().unwrap();
        for definition in definitions {
            assert!(
                definition.name().as_str().starts_with(package),
                "{}: its services are named for the package, so that an opt-out is easy to guess",
                path.display()
            );
        }
        assert_eq!(path.extension().unwrap(), "conf");
    }
}

#[test]
fn every_shipped_file_says_why() {
    for (path, text) in shipped() {
        assert!(text.starts_with("# "), "{} does not begin with its reason", path.display());
        let commented_out = text.lines().any(|line| line.starts_with(';'));
        let place = format!("/etc/monitoring-info/{}", path.file_name().unwrap().to_str().unwrap());
        assert_eq!(
            commented_out,
            text.contains(&place),
            "{}: where what is commented out is taken into use",
            path.display()
        );
    }
}
