//! The wire: one JSON document each way over an SSH session.
//!
//! The client names a verb as the session's command, sends a [`Request`] on standard input and closes it; the server
//! answers with a [`Reply`] on standard output. Unknown fields are refused in what a client sends, so that a slip is
//! seen; they are passed over in what a server answers, so that a newer server can say more.
//!
//! What a document says of definitions is text: the server judges it again by [`definition::judge`], with the same
//! code and no trust in the client's judgement. Nothing here names a path or an object; on the server those derive
//! from the name that is bound to the key.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::definition::{self, About, Definition};
use crate::diagnostic::Severity;
use crate::host::{HostName, SERVICE_NAME_MAX, ServiceName, Tag, is_unprintable, quoted};
use crate::ini::VALUE_MAX;
use crate::maintenance;
use crate::service::{Kind, PASSWORD_FILE};

/// The version of the documents that this code writes.
pub const VERSION: u32 = 1;
/// The largest document in bytes.
pub const DOCUMENT_MAX: usize = 256 * 1024;
/// The most definitions of a host.
pub const DEFINITIONS_MAX: usize = 200;
/// The most tags of a host.
pub const TAGS_MAX: usize = 32;
/// How much further a generation may be than the one that the server holds, or than none: so that no host, by a fault or
/// by a whim, uses up its numbers, after which it could never register again.
pub const GENERATION_LEAP_MAX: u64 = 1 << 32;
/// The seconds from the connection to the end of the document.
pub const DOCUMENT_SECONDS: u64 = 10;
/// The TCP port of the endpoint.
pub const PORT: u16 = 2929;
/// The system user of the endpoint.
pub const USER: &str = "auto-monitor";

/// What a session asks for: the exact words that the endpoint accepts as a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Bind the key to a name.
    Enrol,
    /// Take this whole set.
    Register,
    /// What does the server know of this host?
    Status,
    /// Alarm nobody of this host for a while.
    Maintenance,
    /// Watch this host no longer.
    Deregister,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 5] =
        [Self::Enrol, Self::Register, Self::Status, Self::Maintenance, Self::Deregister];

    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Enrol => "enrol",
            Self::Register => "register",
            Self::Status => "status",
            Self::Maintenance => "maintenance",
            Self::Deregister => "deregister",
        }
    }

    /// The verb of exactly this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.word() == word)
    }
}

/// What a client sends, whatever the verb; what a verb has no use for is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`VERSION`].
    pub version: u32,
    /// The name that the host has for itself.
    pub name: HostName,
    /// An address of the host's that its name resolves to; the server uses the one connected from, unless it finds
    /// this one under the host's name too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// `enrol`: the secret of a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// `register`: the host's whole set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
    /// `maintenance`: whether it begins or ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<maintenance::Change>,
}

impl Request {
    /// A request with nothing but the name.
    #[must_use]
    pub fn new(name: HostName) -> Self {
        Self { version: VERSION, name, address: None, secret: None, registration: None, maintenance: None }
    }
}

/// The whole set of a host's definitions. What is not in it is withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Counts the host's changes; never goes back. The same generation always means the same set.
    pub generation: u64,
    /// The host's tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// What is to be watched.
    pub definitions: Vec<Sent>,
    /// What the host's administrator does not want watched: it is told, so that the server can say why something is
    /// absent, and can tell an intention from an accident.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opted_out: Vec<OptedOut>,
}

/// A definition on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// The service's name.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The keys that were given, without `type`, with canonical values.
    #[serde(default, deserialize_with = "each_key_once")]
    pub settings: BTreeMap<String, String>,
    /// The file on the host that it came from, for people.
    pub file: String,
}

/// JSON leaves open what a key means that is there twice (RFC 8259, section 4); serde takes the last and says nothing.
fn each_key_once<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct Settings;
    impl<'de> Visitor<'de> for Settings {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("keys with values")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut settings = BTreeMap::new();
            while let Some((key, value)) = entries.next_entry::<String, String>()? {
                if settings.contains_key(&key) {
                    return Err(serde::de::Error::custom(format!("the key {} is there twice", quoted(&key))));
                }
                settings.insert(key, value);
            }
            Ok(settings)
        }
    }
    deserializer.deserialize_map(Settings)
}

