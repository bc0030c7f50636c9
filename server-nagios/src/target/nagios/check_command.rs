//! What every generated service runs, and what tells an alert station.
//!
//! Nagios takes a command line apart at blanks, gives it to a shell when it holds a character that means something there,
//! expands `$`, and cuts it at `;`: so only paths that mean nothing to any of these.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{BASE, MAUVE};
use crate::configuration::Configuration;
use crate::paths::Paths;
use crate::target::{TemplateError, mauve};

/// The beginning of every command line of a check.
pub(super) fn of(paths: &Paths, configuration: &Configuration) -> Result<String, TemplateError> {
    let mut command = sound(&configuration.check_program, "check-program", BASE)?;
    if paths.root() != Path::new("/") {
        command += " --root ";
        command += &sound(paths.root(), "--root", BASE)?;
    }
    if configuration.plugins != Configuration::default().plugins {
        command += " --plugins ";
        command += &sound(&configuration.plugins, "plugins", BASE)?;
    }
    Ok(command)
}

/// The beginning of the command lines that tell an alert station, where there is one.
pub(super) fn notifying(configuration: &Configuration) -> Result<Option<String>, TemplateError> {
    let Some(said) = &configuration.mauve else { return Ok(None) };
    let mut command = sound(&configuration.program_of_ours("notify_mauve"), "check-program", MAUVE)?;
    command += " --mauvesend ";
    command += &sound(&said.mauvesend, "mauvesend", MAUVE)?;
    for destination in &said.destination {
        // Of an address in brackets, a shell would make a pattern.
        let _ = write!(command, " --to '{destination}'");
    }
    let source = mauve::source(said);
    let harmless = |c: char| c.is_ascii_alphanumeric() || "._:/@+-".contains(c);
    if !source.chars().all(harmless) {
        return Err(TemplateError {
            template: PathBuf::from(format!("{MAUVE}.hbs")),
            line: None,
            reason: format!("this machine's name, {source}, is none for a source; set `source` in [mauve]"),
        });
    }
    let _ = write!(command, " --source '{source}'");
    Ok(Some(command))
}

fn sound(path: &Path, what: &str, template: &str) -> Result<String, TemplateError> {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "/._+-,:@=".contains(c);
    let text = path.to_str().filter(|text| text.chars().all(harmless));
    text.map(str::to_owned).ok_or_else(|| TemplateError {
        template: PathBuf::from(format!("{template}.hbs")),
        line: None,
        reason: format!(
            "the path of {what}, {}, holds a character that Nagios cannot carry in a command line; use letters, \
             digits and ./_+-,:@=",
            path.display()
        ),
    })
}
