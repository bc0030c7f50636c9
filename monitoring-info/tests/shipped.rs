//! Every definition file that we ship is sound, and is named for its package.

use std::fs;
use std::path::Path;

use monitoring_info::definition;

#[test]
fn every_shipped_definition_is_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../monitoring-info.d");
    let mut seen = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let (drafts, mut problems) = definition::read(&path.display().to_string(), &fs::read(&path).unwrap());
        for draft in &drafts {
            let (definition, more) = draft.settle();
            problems.extend(more);
            let package = path.file_stem().unwrap().to_str().unwrap();
            assert!(
                definition.is_none_or(|definition| definition.name().as_str().starts_with(package)),
                "{}: its services are named for the package, so that an opt-out is easy to guess",
                path.display()
            );
        }
        assert!(problems.is_empty(), "{}", problems.iter().map(ToString::to_string).collect::<String>());
        assert_eq!(path.extension().unwrap(), "conf");
        seen += 1;
    }
    assert!(seen > 0, "no definition found in {}", folder.display());
}
