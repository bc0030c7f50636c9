//! The administrator's own file, `/etc/auto-monitor/overrides.conf`: which services are not to be watched, and which
//! keys of a package's definitions are wrong on this host.
//!
//! A section names a service, or several by a pattern with `*` and `?`. It may name services that do not exist yet: an
//! opt-out said before the package is installed holds from the first moment.
//!
//! # Which section wins
//! Each key is decided by itself: the section with exactly the service's name before any pattern, and of several
//! patterns the one that stands last. A pattern replaces a key only where it has an effect (`[*]` with
//! `expire_before_days` means every definition whose certificate is judged); a section with the exact name is taken at
//! its word, and a key that the type does not have is an error.
//!
//! # When an opt-out ends
//! `until` is the first day on which the service is watched again. An opt-out that has ended counts for nothing, so
//! that a pattern that opts the service out without end still does.
//!
//! # What a fault does
//! What is clearly said holds (of two sections of one name, the first); what is not is as if it were not written, and is
//! an error on every run, with a word on what holds meanwhile. So a service is opted out only where `enabled = no` can be
//! read. In doubt it is watched: an alarm too many is noticed, one too few is not.

use std::sync::Arc;

use jiff::civil::Date;

use crate::definition::{Draft, Setting, SourceFile};
use crate::diagnostic::{Problem, Severity, suggestion};
use crate::host::quoted;
use crate::ini::{Document, Entry, Section, Spot};
use crate::service::{KINDS, Kind, PASSWORD_FILE};
use crate::value;

mod edit;
mod pattern;

pub use edit::{EditError, Enabled, disable, enable};
pub use pattern::Pattern;

/// Keys of an override that say whether a service is watched, rather than how.
pub(crate) const OPT_OUT_KEYS: [&str; 3] = ["enabled", "reason", "until"];

/// The overrides of a host.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    rules: Vec<Rule>,
}

/// A section of the file.
#[derive(Debug, Clone)]
struct Rule {
    pattern: Pattern,
    enabled: Option<Enabling>,
    settings: Vec<Setting>,
}

/// What a section says of being watched at all.
#[derive(Debug, Clone)]
enum Enabling {
    Yes,
    No(OptOut),
}

/// Why a service is not watched, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptOut {
    /// In the administrator's words.
    pub reason: Option<String>,
    /// The first day on which the service is watched again.
    pub until: Option<Date>,
    /// The file that says so.
    pub file: Arc<SourceFile>,
    /// Where its section stands.
    pub place: Spot,
    /// The section: the service's name, or a pattern.
    pub pattern: Pattern,
}

impl Overrides {
    /// Reads the file. What is clearly said is in the overrides, everything else in the problems.
    #[must_use]
    pub fn parse(path: &str, bytes: &[u8]) -> (Self, Vec<Problem>) {
        let (document, problems) = Document::parse(bytes);
        let file = Arc::new(SourceFile {
            path: path.to_owned(),
            text: std::str::from_utf8(bytes).unwrap_or_default().to_owned(),
        });
        let mut reader = Reader { file: &file, problems: Vec::new() };
        // A reason is for people, so `see ticket #12` is no slip.
        let reasons: Vec<usize> = document
            .sections
            .iter()
            .flat_map(|section| &section.entries)
            .filter(|entry| entry.key == "reason")
            .map(|entry| entry.key_place.line)
            .collect();
        let in_a_reason = |problem: &Problem| {
            problem.severity == Severity::Warning
                && problem.place.as_ref().is_some_and(|place| reasons.binary_search(&place.line).is_ok())
        };
        let problems = problems.into_iter().filter(|problem| !in_a_reason(problem));
        reader.problems.extend(problems.map(|problem| problem.file(path)));
        if let Err(refused) = crate::ini::decode(bytes) {
            let mend = refused.help.unwrap_or_default();
            for problem in &mut reader.problems {
                problem.help = Some(format!("{mend}; until then, no override is in force"));
            }
        }
        if let Some(entry) = document.head.entries.first() {
            reader.error(
                entry.key_place,
                format!("`{}` stands before the first section", entry.key),
                "begin with the service's name in brackets, like `[apache2]`; until then, the line means nothing",
            );
        }
        let rules = document.sections.into_iter().filter_map(|section| reader.rule(section)).collect();
        (Self { rules }, reader.problems)
    }