/// A definition that is not watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptedOut {
    /// The service's name.
    pub name: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Until when, as a date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// What the server makes of a definition on the wire.
#[derive(Debug, Clone)]
pub enum Judged {
    /// It is watched.
    Sound(Definition),
    /// A type that this server does not know, from a newer client: it is kept, and its probe is UNKNOWN and says so.
    UnknownType(ServiceName),
    /// It is refused, for each of these reasons.
    Refused(Vec<String>),
}

impl Sent {
    /// A definition as it is sent.
    #[must_use]
    pub fn new(definition: &Definition, file: &str) -> Self {
        Self {
            name: definition.name().to_string(),
            kind: definition.kind().name.to_owned(),
            settings: definition
                .values()
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.to_string()))
                .collect(),
            file: file.to_owned(),
        }
    }

    /// Judges it, with no trust in whoever sent it.
    #[must_use]
    pub fn judge(&self) -> Judged {
        let mut reasons = Vec::new();
        if self.file.len() > VALUE_MAX || self.file.chars().any(is_unprintable) {
            reasons.push("the name of its file is too long, or holds control characters".to_owned());
        }
        for (key, value) in &self.settings {
            if value.len() > VALUE_MAX {
                reasons
                    .push(format!("the value of `{}` is longer than {VALUE_MAX} bytes", key.escape_debug()));
            } else if value.chars().any(is_unprintable) {
                reasons.push(format!("the value of `{}` holds control characters", key.escape_debug()));
            } else if value.trim() != value {
                reasons.push(format!("the value of `{}` has blanks at its edges", key.escape_debug()));
            }
        }
        if self.settings.contains_key("type") {
            reasons.push("`type` stands among the settings".to_owned());
        }
        if self.settings.contains_key(PASSWORD_FILE.name) {
            reasons
                .push("`password_file` is a file of the host; the client must send the password".to_owned());
        }
        if Kind::named(&self.kind).is_none() && self.kind.len() <= SERVICE_NAME_MAX && reasons.is_empty() {
            return match (self.name.parse(), self.kind.parse::<ServiceName>()) {
                (Ok(name), Ok(_)) => Judged::UnknownType(name),
                (Err(error), _) => Judged::Refused(vec![error.to_string()]),
                (_, Err(_)) => Judged::Refused(vec!["its type is no word".to_owned()]),
            };
        }
        let mut pairs = vec![("type", self.kind.as_str())];
        pairs.extend(self.settings.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let judgement = definition::judge(&self.name, &pairs, false);
        reasons.extend(
            judgement.faults.into_iter().filter(|fault| fault.problem.severity == Severity::Error).map(
                |fault| match fault.about {
                    About::Section | About::Key(_) | About::Value(_) => fault.problem.message,
                },
            ),
        );
        match judgement.definition {
            Some(definition) if reasons.is_empty() => Judged::Sound(definition),
            _ => Judged::Refused(reasons),
        }
    }
}

/// What a server answers, whatever the verb.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// [`VERSION`].
    pub version: u32,
    /// The key's standing.
    pub enrolment: Enrolment,
    /// The name that the key is bound to, once it is approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<HostName>,
    /// Why nothing was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// The newest generation that the server holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// `register`: whether the set was what the server held already.
    #[serde(default)]
    pub unchanged: bool,
    /// `register` and `status`: the definitions that were refused, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedDefinition>,
    /// What became of this host when the server last published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publication: Option<Publication>,
    /// `maintenance`: what is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<maintenance::Standing>,
}

/// A key's standing with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enrolment {
    /// Never seen, or forgotten.
    Unknown,
    /// Waits for the administrator.
    Pending,
    /// Bound to a name.
    Approved,
    /// Turned away by the administrator.
    Rejected,
    /// Was approved, and is no longer.
    Revoked,
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// For people: what is wrong.
    pub message: String,
    /// For people: what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// Why nothing was done, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCode {
    /// The document is no document of this version: not JSON, an unknown field, a bad name.
    Malformed,
    /// A version that this server does not speak.
    Version,
    /// A limit of this module; the message names it.
    Limit,
    /// The command is none of the verbs.
    Verb,
    /// The key is not approved; [`Reply::enrolment`] says how it stands.
    NotApproved,
    /// The payload names another host than the key is bound to, or a name that is bound to another key.
    Name,
    /// The generation is older than the one that the server holds, or is the same with another set.
    Generation,
    /// The token is unknown, used up, over, or not for this name.
    Token,
    /// Too many wait for approval.
    Busy,
    /// The server could not do it (a full disk, say); its journal says more. Try again later.
    Server,
    /// A code of a newer server.
    #[serde(other)]
    Other,
}

