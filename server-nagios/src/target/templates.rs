//! The templates: where they come from, and rendering one.
//!
//! Strict mode makes an unknown name in `{{…}}` an error with its line; handlebars asks nothing of a name in `{{#if}}`,
//! so a slip there is silently false, and only the verification of what comes out stands behind it.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use handlebars::{Handlebars, RenderErrorReason};
use serde::Serialize;

use crate::target::TemplateError;

/// The templates in force.
#[derive(Debug)]
pub(super) struct Templates {
    engine: Handlebars<'static>,
    /// The file of each, where it came from one.
    files: Vec<(&'static str, PathBuf)>,
    folders: [PathBuf; 2],
}

impl Templates {
    /// Takes each template from the first of the folders that has it, else as shipped, which is inside this program, so
    /// that it works before any file of them is installed. `escape` makes a value harmless in the target's files.
    /// `except` is a file that is passed over.
    pub(super) fn load(
        shipped: &[(&'static str, &'static str)],
        escape: fn(&str) -> String,
        folders: &[PathBuf; 2],
        except: Option<&Path>,
    ) -> Result<Self, TemplateError> {
        let mut engine = Handlebars::new();
        engine.set_strict_mode(true);
        engine.register_escape_fn(escape);
        let mut files = Vec::new();
        for &(name, shipped) in shipped {
            let mut text = Cow::Borrowed(shipped);
            let mut origin = PathBuf::from(format!("{name}.hbs (built in)"));
            for folder in folders {
                let file = folder.join(format!("{name}.hbs"));
                if except == Some(file.as_path()) {
                    continue;
                }
                match fs::read_to_string(&file) {
                    Ok(found) => {
                        text = Cow::Owned(found);
                        origin.clone_from(&file);
                        files.push((name, file));
                        break;
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => {
                        return Err(TemplateError { template: file, line: None, reason: error.to_string() });
                    }
                }
            }
            engine.register_template_string(name, &text).map_err(|error| TemplateError {
                template: origin,
                line: error.pos().map(|(line, _)| line),
                reason: error.reason().to_string(),
            })?;
        }
        Ok(Self { engine, files, folders: folders.clone() })
    }

    /// Renders one.
    pub(super) fn render(&self, name: &'static str, data: &impl Serialize) -> Result<String, TemplateError> {
        self.engine.render(name, data).map_err(|error| TemplateError {
            template: self
                .file(name)
                .map_or_else(|| PathBuf::from(format!("{name}.hbs (built in)")), Path::to_owned),
            line: error.line_no,
            reason: match error.reason() {
                RenderErrorReason::MissingVariable(Some(variable)) => {
                    format!("there is no `{variable}` to be filled in")
                }
                other => other.to_string(),
            },
        })
    }

    /// Where a rendered line came from: the file of a template of the administrator's, and its line, as far as it stands
    /// there as it was rendered.
    pub(super) fn origin(&self, name: &str, rendered: &str) -> Option<(PathBuf, usize)> {
        let file = self.file(name)?;
        let text = fs::read_to_string(file).ok()?;
        let rendered = rendered.trim();
        let whole = text.lines().position(|line| line.trim() == rendered);
        // What is filled in parts the rest; the line of which most is left is the likeliest.
        let left = |line: &str| {
            let outside = line.split("{{").filter_map(|part| part.rsplit("}}").next()).map(str::trim);
            outside.filter(|part| rendered.contains(part)).map(str::len).sum::<usize>()
        };
        let most = || {
            let lines = text.lines().enumerate().map(|(at, line)| (left(line), std::cmp::Reverse(at)));
            lines.max().filter(|(length, _)| *length > 0).map(|(_, at)| at.0)
        };
        Some((file.to_owned(), whole.or_else(most)? + 1))
    }

    fn file(&self, name: &str) -> Option<&Path> {
        self.files.iter().find(|(known, _)| *known == name).map(|(_, file)| file.as_path())
    }

    /// The administrator's folder.
    pub(super) fn own_folder(&self) -> &Path {
        &self.folders[0]
    }

    /// The files of the administrator's among them.
    pub(super) fn replaced(&self) -> Vec<PathBuf> {
        self.files
            .iter()
            .map(|(_, file)| file)
            .filter(|file| file.starts_with(&self.folders[0]))
            .cloned()
            .collect()
    }

    /// All files in use.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.files.iter().map(|(_, file)| file.clone()).collect()
    }
}

/// Every name in what a template is given, those in its lists too.
#[cfg(test)]
pub(super) fn names(data: &serde_json::Value) -> std::collections::BTreeSet<&str> {
    let mut all = std::collections::BTreeSet::new();
    for (name, value) in data.as_object().into_iter().flatten() {
        all.insert(name.as_str());
        all.extend(value.as_array().and_then(|list| list.first()).map(names).into_iter().flatten());
    }
    all
}
