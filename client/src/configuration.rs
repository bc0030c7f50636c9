//! `/etc/auto-monitor/client.conf`: the administrator's word on this host and its servers.
//!
//! Every line may be absent; without the file, the host has its own name and no server. A fault refuses the whole file,
//! unlike in definitions: half a configuration might send a host's registration to the wrong place.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;

use monitoring_info::definition::SourceFile;
use monitoring_info::diagnostic::{Problem, instead};
use monitoring_info::host::{HostName, Tag, quoted};
use monitoring_info::ini::{Document, Entry, FILE_MAX, Spot};
use monitoring_info::registration::TAGS_MAX;
use monitoring_info::server_address::{self, ServerAddress};
use monitoring_info::value;
use ssh_key::{Fingerprint, HashAlg};

use crate::root::{CONFIGURATION, Root, Unreadable};

/// A key of the file: the parser, its suggestions and the man page know of no other.
#[derive(Debug)]
pub struct Key {
    /// What stands before the `=`.
    pub name: &'static str,
    /// What may stand after it.
    pub value: &'static str,
    /// What it means, and what holds without it.
    pub summary: &'static str,
}

/// All keys.
pub static KEYS: [Key; 8] = [
    Key {
        name: "server",
        value: "[USER@]HOST[:PORT], …",
        summary: "The monitoring servers; each gets every registration. The user is auto-monitor and the port 2929 \
                  where they are not given; an IPv6 address stands in brackets. Without this key, those count that \
                  auto-monitor enrol SERVER was told of.",
    },
    Key {
        name: "server-fingerprint",
        value: "SHA256:… or HOST=SHA256:…, …",
        summary: "The fingerprint of the servers' key, for all of them or for each; on the server, \
                  auto-monitor-server status shows it. With it, nobody is asked at first contact.",
    },
    Key {
        name: "trust-on-first-use",
        value: "yes or no",
        summary: "Whether whoever answers first for a server without a known key is believed, once. Default: no.",
    },
    Key {
        name: "name",
        value: "FQDN",
        summary: "The name that this host asks for. Default: the system's host name, completed by /etc/hosts or the \
                  search domain of /etc/resolv.conf.",
    },
    Key {
        name: "address",
        value: "ADDRESS",
        summary: "The address that is to be probed; it counts where the host's name resolves to it. Default: the one \
                  that the host connects from.",
    },
    Key {
        name: "tags",
        value: "TAG, …",
        summary: "Each becomes a host group of the monitoring engine, auto-monitor-tag-TAG. Default: none.",
    },
    Key {
        name: "maintenance",
        value: "yes or no",
        summary: "Whether packaging tells the servers that this host is under maintenance while it works, so that nobody \
                  is alarmed. Default: yes.",
    },
    Key {
        name: "bind-address",
        value: "ADDRESS",
        summary: "The address of this host that connections to servers are made from. Default: the system's choice.",
    },
];

/// What `client.conf` says.
#[derive(Debug, Clone, Default)]
pub struct Configuration {
    /// The servers, each of which gets every registration.
    pub servers: Vec<ServerAddress>,
    /// The host's name, where it is not the system's.
    pub name: Option<HostName>,
    /// The address that the host claims.
    pub address: Option<IpAddr>,
    /// The host's tags.
    pub tags: Vec<Tag>,
    /// The fingerprints of the servers' keys: of one server, or of any.
    pub fingerprints: Vec<(Option<String>, Fingerprint)>,
    /// Whether an unknown server is trusted at first contact.
    pub trust_on_first_use: bool,
    /// Whether packaging says nothing of maintenance.
    pub without_maintenance: bool,
    /// The source address of connections.
    pub bind_address: Option<IpAddr>,
}

