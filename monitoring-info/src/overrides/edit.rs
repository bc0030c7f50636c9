//! Editing the overrides for a person, without touching what a person wrote: every line that does not say whether the
//! service is watched stays as it is, byte for byte.

use jiff::civil::Date;

use super::{OPT_OUT_KEYS, Overrides, Pattern};
use crate::diagnostic::{Problem, Severity};
use crate::host::is_unprintable;
use crate::ini::{Document, Entry, Section};

/// Why the overrides were not edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The file, or the section to be edited, has faults or would have; an edit might not mean what was meant.
    #[error("the overrides have a fault that must be mended by hand first: {}{}", .0.message, on_line(.0))]
    Faulty(Box<Problem>),
    /// The reason cannot stand in a line of the file.
    #[error("the reason cannot be stored: {0}")]
    Reason(&'static str),
    /// A pattern opts out what another pattern means too, so that no exception can be written.
    #[error(
        "`{asked}` stays opted out by `[{by}]` on line {line} of the overrides; remove that one, or enable services by name"
    )]
    StillOptedOut {
        /// What was to be enabled.
        asked: Pattern,
        /// The section that opts it out.
        by: Pattern,
        /// Its line.
        line: usize,
    },
}

fn on_line(problem: &Problem) -> String {
    problem.place.as_ref().map(|place| format!(" (line {})", place.line)).unwrap_or_default()
}

/// The overrides after [`enable`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enabled {
    /// The file's new text; the same as before where nothing opted the service out.
    pub text: String,
    /// The pattern that opts the service out, and its line in the old text, where an exception had to be written.
    pub exception_to: Option<(Pattern, usize)>,
}

/// Opts a service out, or all that a pattern means. A reason that stands there already is kept unless there is a
/// new one; the end is the one given here, or none.
///
/// # Errors
/// The reason is no line of text, or the text has a fault that would make the edit mean something else.
pub fn disable(
    text: &str,
    pattern: &Pattern,
    reason: Option<&str>,
    until: Option<Date>,
) -> Result<String, EditError> {
    let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
    if let Some(reason) = reason {
        if reason.chars().any(is_unprintable) {
            return Err(EditError::Reason("it must be one line without control characters"));
        }
        if reason.len() > crate::ini::VALUE_MAX {
            return Err(EditError::Reason("it is too long"));
        }
    }
    let mut edit = Edit::new(text, pattern)?;
    edit.set("enabled", "no");
    if let Some(reason) = reason {
        edit.set("reason", reason);
    }
    match until {
        Some(until) => edit.set("until", &until.to_string()),
        None => edit.remove("until"),
    }
    edit.finish()
}

/// Ends the opt-out of a service, or the one that names just this pattern. A service that a pattern opts out still
/// gets a section of its own with `enabled = yes`, and the result says so.
///
/// # Errors
/// The text has a fault that would make the edit mean something else, or what is to be enabled is a pattern and
/// another pattern opts it out.
pub fn enable(text: &str, pattern: &Pattern, today: Date) -> Result<Enabled, EditError> {
    let mut edit = Edit::new(text, pattern)?;
    let before = Overrides::parse("", text.as_bytes()).0;
    if before.opted_out(pattern.as_str(), today).is_none() {
        return Ok(Enabled { text: text.to_owned(), exception_to: None });
    }
    for key in OPT_OUT_KEYS {
        edit.remove(key);
    }
    edit.remove_if_empty();
    let text_without = edit.finish()?;
    let without = Overrides::parse("", text_without.as_bytes()).0;
    let Some(by) = without.opted_out(pattern.as_str(), today) else {
        return Ok(Enabled { text: text_without, exception_to: None });
    };
    let line = before
        .opt_outs()
        .find(|opt_out| opt_out.pattern == by.pattern)
        .map_or(by.place.line, |opt_out| opt_out.place.line);
    if !pattern.is_name() {
        return Err(EditError::StillOptedOut { asked: pattern.clone(), by: by.pattern.clone(), line });
    }
    let mut edit = Edit::new(text, pattern)?;
    edit.remove("reason");
    edit.remove("until");
    edit.set("enabled", "yes");
    Ok(Enabled { text: edit.finish()?, exception_to: Some((by.pattern.clone(), line)) })
}

