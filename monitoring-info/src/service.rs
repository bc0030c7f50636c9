//! The service types: one file each, one table.
//!
//! A type's file holds its keys, defaults, documentation, example, probes and tests. To add one: write
//! `service/NAME.rs` with a `pub(super) static KIND: Kind`, and add the name to the list below. Nothing else matches
//! on types anywhere.

use std::net::IpAddr;

use crate::definition::Definition;
use crate::probe::{Probe, Program, Subject};
use crate::secret;
use crate::value::{self, Value, ValueKind};

macro_rules! kinds {
    ($($name:ident)*) => {
        $(mod $name;)*
        /// Every service type, in the order of the documentation.
        pub static KINDS: &[&Kind] = &[$(&$name::KIND),*];
    };
}

// `cargo fmt` does not find the files named here behind a macro: `rustfmt` them, as `make lint` checks.
kinds! {
    http
    tcp
    udp
    ssh
    smtp
    imap
    pop3
    mailflow
    ldap
}

/// A service type as data.
#[derive(Debug)]
pub struct Kind {
    /// What stands after `type =`.
    pub name: &'static str,
    /// When the service is well, in one line that begins with a verb.
    pub summary: &'static str,
    /// More for the documentation: whole sentences.
    pub description: &'static str,
    /// Its own keys; [`Kind::keys`] adds those that come with `tls` and with a `password`.
    pub keys: &'static [Key],
    /// Whether it has the TLS keys.
    pub tls: Tls,
    /// Keys that depend on others.
    pub rules: &'static [Rule],
    /// A definition that uses the type as most people would, without its `[name]` line.
    pub example: &'static str,
    /// What the engine runs; the `certificate` probe is added by [`probes`].
    pub probes: fn(&Subject<'_>) -> Vec<Probe>,
}

/// Whether a type has the TLS keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// It has none.
    Never,
    /// `ssl` is True or False.
    Direct,
    /// `ssl` may also be `starttls`.
    Upgradable {
        /// How `check_certificate` calls the protocol of the upgrade.
        protocol: &'static str,
    },
}

/// A key of a type.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// What stands before the `=`.
    pub name: &'static str,
    /// What may stand after it.
    pub value: &'static ValueKind,
    /// What holds where it is not given.
    pub default: Default,
    /// What it means, in one line.
    pub summary: &'static str,
}

/// What holds where a key is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// It must be given.
    Mandatory,
    /// Nothing.
    Absent,
    /// This value.
    Is(&'static str),
    /// One value for a plain connection or an upgrade by STARTTLS, another with `ssl = True`.
    BySsl {
        /// Plain or STARTTLS.
        plain: &'static str,
        /// `ssl = True`.
        ssl: &'static str,
    },
    /// The host's fully qualified domain name.
    HostName,
}

/// Keys that depend on others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Both or neither.
    Together(&'static str, &'static str),
    /// The first needs the second.
    Needs(&'static str, &'static str),
}

/// How a service is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ssl {
    /// In plain.
    Off,
    /// TLS from the first byte.
    Direct,
    /// In plain, then upgraded.
    Starttls,
}

/// May stand for `password` in any type that has one; the client reads it at registration.
pub static PASSWORD_FILE: Key = Key {
    name: secret::PASSWORD_FILE,
    value: &value::PATH,
    default: Default::Absent,
    summary: "a file on this host whose first line is the password; stands for `password`",
};

static SSL_DIRECT: Key = Key {
    name: "ssl",
    value: &value::SSL,
    default: Default::Is("False"),
    summary: "a TLS connection is expected; its certificate is probed beside the service",
};

static SSL_UPGRADABLE: Key = Key {
    name: "ssl",
    value: &value::SSL_OR_STARTTLS,
    default: Default::Is("False"),
    summary: "a TLS connection is expected, `starttls` by upgrade; its certificate is probed beside the service",
};

static TLS_KEYS: [Key; 3] = [
    Key {
        name: "ssl_hostname",
        value: &value::NAME,
        default: Default::HostName,
        summary: "the name that the certificate must carry; it is asked for in the TLS handshake (SNI)",
    },
    Key {
        name: "ignore_invalid_ssl",
        value: &value::BOOLEAN,
        default: Default::Is("False"),
        summary: "do not judge the certificate at all",
    },
    Key {
        name: "expire_before_days",
        value: &value::DAYS,
        default: Default::Absent,
        summary: "a certificate that expires within so many days counts as a failure",
    },
];

