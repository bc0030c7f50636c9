//! The Debian packages of this checkout, which `make deb` builds.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::machine::Machine;
use super::order::Said;

/// What the administrator of a monitoring server installs.
pub const SERVER: [&str; 2] = ["auto-monitor-checks", "auto-monitor-server-nagios"];
/// What is installed on a host that is to be watched.
pub const CLIENT: [&str; 1] = ["auto-monitor-client"];

/// A folder with the packages of one version.
#[derive(Debug, Clone)]
pub struct Packages {
    folder: PathBuf,
}

impl Packages {
    /// Those in `target/debian` of this checkout, or in the folder that `AUTO_MONITOR_PACKAGES` names.
    ///
    /// # Errors
    /// They were not built.
    pub fn built() -> Result<Self> {
        let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debian");
        let packages = Self { folder: env::var_os("AUTO_MONITOR_PACKAGES").map_or_else(here, PathBuf::from) };
        packages.file(CLIENT[0])?;
        Ok(packages)
    }

    /// The file of a package.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn file(&self, package: &str) -> Result<PathBuf> {
        let beginning = format!("{package}_");
        let listed = fs::read_dir(&self.folder)
            .with_context(|| format!("no packages in {}; make deb builds them", self.folder.display()))?;
        let mut found = Vec::new();
        for entry in listed {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(&beginning) && path.extension().is_some_and(|extension| extension == "deb") {
                found.push(path);
            }
        }
        match found.as_slice() {
            [file] => Ok(file.clone()),
            [] => bail!("{package} is not in {}; make deb builds it", self.folder.display()),
            _ => bail!("{package} is in {} more than once: {found:?}", self.folder.display()),
        }
    }

    /// The files of some of them.
    ///
    /// # Errors
    /// As [`Packages::file`].
    pub fn files(&self, names: &[&str]) -> Result<Vec<PathBuf>> {
        names.iter().map(|name| self.file(name)).collect()
    }

    /// Installs some of them on a machine, with what they depend on, as `apt install ./FILE…` does.
    ///
    /// # Errors
    /// apt fails.
    pub fn install(&self, machine: &Machine, names: &[&str]) -> Result<Said> {
        machine.install_files(&self.files(names)?)
    }
}
