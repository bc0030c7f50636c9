//! Which definition files count on this host.
//!
//! Three layers, lowest first; a file replaces one of the same name in a lower layer, whole. A file that does not count
//! (masked, replaced, of a package that is not there) is remembered with the reason, so that `status` can answer the
//! question "why is this not watched?".

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use monitoring_info::diagnostic::Problem;
use monitoring_info::host::{is_unprintable, quoted};
use serde::Serialize;

use crate::packages::Packages;
use crate::root::{Root, reason};

/// Shipped by auto-monitor for packages that bring no definitions: `PACKAGE.conf` each.
const SHIPPED: &str = "/usr/share/auto-monitor/monitoring-info.d";
/// Where packages put their own.
const VENDOR: &str = "/usr/share/monitoring-info.d";
/// Where packages put theirs as conffiles, and the administrator puts the host's.
const LOCAL: &str = "/etc/monitoring-info";
const LOCAL_FILES: &str = "/etc/monitoring-info/";
/// The folders of definition files, the lowest layer first.
pub const LAYERS: [&str; 3] = [SHIPPED, VENDOR, LOCAL];

/// The device number of `/dev/null` (Linux, Documentation/admin-guide/devices.txt): major 1, minor 3.
const NULL_DEVICE: u64 = 0x103;

/// The definition files of a host.
#[derive(Debug, Default)]
pub struct Layers {
    /// Those that count, by file name: system paths.
    pub active: Vec<PathBuf>,
    /// Those that do not.
    pub inactive: Vec<Inactive>,
    /// What could not be looked at.
    pub problems: Vec<Problem>,
}

/// A definition file that does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inactive {
    /// Its path, below the root.
    pub path: String,
    /// Why it does not count, and what would change that.
    pub reason: String,
    /// Whether that is how it is meant to be: it is one of ours, for a package that this host has not.
    pub ordinary: bool,
}

/// Looks through the layers.
#[must_use]
pub fn find(root: &Root) -> Layers {
    let mut layers = Layers::default();
    let files: Vec<(&str, Vec<OsString>)> =
        LAYERS.iter().map(|layer| (*layer, layers.list(root, layer))).collect();
    let packages = layers.packages(root, &files);
    let mut winners: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for (layer, names) in files {
        for name in names {
            let system = Path::new(layer).join(&name);
            if let Some(reason) = absent(layer, &name, &system, &packages) {
                layers.set_aside(root, &system, reason);
                if let Some(inactive) = layers.inactive.last_mut() {
                    inactive.ordinary = layer == SHIPPED;
                }
                continue;
            }
            if let Some(replaced) = winners.remove(&name) {
                let by = root.path(&system);
                layers.set_aside(root, &replaced, format!("{} takes its place", by.display()));
            }
            if is_mask(&root.path(&system)) {
                let reason = "it is a link to /dev/null, which switches off every file of this name";
                layers.set_aside(root, &system, reason.to_owned());
            } else {
                winners.insert(name, system);
            }
        }
    }
    layers.active = winners.into_values().collect();
    layers
}

/// Whether the name of a file says that it is not meant: hidden, or what editors, dpkg and ucf leave behind.
#[must_use]
pub fn is_ignored(name: &str) -> bool {
    name.starts_with('.')
        || ["~", ".bak", ".swp"].iter().any(|end| name.ends_with(end))
        || [".dpkg-", ".ucf-"].iter().any(|mark| name.contains(mark))
}

/// Why a file of this layer is as good as not there.
fn absent(layer: &str, name: &OsString, system: &Path, packages: &Packages) -> Option<String> {
    let name = name.to_str()?;
    if layer == SHIPPED {
        let package = name.strip_suffix(".conf").unwrap_or(name);
        return (!packages.installed(package)).then(|| format!("the package {package} is not installed"));
    }
    if layer == LOCAL {
        let package = packages.left_behind(system.to_str()?)?;
        return Some(format!(
            "the package {package} was removed but not purged; to use the file nevertheless, copy it to another name"
        ));
    }
    None
}

fn is_mask(path: &Path) -> bool {
    let Ok(target) = fs::read_link(path) else {
        return false;
    };
    target == Path::new("/dev/null")
        || fs::metadata(path).is_ok_and(|end| end.file_type().is_char_device() && end.rdev() == NULL_DEVICE)
}

impl Layers {
    fn set_aside(&mut self, root: &Root, system: &Path, reason: String) {
        let path = root.path(system).display().to_string();
        self.inactive.push(Inactive { path, reason, ordinary: false });
    }