    /// Replaces the draft's settings by what the administrator says of its name.
    pub fn apply(&self, draft: &mut Draft) {
        let rules: Vec<&Rule> = self.by_weight(&draft.name).collect();
        // From the lightest to the heaviest, so that the heaviest has the last word on each key.
        let mut said: Vec<(&Rule, &Setting)> = rules
            .iter()
            .rev()
            .flat_map(|rule| rule.settings.iter().map(move |setting| (*rule, setting)))
            .collect();
        said.sort_by_key(|(_, setting)| stage(&setting.key));
        for (rule, setting) in said {
            if !rule.pattern.is_name() && !has_effect(draft, &setting.key) {
                continue;
            }
            // Each of the two stands for the other, so a new one takes the place of both.
            let twin = match setting.key.as_str() {
                "password" => PASSWORD_FILE.name,
                key if key == PASSWORD_FILE.name => "password",
                _ => "",
            };
            if rule.settings.iter().all(|other| other.key != twin) {
                draft.settings.retain(|old| old.key != twin);
            }
            replace(draft, setting);
        }
    }

    /// The opt-out that holds for a service (or, asked for a pattern, for all that the pattern means) on this day.
    #[must_use]
    pub fn opted_out(&self, name: &str, today: Date) -> Option<&OptOut> {
        self.by_weight(name)
            .filter_map(|rule| rule.enabled.as_ref())
            .find_map(|enabling| match enabling {
                Enabling::Yes => Some(None),
                Enabling::No(opt_out) if opt_out.until.is_some_and(|until| until <= today) => None,
                Enabling::No(opt_out) => Some(Some(opt_out)),
            })
            .flatten()
    }

    /// Every opt-out of the file in its order, also those that have ended.
    pub fn opt_outs(&self) -> impl Iterator<Item = &OptOut> {
        self.rules.iter().filter_map(|rule| match &rule.enabled {
            Some(Enabling::No(opt_out)) => Some(opt_out),
            _ => None,
        })
    }

    /// The names and patterns of the file in its order.
    pub fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.rules.iter().map(|rule| &rule.pattern)
    }

    /// The sections that mean this name, the one with the last word first.
    fn by_weight(&self, name: &str) -> impl Iterator<Item = &Rule> {
        let exact = self.rules.iter().filter(move |rule| rule.pattern.as_str() == name);
        let others = self.rules.iter().rev().filter(move |rule| {
            rule.pattern.as_str() != name && !rule.pattern.is_name() && rule.pattern.matches(name)
        });
        exact.chain(others)
    }
}

/// What must be settled before a key, because it decides whether a pattern's word on that key has an effect.
fn stage(key: &str) -> u8 {
    match key {
        "type" => 0,
        "ssl_hostname" | "ignore_invalid_ssl" => 2,
        "expire_before_days" => 3,
        _ => 1,
    }
}

/// Whether a key would mean anything for the draft as it stands; in doubt it would.
fn has_effect(draft: &Draft, key: &str) -> bool {
    let value = |key: &str| {
        draft.settings.iter().find(|setting| setting.key == key).map(|setting| setting.value.as_str())
    };
    let is = |key: &str, expected| value(key).is_some_and(|text| value::boolean(text) == Some(expected));
    let Some(kind) = value("type").and_then(Kind::named) else { return true };
    let judges_certificate = || value("ssl").is_some() && !is("ssl", false);
    key == "type"
        || kind.key(key).is_some()
            && match stage(key) {
                2 => judges_certificate(),
                3 => judges_certificate() && !is("ignore_invalid_ssl", true),
                _ => true,
            }
}

fn replace(draft: &mut Draft, setting: &Setting) {
    match draft.settings.iter_mut().find(|old| old.key == setting.key) {
        Some(old) => old.clone_from(setting),
        None => draft.settings.push(setting.clone()),
    }
}