impl Tls {
    /// The protocol whose plain connections can be upgraded, if they can.
    #[must_use]
    pub fn upgraded_protocol(self) -> Option<&'static str> {
        match self {
            Self::Never | Self::Direct => None,
            Self::Upgradable { protocol } => Some(protocol),
        }
    }
}

/// Types are the same when their names are: the table has each name once.
impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Kind {}

impl Kind {
    /// The type of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name).copied()
    }

    /// Every key of the type (without `type` itself), in the order of the documentation.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        let own = self.keys;
        let password = own.iter().any(|key| key.name == "password").then_some(&PASSWORD_FILE);
        let (ssl, tls): (_, &'static [Key]) = match self.tls {
            Tls::Never => (None, &[]),
            Tls::Direct => (Some(&SSL_DIRECT), &TLS_KEYS),
            Tls::Upgradable { .. } => (Some(&SSL_UPGRADABLE), &TLS_KEYS),
        };
        own.iter().chain(password).chain(ssl).chain(tls)
    }

    /// The key of this name, in lower case.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }
}

/// Everything that the engine executes for a definition: its type's probes and, where it is spoken to over TLS and
/// the certificate is to be judged, the probe `certificate`.
#[must_use]
pub fn probes(subject: &Subject<'_>) -> Vec<Probe> {
    let mut probes = (subject.definition.kind().probes)(subject);
    if subject.ssl() != Ssl::Off && !subject.flag("ignore_invalid_ssl") {
        probes.push(Probe { name: Some("certificate"), program: certificate(subject) });
    }
    probes
}

/// The greeting and the farewell, each reply judged. The programs of monitoring-plugins (2.3.3) read no reply to LOGOUT or QUIT
/// and cannot upgrade an IMAP or POP3 connection.
fn greeting(subject: &Subject<'_>, protocol: &'static str) -> Program {
    Program::ours("check_greeting", subject.address_and_port())
        .with(["--protocol", protocol])
        .with(subject.encryption())
}

fn certificate(subject: &Subject<'_>) -> Program {
    let upgrade = match subject.ssl() {
        Ssl::Starttls => subject.definition.kind().tls.upgraded_protocol(),
        Ssl::Off | Ssl::Direct => None,
    };
    Program::ours("check_certificate", subject.address_and_port())
        .with(upgrade.into_iter().flat_map(|protocol| ["--starttls", protocol]))
        .with(subject.option("--hostname", "ssl_hostname"))
        .with(subject.option("--expire-before", "expire_before_days"))
}

impl Subject<'_> {
    /// The value of a key, or its default.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<Value> {
        self.definition.value_for(key, self.host)
    }

    /// The value of a key that is text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        self.value(key).map(|value| value.to_string())
    }

    /// The value of a boolean key; False where there is none.
    #[must_use]
    pub fn flag(&self, key: &str) -> bool {
        self.value(key) == Some(Value::Boolean(true))
    }

    /// The port, which every type but `mailflow` has.
    #[must_use]
    pub fn port(&self) -> String {
        self.text("port").unwrap_or_default()
    }

    /// How the service is connected to.
    #[must_use]
    pub fn ssl(&self) -> Ssl {
        self.definition.ssl()
    }

    /// `-H ADDRESS -p PORT`, which our programs and nearly all of monitoring-plugins take.
    #[must_use]
    pub fn address_and_port(&self) -> [String; 4] {
        ["-H".into(), self.address.to_string(), "-p".into(), self.port()]
    }

    /// How our programs are told to connect: whether over TLS, and by which name. The name is asked for (SNI), because a
    /// server may show its certificate to nobody who asks for none.
    #[must_use]
    pub fn encryption(&self) -> Vec<String> {
        let how = match self.ssl() {
            Ssl::Off => return Vec::new(),
            Ssl::Direct => "--tls".to_owned(),
            Ssl::Starttls => "--starttls".to_owned(),
        };
        [Some(how), self.option("--hostname", "ssl_hostname")].into_iter().flatten().collect()
    }

    /// `--OPTION=VALUE` with the value of a key, in one argument, so that no value is taken for an option; nothing where
    /// the key has no value.
    #[must_use]
    pub fn option(&self, option: &str, key: &str) -> Option<String> {
        self.text(key).map(|value| format!("{option}={value}"))
    }

    /// `--OPTION=NAME` with the name to ask for in the TLS handshake; nothing where that is an address, which is no name
    /// (RFC 6066, section 3).
    #[must_use]
    pub fn server_name(&self, option: &str) -> Option<String> {
        let name = self.text("ssl_hostname").filter(|name| name.parse::<IpAddr>().is_err());
        name.map(|name| format!("{option}={name}"))
    }
}