/// A text as lines with their line ends, and the section that is edited.
struct Edit<'a> {
    name: &'a str,
    /// One for each line of the old text, each with its line end; a removed line is empty. What is inserted stands
    /// behind the line that it follows.
    lines: Vec<String>,
    section: Option<Section>,
    line_end: &'static str,
    /// The line that the next inserted one follows, from 1.
    after: usize,
}

impl<'a> Edit<'a> {
    fn new(text: &str, pattern: &'a Pattern) -> Result<Self, EditError> {
        if let Err(problem) = crate::ini::decode(text.as_bytes()) {
            return Err(EditError::Faulty(problem));
        }
        let (document, problems) = Document::parse(text.as_bytes());
        let section = document.sections.iter().find(|section| section.name == pattern.as_str()).cloned();
        if section.as_ref().is_some_and(|section| section.faulty) {
            let from = section.as_ref().map_or(0, |section| section.place.line);
            let line = |problem: &Problem| problem.place.as_ref().map_or(0, |place| place.line);
            // The fault stands in the section, or is a second section of its name further down.
            let fault = problems
                .into_iter()
                .find(|problem| problem.severity == Severity::Error && line(problem) > from)
                .unwrap_or_else(|| Problem::error(format!("a line of `[{pattern}]` is refused")));
            return Err(EditError::Faulty(Box::new(fault)));
        }
        let lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        let line_end = if lines.first().is_some_and(|line| line.ends_with("\r\n")) { "\r\n" } else { "\n" };
        let after = section.as_ref().map_or(0, |section| section.place.line);
        Ok(Self { name: pattern.as_str(), lines, section, line_end, after })
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        self.section.as_ref()?.entries.iter().find(|entry| entry.key == key)
    }

    fn set(&mut self, key: &str, value: &str) {
        if let Some(place) = self.entry(key).map(|entry| entry.value_place) {
            let from = place.start..place.start + place.length;
            self.lines[place.line - 1].replace_range(from, value);
            self.after = place.line;
            return;
        }
        if self.section.is_none() {
            self.append_section();
        }
        let new = format!("{key} = {value}{}", self.line_end);
        let line = &mut self.lines[self.after - 1];
        if !line.is_empty() && !line.ends_with('\n') {
            line.push_str(self.line_end);
        }
        line.push_str(&new);
    }

    fn remove(&mut self, key: &str) {
        if let Some(number) = self.entry(key).map(|entry| entry.key_place.line) {
            self.lines[number - 1].clear();
        }
    }

    fn append_section(&mut self) {
        if let Some(last) = self.lines.last_mut() {
            if !last.ends_with('\n') {
                last.push_str(self.line_end);
            }
            if !last.trim().is_empty() {
                last.push_str(self.line_end);
            }
        }
        self.lines.push(format!("[{}]{}", self.name, self.line_end));
        self.after = self.lines.len();
        let mut section = Section { name: self.name.to_owned(), ..Section::default() };
        section.place.line = self.after;
        self.section = Some(section);
    }

    /// Takes the header away where nothing but blank lines is left below it, and the blank lines before it.
    fn remove_if_empty(&mut self) {
        let Some(section) = &self.section else { return };
        let header = section.place.line - 1;
        let is_header = |line: &String| line.trim_start().starts_with('[');
        let end = self.lines[header + 1..]
            .iter()
            .position(is_header)
            .map_or(self.lines.len(), |at| header + 1 + at);
        if self.lines[header + 1..end].iter().any(|line| !line.trim().is_empty()) {
            return;
        }
        self.lines[header].clear();
        if end == self.lines.len() {
            for line in &mut self.lines[header + 1..] {
                line.clear();
            }
            for line in self.lines[..header].iter_mut().rev().take_while(|line| line.trim().is_empty()) {
                line.clear();
            }
        } else {
            for line in &mut self.lines[header + 1..end] {
                line.clear();
            }
        }
    }

