//! What every generated service runs.

use std::path::{Path, PathBuf};

use super::BASE;
use crate::configuration::Configuration;
use crate::paths::Paths;
use crate::target::TemplateError;

/// The beginning of every command line. Nagios takes it apart at blanks, gives it to a shell when it holds a character
/// that means something there, expands `$`, and cuts it at `;`: so only paths that mean nothing to any of these.
pub(super) fn of(paths: &Paths, configuration: &Configuration) -> Result<String, TemplateError> {
    let sound = |path: &Path| {
        let text = path.to_str()?;
        let harmless = |c: char| c.is_ascii_alphanumeric() || "/._+-,:@=".contains(c);
        text.chars().all(harmless).then(|| text.to_owned())
    };
    let refuse = |path: &Path, what: &str| TemplateError {
        template: PathBuf::from(format!("{BASE}.hbs")),
        line: None,
        reason: format!(
            "the path of {what}, {}, holds a character that Nagios cannot carry in a command line; use letters, \
             digits and ./_+-,:@=",
            path.display()
        ),
    };
    let mut command = String::new();
    let mut add = |option: &str, path: &Path, what: &str| match sound(path) {
        Some(text) => {
            command.push_str(option);
            command.push_str(&text);
            Ok(())
        }
        None => Err(refuse(path, what)),
    };
    add("", &configuration.check_program, "check-program")?;
    if paths.root() != Path::new("/") {
        add(" --root ", paths.root(), "--root")?;
    }
    if configuration.plugins != Configuration::default().plugins {
        add(" --plugins ", &configuration.plugins, "plugins")?;
    }
    Ok(command)
}