impl Definition {
    /// How the service is connected to.
    #[must_use]
    pub fn ssl(&self) -> Ssl {
        match self.value("ssl") {
            Some(Value::Boolean(true)) => Ssl::Direct,
            Some(Value::Text(_)) => Ssl::Starttls,
            _ => Ssl::Off,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{definition, mail};

    #[test]
    fn the_table_and_the_folder_name_the_same_types() {
        let folder: BTreeSet<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/service"))
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        let table: BTreeSet<String> = KINDS.iter().map(|kind| kind.name.to_owned()).collect();
        assert_eq!(folder, table);
    }

    #[test]
    fn every_example_is_sound_and_has_a_main_probe() {
        for kind in KINDS {
            let text = format!("[example]\n{}", kind.example);
            let (drafts, problems) = definition::read("example.conf", text.as_bytes());
            assert!(problems.is_empty(), "{}: {problems:?}", kind.name);
            let (definition, problems) = drafts[0].settle();
            assert!(problems.is_empty(), "{}: {problems:?}", kind.name);
            let definition = definition.unwrap();
            assert_eq!(definition.kind().name, kind.name);
            let host = "web1.example.org".parse().unwrap();
            let probes = probes(&Subject {
                host: &host,
                address: [192, 0, 2, 1].into(),
                definition: &definition,
                mail: &mail::Policy::default(),
                lists: &mail::SharedLists::new(),
            });
            assert_eq!(probes.iter().filter(|probe| probe.name.is_none()).count(), 1, "{}", kind.name);
        }
    }

    #[test]
    fn the_certificate_is_probed_where_the_service_is_and_the_way_it_is() {
        use crate::definition::tests::probe;
        let certificate = |body: &str| probe(body, Some("certificate"));
        assert_eq!(certificate("type = tcp\nport = 5432"), None);
        assert_eq!(certificate("type = tcp\nport = 5432\nssl = True\nignore_invalid_ssl = yes"), None);
        for (body, expected) in [
            ("type = http\nssl = yes", "-p 443 --hostname=web1.example.org"),
            (
                "type = http\nssl = yes\nport = 8443\nhostname = a.example\nssl_hostname = b.example",
                "-p 8443 --hostname=b.example",
            ),
            (
                "type = smtp\nssl = yes\nexpire_before_days = 0",
                "-p 465 --hostname=web1.example.org --expire-before=0",
            ),
            ("type = smtp\nssl = starttls", "-p 25 --starttls smtp --hostname=web1.example.org"),
            ("type = imap\nssl = starttls", "-p 143 --starttls imap --hostname=web1.example.org"),
            ("type = pop3\nssl = starttls", "-p 110 --starttls pop3 --hostname=web1.example.org"),
            (
                "type = ldap\nssl = starttls\nexpire_before_days = 14",
                "-p 389 --starttls ldap --hostname=web1.example.org --expire-before=14",
            ),
        ] {
            assert_eq!(
                certificate(body).as_deref(),
                Some(format!("check_certificate -H 192.0.2.1 {expected}").as_str()),
                "{body}"
            );
        }
    }

    #[test]
    fn every_default_is_a_value_of_its_key() {
        for kind in KINDS {
            for key in kind.keys() {
                let defaults = match key.default {
                    Default::Is(text) => vec![text],
                    Default::BySsl { plain, ssl } => vec![plain, ssl],
                    _ => vec![],
                };
                for default in defaults {
                    assert!((key.value.parse)(default).is_ok(), "{}.{}", kind.name, key.name);
                }
            }
        }
    }
}