    /// The new text, if it can still be read: of a file that grew too large, nothing would be in force.
    fn finish(self) -> Result<String, EditError> {
        let text = self.lines.concat();
        crate::ini::decode(text.as_bytes()).map_err(EditError::Faulty)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TODAY: Date = jiff::civil::date(2026, 11, 20);
    const FILE: &str = "# Mine.\n[slapd]\nport = 10389\n\n[apache2]\n# Do not touch.\nEnabled=no\n  until = 2026-12-24\n\n[mail-*]\nenabled = no\n";

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    fn overrides(text: &str) -> Overrides {
        let (overrides, problems) = Overrides::parse("", text.as_bytes());
        assert!(problems.is_empty(), "{text}{problems:?}");
        overrides
    }

    #[test]
    fn disable_adds_a_section_or_edits_the_one_that_is_there() {
        let until = jiff::civil::date(2027, 1, 31);
        assert_eq!(
            disable(FILE, &pattern("ssh"), Some("a laptop"), Some(until)).unwrap(),
            format!("{FILE}\n[ssh]\nenabled = no\nreason = a laptop\nuntil = 2027-01-31\n")
        );
        assert_eq!(
            disable(FILE, &pattern("apache2"), Some("why"), None).unwrap(),
            FILE.replace("Enabled=no\n  until = 2026-12-24\n", "Enabled=no\nreason = why\n")
        );
        assert_eq!(
            disable(FILE, &pattern("slapd"), None, None).unwrap(),
            FILE.replace("[slapd]\n", "[slapd]\nenabled = no\n")
        );
        assert_eq!(disable("", &pattern("*"), None, None).unwrap(), "[*]\nenabled = no\n");
        assert_eq!(disable("[a]", &pattern("a"), None, None).unwrap(), "[a]\nenabled = no\n");
        assert_eq!(disable("# x", &pattern("a"), None, None).unwrap(), "# x\n\n[a]\nenabled = no\n");
        assert_eq!(
            disable("[a]\r\nport = 1\r\n", &pattern("a"), None, None).unwrap(),
            "[a]\r\nenabled = no\r\nport = 1\r\n"
        );
    }

    #[test]
    fn enable_takes_back_what_disable_did() {
        for name in ["ssh", "slapd", "*"] {
            let disabled = disable(FILE, &pattern(name), Some("r"), None).unwrap();
            let enabled = enable(&disabled, &pattern(name), TODAY).unwrap();
            assert_eq!(enabled, Enabled { text: FILE.to_owned(), exception_to: None }, "{name}");
        }
        let enabled = enable(FILE, &pattern("apache2"), TODAY).unwrap().text;
        assert_eq!(
            enabled,
            FILE.replace("Enabled=no\n  until = 2026-12-24\n", ""),
            "a comment keeps its section"
        );
        let enabled = enable(FILE, &pattern("mail-*"), TODAY).unwrap().text;
        assert_eq!(enabled, FILE.replace("\n[mail-*]\nenabled = no\n", ""));
    }

    #[test]
    fn enable_says_that_a_pattern_opts_out_and_writes_an_exception() {
        let enabled = enable(FILE, &pattern("mail-in"), TODAY).unwrap();
        assert_eq!(enabled.text, format!("{FILE}\n[mail-in]\nenabled = yes\n"));
        assert_eq!(enabled.exception_to, Some((pattern("mail-*"), 10)));
        let error = enable("[*]\nenabled = no\n", &pattern("mail-*"), TODAY).unwrap_err();
        assert!(error.to_string().contains("`mail-*` stays opted out by `[*]` on line 1"), "{error}");
        let both = "[a]\nenabled = no\nreason = x\n[*]\nenabled = no\n";
        let enabled = enable(both, &pattern("a"), TODAY).unwrap();
        assert_eq!(enabled.text, "[a]\nenabled = yes\n[*]\nenabled = no\n");
    }

    #[test]
    fn a_faulty_section_is_left_to_a_person() {
        for (text, line) in [
            ("[a]\nenabled no\n", 2),
            ("x\n[a]\nenabled = no\nenabled = yes\n", 4),
            ("\u{feff}[a]\n", 1),
            ("[a]\nenabled = no\n[b]\n[a]\nport = 1\n", 4),
        ] {
            for error in
                [disable(text, &pattern("a"), None, None).err(), enable(text, &pattern("a"), TODAY).err()]
            {
                let shown = error.unwrap().to_string();
                assert!(shown.ends_with(&format!(" (line {line})")), "{text}{shown}");
            }
        }
        assert!(matches!(disable("", &pattern("a"), Some("a\nb"), None), Err(EditError::Reason(_))));
        let full = format!("#{}\n", " ".repeat(crate::ini::FILE_MAX - 10));
        assert!(matches!(disable(&full, &pattern("a"), None, None), Err(EditError::Faulty(_))));
        assert!(
            disable("[b]\nnonsense\n", &pattern("a"), None, None).is_ok(),
            "another section's fault is no hindrance"
        );
    }

    fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("[a]".to_owned()),
            Just("[b]".to_owned()),
            Just("[a*]".to_owned()),
            Just("  enabled = no".to_owned()),
            Just("enabled=yes".to_owned()),
            Just("until = 2027-01-31".to_owned()),
            Just("until = 2020-01-31".to_owned()),
            Just("reason = it = was ; so".to_owned()),
            Just("port = 1".to_owned()),
            Just("# comment".to_owned()),
            Just(String::new()),
            Just("nonsense".to_owned()),
            Just("[broken".to_owned()),
        ]
    }

    fn text() -> impl Strategy<Value = String> {
        (prop::collection::vec(line(), 0..12), prop_oneof![Just("\n"), Just("\r\n")], any::<bool>()).prop_map(
            |(lines, end, whole)| {
                let text = lines.join(end);
                if whole && !text.is_empty() { text + end } else { text }
            },
        )
    }

    /// The lines that say nothing of being watched, in order.
    fn others(text: &str) -> Vec<&str> {
        let ours = |line: &&str| {
            let line = line.trim();
            !line.is_empty()
                && !line.starts_with('[')
                && !OPT_OUT_KEYS.iter().any(|key| line.split('=').next().unwrap().trim() == *key)
        };
        text.lines().filter(ours).collect()
    }

    proptest! {
        #[test]
        fn an_edit_does_what_it_says_and_leaves_the_rest(text in text(), name in "a|b|c|a\\*", reason in any::<bool>()) {
            let name = pattern(&name);
            if let Ok(disabled) = disable(&text, &name, reason.then_some("why"), None) {
                let (after, problems) = Overrides::parse("", disabled.as_bytes());
                prop_assert!(after.opted_out(name.as_str(), TODAY).is_some_and(|opt_out| opt_out.pattern == name));
                prop_assert!(problems.len() <= Overrides::parse("", text.as_bytes()).1.len());
                prop_assert_eq!(others(&disabled), others(&text));
            }
            if let Ok(enabled) = enable(&text, &name, TODAY) {
                let after = Overrides::parse("", enabled.text.as_bytes()).0;
                prop_assert!(after.opted_out(name.as_str(), TODAY).is_none(), "{}", enabled.text);
                prop_assert_eq!(others(&enabled.text), others(&text));
            }
        }
    }

    #[test]
    fn the_example_of_the_tests_is_sound() {
        assert_eq!(overrides(FILE).opt_outs().count(), 2);
    }
}
