//! The administrator's say about single hosts: `hosts/NAME.conf`.
//!
//! Sectionless `key = value` lines, as `server.conf`; one table lists the keys. A fault in any of these files stops a
//! publish: what the administrator meant is unknown then, and the last good set stays meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use monitoring_info::diagnostic::Problem;
use monitoring_info::host::{HostName, quoted};
use monitoring_info::ini::{Document, Source, Spot};
use monitoring_info::value::Invalid;

use crate::configuration;
use crate::paths::Paths;

/// What the administrator says of one host; empty when nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HostOverride {
    /// Whether it is watched at all.
    pub enabled: bool,
    /// The address to probe.
    pub address: Option<IpAddr>,
    /// More groups of hosts that it belongs to; they must exist in the engine's configuration.
    pub hostgroups: Vec<String>,
    /// The people to tell.
    pub contacts: Vec<String>,
    /// The groups of people to tell.
    pub contact_groups: Vec<String>,
    /// How often to check.
    pub interval: Option<Duration>,
}

impl Default for HostOverride {
    fn default() -> Self {
        Self {
            enabled: true,
            address: None,
            hostgroups: Vec::new(),
            contacts: Vec::new(),
            contact_groups: Vec::new(),
            interval: None,
        }
    }
}

/// A key of `hosts/NAME.conf`.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What a value looks like.
    pub form: &'static str,
    /// What it says.
    pub summary: &'static str,
    set: fn(&mut HostOverride, &str) -> Result<(), Invalid>,
}

/// Every key, in the order of the documentation.
pub static KEYS: &[Key] = &[
    Key {
        name: "enabled",
        form: "yes or no",
        summary: "whether the host is watched at all",
        set: |to, text| configuration::yes_or_no(text).map(|value| to.enabled = value),
    },
    Key {
        name: "address",
        form: "an IP address",
        summary: "the address to probe, in place of the one that the host connected from",
        set: |to, text| match text.parse() {
            Ok(address) => {
                to.address = Some(address);
                Ok(())
            }
            Err(_) => Err(Invalid::new(
                format!("{} is no IP address", quoted(text)),
                "give one like `192.0.2.1` or `2001:db8::1`",
            )),
        },
    },
    Key {
        name: "hostgroups",
        form: "names joined by commas",
        summary: "host groups of Nagios's configuration that the host is put into, beside those of its types and tags",
        set: |to, text| names(text).map(|value| to.hostgroups = value),
    },
    Key {
        name: "contacts",
        form: "names joined by commas",
        summary: "the contacts that are told of its problems, in place of those of server.conf",
        set: |to, text| names(text).map(|value| to.contacts = value),
    },
    Key {
        name: "contact-groups",
        form: "names joined by commas",
        summary: "the contact groups that are told of its problems, in place of those of server.conf",
        set: |to, text| names(text).map(|value| to.contact_groups = value),
    },
    Key {
        name: "interval",
        form: "a duration like `30s` or `10m`",
        summary: "how often the host and its services are checked",
        set: |to, text| configuration::duration(text).map(|value| to.interval = Some(value)),
    },
];

/// Why the administrator's say is unknown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or the folder.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Files with faults.
    #[error("{}", .0.iter().map(|problem| problem.to_string().trim_end().to_owned()).collect::<Vec<_>>().join("\n\n"))]
    Faulty(Vec<Problem>),
}

/// Reads the files of all hosts.
///
/// # Errors
/// A file cannot be read, or any has faults: then all faults of all files.
pub fn load(paths: &Paths) -> Result<BTreeMap<HostName, HostOverride>, Error> {
    let folder = paths.host_overrides();
    let read = |path: &Path, source| Error::Read { path: path.to_owned(), source };
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(read(&folder, error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        files.push(entry.map_err(|error| read(&folder, error))?.path());
    }
    files.sort();
    let mut overrides = BTreeMap::new();
    let mut problems = Vec::new();
    for path in files {
        let shown = path.display().to_string();
        // Editors' and dpkg's leftovers (`x.conf~`, `x.conf.dpkg-old`) are nobody's say.
        let Some(stem) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".conf")) else {
            continue;
        };
        if stem.starts_with('.') {
            continue;
        }
        match stem.parse::<HostName>() {
            Ok(name) => {
                let bytes = fs::read(&path).map_err(|error| read(&path, error))?;
                match parse(&shown, &bytes) {
                    Ok(say) => {
                        overrides.insert(name, say);
                    }
                    Err(faults) => problems.extend(faults),
                }
            }
            Err(error) => problems.push(
                Problem::error(format!("the file is named for no host: {}", error.message)).file(shown).help(
                    "name it for the host, as `auto-monitor-server list` shows it, with `.conf` at its end",
                ),
            ),
        }
    }
    if problems.is_empty() { Ok(overrides) } else { Err(Error::Faulty(problems)) }
}