impl Configuration {
    /// Reads the file.
    ///
    /// # Errors
    /// Every fault of it.
    pub fn read(root: &Root) -> Result<Self, Vec<Problem>> {
        let shown = root.path(CONFIGURATION).display().to_string();
        match root.read(Path::new(CONFIGURATION), FILE_MAX) {
            Ok(contents) => Self::parse(&shown, &contents.bytes),
            Err(Unreadable::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(vec![
                Problem::error(format!("the configuration: {error}"))
                    .file(shown)
                    .help("it must be a file that root can read"),
            ]),
        }
    }

    /// Reads the text of the file.
    ///
    /// # Errors
    /// Every fault of it.
    pub fn parse(path: &str, bytes: &[u8]) -> Result<Self, Vec<Problem>> {
        let (document, problems) = Document::parse(bytes);
        let text = std::str::from_utf8(bytes).unwrap_or_default().to_owned();
        let mut reader = Reader {
            file: SourceFile { path: path.to_owned(), text },
            problems: problems.into_iter().map(|problem| problem.file(path)).collect(),
            configuration: Self::default(),
        };
        for section in &document.sections {
            reader.fault(section.place, "client.conf has no sections", "remove the line");
        }
        for entry in &document.head.entries {
            reader.entry(entry);
        }
        if reader
            .problems
            .iter()
            .any(|problem| problem.severity == monitoring_info::diagnostic::Severity::Error)
        {
            return Err(reader.problems);
        }
        Ok(reader.configuration)
    }

    /// The fingerprint that the administrator gave for a server: the one for it before the one for all.
    #[must_use]
    pub fn fingerprint(&self, server: &ServerAddress) -> Option<&Fingerprint> {
        let of = |wanted: Option<&str>| {
            self.fingerprints.iter().find(|(host, _)| host.as_deref() == wanted).map(|(_, print)| print)
        };
        of(Some(&server.host)).or_else(|| of(None))
    }
}

/// Reads `SHA256:…`, which is how `ssh-keygen -l` shows a key.
///
/// # Errors
/// It is none.
pub fn fingerprint(text: &str) -> Result<Fingerprint, String> {
    let wrong =
        || format!("{} is no fingerprint; write it as `ssh-keygen -l` shows it: SHA256:…", quoted(text));
    let print: Fingerprint = text.parse().map_err(|_| wrong())?;
    if print.algorithm() == HashAlg::Sha256 { Ok(print) } else { Err(wrong()) }
}

struct Reader {
    file: SourceFile,
    problems: Vec<Problem>,
    configuration: Configuration,
}

impl Reader {
    fn fault(&mut self, at: Spot, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(self.file.locate(Problem::error(message).help(help), at));
    }

    fn entry(&mut self, entry: &Entry) {
        match entry.key.as_str() {
            "server" => self.configuration.servers = self.list(entry, server_address::FORM),
            "tags" => {
                let help = "a tag is made of letters, digits, `.`, `_` and `-`; tags are parted by commas";
                self.configuration.tags = self.list(entry, help);
                if self.configuration.tags.len() > TAGS_MAX {
                    self.fault(entry.value_place, format!("more than {TAGS_MAX} tags"), "remove some");
                }
            }
            "name" => {
                self.configuration.name =
                    self.one(entry, "give the host's fully qualified name, like `web1.example.org`");
            }
            "address" => self.configuration.address = self.one(entry, "give an IPv4 or IPv6 address"),
            "bind-address" => {
                self.configuration.bind_address = self.one(entry, "give an address of this host");
            }
            "server-fingerprint" => self.fingerprints(entry),
            "trust-on-first-use" => {
                self.configuration.trust_on_first_use = self.boolean(entry).unwrap_or(false);
            }
            "maintenance" => self.configuration.without_maintenance = self.boolean(entry) == Some(false),
            other => {
                let help = instead(other, KEYS.iter().map(|key| key.name), "the keys are");
                self.fault(entry.key_place, format!("unknown key {}", quoted(other)), help);
            }
        }
    }

