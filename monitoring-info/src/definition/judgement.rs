//! Judging a section: everything that is wrong with it, not the first thing alone.

use std::collections::BTreeMap;

use super::Definition;
use crate::diagnostic::{PROBLEMS_MAX, Problem, Severity, instead, suggestion};
use crate::host::{ServiceName, article, quoted};
use crate::service::{Default, KINDS, Kind, PASSWORD_FILE, Rule, Tls};
use crate::value::Value;

/// What a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The section as a whole.
    Section,
    /// The key of the pair with this index.
    Key(usize),
    /// The value of the pair with this index.
    Value(usize),
}

/// A fault and what it is about.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Where to look.
    pub about: About,
    /// What is wrong; it has no place yet.
    pub problem: Problem,
}

/// What [`judge`] found.
#[derive(Debug, Clone, Default)]
pub struct Judgement {
    /// The definition, when no fault is an error.
    pub definition: Option<Definition>,
    /// The faults, at most [`PROBLEMS_MAX`] of them and the number of the others.
    pub faults: Vec<Fault>,
}

/// Judges a name and its pairs of key (in lower case) and value. With `incomplete`, some lines are known to be
/// missing, so that a missing key is no news.
#[must_use]
pub fn judge(name: &str, pairs: &[(&str, &str)], incomplete: bool) -> Judgement {
    let mut judge =
        Judge { pairs, incomplete, faults: Vec::new(), left_out: 0, sound: true, values: BTreeMap::new() };
    let name = match name.parse::<ServiceName>() {
        Ok(name) => Some(name),
        Err(error) => {
            judge.fault(About::Section, error.message, error.help);
            None
        }
    };
    let kind = judge.kind();
    if let Some(kind) = kind {
        judge.values(kind);
        judge.passwords(kind);
        if !incomplete {
            judge.missing(kind);
            judge.rules(kind);
        }
        judge.tls(kind);
    }
    if judge.left_out > 0 {
        judge.faults.push(Fault { about: About::Section, problem: Problem::left_out(judge.left_out) });
    }
    let definition = match (name, kind) {
        (Some(name), Some(kind)) if judge.sound => Some(Definition { name, kind, values: judge.values }),
        _ => None,
    };
    Judgement { definition, faults: judge.faults }
}

struct Judge<'a> {
    pairs: &'a [(&'a str, &'a str)],
    incomplete: bool,
    faults: Vec<Fault>,
    left_out: usize,
    sound: bool,
    values: BTreeMap<&'static str, Value>,
}

