//! The hosts of a generation as its files have them, for one that has lost its list of them.
//!
//! What is in force is what the files say; the list repeats it. Nothing else may stand in for it: an empty list would have
//! every host go unheard that vanishes meanwhile, and a former generation's would bring back who has left on purpose. Two
//! things are not in the files, a host's tags and what the administrator says of it. So who calls this has every host read
//! again, and only one that is held or quarantined is without its tags' groups, until it is as it wants to be.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use monitoring_info::host::HostName;
use monitoring_info::published::Published;
use rayon::prelude::*;

use super::Error;
use super::generation::{HOSTS, document};
use super::manifest::Entry;
use super::watched::services_of;
use crate::failure::FileError;
use crate::folder;
use crate::target::{ENGINE, Group};

/// Where the hosts of the generation in a folder are.
pub(super) fn folder_of_hosts(generation: &Path) -> PathBuf {
    generation.join(ENGINE).join(HOSTS)
}

/// The hosts of the generation in a folder.
pub(super) fn hosts(generation: &Path) -> Result<BTreeMap<HostName, Arc<Entry>>, Error> {
    let folder = folder_of_hosts(generation);
    let fail = |source| Error::File(FileError { action: "read", path: folder.clone(), source });
    let mut files = Vec::new();
    for file in fs::read_dir(&folder).map_err(fail)? {
        let file = PathBuf::from(file.map_err(fail)?.file_name());
        let name = file.file_stem().and_then(|stem| stem.to_str()?.parse::<HostName>().ok());
        files.extend(name.map(|name| (name, file)));
    }
    files
        .into_par_iter()
        .map(|(name, file)| {
            let entry = entry(generation, &name, &file)?;
            Ok((name, Arc::new(entry)))
        })
        .collect()
}

fn entry(generation: &Path, name: &HostName, file: &Path) -> Result<Entry, Error> {
    let read = |path: PathBuf| {
        folder::read(&path).map_err(|source| Error::File(FileError { action: "read", path, source }))
    };
    let configuration = read(folder_of_hosts(generation).join(file))?;
    let path = generation.join(document(name));
    let document = read(path.clone())?;
    let published: Published = serde_json::from_slice(&document)
        .map_err(|error| Error::File(FileError { action: "understand", path, source: error.into() }))?;
    let services: Vec<_> =
        published.definitions.iter().filter_map(|sent| services_of(&published, sent)).flatten().collect();
    let groups = services.iter().map(|service| Group::Type(service.kind.clone())).collect();
    Entry::of(&published, &services, &groups, Path::new(HOSTS).join(file), [&configuration, &document])
}
