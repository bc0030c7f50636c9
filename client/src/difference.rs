//! What a registration would change.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use monitoring_info::registration::{Registration, Sent};
use serde::Serialize;

use crate::screen::{BAD, BOLD, DIM, GOOD, WARNING, paint};

/// The settings whose values are shown to nobody.
const SECRETS: [&str; 1] = ["password"];
/// What is shown in their place.
pub const MASK: &str = "********";

/// A value, unless it is a secret.
#[must_use]
pub fn masked<'a>(key: &str, value: &'a str) -> &'a str {
    if SECRETS.contains(&key) { MASK } else { value }
}

/// What a registration would change at a server.
#[derive(Debug, Serialize)]
pub struct Changes {
    /// The server; none where no server is known.
    pub server: Option<String>,
    /// The generation that it acknowledged last.
    pub acknowledged: Option<u64>,
    /// The services that would be watched in addition.
    pub added: Vec<Service>,
    /// The services that would be watched no longer.
    pub removed: Vec<Service>,
    /// The services that would be watched in another way.
    pub changed: Vec<ChangedService>,
    /// The services that would be opted out in addition.
    pub opted_out: Vec<String>,
    /// The services that would be opted out no longer.
    pub opted_in: Vec<String>,
    /// Whether the tags would change.
    pub tags_changed: bool,
}

/// A service.
#[derive(Debug, Serialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The file that it comes from.
    pub file: String,
}

/// A service that would be watched in another way.
#[derive(Debug, Serialize)]
pub struct ChangedService {
    /// Its name.
    pub name: String,
    /// The keys that would change.
    pub keys: Vec<ChangedKey>,
}

/// A key that would change; no value means that it is not set.
#[derive(Debug, Serialize)]
pub struct ChangedKey {
    /// The key.
    pub key: String,
    /// What the server holds.
    pub old: Option<String>,
    /// What it would be told.
    pub new: Option<String>,
}

/// Compares what a server holds with what it would be told.
#[must_use]
pub fn between(server: Option<String>, old: Option<&Registration>, new: &Registration) -> Changes {
    let index = |registration: &'_ Registration| -> BTreeMap<String, Sent> {
        registration.definitions.iter().map(|sent| (sent.name.clone(), sent.clone())).collect()
    };
    let before = old.map(index).unwrap_or_default();
    let after = index(new);
    let service =
        |sent: &Sent| Service { name: sent.name.clone(), kind: sent.kind.clone(), file: sent.file.clone() };
    let only_in = |one: &BTreeMap<String, Sent>, other: &BTreeMap<String, Sent>| -> Vec<Service> {
        one.values().filter(|sent| !other.contains_key(&sent.name)).map(service).collect()
    };
    let names = |registration: &Registration| -> Vec<String> {
        registration.opted_out.iter().map(|opted_out| opted_out.name.clone()).collect()
    };
    let out_before = old.map(names).unwrap_or_default();
    let out_after = names(new);
    Changes {
        server,
        acknowledged: old.map(|old| old.generation),
        added: only_in(&after, &before),
        removed: only_in(&before, &after),
        changed: after
            .values()
            .filter_map(|sent| {
                let keys = keys(before.get(&sent.name)?, sent);
                (!keys.is_empty()).then(|| ChangedService { name: sent.name.clone(), keys })
            })
            .collect(),
        opted_out: out_after.iter().filter(|name| !out_before.contains(name)).cloned().collect(),
        opted_in: out_before.iter().filter(|name| !out_after.contains(name)).cloned().collect(),
        tags_changed: old.map_or(!new.tags.is_empty(), |old| old.tags != new.tags),
    }
}

fn keys(old: &Sent, new: &Sent) -> Vec<ChangedKey> {
    let all = |sent: &Sent| -> BTreeMap<String, String> {
        let own = [("type".to_owned(), sent.kind.clone()), ("file".to_owned(), sent.file.clone())];
        sent.settings.clone().into_iter().chain(own).collect()
    };
    let (old, new) = (all(old), all(new));
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| {
            let shown =
                |side: &BTreeMap<String, String>| side.get(key).map(|value| masked(key, value).to_owned());
            ChangedKey { key: key.clone(), old: shown(&old), new: shown(&new) }
        })
        .collect()
}

impl Changes {
    /// How many things would change.
    #[must_use]
    pub fn count(&self) -> usize {
        self.added.len()
            + self.removed.len()
            + self.changed.len()
            + self.opted_out.len()
            + self.opted_in.len()
            + usize::from(self.tags_changed)
    }

    /// Whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        match (&self.server, self.acknowledged) {
            (Some(server), Some(generation)) => {
                writeln!(out, "{} (acknowledged generation {generation})", paint(BOLD, server))?;
            }
            (Some(server), None) => writeln!(out, "{} (has acknowledged nothing yet)", paint(BOLD, server))?,
            (None, _) => writeln!(out, "No monitoring server is known; one would be told:")?,
        }
        if self.is_empty() {
            writeln!(out, "  {}", paint(DIM, "nothing would change"))?;
        }
        for service in &self.added {
            let from = paint(DIM, format!("{}, {}", service.kind, service.file));
            writeln!(out, "  {} {}  {from}", paint(GOOD, "+"), service.name)?;
        }
        for service in &self.removed {
            let from = paint(DIM, format!("{}, {}", service.kind, service.file));
            writeln!(out, "  {} {}  {from}", paint(BAD, "-"), service.name)?;
        }
        for service in &self.changed {
            writeln!(out, "  {} {}", paint(WARNING, "~"), service.name)?;
            for change in &service.keys {
                let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "(not set)".to_owned());
                writeln!(out, "      {}: {} → {}", change.key, shown(&change.old), shown(&change.new))?;
            }
        }
        for name in &self.opted_out {
            writeln!(out, "  {} {name}", paint(WARNING, "opted out:"))?;
        }
        for name in &self.opted_in {
            writeln!(out, "  {} {name}", paint(GOOD, "no longer opted out:"))?;
        }
        if self.tags_changed {
            writeln!(out, "  {} the tags of this host", paint(WARNING, "~"))?;
        }
        f.write_str(&out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(name: &str, settings: &[(&str, &str)]) -> Sent {
        Sent {
            name: name.into(),
            kind: "imap".into(),
            settings: settings.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            file: "/etc/monitoring-info/a.conf".into(),
        }
    }

    fn registration(definitions: Vec<Sent>) -> Registration {
        Registration { generation: 4, tags: vec![], definitions, opted_out: vec![] }
    }

    #[test]
    fn what_is_added_removed_and_changed_is_said_and_a_password_is_not() {
        let old = registration(vec![sent("a", &[("port", "1"), ("password", "one")]), sent("b", &[])]);
        let new = registration(vec![sent("a", &[("password", "two")]), sent("c", &[])]);
        let changes = between(Some("s".into()), Some(&old), &new);
        let shown = anstream::adapter::strip_str(&changes.to_string()).to_string();
        assert!(
            shown.contains("+ c") && shown.contains("- b") && shown.contains("port: 1 → (not set)"),
            "{shown}"
        );
        assert!(shown.contains("password: ******** → ********"), "{shown}");
        assert!(!serde_json::to_string(&changes).unwrap().contains("two"));
        assert!(between(None, Some(&new), &new).is_empty());
    }
}
