//! What is published, as who publishes again and again remembers it: of ten thousand hosts, to read it anew took 0.05 s of the
//! 0.25 s that a publish of one change took beside the engine.

use std::path::PathBuf;

use super::Error;
use super::generation::{current_number, in_force};
use super::manifest::{ENTRIES, MANIFEST, Manifest, SOURCES};
use super::stamp::Stamp;
use crate::paths::Paths;

/// The manifest of the current generation, and from what it was read. Whoever else publishes, or damages or restores that,
/// leaves other files, and it is read again.
#[derive(Debug, Default)]
pub(super) struct Memory {
    from: Option<ReadFrom>,
    manifest: Option<Manifest>,
}

#[derive(Debug, PartialEq, Eq)]
struct ReadFrom {
    /// What `current` says: where it is no link any more, the next publish makes it one.
    current: Option<u64>,
    folder: PathBuf,
    stamps: [Option<Stamp>; 3],
}

impl ReadFrom {
    fn now(paths: &Paths) -> Self {
        let folder = in_force(paths);
        let stamps = [MANIFEST, ENTRIES, SOURCES].map(|name| Stamp::of(&folder.join(name)));
        Self { current: current_number(paths), folder, stamps }
    }
}

impl Memory {
    /// The manifest of the current generation, taken out of the memory.
    pub(super) fn current(&mut self, paths: &Paths) -> Result<Option<Manifest>, Error> {
        // Before they are read: ones that take their place meanwhile are not what is remembered.
        let from = Some(ReadFrom::now(paths));
        let remembered = self.manifest.take().filter(|_| self.from == from);
        self.from = from;
        remembered.map_or_else(|| Manifest::current(paths), |manifest| Ok(Some(manifest)))
    }

    /// Puts back what is still current.
    pub(super) fn put_back(&mut self, manifest: Option<Manifest>) {
        self.manifest = manifest;
    }

    /// Remembers what has become current, unless somebody has made something else of it since.
    pub(super) fn replace(&mut self, paths: &Paths, manifest: Manifest) {
        let from = ReadFrom::now(paths);
        let manifest = Some(manifest).filter(|manifest| from.current == Some(manifest.generation));
        *self = Self { from: Some(from), manifest };
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::publish::generation::point;

    #[test]
    fn what_is_remembered_is_what_is_still_there() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path()).unwrap();
        let write = |generation: u64, made_of: &str| {
            let folder = paths.generations().join(generation.to_string());
            fs::create_dir_all(&folder).unwrap();
            let manifest = Manifest { generation, inputs: made_of.to_owned(), ..Manifest::default() };
            fs::write(folder.join(MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
            fs::write(folder.join(ENTRIES), "{}").unwrap();
            fs::write(folder.join(SOURCES), "{}").unwrap();
        };
        let mut memory = Memory::default();
        let inputs = |memory: &mut Memory| memory.current(&paths).unwrap().unwrap().inputs;
        write(1, "read");
        point(&paths, Some(1)).unwrap();
        assert_eq!(inputs(&mut memory), "read");
        let remembered = || Manifest {
            generation: current_number(&paths).unwrap(),
            inputs: "remembered".to_owned(),
            ..Manifest::default()
        };
        for (other, read) in [
            (&(|| write(1, "written anew")) as &dyn Fn(), Some("written anew")),
            (&|| fs::remove_file(paths.generations().join("1").join(SOURCES)).unwrap(), Some("")),
            (
                &|| {
                    write(2, "of another publish");
                    point(&paths, Some(2)).unwrap();
                },
                Some("of another publish"),
            ),
            (&|| fs::remove_file(paths.current()).unwrap(), None),
        ] {
            memory.replace(&paths, remembered());
            assert_eq!(inputs(&mut memory), "remembered");
            memory.put_back(Some(remembered()));
            assert_eq!(inputs(&mut memory), "remembered");
            memory.put_back(Some(remembered()));
            other();
            let inputs = memory.current(&paths).unwrap().map(|manifest| manifest.inputs);
            assert_eq!(inputs.as_deref(), read);
        }
    }
}
