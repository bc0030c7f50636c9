//! A client and a server one release apart understand each other: the documents of every released version, in
//! `wire/VERSION/`, are read, and those of this version are written exactly as they stand there.
//!
//! A change that fails here needs a new version, with a folder of its own; the old folder stays, and so does what reads
//! it.

use std::fs;
use std::path::{Path, PathBuf};

use monitoring_info::published::{self, Published};
use monitoring_info::registration::{self, Reply, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads a document, and writes it again.
fn rewritten<T: DeserializeOwned + Serialize>(path: &Path, text: &str) -> String {
    let document: T =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    format!("{}\n", serde_json::to_string_pretty(&document).unwrap())
}

fn documents(version: u32) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/wire/{version}"));
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

#[test]
fn documents_of_every_version_are_read_and_of_this_one_written() {
    assert_eq!(registration::VERSION, published::VERSION, "one folder holds both");
    for version in 1..=registration::VERSION {
        let mut kinds = [0; 3];
        for path in documents(version) {
            let text = fs::read_to_string(&path).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            let (kind, again) = match name.split(['-', '.']).next() {
                Some("request") => (0, rewritten::<Request>(&path, &text)),
                Some("reply") => (1, rewritten::<Reply>(&path, &text)),
                Some("published") => (2, rewritten::<Published>(&path, &text)),
                _ => panic!("{name} says not what it is"),
            };
            kinds[kind] += 1;
            if version == registration::VERSION {
                assert_eq!(again, text, "{}", path.display());
            }
        }
        assert!(
            kinds.iter().all(|&count| count > 0),
            "version {version} lacks a kind of document: {kinds:?}"
        );
    }
}