struct Reader<'a> {
    file: &'a Arc<SourceFile>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn error(&mut self, at: Spot, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(self.file.locate(Problem::error(message).help(help), at));
    }

    fn warn(&mut self, at: Spot, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(self.file.locate(Problem::warning(message).help(help), at));
    }

    fn rule(&mut self, section: Section) -> Option<Rule> {
        let pattern = match section.name.parse::<Pattern>() {
            Ok(pattern) => pattern,
            Err(error) => {
                let help = format!("{}; until then, this section means nothing", error.help);
                self.error(section.place, error.message, help);
                return None;
            }
        };
        let enabled = self.enabling(&pattern, &section);
        let mut settings = Vec::new();
        for entry in section.entries {
            if OPT_OUT_KEYS.contains(&entry.key.as_str()) || !self.known(&entry) {
                continue;
            }
            settings.push(Setting {
                key: entry.key,
                value: entry.value,
                file: Arc::clone(self.file),
                key_place: entry.key_place,
                value_place: entry.value_place,
            });
        }
        Some(Rule { pattern, enabled, settings })
    }

    fn known(&mut self, entry: &Entry) -> bool {
        let known = || KINDS.iter().flat_map(|kind| kind.keys()).map(|key| key.name).chain(["type"]);
        if known().any(|key| key == entry.key) {
            return true;
        }
        let help = suggestion(&entry.key, known().chain(OPT_OUT_KEYS)).map_or_else(
            || "give `enabled`, `reason`, `until`, or a key of the service's type".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        self.error(entry.key_place, format!("no type has a key {}", quoted(&entry.key)), help);
        false
    }

    fn enabling(&mut self, pattern: &Pattern, section: &Section) -> Option<Enabling> {
        let entry = |key: &str| section.entries.iter().find(|entry| entry.key == key);
        let enabled = entry("enabled").and_then(|entry| {
            let enabled = value::boolean(&entry.value);
            if enabled.is_none() {
                self.error(
                    entry.value_place,
                    format!("the value of `enabled` is wrong: {} is no boolean", quoted(&entry.value)),
                    "write `no` to opt out; until then, this section opts nothing out",
                );
            }
            enabled
        });
        let until = entry("until").and_then(|entry| {
            let date = date(&entry.value);
            if date.is_none() {
                self.error(
                    entry.value_place,
                    format!("the value of `until` is wrong: {} is no date", quoted(&entry.value)),
                    "write it as YYYY-MM-DD; until then, the opt-out has no end",
                );
            }
            date
        });
        if enabled != Some(false) {
            for useless in ["reason", "until"].into_iter().filter_map(entry) {
                let message = format!("`{}` has no effect without `enabled = no`", useless.key);
                self.warn(useless.key_place, message, "add `enabled = no`, or remove the line");
            }
        }
        if enabled? {
            return Some(Enabling::Yes);
        }
        Some(Enabling::No(OptOut {
            reason: entry("reason").map(|entry| entry.value.clone()).filter(|reason| !reason.is_empty()),
            until,
            file: Arc::clone(self.file),
            place: section.place,
            pattern: pattern.clone(),
        }))
    }
}

