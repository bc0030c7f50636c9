//! Which Debian packages are there, by dpkg's own database.
//!
//! It is read as a file, not asked of `dpkg-query`: that costs a process on every run, and is not there for an image.
//! During a run of dpkg (its triggers call us) what has just changed stands in `updates/`, which dpkg itself reads on
//! top of `status`; so do we.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::process::{Flock, FlockType, fcntl_getlk};

use crate::root::Root;

const STATUS: &str = "/var/lib/dpkg/status";
const UPDATES: &str = "/var/lib/dpkg/updates";
/// Fifty times the largest that was seen.
const DATABASE_MAX: usize = 256 * 1024 * 1024;

/// The folder of dpkg's database.
pub const DATABASE: &str = "/var/lib/dpkg";
/// What apt and dpkg lock there for the whole of a run (`dpkg --force-help`, `lock-frontend`), and close at its end.
pub const LOCK: &str = "lock-frontend";

/// Whether a package manager is at work: somebody holds its lock. Where that cannot be told, nobody does.
#[must_use]
pub fn are_at_work(root: &Root) -> bool {
    let lock = Flock::from(FlockType::WriteLock);
    File::open(root.path(DATABASE).join(LOCK))
        .is_ok_and(|file| fcntl_getlk(&file, &lock).is_ok_and(|holder| holder.is_some()))
}

/// The packages of a host. A host without dpkg has none.
#[derive(Debug, Default)]
pub struct Packages {
    /// By name and architecture, because of one package several architectures can be installed.
    records: HashMap<(String, String), Record>,
}

#[derive(Debug)]
struct Record {
    present: bool,
    removed: bool,
    conffiles: Vec<String>,
}

impl Packages {
    /// Reads the database; of conffiles, those in this folder.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn read(root: &Root, folder: &str) -> io::Result<Self> {
        let mut packages = Self::default();
        let Some(status) = read_if_there(root, Path::new(STATUS))? else {
            return Ok(packages);
        };
        packages.take(&String::from_utf8_lossy(&status), folder);
        let mut updates: Vec<_> = match fs::read_dir(root.path(UPDATES)) {
            Ok(entries) => entries.collect::<io::Result<Vec<_>>>()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        // dpkg's names for them are numbers of one width; `tmp.i` is one in the making.
        updates.retain(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit));
        updates.sort_by_key(fs::DirEntry::file_name);
        for update in updates {
            // dpkg may have folded it into `status` meanwhile; the next run sees that.
            if let Some(bytes) = read_if_there(root, &Path::new(UPDATES).join(update.file_name()))? {
                packages.take(&String::from_utf8_lossy(&bytes), folder);
            }
        }
        Ok(packages)
    }

    fn take(&mut self, text: &str, folder: &str) {
        for stanza in text.split("\n\n") {
            let (mut name, mut architecture, mut state) = ("", "", "");
            let mut conffiles = Vec::new();
            let mut in_conffiles = false;
            for line in stanza.lines() {
                if let Some(continued) = line.strip_prefix(' ') {
                    if in_conffiles && continued.starts_with(folder) {
                        conffiles.extend(continued.split(' ').next().map(str::to_owned));
                    }
                    continue;
                }
                in_conffiles = false;
                if let Some(value) = line.strip_prefix("Package: ") {
                    name = value.trim();
                } else if let Some(value) = line.strip_prefix("Architecture: ") {
                    architecture = value.trim();
                } else if let Some(value) = line.strip_prefix("Status: ") {
                    state = value.split_whitespace().nth(2).unwrap_or_default();
                } else {
                    in_conffiles = line.starts_with("Conffiles:");
                }
            }
            if name.is_empty() {
                continue;
            }
            let removed = state == "config-files";
            // A package in the middle of an upgrade is still there: to withdraw it for a moment would be a false
            // alarm in the other direction.
            let present = !removed && state != "not-installed" && !state.is_empty();
            self.records
                .insert((name.to_owned(), architecture.to_owned()), Record { present, removed, conffiles });
        }
    }

    /// Whether a package is installed.
    #[must_use]
    pub fn installed(&self, package: &str) -> bool {
        self.records.iter().any(|((name, _), record)| record.present && name == package)
    }

    /// The package that left this conffile behind when it was removed, unless an installed one has it too.
    #[must_use]
    pub fn left_behind(&self, path: &str) -> Option<&str> {
        let mut owners = self
            .records
            .iter()
            .filter(|(_, record)| record.conffiles.iter().any(|conffile| conffile == path));
        let first = owners.clone().find(|(_, record)| record.removed)?;
        if owners.any(|(_, record)| record.present) { None } else { Some(&first.0.0) }
    }
}

fn read_if_there(root: &Root, path: &Path) -> io::Result<Option<Vec<u8>>> {
    match root.read(path, DATABASE_MAX).map_err(io::Error::from) {
        Ok(contents) if contents.bytes.len() > DATABASE_MAX => Err(io::ErrorKind::FileTooLarge.into()),
        Ok(contents) => Ok(Some(contents.bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATABASE: &str = "\
Package: apache2
Status: install ok installed
Architecture: amd64
Conffiles:
 /etc/monitoring-info/apache2.conf 0123

Package: slapd
Status: deinstall ok config-files
Architecture: amd64
Conffiles:
 /etc/default/slapd 0123
 /etc/monitoring-info/slapd.conf 0123
Description: x
 /etc/monitoring-info/not-a-conffile.conf 1

Package: old-mail
Status: deinstall ok config-files
Architecture: all
Conffiles:
 /etc/monitoring-info/mail.conf 0123

Package: new-mail
Status: install ok triggers-awaited
Architecture: all
Conffiles:
 /etc/monitoring-info/mail.conf 0123
";

    fn packages(texts: &[&str]) -> Packages {
        let mut packages = Packages::default();
        for text in texts {
            packages.take(text, "/etc/monitoring-info/");
        }
        packages
    }

    #[test]
    fn removed_packages_leave_conffiles_behind_unless_another_has_them() {
        let packages = packages(&[DATABASE]);
        assert!(packages.installed("apache2") && packages.installed("new-mail"));
        assert!(!packages.installed("slapd") && !packages.installed("nothing"));
        assert_eq!(packages.left_behind("/etc/monitoring-info/slapd.conf"), Some("slapd"));
        assert_eq!(packages.left_behind("/etc/monitoring-info/apache2.conf"), None);
        assert_eq!(packages.left_behind("/etc/monitoring-info/mail.conf"), None);
        assert_eq!(packages.left_behind("/etc/monitoring-info/not-a-conffile.conf"), None);
    }

    #[test]
    fn what_changed_in_the_running_dpkg_counts() {
        let update = "Package: apache2\nStatus: deinstall ok config-files\nArchitecture: amd64\nConffiles:\n /etc/monitoring-info/apache2.conf 0123\n";
        let packages = packages(&[DATABASE, update]);
        assert!(!packages.installed("apache2"));
        assert_eq!(packages.left_behind("/etc/monitoring-info/apache2.conf"), Some("apache2"));
    }

    #[test]
    fn a_host_without_dpkg_has_no_packages() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path()).unwrap();
        assert!(!Packages::read(&root, "/etc/").unwrap().installed("dpkg"));
    }
}
