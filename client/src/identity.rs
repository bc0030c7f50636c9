//! Who this host is: its name, and the key that the server binds to it.

use std::io::{self, Write};
use std::path::Path;

use monitoring_info::host::HostName;
use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, Fingerprint, HashAlg, LineEnding, PrivateKey};

use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::root::{CONFIGURATION, Root, STATE_DIR, Unreadable};
use crate::state::make_state_folder;

pub(crate) const KEY_FILE: &str = "id_ed25519";
/// A key file is under 1 KiB.
const KEY_FILE_MAX: usize = 16 * 1024;

/// The most that is read of `/etc/hosts`, which some fill with the names of advertisers.
const SYSTEM_FILE_MAX: usize = 8 * 1024 * 1024;

/// The host's key.
#[derive(Debug)]
pub struct Identity {
    /// The private key in OpenSSH's format.
    pub pem: String,
    /// What the server's administrator sees of it.
    pub fingerprint: Fingerprint,
}

impl Identity {
    /// Reads the key, and makes it where there is none.
    ///
    /// # Errors
    /// It cannot be read or made, or is none.
    pub fn read_or_make(root: &Root) -> Result<Self, Failure> {
        if let Some(identity) = Self::read(root)? {
            return Ok(identity);
        }
        make(root)?;
        Self::read(root)?.ok_or_else(|| {
            Failure::here(format!("the host's key {} vanished", root.state(KEY_FILE).display()))
        })
    }

    /// Reads the key.
    ///
    /// # Errors
    /// It cannot be read, is none, or others could read it.
    pub fn read(root: &Root) -> Result<Option<Self>, Failure> {
        let path = root.state(KEY_FILE);
        let attempt = format!("read the host's key {}", path.display());
        let contents = match root.read(&Path::new(STATE_DIR).join(KEY_FILE), KEY_FILE_MAX) {
            Ok(contents) => contents,
            Err(Unreadable::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(Unreadable::Io(error)) => return Err(Failure::io(attempt, &error)),
            Err(no_file) => {
                return Err(Failure::here(format!("cannot {attempt}: {no_file}"))
                    .help("remove it, and enrol anew: auto-monitor enrol"));
            }
        };
        if contents.mode & 0o077 != 0 {
            return Err(Failure::here(format!("cannot {attempt}: others can read it too")).help(format!(
                "run: chmod 600 {0}\nif somebody may have read it, remove it, and enrol anew",
                path.display()
            )));
        }
        let damaged = || {
            Failure::here(format!("cannot {attempt}: it is no private ed25519 key without passphrase"))
                .help("restore it, or remove it and enrol anew: auto-monitor enrol")
        };
        let pem = String::from_utf8(contents.bytes).map_err(|_| damaged())?;
        let key = PrivateKey::from_openssh(&pem).map_err(|_| damaged())?;
        if key.is_encrypted() || key.algorithm() != Algorithm::Ed25519 {
            return Err(damaged());
        }
        Ok(Some(Self { fingerprint: key.fingerprint(HashAlg::Sha256), pem }))
    }
}

fn make(root: &Root) -> Result<(), Failure> {
    let path = root.state(KEY_FILE);
    let fail = |error: io::Error| Failure::io(format!("write the host's key {}", path.display()), &error);
    let folder = make_state_folder(root)?;
    let pem = PrivateKey::random(&mut OsRng, Algorithm::Ed25519)
        .and_then(|mut key| {
            key.set_comment("auto-monitor");
            key.to_openssh(LineEnding::LF)
        })
        .map_err(|error| Failure::here(format!("cannot make the host's key: {error}")))?;
    let mut file = durable::begin(&folder).map_err(fail)?;
    file.write_all(pem.as_bytes()).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    match file.persist_noclobber(&path) {
        // Another run was faster; there is one key, and it is that one.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(fail(error.error)),
        Ok(_) => Ok(()),
    }
}

/// The host's name: the administrator's word, else the system's own.
///
/// The system's is the host name; where that is only its first label, `/etc/hosts` and the search domain of
/// `resolv.conf` complete it, as `hostname --fqdn` would find it. DNS is not asked: a name that changes with the
/// network's mood would be another host to the server.
///
/// # Errors
/// There is none, or it is no host name.
pub fn host_name(root: &Root, configuration: &Configuration) -> Result<HostName, Failure> {
    if let Some(name) = &configuration.name {
        return Ok(name.clone());
    }
    let read = |path: &str| {
        let contents = root.read(Path::new(path), SYSTEM_FILE_MAX).map(|contents| contents.bytes);
        String::from_utf8_lossy(&contents.unwrap_or_default()).into_owned()
    };
    let system = if root.is_system() {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    } else {
        read("/etc/hostname")
    };
    let name = complete(&system, &read("/etc/hosts"), &read("/etc/resolv.conf"));
    name.parse().map_err(|error: monitoring_info::host::NameError| {
        Failure::here(format!("this host's name cannot be used: {error}")).help(format!(
            "{}, or set `name = …` in {}",
            error.help,
            root.path(CONFIGURATION).display()
        ))
    })
}

fn complete(system: &str, hosts: &str, resolver: &str) -> String {
    let short = system.trim().trim_end_matches('.').to_ascii_lowercase();
    if short.is_empty() || short.contains('.') {
        return short;
    }
    let without_comment = |line: &'_ str| line.split('#').next().unwrap_or_default().to_ascii_lowercase();
    for line in hosts.lines().map(without_comment) {
        let names: Vec<&str> = line.split_whitespace().skip(1).collect();
        let full = |name: &&&str| {
            name.strip_prefix(&short).is_some_and(|rest| rest.len() > 1 && rest.starts_with('.'))
        };
        let meant = names.contains(&short.as_str());
        if let Some(full) = names.iter().find(full).filter(|_| meant) {
            return full.trim_end_matches('.').to_owned();
        }
    }
    for line in resolver.lines().map(without_comment) {
        let mut words = line.split_whitespace();
        if let (Some("search" | "domain"), Some(domain)) = (words.next(), words.next()) {
            let domain = domain.trim_matches('.');
            if !domain.is_empty() {
                return format!("{short}.{domain}");
            }
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_short_name_is_completed_by_hosts_before_the_search_domain() {
        let hosts = "127.0.0.1 localhost\n127.0.1.1 web1.example.org web1 # web1.wrong.example\n";
        let resolver = "nameserver 192.0.2.1\nsearch example.net example.com\n";
        assert_eq!(complete("web1\n", hosts, resolver), "web1.example.org");
        assert_eq!(complete("WEB2", hosts, resolver), "web2.example.net");
        assert_eq!(complete("web1.own.example.", hosts, resolver), "web1.own.example");
        assert_eq!(complete("web2", "", "search .\n"), "web2");
    }

    #[test]
    fn the_key_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path()).unwrap();
        assert!(Identity::read(&root).unwrap().is_none());
        let made = Identity::read_or_make(&root).unwrap();
        make(&root).unwrap();
        assert_eq!(Identity::read_or_make(&root).unwrap().fingerprint, made.fingerprint);
        let path = root.state(KEY_FILE);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        assert!(Identity::read(&root).unwrap_err().help.unwrap().contains("chmod 600"));
    }

    #[test]
    fn a_host_without_a_name_is_told_how_to_give_it_one() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path()).unwrap();
        let failure = host_name(&root, &Configuration::default()).unwrap_err();
        assert!(failure.help.unwrap().contains("client.conf"));
    }
}
