//! Definitions: file → sections → definitions.
//!
//! Two steps, because the administrator's overrides come in between: [`read`] gives a [`Draft`] for each section, whose
//! settings may then be replaced one by one, each remembering which file set it; [`Draft::settle`] judges the whole and
//! gives a [`Definition`], which cannot hold anything that its type does not allow. The server judges what arrives over
//! the wire by the same [`judge`].

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostic::{Problem, suggestion};
use crate::host::{HostName, ServiceName, quoted};
use crate::ini::{Document, Section, Source, Spot};
use crate::service::{Default, KINDS, Key, Kind, PASSWORD_FILE, Rule, Ssl, Tls};
use crate::value::Value;

/// A file that was read, for showing places in it.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The path as it is shown.
    pub path: String,
    /// Its text; empty where the file is not text.
    pub text: String,
}

impl SourceFile {
    /// A problem, at a place in this file.
    #[must_use]
    pub fn locate(&self, problem: Problem, spot: Spot) -> Problem {
        problem.at(Source::new(&self.text).place(spot)).file(&self.path)
    }
}

/// A section before it is judged.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The section's name, as written.
    pub name: String,
    /// The file that the section stands in.
    pub file: Arc<SourceFile>,
    /// Where the name stands.
    pub place: Spot,
    /// Whether a line of it was refused already; then it never becomes a definition.
    pub faulty: bool,
    /// Its keys and values.
    pub settings: Vec<Setting>,
}

/// A key, its value, and who said so.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The key in lower case.
    pub key: String,
    /// The value as written, trimmed.
    pub value: String,
    /// The file that sets it: the definition's own, or the overrides.
    pub file: Arc<SourceFile>,
    /// Where the key stands.
    pub key_place: Spot,
    /// Where the value stands.
    pub value_place: Spot,
}

/// A service to be watched, sound by construction.
#[derive(Debug, Clone)]
pub struct Definition {
    name: ServiceName,
    kind: &'static Kind,
    values: BTreeMap<&'static str, Value>,
}

/// Reads a definition file. Faults of the text are in the problems; those of the definitions come from
/// [`Draft::settle`].
#[must_use]
pub fn read(path: &str, bytes: &[u8]) -> (Vec<Draft>, Vec<Problem>) {
    let (document, problems) = Document::parse(bytes);
    let mut problems: Vec<Problem> = problems.into_iter().map(|problem| problem.file(path)).collect();
    let text = std::str::from_utf8(bytes).unwrap_or_default().to_owned();
    let file = Arc::new(SourceFile { path: path.to_owned(), text });
    if let Some(entry) = document.head.entries.first() {
        problems.push(
            file.locate(
                Problem::error(format!("`{}` stands before the first section", entry.key))
                    .help("begin the definition with its name in brackets, like `[apache2]`"),
                entry.key_place,
            ),
        );
    }
    let drafts = document.sections.into_iter().map(|section| Draft::new(section, &file)).collect();
    (drafts, problems)
}

impl Draft {
    /// A section of a file as a draft.
    #[must_use]
    pub fn new(section: Section, file: &Arc<SourceFile>) -> Self {
        let settings = section
            .entries
            .into_iter()
            .map(|entry| Setting {
                key: entry.key,
                value: entry.value,
                file: Arc::clone(file),
                key_place: entry.key_place,
                value_place: entry.value_place,
            })
            .collect();
        Self {
            name: section.name,
            file: Arc::clone(file),
            place: section.place,
            faulty: section.faulty,
            settings,
        }
    }

    /// Judges the draft. The problems hold every fault and warning, each at its place; the definition is there when
    /// none of them is an error.
    #[must_use]
    pub fn settle(&self) -> (Option<Definition>, Vec<Problem>) {
        let pairs: Vec<(&str, &str)> =
            self.settings.iter().map(|setting| (setting.key.as_str(), setting.value.as_str())).collect();
        let judgement = judge(&self.name, &pairs, self.faulty);
        let problems = judgement
            .faults
            .into_iter()
            .map(|fault| {
                let (file, spot) = match fault.about {
                    About::Section => (&self.file, self.place),
                    About::Key(at) => (&self.settings[at].file, self.settings[at].key_place),
                    About::Value(at) => (&self.settings[at].file, self.settings[at].value_place),
                };
                file.locate(fault.problem, spot)
            })
            .collect();
        (judgement.definition.filter(|_| !self.faulty), problems)
    }
}

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
    /// Every fault.
    pub faults: Vec<Fault>,
}

