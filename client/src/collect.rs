//! From files to what is registered: definitions, the administrator's overrides, passwords, and every problem on the
//! way.
//!
//! One faulty definition never stops the others: what is sound is there to be sent, what is not is in the problems. Of
//! a service that two files define, neither is sent, because a silent choice between them would be right half the time.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use monitoring_info::definition::{self, Definition, Draft};
use monitoring_info::diagnostic::{Problem, Severity, arranged};
use monitoring_info::host::{ServiceName, quoted};
use monitoring_info::ini::FILE_MAX;
use monitoring_info::overrides::{OptOut, Overrides};
use monitoring_info::registration::{DEFINITIONS_MAX, OptedOut, Registration, Sent};
use monitoring_info::service::PASSWORD_FILE;

use crate::layers::{self, Inactive};
use crate::password::{self, exposed};
use crate::root::{Contents, OVERRIDES, Root, Unreadable, read_named};

/// The largest registration in bytes of JSON: the document's limit, less what stands around it.
const REGISTRATION_MAX: usize = monitoring_info::registration::DOCUMENT_MAX - 4 * 1024;

/// What a host has to say.
#[derive(Debug, Default)]
pub struct Collection {
    /// The sound definitions, in the order of their files.
    pub definitions: Vec<Collected>,
    /// The definitions that the administrator does not want watched.
    pub disabled: Vec<Disabled>,
    /// The names of the definitions that have faults.
    pub faulty: Vec<String>,
    /// Every fault and warning, as they are shown.
    pub problems: Vec<Problem>,
    /// The definition files that do not count.
    pub inactive: Vec<Inactive>,
    /// What the administrator says.
    pub overrides: Overrides,
}

/// A sound definition and where each of its settings comes from.
#[derive(Debug)]
pub struct Collected {
    /// The settings with their files.
    pub draft: Draft,
    /// What they amount to.
    pub definition: Definition,
}

/// A definition that the administrator does not want watched.
#[derive(Debug)]
pub struct Disabled {
    /// The definition as it stands, not judged: an opt-out is also the way to silence a faulty one.
    pub draft: Draft,
    /// Who said so, and why.
    pub opt_out: OptOut,
}

impl Collection {
    /// Whether a definition was refused, or anything else is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// The sound definitions and those that are not wanted, as they stand.
    pub fn drafts(&self) -> impl Iterator<Item = &Draft> {
        let disabled = self.disabled.iter().map(|one| &one.draft);
        self.definitions.iter().map(|one| &one.draft).chain(disabled)
    }

    /// What is sent. What the limits of the wire leave out is said in the problems.
    pub fn registration(&mut self, root: &Root, tags: &[monitoring_info::host::Tag]) -> Registration {
        let mut definitions = Vec::new();
        let mut size = 0;
        for collected in &self.definitions {
            let sent = Sent::new(&collected.definition, root.system_path(&collected.draft.file.path));
            // Serializing text to memory cannot fail; were it to, the definition counts as too large.
            size += serde_json::to_vec(&sent).map_or(REGISTRATION_MAX, |bytes| bytes.len() + 1);
            if size > REGISTRATION_MAX {
                self.problems.push(
                    Problem::error(format!(
                        "`{}` does not fit into the {} KiB of a registration; it and what follows is left out",
                        sent.name,
                        REGISTRATION_MAX / 1024
                    ))
                    .file(&collected.draft.file.path)
                    .help("shorten the values of this host's definitions"),
                );
                break;
            }
            definitions.push(sent);
            if definitions.len() == DEFINITIONS_MAX {
                break;
            }
        }
        Registration { generation: 0, tags: tags.to_vec(), definitions, opted_out: self.opted_out() }
    }

    fn opted_out(&self) -> Vec<OptedOut> {
        self.disabled
            .iter()
            .filter(|disabled| disabled.draft.name.parse::<ServiceName>().is_ok())
            .take(DEFINITIONS_MAX)
            .map(|disabled| OptedOut {
                name: disabled.draft.name.clone(),
                reason: disabled.opt_out.reason.clone(),
                until: disabled.opt_out.until.map(|until| until.to_string()),
            })
            .collect()
    }
}

