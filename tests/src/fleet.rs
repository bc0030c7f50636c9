//! Fleets: as many registered hosts as are wanted, each with ten definitions, roles and types mixed as in real life.
//!
//! They are put into the registry as the endpoint would have put them there; no host of them exists. The same number
//! always makes the same host.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};
use monitoring_info::published::STATE_DIR;
use serde_json::{Value, json};

/// How many definitions a host has.
pub const DEFINITIONS: usize = 10;

/// A definition: its name, its type and its settings.
type Definition = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// What every host of an organisation runs.
const EVERYWHERE: [Definition; 4] = [
    ("openssh-server", "ssh", &[]),
    ("prometheus-node-exporter", "tcp", &[("port", "9100")]),
    ("munin-node", "tcp", &[("port", "4949")]),
    ("snmpd", "udp", &[("port", "161")]),
];

/// What hosts are for, and what they run for it. Of ten hosts, so many have that role as it stands here.
const ROLES: [(&str, [Definition; 6]); 10] =
    [WEB, WEB, WEB, WEB, MAIL, DATABASE, DATABASE, DIRECTORY, CACHE, CACHE];

const WEB: (&str, [Definition; 6]) = (
    "web",
    [
        ("apache2", "http", &[]),
        ("apache2-tls", "http", &[("ssl", "True"), ("expire_before_days", "14")]),
        ("apache2-status", "http", &[("uri", "/server-status?auto"), ("port", "8080")]),
        (
            "shop",
            "http",
            &[("hostname", "www.example.org"), ("uri", "/health"), ("accept_redirection", "False")],
        ),
        ("php-fpm", "tcp", &[("port", "9000")]),
        ("varnish", "tcp", &[("port", "6081")]),
    ],
);
const MAIL: (&str, [Definition; 6]) = (
    "mail",
    [
        ("postfix", "smtp", &[("ssl", "starttls")]),
        ("postfix-submission", "smtp", &[("port", "587")]),
        ("dovecot-imapd", "imap", &[("ssl", "True"), ("expire_before_days", "21")]),
        ("dovecot-pop3d", "pop3", &[]),
        ("dovecot-managesieved", "tcp", &[("port", "4190")]),
        ("rspamd", "http", &[("port", "11334"), ("uri", "/ping")]),
    ],
);
const DATABASE: (&str, [Definition; 6]) = (
    "database",
    [
        ("postgresql", "tcp", &[("port", "5432")]),
        ("pgbouncer", "tcp", &[("port", "6432")]),
        ("patroni", "http", &[("port", "8008"), ("uri", "/health")]),
        ("mariadb-server", "tcp", &[("port", "3306")]),
        ("postgres-exporter", "http", &[("port", "9187"), ("uri", "/metrics")]),
        ("etcd", "tcp", &[("port", "2379")]),
    ],
);
const DIRECTORY: (&str, [Definition; 6]) = (
    "directory",
    [
        ("slapd", "ldap", &[("base", "dc=example,dc=org")]),
        ("slapd-tls", "ldap", &[("ssl", "True")]),
        ("krb5-kdc", "tcp", &[("port", "88")]),
        ("kadmin", "tcp", &[("port", "464")]),
        ("bind9", "tcp", &[("port", "53")]),
        ("chrony", "udp", &[("port", "123")]),
    ],
);
const CACHE: (&str, [Definition; 6]) = (
    "cache",
    [
        ("redis-server", "tcp", &[("port", "6379")]),
        ("redis-sentinel", "tcp", &[("port", "26379")]),
        ("memcached", "tcp", &[("port", "11211")]),
        ("haproxy", "http", &[("port", "8404"), ("uri", "/stats")]),
        ("rabbitmq-server", "tcp", &[("port", "5672")]),
        ("nginx", "http", &[("port", "8081")]),
    ],
);

/// The name of a host.
#[must_use]
pub fn name(number: usize) -> String {
    let (role, _) = ROLES[number % ROLES.len()];
    format!("{role}{number:05}.site{}.example.org", number / ROLES.len() % 7)
}

/// A host as it registers.
#[derive(Debug)]
pub struct FleetHost {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its tags.
    pub tags: [String; 3],
    /// What it runs.
    pub definitions: Vec<Sent>,
}