/// A date as `YYYY-MM-DD`, and in no other way.
#[must_use]
pub fn date(text: &str) -> Option<Date> {
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if shape { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition;

    const TODAY: Date = jiff::civil::date(2026, 11, 20);

    fn sound(text: &str) -> Overrides {
        let (overrides, problems) = Overrides::parse("overrides.conf", text.as_bytes());
        assert!(problems.is_empty(), "{problems:?}");
        overrides
    }

    fn faults(text: &str) -> (Overrides, String) {
        let (overrides, problems) = Overrides::parse("overrides.conf", text.as_bytes());
        (overrides, problems.iter().map(ToString::to_string).collect())
    }

    fn draft(text: &str) -> Draft {
        definition::read("a.conf", text.as_bytes()).0.remove(0)
    }

    fn shown(draft: &Draft) -> Vec<String> {
        draft.settings.iter().map(|s| format!("{} {}={}", s.file.path, s.key, s.value)).collect()
    }

    #[test]
    fn an_exact_name_beats_a_pattern_and_a_later_pattern_an_earlier_one() {
        let overrides = sound(
            "[slapd]\nport = 1\n[s*]\nport = 2\nbase = dc=a\n[*d]\nport = 3\nbase = dc=b\n[*]\nseconds = 9\n",
        );
        let mut draft = draft("[slapd]\ntype = ldap\nport = 4\n");
        overrides.apply(&mut draft);
        assert_eq!(
            shown(&draft),
            ["a.conf type=ldap", "overrides.conf port=1", "overrides.conf base=dc=b"],
            "`seconds` is no key of ldap, and a pattern does not insist"
        );
        assert!(draft.settle().0.is_some());
    }

    #[test]
    fn an_exact_name_insists_on_its_keys_and_the_fault_stands_in_the_overrides() {
        let overrides = sound("[a]\nseconds = 9\n");
        let mut draft = draft("[a]\ntype = ssh\n");
        overrides.apply(&mut draft);
        let (definition, problems) = draft.settle();
        assert!(definition.is_none());
        assert_eq!(problems[0].file.as_deref(), Some("overrides.conf"));
        assert_eq!(problems[0].message, "the type `ssh` has no key `seconds`");
    }

    #[test]
    fn the_type_can_be_overridden_and_decides_what_patterns_set() {
        let overrides = sound("[*]\nuri = /x\n[a]\ntype = http\n");
        let mut draft = draft("[a]\ntype = ssh\n");
        overrides.apply(&mut draft);
        assert_eq!(shown(&draft), ["overrides.conf type=http", "overrides.conf uri=/x"]);
    }

    #[test]
    fn a_pattern_speaks_of_certificates_only_where_one_is_judged() {
        let overrides =
            sound("[*]\nexpire_before_days = 14\n[tls*]\nssl = True\n[x*]\nignore_invalid_ssl = True\n");
        let days = |text: &str| {
            let mut draft = draft(text);
            overrides.apply(&mut draft);
            let (definition, problems) = draft.settle();
            assert!(problems.is_empty(), "{text}{problems:?}");
            definition.unwrap().value("expire_before_days").is_some()
        };
        assert!(!days("[a]\ntype = http\n"));
        assert!(!days("[a]\ntype = ssh\n"));
        assert!(!days("[a]\ntype = http\nssl = no\n"));
        assert!(!days("[a]\ntype = http\nssl = yes\nignore_invalid_ssl = yes\n"));
        assert!(!days("[x]\ntype = http\nssl = yes\n"));
        assert!(days("[a]\ntype = http\nssl = yes\n"));
        assert!(days("[a]\ntype = smtp\nssl = starttls\n"));
        assert!(days("[tls]\ntype = http\n"), "another pattern switches it on");
    }

    #[test]
    fn a_password_and_its_file_replace_each_other() {
        let overrides = sound("[a]\npassword_file = /p\n");
        let mut draft = draft("[a]\ntype = imap\nusername = u\npassword = p\n");
        overrides.apply(&mut draft);
        assert!(draft.settle().0.is_some(), "{:?}", draft.settle().1);
    }

    #[test]
    fn an_opt_out_ends_on_its_day_and_then_counts_for_nothing() {
        let until = |date: &str| sound(&format!("[a]\nenabled = no\nreason = because\nuntil = {date}\n"));
        assert!(until("2026-11-21").opted_out("a", TODAY).is_some());
        assert!(until("2026-11-20").opted_out("a", TODAY).is_none());
        assert!(until("2026-11-21").opted_out("b", TODAY).is_none());
        let also = sound("[a]\nenabled = no\nuntil = 2026-11-20\n[*]\nenabled = no\n");
        assert_eq!(also.opted_out("a", TODAY).unwrap().pattern.as_str(), "*");
        assert!(sound("[a]\nenabled = no\nreason = ticket #12 ; ask Ann\n").opted_out("a", TODAY).is_some());
        let opt_out = until("2026-11-21");
        let opt_out = opt_out.opted_out("a", TODAY).unwrap();
        assert_eq!(opt_out.reason.as_deref(), Some("because"));
        assert_eq!(opt_out.place.line, 1);
    }

    #[test]
    fn one_service_can_be_excepted_from_a_pattern() {
        let overrides = sound("[ssh]\nenabled = yes\n[*]\nenabled = no\n");
        assert!(overrides.opted_out("ssh", TODAY).is_none());
        assert!(overrides.opted_out("apache2", TODAY).is_some());
    }

    #[test]
    fn a_faulty_end_leaves_the_opt_out_without_end_and_says_so() {
        let (overrides, said) = faults("[a]\nenabled = no\nuntil = 31.1.2027\n");
        assert!(overrides.opted_out("a", TODAY).is_some());
        assert!(said.contains("until then, the opt-out has no end"), "{said}");
        for bad in ["2027-02-30", "20270131", "2027-1-31", "+02027-01-31", "tomorrow", ""] {
            assert_eq!(date(bad), None, "{bad}");
        }
    }

    #[test]
    fn of_two_sections_of_one_name_the_first_counts_and_it_is_said() {
        let (overrides, said) = faults("[a]\nenabled = no\n[a]\nenabled = yes\n");
        assert!(overrides.opted_out("a", TODAY).is_some());
        assert!(said.contains("the section `a` is there twice"), "{said}");
    }

    #[test]
    fn in_doubt_a_service_is_watched_and_it_is_said() {
        for (text, word) in [
            ("[a]\nenabled = nope\n", "opts nothing out"),
            ("enabled = no\n[a]\nport = 1\n", "the line means nothing"),
            ("[a b]\nenabled = no\n", "this section means nothing"),
            ("[a]\nenabeld = no\n", "did you mean `enabled`?"),
            ("\u{feff}[a]\nenabled = no\n", "no override is in force"),
            ("[a]\nuntil = 2027-01-31\n", "has no effect without `enabled = no`"),
        ] {
            let (overrides, said) = faults(text);
            assert!(overrides.opted_out("a", TODAY).is_none(), "{text}");
            assert!(said.contains(word), "{said}");
        }
    }
}