impl Judge<'_> {
    fn report(&mut self, about: About, problem: Problem) {
        self.sound &= problem.severity != Severity::Error;
        if self.faults.len() < PROBLEMS_MAX {
            self.faults.push(Fault { about, problem });
        } else {
            self.left_out += 1;
        }
    }

    fn fault(&mut self, about: About, message: impl Into<String>, help: impl Into<String>) {
        self.report(about, Problem::error(message).help(help));
    }

    fn warn(&mut self, about: About, message: impl Into<String>, help: impl Into<String>) {
        self.report(about, Problem::warning(message).help(help));
    }

    /// Where a key was given, soundly or not.
    fn given(&self, key: &str) -> Option<usize> {
        self.pairs.iter().position(|(name, _)| *name == key)
    }

    /// Where a key was given, or what may stand for it.
    fn given_in_effect(&self, key: &str) -> Option<usize> {
        let stand_in = if key == "password" { self.given(PASSWORD_FILE.name) } else { None };
        self.given(key).or(stand_in)
    }

    /// Whether a key that is not there was meant by one that the type does not have; then the one fault says it all.
    fn misspelt(&self, kind: &'static Kind, key: &str) -> bool {
        let known = || kind.keys().map(|key| key.name).chain(["type"]);
        self.pairs
            .iter()
            .filter(|(name, _)| known().all(|known| known != *name))
            .any(|(name, _)| suggestion(name, known()) == Some(key))
    }

    fn kind(&mut self) -> Option<&'static Kind> {
        let all = || format!("the types are {}", listed(KINDS.iter().map(|kind| kind.name)));
        let Some(at) = self.given("type") else {
            if self.incomplete {
                return None;
            }
            match self.pairs.iter().position(|(key, _)| suggestion(key, ["type"]).is_some()) {
                Some(near) => self.fault(
                    About::Key(near),
                    format!("unknown key {}", quoted(self.pairs[near].0)),
                    "did you mean `type`?",
                ),
                None => self.fault(About::Section, "the mandatory key `type` is missing", all()),
            }
            return None;
        };
        let name = self.pairs[at].1;
        if name.is_empty() {
            self.fault(About::Value(at), "the value of `type` is empty", all());
            return None;
        }
        let kind = Kind::named(name);
        if kind.is_none() {
            let help = instead(name, KINDS.iter().map(|kind| kind.name), "the types are");
            self.fault(About::Value(at), format!("unknown type {}", quoted(name)), help);
        }
        kind
    }

    fn values(&mut self, kind: &'static Kind) {
        for (at, &(name, text)) in self.pairs.iter().enumerate() {
            if name == "type" {
                continue;
            }
            let Some(key) = kind.key(name) else {
                self.unknown_key(at, name, kind);
                continue;
            };
            match (key.value.parse)(text) {
                Ok(value) => {
                    self.values.insert(key.name, value);
                }
                Err(_) if text.is_empty() => {
                    let (kind, form) = (article(key.value.name), key.value.form);
                    let help = match key.default {
                        Default::Mandatory => format!("give {kind}: {form}"),
                        _ => format!("give {kind} ({form}), or leave the line out"),
                    };
                    self.fault(About::Value(at), format!("the value of `{name}` is empty"), help);
                }
                Err(invalid) => {
                    let message = format!("the value of `{name}` is wrong: {}", invalid.message);
                    self.fault(About::Value(at), message, invalid.help);
                }
            }
        }
    }

    fn unknown_key(&mut self, at: usize, name: &str, kind: &'static Kind) {
        let owners: Vec<&str> =
            KINDS.iter().filter(|other| other.key(name).is_some()).map(|other| other.name).collect();
        if !owners.is_empty() {
            self.fault(
                About::Key(at),
                format!("the type `{}` has no key `{name}`", kind.name),
                format!("it is a key of {}; remove it, or change the type", listed(owners)),
            );
            return;
        }
        let keys = || kind.keys().map(|key| key.name);
        let help = suggestion(name, keys().chain(["type"])).map_or_else(
            || format!("its keys are {}", listed(keys())),
            |near| format!("did you mean `{near}`?"),
        );
        self.fault(About::Key(at), format!("unknown key {} for type `{}`", quoted(name), kind.name), help);
    }

    fn passwords(&mut self, kind: &'static Kind) {
        let both = self.given("password").and(self.given(PASSWORD_FILE.name));
        if let Some(at) = both.filter(|_| kind.key("password").is_some()) {
            self.fault(
                About::Key(at),
                "both `password` and `password_file` are given",
                "keep one of the two",
            );
        }
    }

    fn missing(&mut self, kind: &'static Kind) {
        for key in kind.keys().filter(|key| key.default == Default::Mandatory) {
            if self.given(key.name).is_none() && !self.misspelt(kind, key.name) {
                self.fault(
                    About::Section,
                    format!("the mandatory key `{}` of type `{}` is missing", key.name, kind.name),
                    format!("add `{} = …`: {}", key.name, key.summary),
                );
            }
        }
    }

    fn rules(&mut self, kind: &'static Kind) {
        for rule in kind.rules {
            match *rule {
                Rule::Together(one, other) => {
                    for (has, lacks) in [(one, other), (other, one)] {
                        let lacking = self.given_in_effect(lacks).is_none() && !self.misspelt(kind, lacks);
                        if let Some(at) = self.given_in_effect(has).filter(|_| lacking) {
                            let message = format!("`{}` is given without `{lacks}`", self.pairs[at].0);
                            self.fault(About::Key(at), message, "give both, or neither");
                        }
                    }
                }
                Rule::Needs(key, needed) => {
                    let lacking = self.given_in_effect(needed).is_none() && !self.misspelt(kind, needed);
                    if let Some(at) = self.given_in_effect(key).filter(|_| lacking) {
                        self.fault(
                            About::Key(at),
                            format!("`{key}` needs `{needed}`"),
                            format!("add `{needed} = …`, or remove `{key}`"),
                        );
                    }
                }
            }
        }
    }

    /// Keys that say something about a certificate that nobody looks at are no error, but surely not what was meant.
    fn tls(&mut self, kind: &'static Kind) {
        if kind.tls == Tls::Never {
            return;
        }
        let surely_plain = match self.given("ssl") {
            Some(_) => self.values.get("ssl") == Some(&Value::Boolean(false)),
            None => !self.incomplete,
        };
        if surely_plain {
            for key in ["ssl_hostname", "ignore_invalid_ssl", "expire_before_days"] {
                if let Some(at) = self.given(key) {
                    self.warn(
                        About::Key(at),
                        format!("`{key}` has no effect without `ssl`"),
                        "add `ssl = True`",
                    );
                }
            }
            return;
        }
        let ignored = self.values.get("ignore_invalid_ssl") == Some(&Value::Boolean(true));
        if let Some(at) = self.given("expire_before_days").filter(|_| ignored) {
            self.warn(
                About::Key(at),
                "`expire_before_days` has no effect with `ignore_invalid_ssl`",
                "remove one of the two",
            );
        }
    }
}

fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().collect::<Vec<_>>().join(", ")
}