/// A definition that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedDefinition {
    /// The service's name as it was sent.
    pub name: String,
    /// Each reason.
    pub reasons: Vec<String>,
}

/// What became of a host at the last publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// The generation of this host that the engine now reads; none when it reads none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// What the engine reads of this host.
    pub standing: Standing,
    /// For people, where it is not simply [`Standing::Published`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What the engine reads of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The newest registration, or it is on its way.
    Published,
    /// Accepted, and not yet published.
    Waiting,
    /// The engine refused the newest registration; the last good one stays.
    Quarantined,
    /// The newest registration would remove too much at once; it waits for the server's administrator.
    Held,
    /// Something newer that this code does not know.
    #[serde(other)]
    Other,
}

impl Reply {
    /// A reply with nothing but the key's standing.
    #[must_use]
    pub fn new(enrolment: Enrolment) -> Self {
        Self {
            version: VERSION,
            enrolment,
            name: None,
            refusal: None,
            generation: None,
            unchanged: false,
            refused: Vec::new(),
            publication: None,
            maintenance: None,
        }
    }

    /// With the reason why nothing was done.
    #[must_use]
    pub fn refuse(mut self, code: RefusalCode, message: impl Into<String>, help: Option<&str>) -> Self {
        self.refusal = Some(Refusal { code, message: message.into(), help: help.map(str::to_owned) });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(kind: &str, settings: &[(&str, &str)]) -> Sent {
        Sent {
            name: "a".into(),
            kind: kind.into(),
            settings: settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            file: "/etc/monitoring-info/a.conf".into(),
        }
    }

    #[test]
    fn a_definition_survives_the_wire() {
        let original = sent("http", &[("port", "8080"), ("ssl", "True")]);
        let Judged::Sound(definition) = original.judge() else { panic!() };
        assert_eq!(Sent::new(&definition, &original.file), original);
    }

    #[test]
    fn what_a_client_would_never_send_is_refused() {
        for bad in [
            sent("http", &[("uri", "/a\nb")]),
            sent("http", &[("uri", " /a")]),
            sent("http", &[("type", "tcp")]),
            sent("http", &[("prot", "1")]),
            sent("imap", &[("username", "u"), ("password_file", "/etc/shadow")]),
            sent("tcp", &[]),
            sent("imap", &[("username", "u"), ("password", &"x".repeat(5000))]),
            Sent { name: "../a".into(), ..sent("ssh", &[]) },
            Sent { file: "a\x1b".into(), ..sent("ssh", &[]) },
        ] {
            assert!(matches!(bad.judge(), Judged::Refused(reasons) if !reasons.is_empty()), "{bad:?}");
        }
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused() {
        let text = r#"{"name":"a","type":"tcp","settings":{"port":"1","port":"2"},"file":"x"}"#;
        let error = serde_json::from_str::<Sent>(text).unwrap_err().to_string();
        assert!(error.contains("the key `port` is there twice"), "{error}");
    }

    #[test]
    fn an_unknown_type_is_kept() {
        assert!(matches!(sent("from-the-future", &[("stratum", "3")]).judge(), Judged::UnknownType(_)));
        assert!(matches!(sent("n t p", &[]).judge(), Judged::Refused(_)));
    }

    #[test]
    fn unknown_fields_are_refused_from_a_client_and_passed_over_from_a_server() {
        let request = r#"{"version":1,"name":"a.example","surprise":1}"#;
        assert!(serde_json::from_str::<Request>(request).is_err());
        let reply = r#"{"version":1,"enrolment":"approved","surprise":1,"refusal":{"code":"new-code","message":"m"}}"#;
        let reply: Reply = serde_json::from_str(reply).unwrap();
        assert_eq!(reply.refusal.unwrap().code, RefusalCode::Other);
    }
}