/// A definition as a host sends it.
#[derive(Debug)]
pub struct Sent {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: &'static str,
    /// Its settings.
    pub settings: &'static [(&'static str, &'static str)],
    /// The file that it came from.
    pub file: String,
}

/// A host of the fleet.
#[must_use]
pub fn host(number: usize) -> FleetHost {
    let (role, _) = ROLES[number % ROLES.len()];
    let [_, a, b, c] = u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
    let sent = |(name, kind, settings): Definition| Sent {
        name,
        kind,
        settings,
        file: format!("/usr/share/monitoring-info.d/{name}.conf"),
    };
    FleetHost {
        name: name(number),
        address: Ipv4Addr::new(10, a, b, c),
        tags: [format!("role-{role}"), format!("site-{}", number / ROLES.len() % 7), "production".to_owned()],
        definitions: definitions(number).map(sent).collect(),
    }
}

/// A host's definitions as its packages drop them.
#[must_use]
pub fn definition_file(number: usize) -> String {
    let section = |(name, kind, settings): Definition| {
        let settings = settings.iter().flat_map(|&(key, value)| [key, " = ", value, "\n"]);
        ["[", name, "]\ntype = ", kind, "\n"].into_iter().chain(settings).chain(["\n"]).collect::<String>()
    };
    definitions(number).map(section).collect()
}

/// Enrols and registers the hosts from the first to before the second number at the server below this root.
///
/// # Errors
/// The registry cannot be written.
pub fn register(root: &Path, from: usize, to: usize) -> Result<()> {
    let state = root.join(STATE_DIR);
    let registry = state.join("registry");
    for folder in ["registry", "seen", "enrolment/keys", "enrolment/names", "enrolment/pending"] {
        fs::create_dir_all(state.join(folder))?;
    }
    for number in from..to {
        let (key, name) = (format!("{number:064x}.json"), name(number));
        fs::write(state.join("enrolment/keys").join(&key), approval(number).to_string())?;
        symlink(Path::new("../keys").join(&key), state.join("enrolment/names").join(&name))?;
        fs::write(state.join("seen").join(&name), "")?;
        let path = registry.join(format!("{name}.json"));
        fs::write(&path, record(number).to_string())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn definitions(number: usize) -> impl Iterator<Item = Definition> {
    let (_, own) = ROLES[number % ROLES.len()];
    EVERYWHERE.into_iter().chain(own)
}

fn approval(number: usize) -> Value {
    json!({
        "version": 1,
        "fingerprint": fingerprint(number),
        "name": name(number),
        "address": "192.0.2.1",
        "since": "2026-01-01T00:00:00Z",
        "decision": { "verdict": "approved", "at": "2026-01-01T00:00:00Z", "by": "administrator" },
    })
}

/// As ssh-keygen(1) shows it: the digest in base64, without its padding.
fn fingerprint(number: usize) -> String {
    let mut digest = [0; 32];
    digest[24..].copy_from_slice(&(number as u64).to_be_bytes());
    format!("SHA256:{}", openssl::base64::encode_block(&digest).trim_end_matches('='))
}

fn record(number: usize) -> Value {
    let host = host(number);
    let sent = |Sent { name, kind, settings, file }: &Sent| {
        let settings: serde_json::Map<String, Value> =
            settings.iter().map(|&(key, value)| (key.to_owned(), value.into())).collect();
        json!({ "name": name, "type": kind, "settings": settings, "file": file })
    };
    json!({
        "version": 1,
        "name": host.name,
        "fingerprint": fingerprint(number),
        "received": "2026-01-01T00:00:00Z",
        "peer": host.address,
        "address": host.address,
        "registration": {
            "generation": 1,
            "tags": host.tags,
            "definitions": host.definitions.iter().map(sent).collect::<Vec<_>>(),
        },
    })
}

#[cfg(test)]
mod tests {
    use monitoring_info::definition;

    use super::*;

    #[test]
    fn every_definition_of_every_role_is_sound() {
        for number in 0..ROLES.len() {
            let (drafts, faults) = definition::read("fleet.conf", definition_file(number).as_bytes());
            assert!(faults.is_empty(), "{faults:?}");
            assert_eq!(drafts.iter().filter_map(|draft| draft.settle().0).count(), DEFINITIONS);
        }
    }
}