    /// The names of a layer's files. They become text in messages and on the wire, so those that are none are refused.
    fn list(&mut self, root: &Root, layer: &str) -> Vec<OsString> {
        let folder = root.path(layer);
        let mut names = Vec::new();
        let entries = match root.resolve(Path::new(layer)).and_then(fs::read_dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return names,
            Err(error) => {
                self.problems.push(unlistable(&folder, &error));
                return names;
            }
        };
        for entry in entries {
            let name = match entry {
                Ok(entry) => entry.file_name(),
                Err(error) => {
                    self.problems.push(unlistable(&folder, &error));
                    break;
                }
            };
            match name.to_str() {
                Some(text) if is_ignored(text) => {}
                Some(text) if !text.chars().any(is_unprintable) => names.push(name),
                _ => self.problems.push(
                    Problem::error(format!(
                        "the file name {} is not plain text",
                        quoted(&name.to_string_lossy())
                    ))
                    .file(folder.display().to_string())
                    .help("rename the file; a name is UTF-8 without control characters"),
                ),
            }
        }
        names.sort();
        names
    }

    /// dpkg's database, where any file's fate depends on it: it is megabytes on a large host.
    fn packages(&mut self, root: &Root, files: &[(&str, Vec<OsString>)]) -> Packages {
        if files.iter().all(|(layer, names)| *layer == VENDOR || names.is_empty()) {
            return Packages::default();
        }
        Packages::read(root, LOCAL_FILES).unwrap_or_else(|error| {
            self.problems.push(
                Problem::error(format!("the database of dpkg cannot be read: {}", reason(&error)))
                    .file(root.path("/var/lib/dpkg").display().to_string())
                    .help("until it can, files that depend on a package being installed do not count"),
            );
            Packages::default()
        })
    }
}

fn unlistable(folder: &Path, error: &io::Error) -> Problem {
    Problem::error(format!("the folder cannot be listed: {}", reason(error)))
        .file(folder.display().to_string())
        .help("until it can, none of its definitions count")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let root = Root::new(folder.path()).unwrap();
        (folder, root)
    }

    #[test]
    fn a_higher_file_replaces_a_lower_one_of_its_name() {
        let (_folder, root) = host(&[
            ("usr/share/auto-monitor/monitoring-info.d/apache2.conf", ""),
            ("usr/share/auto-monitor/monitoring-info.d/slapd.conf", ""),
            ("usr/share/monitoring-info.d/apache2.conf", ""),
            ("etc/monitoring-info/local.conf", ""),
            ("var/lib/dpkg/status", "Package: apache2\nStatus: install ok installed\n"),
        ]);
        let layers = find(&root);
        let active: Vec<_> = layers.active.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(active, ["/usr/share/monitoring-info.d/apache2.conf", "/etc/monitoring-info/local.conf"]);
        let reasons: Vec<_> = layers.inactive.iter().map(|file| file.reason.as_str()).collect();
        assert_eq!(reasons.len(), 2, "{reasons:?}");
        assert_eq!(reasons[0], "the package slapd is not installed");
        assert!(reasons[1].ends_with("/usr/share/monitoring-info.d/apache2.conf takes its place"));
    }

    #[test]
    fn a_link_to_dev_null_masks_and_a_removed_packages_conffile_does_not_count() {
        let (folder, root) = host(&[
            ("usr/share/monitoring-info.d/a.conf", ""),
            ("usr/share/monitoring-info.d/b.conf", ""),
            ("etc/monitoring-info/b.conf", ""),
            (
                "var/lib/dpkg/status",
                "Package: b\nStatus: deinstall ok config-files\nConffiles:\n /etc/monitoring-info/b.conf 0\n",
            ),
        ]);
        std::os::unix::fs::symlink("/dev/null", folder.path().join("etc/monitoring-info/a.conf")).unwrap();
        let layers = find(&root);
        assert_eq!(layers.active, [Path::new("/usr/share/monitoring-info.d/b.conf")]);
        assert_eq!(layers.inactive.len(), 3);
    }

    #[test]
    fn what_editors_and_dpkg_leave_behind_is_ignored() {
        for name in [".a", "a~", "a.conf.bak", ".a.swp", "a.conf.dpkg-old", "a.dpkg-new", "a.ucf-dist"] {
            assert!(is_ignored(name), "{name}");
        }
        for name in ["a", "a.conf", "bak", "dpkg-a.conf", "swp.conf"] {
            assert!(!is_ignored(name), "{name}");
        }
    }

    #[test]
    fn a_host_without_any_layer_has_no_files_and_no_problems() {
        let (_folder, root) = host(&[]);
        let layers = find(&root);
        assert!(layers.active.is_empty() && layers.inactive.is_empty() && layers.problems.is_empty());
    }
}
