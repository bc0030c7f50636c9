//! Definitions: file → sections → definitions.
//!
//! Two steps, because the administrator's overrides come in between: [`read`] gives a [`Draft`] for each section, whose
//! settings may then be replaced one by one, each remembering which file set it; [`Draft::settle`] judges the whole and
//! gives a [`Definition`], which cannot hold anything that its type does not allow. The server judges what arrives over
//! the wire by the same [`judge`].

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostic::Problem;
use crate::host::{HostName, ServiceName, is_unprintable};
use crate::ini::{Document, Section, Source, Spot, VALUE_MAX};
use crate::registration::DEFINITIONS_MAX;
use crate::service::{Default, Key, Kind, PASSWORD_FILE, Ssl};
use crate::value::{Invalid, Value};

mod judgement;

pub use judgement::{About, Fault, Judgement, judge};

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
#[derive(Debug, Clone, PartialEq)]
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
    let sections = document.sections.len();
    if sections > DEFINITIONS_MAX {
        let problem = Problem::error(format!(
            "the file holds {sections} definitions; a host can have at most {DEFINITIONS_MAX}"
        ));
        problems.push(problem.file(path).help("check that it is the right file; none of it is taken"));
        return (Vec::new(), problems);
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

    /// Puts the first line of the file named by `password_file` in its place; `text` is what the file holds.
    ///
    /// # Errors
    /// The line cannot be a password: the rules are those of a value in a definition file, because it travels as one.
    pub fn resolve_password(&mut self, text: impl AsRef<str>) -> Result<(), Invalid> {
        let password = text.as_ref().lines().next().unwrap_or_default();
        let refuse = |why: &str| {
            Err(Invalid::new(
                format!("the password in its first line {why}"),
                "write the password alone into the file's first line",
            ))
        };
        if password.is_empty() {
            return refuse("is empty");
        }
        if password.trim() != password {
            return refuse("has blanks at its edges");
        }
        if password.chars().any(is_unprintable) {
            return refuse("holds control characters");
        }
        if password.len() > VALUE_MAX {
            return refuse("is too long");
        }
        self.values.remove(PASSWORD_FILE.name);
        self.values.insert("password", Value::Text(password.to_owned()));
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::probe::Subject;
    use crate::{mail, service};

    /// The main probe of a definition as one line, for the tests of the types.
    pub(crate) fn main_program(body: &str) -> String {
        probe(body, None).expect("every definition has a main probe")
    }

    /// The probe of this name as one line, if there is one.
    pub(crate) fn probe(body: &str, name: Option<&str>) -> Option<String> {
        probe_under(&mail::Policy::default(), &mail::SharedLists::new(), body, name)
    }

    /// The main probe where the administrator has said something, as one line.
    pub(crate) fn program_under(mail: &mail::Policy, lists: &mail::SharedLists, body: &str) -> String {
        probe_under(mail, lists, body, None).expect("every definition has a main probe")
    }

    fn probe_under(
        mail: &mail::Policy,
        lists: &mail::SharedLists,
        body: &str,
        name: Option<&str>,
    ) -> Option<String> {
        let (drafts, problems) = read("test.conf", format!("[test]\n{body}\n").as_bytes());
        assert!(problems.is_empty(), "{problems:?}");
        let (definition, problems) = drafts[0].settle();
        let definition = definition.unwrap_or_else(|| panic!("{problems:?}"));
        let host = "web1.example.org".parse().unwrap();
        let address = [192, 0, 2, 1].into();
        let subject = Subject { host: &host, address, definition: &definition, mail, lists };
        let probe = service::probes(&subject).into_iter().find(|probe| probe.name == name)?;
        let program = probe.program;
        let environment: Vec<String> =
            program.environment.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        let secrets: Vec<String> = program.secrets.iter().map(|(name, _)| format!(" ({name})")).collect();
        let arguments = program.arguments.join(" ");
        Some(format!("{}{} {arguments}{}", environment.concat(), program.name, secrets.concat()))
    }
}