/// Collects what this host has to say on this day.
#[must_use]
pub fn host(root: &Root, today: Date) -> Collection {
    let layers = layers::find(root);
    let mut collector = Collector { root: Some(root), problems: layers.problems, ..Collector::default() };
    let overrides = collector.overrides(root);
    for system in &layers.active {
        let shown = root.path(system).display().to_string();
        collector.file(&shown, root.read(system, FILE_MAX), Some(system));
    }
    let mut disabled = Vec::new();
    let mut wanted = Vec::new();
    for mut draft in std::mem::take(&mut collector.drafts) {
        if let Some(opt_out) = overrides.opted_out(&draft.name, today) {
            disabled.push(Disabled { draft, opt_out: opt_out.clone() });
        } else {
            overrides.apply(&mut draft);
            wanted.push(draft);
        }
    }
    let mut collection = collector.settle(wanted);
    let count = collection.definitions.len();
    if count > DEFINITIONS_MAX {
        let first = &collection.definitions[DEFINITIONS_MAX].draft;
        let problem = Problem::error(format!(
            "this host has {count} definitions, at most {DEFINITIONS_MAX} are registered; left out are those from `{}` on",
            first.name
        ));
        let problem = first.file.locate(problem, first.place);
        collection.problems.push(problem.help("remove definitions, or disable those that matter least"));
    }
    let problems = arranged(collection.problems);
    Collection { disabled, overrides, problems, inactive: layers.inactive, ..collection }
}

/// Collects the definitions of files that a person named, as they stand: without overrides, and without the passwords
/// that they may name, which are the business of the host that they are made for.
#[must_use]
pub fn files(paths: &[PathBuf]) -> Collection {
    let mut collector = Collector::default();
    for path in paths {
        let contents = if path == Path::new("-") { standard_input() } else { read_named(path, FILE_MAX) };
        collector.file(&path.display().to_string(), contents, None);
    }
    let drafts = std::mem::take(&mut collector.drafts);
    let collection = collector.settle(drafts);
    Collection { problems: arranged(collection.problems), ..collection }
}

fn standard_input() -> Result<Contents, Unreadable> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(FILE_MAX as u64 + 1).read_to_end(&mut bytes)?;
    // What arrives through a pipe is no file that somebody else could read.
    Ok(Contents { bytes, owner: 0, mode: 0o600 })
}

#[derive(Default)]
struct Collector<'a> {
    root: Option<&'a Root>,
    drafts: Vec<Draft>,
    problems: Vec<Problem>,
    /// Owner and mode of the files that were read.
    access: HashMap<String, (u32, u32)>,
}

