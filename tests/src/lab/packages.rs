//! The Debian packages of this checkout, which `make deb` builds, and `make quick-deb` for the tests.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::machine::Machine;
use super::order::{Order, Said};

/// What the administrator of a monitoring server installs.
pub const SERVER: [&str; 2] = ["auto-monitor-checks", "auto-monitor-server-nagios"];
/// What is installed on a host that is to be watched.
pub const CLIENT: [&str; 1] = ["auto-monitor-client"];

/// The control file of the release after this one. The packages that need each other's version go on doing so.
const NEXT: &str =
    r"sed -i -E 's/^(Version: .*)$/\1+next/; s/(auto-monitor-[a-z]+ \(= [^)]*)\)/\1+next)/' DEBIAN/control";

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

    /// Where they are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
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

    /// The names of all of them, without those that hold debug symbols.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let package = name.strip_suffix(".deb").and_then(|name| name.split_once('_'));
            names.extend(
                package.map(|(package, _)| package.to_owned()).filter(|name| !name.ends_with("-dbgsym")),
            );
        }
        names.sort();
        Ok(names)
    }

    /// The same packages once more, changed by a shell script that is run in the folder of each one's unpacked contents,
    /// with dpkg's own files in `DEBIAN`. They are put into this folder.
    ///
    /// # Errors
    /// A package cannot be unpacked, changed or built.
    pub fn changed(&self, names: &[&str], script: &str, folder: &Path) -> Result<Self> {
        let scratch = tempfile::tempdir()?;
        let rebuild = format!(
            "set -e; dpkg-deb -R \"$1\" \"$2\"; (cd \"$2\"; {script}); \
             dpkg-deb -Znone --root-owner-group -b \"$2\" \"$3\" >/dev/null"
        );
        fs::create_dir_all(folder)?;
        for name in names {
            let (from, unpacked) = (self.file(name)?, scratch.path().join(name));
            let words =
                ["sh", "-c", &rebuild, "rebuild", &from.to_string_lossy(), &unpacked.to_string_lossy()];
            Order::new(&words, &[&folder.to_string_lossy()]).expect(0)?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// The same packages as the release after this one.
    ///
    /// # Errors
    /// As [`Packages::changed`].
    pub fn next(&self, names: &[&str], folder: &Path) -> Result<Self> {
        self.changed(names, NEXT, folder)
    }

    /// Installs some of them on a machine, with what they depend on, as `apt install ./FILE…` does.
    ///
    /// # Errors
    /// apt fails.
    pub fn install(&self, machine: &Machine, names: &[&str]) -> Result<Said> {
        machine.install_files(&self.files(names)?)
    }
}