/// Judges a name and its pairs of key (in lower case) and value. With `incomplete`, some lines are known to be
/// missing, so that a missing key is no news.
#[must_use]
pub fn judge(name: &str, pairs: &[(&str, &str)], incomplete: bool) -> Judgement {
    let mut judge = Judge { pairs, faults: Vec::new(), values: BTreeMap::new() };
    let name = match name.parse::<ServiceName>() {
        Ok(name) => Some(name),
        Err(error) => {
            judge.fault(About::Section, error.message, error.help);
            None
        }
    };
    let kind = judge.kind(incomplete);
    if let Some(kind) = kind {
        judge.values(kind);
        judge.rules(kind, incomplete);
        judge.tls(kind);
    }
    let sound = judge.faults.iter().all(|fault| fault.problem.severity != crate::diagnostic::Severity::Error);
    let definition = match (name, kind) {
        (Some(name), Some(kind)) if sound => Some(Definition { name, kind, values: judge.values }),
        _ => None,
    };
    Judgement { definition, faults: judge.faults }
}

struct Judge<'a> {
    pairs: &'a [(&'a str, &'a str)],
    faults: Vec<Fault>,
    values: BTreeMap<&'static str, Value>,
}

impl Judge<'_> {
    fn fault(&mut self, about: About, message: impl Into<String>, help: impl Into<String>) {
        self.faults.push(Fault { about, problem: Problem::error(message).help(help) });
    }

    fn warn(&mut self, about: About, message: impl Into<String>, help: impl Into<String>) {
        self.faults.push(Fault { about, problem: Problem::warning(message).help(help) });
    }

    fn position(&self, key: &str) -> Option<usize> {
        self.pairs.iter().position(|(name, _)| *name == key)
    }

    fn kind(&mut self, incomplete: bool) -> Option<&'static Kind> {
        let all = || KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
        let Some(at) = self.position("type") else {
            if !incomplete {
                let near = self.pairs.iter().position(|(key, _)| suggestion(key, ["type"]).is_some());
                match near {
                    Some(at) => {
                        self.fault(
                            About::Key(at),
                            format!("unknown key {}", quoted(self.pairs[at].0)),
                            "did you mean `type`?",
                        );
                    }
                    None => self.fault(
                        About::Section,
                        "the mandatory key `type` is missing",
                        format!("the types are {}", all()),
                    ),
                }
            }
            return None;
        };
        let given = self.pairs[at].1;
        if given.is_empty() {
            self.fault(About::Value(at), "the value of `type` is empty", format!("the types are {}", all()));
            return None;
        }
        let kind = Kind::named(given);
        if kind.is_none() {
            let help = match suggestion(given, KINDS.iter().map(|kind| kind.name)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the types are {}", all()),
            };
            self.fault(About::Value(at), format!("unknown type {}", quoted(given)), help);
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
            if self.values.contains_key(key.name) {
                self.fault(About::Key(at), format!("`{name}` is set twice"), "keep one of the two");
                continue;
            }
            if text.is_empty() && (key.value.parse)("").is_err()
                || text.is_empty() && key.value.name == "string"
            {
                self.fault(
                    About::Value(at),
                    format!("the value of `{name}` is empty"),
                    match key.default {
                        Default::Mandatory => format!("give {}: {}", article(key.value.name), key.value.form),
                        _ => format!(
                            "give {} ({}), or leave the line out",
                            article(key.value.name),
                            key.value.form
                        ),
                    },
                );
                continue;
            }
            match (key.value.parse)(text) {
                Ok(value) => {
                    self.values.insert(key.name, value);
                }
                Err(invalid) => self.fault(
                    About::Value(at),
                    format!("the value of `{name}` is wrong: {}", invalid.message),
                    invalid.help,
                ),
            }
        }
    }

    fn unknown_key(&mut self, at: usize, name: &str, kind: &'static Kind) {
        let near = suggestion(name, kind.keys().map(|key| key.name).chain(["type"]));
        let others: Vec<&str> =
            KINDS.iter().filter(|other| other.key(name).is_some()).map(|other| other.name).collect();
        if !others.is_empty() {
            self.fault(
                About::Key(at),
                format!("the type `{}` has no key `{name}`", kind.name),
                format!("it is a key of {}; remove it, or change the type", others.join(", ")),
            );
            return;
        }
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let keys: Vec<&str> = kind.keys().map(|key| key.name).collect();
                format!("its keys are {}", keys.join(", "))
            }
        };
        self.fault(About::Key(at), format!("unknown key {} for type `{}`", quoted(name), kind.name), help);
    }

    /// Whether a key was given at all, soundly or not.
    fn given(&self, key: &str) -> Option<usize> {
        self.position(key)
    }

    fn rules(&mut self, kind: &'static Kind, incomplete: bool) {
        let password_file = self.given(PASSWORD_FILE.name).filter(|_| kind.key(PASSWORD_FILE.name).is_some());
        if let (Some(at), Some(_)) = (password_file, self.given("password")) {
            self.fault(
                About::Key(at),
                "both `password` and `password_file` are given",
                "keep one of the two",
            );
        }
        if incomplete {
            return;
        }
        for key in kind.keys().filter(|key| key.default == Default::Mandatory) {
            if self.given(key.name).is_none() {
                self.fault(
                    About::Section,
                    format!("the mandatory key `{}` of type `{}` is missing", key.name, kind.name),
                    format!("add `{} = …`: {}", key.name, key.summary),
                );
            }
        }
        let given = |judge: &Self, key: &str| {
            judge.given(key).or_else(|| if key == "password" { password_file } else { None })
        };
        for rule in kind.rules {
            match *rule {
                Rule::Together(one, other) => {
                    for (has, lacks) in [(one, other), (other, one)] {
                        if let (Some(at), None) = (given(self, has), given(self, lacks)) {
                            let named = self.pairs[at].0.to_owned();
                            self.fault(
                                About::Key(at),
                                format!("`{named}` is given without `{lacks}`"),
                                "give both, or neither",
                            );
                        }
                    }
                }
                Rule::Needs(key, needed) => {
                    if let (Some(at), None) = (given(self, key), given(self, needed)) {
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
        let ssl = self.values.get("ssl").is_some_and(|value| *value != Value::Boolean(false));
        let ignored = self.values.get("ignore_invalid_ssl") == Some(&Value::Boolean(true));
        for key in ["ssl_hostname", "ignore_invalid_ssl", "expire_before_days"] {
            let Some(at) = self.given(key) else { continue };
            if !ssl
                && self
                    .given("ssl")
                    .is_none_or(|at| self.pairs[at].1.is_empty() || self.values.contains_key("ssl"))
            {
                self.warn(About::Key(at), format!("`{key}` has no effect without `ssl`"), "add `ssl = True`");
            } else if ssl && ignored && key == "expire_before_days" {
                self.warn(
                    About::Key(at),
                    format!("`{key}` has no effect with `ignore_invalid_ssl`"),
                    "remove one of the two",
                );
            }
        }
    }
}

fn article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

impl Definition {
    /// The service's name.
    #[must_use]
    pub fn name(&self) -> &ServiceName {
        &self.name
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// The values that were given, by key; canonical, without defaults.
    #[must_use]
    pub fn values(&self) -> &BTreeMap<&'static str, Value> {
        &self.values
    }

    /// The value that was given for a key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// The value of a key on this host: the one given, else the default.
    #[must_use]
    pub fn value_for(&self, key: &str, host: &HostName) -> Option<Value> {
        if let Some(value) = self.values.get(key) {
            return Some(value.clone());
        }
        let key: &Key = self.kind.key(key)?;
        let text = match key.default {
            Default::Mandatory | Default::Absent => return None,
            Default::Is(text) => text,
            Default::BySsl { plain, ssl } => {
                if self.ssl() == Ssl::Direct {
                    ssl
                } else {
                    plain
                }
            }
            Default::HostName => host.as_str(),
        };
        (key.value.parse)(text).ok()
    }

    /// Puts the password that stood in the file named by `password_file` in its place.
    pub fn resolve_password(&mut self, password: String) {
        self.values.remove(PASSWORD_FILE.name);
        self.values.insert("password", Value::Text(password));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::probe::{Run, Subject};
    use crate::service;

    /// The main probe of a definition as one line, for the tests of the types.
    pub(crate) fn main_plugin(body: &str) -> String {
        let (drafts, problems) = read("test.conf", format!("[test]\n{body}\n").as_bytes());
        assert!(problems.is_empty(), "{problems:?}");
        let (definition, problems) = drafts[0].settle();
        let definition = definition.unwrap_or_else(|| panic!("{problems:?}"));
        let host = "web1.example.org".parse().unwrap();
        let subject = Subject { host: &host, address: [192, 0, 2, 1].into(), definition: &definition };
        let probe = service::probes(&subject).into_iter().find(|probe| probe.name.is_none()).unwrap();
        match probe.run {
            Run::Own(own) => format!("own {}", own.name),
            Run::Plugin(plugin) => {
                let environment: Vec<String> =
                    plugin.environment.iter().map(|(name, value)| format!("{name}={value} ")).collect();
                let secrets: Vec<String> =
                    plugin.secrets.iter().map(|(name, _)| format!(" ({name})")).collect();
                let arguments = plugin.arguments.join(" ");
                format!("{}{} {arguments}{}", environment.concat(), plugin.program, secrets.concat())
            }
        }
    }
}