impl Collector<'_> {
    fn file(&mut self, shown: &str, contents: Result<Contents, Unreadable>, system: Option<&Path>) {
        match contents {
            Ok(contents) => {
                let (drafts, problems) = definition::read(shown, &contents.bytes);
                self.drafts.extend(drafts);
                self.problems.extend(problems);
                self.access.insert(shown.to_owned(), (contents.owner, contents.mode));
            }
            Err(error) => self.problems.push(self.unreadable(shown, &error, system)),
        }
    }

    fn unreadable(&self, shown: &str, error: &Unreadable, system: Option<&Path>) -> Problem {
        let problem = |message: String, help: &str| Problem::error(message).file(shown).help(help);
        match error {
            Unreadable::NoFile("a FIFO") if system.is_none() => problem(
                error.to_string(),
                "to check what a program writes, pipe it into `auto-monitor check -`",
            ),
            Unreadable::NoFile(_) if system.is_none() => problem(error.to_string(), "name a definition file"),
            Unreadable::NoFile(_) => {
                problem(error.to_string(), "remove it; only files belong into this folder")
            }
            Unreadable::Io(io) if io.kind() == std::io::ErrorKind::PermissionDenied => {
                problem(error.to_string(), "run this as root, or look at the file's permissions")
            }
            Unreadable::Io(io) if io.kind() == std::io::ErrorKind::NotFound => {
                let target = system.and_then(|system| {
                    let root = self.root?;
                    std::fs::read_link(root.path(system)).ok()
                });
                match target {
                    Some(target) => problem(
                        format!("this is a link to {}, which does not exist", target.display()),
                        "restore its target, or remove the link; to switch a file off, link it to /dev/null",
                    ),
                    None => problem(error.to_string(), "look at the path"),
                }
            }
            Unreadable::Io(_) => problem(error.to_string(), "look at the file and its file system"),
        }
    }

    fn overrides(&mut self, root: &Root) -> Overrides {
        let shown = root.path(OVERRIDES).display().to_string();
        match root.read(Path::new(OVERRIDES), FILE_MAX) {
            Ok(contents) => {
                let (overrides, problems) = Overrides::parse(&shown, &contents.bytes);
                self.problems.extend(problems);
                self.access.insert(shown, (contents.owner, contents.mode));
                overrides
            }
            Err(Unreadable::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                Overrides::default()
            }
            Err(error) => {
                self.problems.push(
                    Problem::error(format!("the overrides: {error}"))
                        .file(shown)
                        .help("until they can be read, none is in force"),
                );
                Overrides::default()
            }
        }
    }

    fn settle(mut self, drafts: Vec<Draft>) -> Collection {
        let twins = self.twins(&drafts);
        let mut definitions = Vec::with_capacity(drafts.len());
        let mut faulty = Vec::new();
        for (draft, twin) in drafts.into_iter().zip(twins) {
            let (definition, problems) = draft.settle();
            self.problems.extend(problems);
            self.exposed_password(&draft);
            let definition =
                definition.filter(|_| !twin).and_then(|definition| self.password(&draft, definition));
            match definition {
                Some(definition) => definitions.push(Collected { draft, definition }),
                None => faulty.push(draft.name),
            }
        }
        Collection { definitions, faulty, problems: self.problems, ..Collection::default() }
    }

    /// For each draft, whether another one has its name.
    fn twins(&mut self, drafts: &[Draft]) -> Vec<bool> {
        let mut twins = vec![false; drafts.len()];
        let mut first_of: HashMap<&str, usize> = HashMap::with_capacity(drafts.len());
        for (at, draft) in drafts.iter().enumerate() {
            let Some(&first) = first_of.get(draft.name.as_str()) else {
                first_of.insert(&draft.name, at);
                continue;
            };
            (twins[first], twins[at]) = (true, true);
            let other = &drafts[first];
            let problem = Problem::error(format!(
                "the service {} is defined in two files: here, and in {} on line {}; neither counts",
                quoted(&draft.name),
                other.file.path,
                other.place.line
            ))
            .help("give one of them another name, or remove it");
            self.problems.push(draft.file.locate(problem, draft.place));
        }
        twins
    }

    /// Warns of a file with a password that others can read; once a file.
    fn exposed_password(&mut self, draft: &Draft) {
        let Some(setting) = draft.settings.iter().find(|setting| setting.key == "password") else {
            return;
        };
        let warning = self
            .access
            .remove(&setting.file.path)
            .and_then(|(owner, mode)| exposed(&setting.file.path, owner, mode));
        self.problems.extend(warning.map(|problem| setting.file.locate(problem, setting.key_place)));
    }

    /// Puts the password in the place of the file that holds it.
    fn password(&mut self, draft: &Draft, mut definition: Definition) -> Option<Definition> {
        let (Some(root), Some(setting)) =
            (self.root, draft.settings.iter().find(|setting| setting.key == PASSWORD_FILE.name))
        else {
            return Some(definition);
        };
        let resolved = password::read(root, setting).and_then(|password| {
            self.problems.extend(password.warning);
            definition.resolve_password(password.line).map_err(|invalid| {
                let message = format!("the password file {}: {}", password.path, invalid.message);
                Box::new(Problem::error(message).help(invalid.help))
            })
        });
        match resolved {
            Ok(()) => Some(definition),
            Err(problem) => {
                self.problems.push(setting.file.locate(*problem, setting.value_place));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const TODAY: Date = jiff::civil::date(2026, 11, 20);

    fn host_of(files: &[(&str, &str)]) -> (tempfile::TempDir, Collection) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        let collection = host(&Root::new(folder.path()).unwrap(), TODAY);
        (folder, collection)
    }

    fn messages(collection: &Collection) -> Vec<&str> {
        collection.problems.iter().map(|problem| problem.message.as_str()).collect()
    }

    fn names(collection: &Collection) -> Vec<&str> {
        collection.definitions.iter().map(|one| one.definition.name().as_str()).collect()
    }

    #[test]
    fn of_two_files_with_one_service_neither_counts_and_both_are_named() {
        let (_folder, collection) = host_of(&[
            ("etc/monitoring-info/a.conf", "[web]\ntype = http\n[ssh]\ntype = ssh\n"),
            ("etc/monitoring-info/b.conf", "\n[web]\ntype = http\n"),
        ]);
        assert_eq!(names(&collection), ["ssh"]);
        assert_eq!(collection.faulty, ["web", "web"]);
        let problem = &collection.problems[0];
        assert!(problem.file.as_deref().unwrap().ends_with("b.conf"), "{problem}");
        assert!(problem.message.contains("/etc/monitoring-info/a.conf on line 1"), "{problem}");
    }

    #[test]
    fn overrides_opt_out_and_replace_and_an_opt_out_silences_faults() {
        let (_folder, collection) = host_of(&[
            (
                "etc/monitoring-info/a.conf",
                "[a]\ntype = tcp\nport = 1\n[mail-in]\ntype = nonsense\n[b]\ntype = ssh\n",
            ),
            (
                "etc/auto-monitor/overrides.conf",
                "[a]\nport = 2\n[mail-*]\nenabled = no\nreason = broken\n[b]\nenabled = no\nuntil = 2026-11-19\n",
            ),
        ]);
        assert!(collection.problems.is_empty(), "{:?}", messages(&collection));
        assert_eq!(names(&collection), ["a", "b"]);
        assert_eq!(collection.definitions[0].definition.value("port").unwrap().to_string(), "2");
        assert_eq!(collection.opted_out()[0].reason.as_deref(), Some("broken"));
    }

    #[test]
    fn a_password_that_others_can_read_is_a_warning_with_the_command() {
        let text =
            "[a]\ntype = imap\nusername = u\npassword = p\n[b]\ntype = pop3\nusername = u\npassword = p\n";
        let (folder, collection) = host_of(&[("etc/monitoring-info/a.conf", text)]);
        assert_eq!(collection.problems.len(), 1, "{:?}", messages(&collection));
        assert!(!collection.has_errors());
        let path = folder.path().join("etc/monitoring-info/a.conf");
        let help = collection.problems[0].help.clone().unwrap();
        assert_eq!(help, format!("run: chmod o-rwx {}", path.display()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(host(&Root::new(folder.path()).unwrap(), TODAY).problems.is_empty());
    }

    #[test]
    fn a_password_file_gives_its_first_line_or_a_problem() {
        let text = "[a]\ntype = imap\nusername = u\npassword_file = /etc/secret\n";
        for (secret, expected) in [
            (Some("s3cret\r\nmore\n"), "s3cret"),
            (Some("\n"), "is empty"),
            (Some(" a\n"), "blank"),
            (Some("\u{1}\n"), "control characters"),
            (None, "cannot be read"),
        ] {
            let mut files = vec![("etc/monitoring-info/a.conf", text)];
            files.extend(secret.map(|secret| ("etc/secret", secret)));
            let (folder, collection) = host_of(&files);
            if expected == "s3cret" {
                let definition = &collection.definitions[0].definition;
                assert_eq!(definition.value("password").unwrap().to_string(), expected);
                assert!(definition.value("password_file").is_none());
                assert!(messages(&collection)[0].contains("everybody"), "{:?}", messages(&collection));
            } else {
                assert!(collection.definitions.is_empty() && collection.has_errors());
                let said = messages(&collection).concat();
                assert!(said.contains(expected), "{said}");
            }
            drop(folder);
        }
    }

    #[test]
    fn at_most_two_hundred_definitions_are_sent() {
        let text = |file: u32| {
            (0..101).fold(String::new(), |text, n| text + &format!("[s{file}{n:03}]\ntype = ssh\n"))
        };
        let (folder, mut collection) =
            host_of(&[("etc/monitoring-info/a.conf", &text(1)), ("etc/monitoring-info/b.conf", &text(2))]);
        assert!(messages(&collection)[0].contains("202 definitions"), "{:?}", messages(&collection));
        let root = Root::new(folder.path()).unwrap();
        let registration = collection.registration(&root, &[]);
        assert_eq!(registration.definitions.len(), 200);
        assert_eq!(registration.definitions[0].file, "/etc/monitoring-info/a.conf");
    }

    #[test]
    fn what_does_not_fit_the_document_is_said() {
        let uri = format!("/{}", "x".repeat(4000));
        let text =
            (0..15).fold(String::new(), |text, n| text + &format!("[s{n:03}]\ntype = http\nuri = {uri}\n"));
        let files: Vec<(String, String)> = (0..6)
            .map(|n| (format!("etc/monitoring-info/{n}.conf"), text.replace("[s", &format!("[s{n}"))))
            .collect();
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let (folder, mut collection) = host_of(&files);
        let registration = collection.registration(&Root::new(folder.path()).unwrap(), &[]);
        assert!((50..90).contains(&registration.definitions.len()), "{}", registration.definitions.len());
        assert!(collection.has_errors());
    }
}