/// Reads the bytes of one file, shown under this name.
///
/// # Errors
/// Every fault, with its place.
pub fn parse(file: &str, bytes: &[u8]) -> Result<HostOverride, Vec<Problem>> {
    let (document, mut problems) = Document::parse(bytes);
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let mut say = HostOverride::default();
    let mut fault = |problem: Problem, spot: Spot| problems.push(problem.at(Source::new(text).place(spot)));
    for section in &document.sections {
        fault(
            Problem::error(format!(
                "a host's file has no sections, and this is one: {}",
                quoted(&section.name)
            ))
            .help("remove the line; the keys stand alone"),
            section.place,
        );
    }
    for entry in &document.head.entries {
        let Some(key) = KEYS.iter().find(|key| key.name == entry.key) else {
            let names = KEYS.iter().map(|key| key.name);
            fault(configuration::unknown(&entry.key, names), entry.key_place);
            continue;
        };
        if let Err(invalid) = (key.set)(&mut say, &entry.value) {
            let message = format!("the value of `{}` is wrong: {}", key.name, invalid.message);
            fault(Problem::error(message).help(invalid.help), entry.value_place);
        }
    }
    if problems.is_empty() {
        return Ok(say);
    }
    problems.sort_by_key(|problem| problem.place.as_ref().map(|place| (place.line, place.column)));
    Err(problems.into_iter().map(|problem| problem.file(file)).collect())
}

/// Names of the administrator's own objects, at least one.
fn names(text: &str) -> Result<Vec<String>, Invalid> {
    match configuration::list(text, configuration::object_name)? {
        names if names.is_empty() => {
            Err(Invalid::new("no name is given", "give names joined by commas, or remove the line"))
        }
        names => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_understood() {
        let say = parse(
            "web1.conf",
            b"enabled = no\naddress = 2001:db8::1\nhostgroups = a, b c\ncontacts = root\ncontact-groups = admins\ninterval = 90s\n",
        )
        .unwrap();
        assert!(!say.enabled);
        assert_eq!(say.address, Some("2001:db8::1".parse().unwrap()));
        assert_eq!(say.hostgroups, ["a", "b c"]);
        assert_eq!(say.contacts, ["root"]);
        assert_eq!(say.contact_groups, ["admins"]);
        assert_eq!(say.interval, Some(Duration::from_secs(90)));
        assert_eq!(parse("web1.conf", b"").unwrap(), HostOverride::default());
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let text = "adress = 192.0.2.1\naddress = web1\nenabled = perhaps\nhostgroups = a,*\ncontacts = null\ninterval = 5\n[x]\n";
        let told: Vec<String> = parse("web1.conf", text.as_bytes())
            .unwrap_err()
            .iter()
            .map(|problem| format!("{}: {}", problem.place.as_ref().unwrap().line, problem.message))
            .collect();
        assert_eq!(
            told,
            [
                "1: unknown key `adress`",
                "2: the value of `address` is wrong: `web1` is no IP address",
                "3: the value of `enabled` is wrong: `perhaps` is no boolean",
                "4: the value of `hostgroups` is wrong: `*` cannot be the name of a Nagios object",
                "5: the value of `contacts` is wrong: `null` cannot be the name of a Nagios object",
                "6: the value of `interval` is wrong: `5` is no duration",
                "7: a host's file has no sections, and this is one: `x`",
            ]
        );
    }
}