    fn boolean(&mut self, entry: &Entry) -> Option<bool> {
        let flag = value::boolean(&entry.value);
        if flag.is_none() {
            let message = format!("{} is no boolean", quoted(&entry.value));
            self.fault(entry.value_place, message, "write `yes` or `no`");
        }
        flag
    }

    fn one<T: FromStr<Err: fmt::Display>>(&mut self, entry: &Entry, help: &str) -> Option<T> {
        match entry.value.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let message = format!("the value of `{}` is wrong: {error}", entry.key);
                self.fault(entry.value_place, message, help);
                None
            }
        }
    }

    fn list<T: FromStr<Err: fmt::Display> + PartialEq>(&mut self, entry: &Entry, help: &str) -> Vec<T> {
        let mut values = Vec::new();
        for (part, place) in parts(entry) {
            match part.parse::<T>() {
                Ok(value) if values.contains(&value) => {
                    self.fault(place, format!("{} is there twice", quoted(part)), "keep one of the two");
                }
                Ok(value) => values.push(value),
                Err(error) => self.fault(place, error.to_string(), help),
            }
        }
        values
    }

    fn fingerprints(&mut self, entry: &Entry) {
        const HELP: &str =
            "write `SHA256:…` for every server, or `HOST=SHA256:…` for one; several are parted by commas";
        for (part, place) in parts(entry) {
            let (host, print) = match part.split_once("=SHA256:") {
                Some((host, _)) => (Some(host.trim().to_ascii_lowercase()), &part[host.len() + 1..]),
                None => (None, part),
            };
            match fingerprint(print) {
                Ok(print) => self.configuration.fingerprints.push((host, print)),
                Err(error) => self.fault(place, error, HELP),
            }
        }
    }
}

/// The parts of a list, each with its place.
fn parts(entry: &Entry) -> impl Iterator<Item = (&str, Spot)> {
    let mut offset = 0;
    entry.value.split(',').map(move |part| {
        let lead = part.len() - part.trim_start().len();
        let trimmed = part.trim();
        let spot = Spot {
            start: entry.value_place.start + offset + lead,
            length: trimmed.len(),
            ..entry.value_place
        };
        offset += part.len() + 1;
        (trimmed, spot)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINT: &str = "SHA256:Nh0Me49Zh9fDw/VYUfq43IJmI1T+XrjiYONPND8GzaM";

    fn faults(text: &str) -> String {
        Configuration::parse("client.conf", text.as_bytes())
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn everything_that_can_be_said() {
        let text = format!(
            "# a comment\nserver = a.example, root@[::1]:22\nname = web1.example.org\naddress = 192.0.2.1\n\
             tags = x, y\nserver-fingerprint = A.example={PRINT}\ntrust-on-first-use = yes\nbind-address = 127.0.0.2\n"
        );
        let configuration = Configuration::parse("client.conf", text.as_bytes()).unwrap();
        assert_eq!(configuration.servers.len(), 2);
        assert_eq!(configuration.fingerprint(&configuration.servers[0]).unwrap().to_string(), PRINT);
        assert!(configuration.fingerprint(&configuration.servers[1]).is_none());
        assert!(configuration.trust_on_first_use);
        let for_all = format!("server-fingerprint = {PRINT}");
        let configuration = Configuration::parse("client.conf", for_all.as_bytes()).unwrap();
        assert!(configuration.fingerprint(&"any".parse().unwrap()).is_some());
    }

    #[test]
    fn every_fault_is_said_with_its_place() {
        let shown = faults("servers = a\nserver = a, -b\nname = Web\n[x]\n");
        assert!(shown.contains("did you mean `server`?"), "{shown}");
        assert!(shown.contains("client.conf:2:13"), "{shown}");
        assert!(shown.contains("upper-case"), "{shown}");
        assert!(shown.contains("no sections"), "{shown}");
        assert!(faults("server-fingerprint = MD5:00").contains("SHA256:…"));
        assert!(faults("trust-on-first-use = maybe").contains("`yes` or `no`"));
    }
}
