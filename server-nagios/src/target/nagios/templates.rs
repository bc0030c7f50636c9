//! The templates: where they come from, and rendering one.
//!
//! Strict mode makes an unknown name in `{{…}}` an error with its line; handlebars asks nothing of a name in `{{#if}}`,
//! so a slip there is silently false, and only Nagios's own verification stands behind it.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use handlebars::{Handlebars, RenderErrorReason};
use serde::Serialize;

use super::escape::escape;
use crate::target::TemplateError;

/// The templates, as they are shipped inside this program too, so that it works before any file of them is installed.
const SHIPPED: [(&str, &str); 3] = [
    (BASE, include_str!("../../../../templates/nagios/base.cfg.hbs")),
    (HOST, include_str!("../../../../templates/nagios/host.cfg.hbs")),
    (HOSTGROUPS, include_str!("../../../../templates/nagios/hostgroups.cfg.hbs")),
];

/// Commands, and the templates that all hosts and services use.
pub(super) const BASE: &str = "base.cfg";
/// One host and its services.
pub(super) const HOST: &str = "host.cfg";
/// The groups.
pub(super) const HOSTGROUPS: &str = "hostgroups.cfg";

/// What may be written in each template. A test holds it against what they are given.
pub(crate) static TEMPLATES: &[(&str, &[(&str, &str)])] = &[
    (
        BASE,
        &[
            ("check_command", "The command line of check_registered, up to its arguments."),
            ("contacts", "Those of server.conf, joined by commas."),
            ("contact_groups", "Likewise."),
            (
                "templates_folder",
                "The folder of the administrator's own templates, for the comment at the head.",
            ),
            ("hosts_folder", "The folder of the files about single hosts, likewise."),
        ],
    ),
    (
        HOST,
        &[
            ("name", "The host's name."),
            ("address", "The address to probe."),
            ("generation", "The number of the registration."),
            ("received", "When it was received."),
            ("fingerprint", "The fingerprint of the host's key."),
            ("registration", "The file that keeps it."),
            ("override", "The file in which the administrator can say something of this host."),
            ("templates_folder", "The folder of the administrator's own templates."),
            (
                "hostgroups",
                "The host groups of its types, its tags and the administrator's, joined by commas.",
            ),
            (
                "contacts",
                "Those that the administrator has named for this host; empty where the server's are told.",
            ),
            ("contact_groups", "Likewise."),
            (
                "interval",
                "How often to check, in Nagios's unit of time, where the administrator has said it.",
            ),
            ("services", "A list, for `{{#each services}}`, whose entries have the following names."),
            ("description", "What Nagios calls the service: its name, and behind it that of a second probe."),
            ("service", "The service's name, which check_registered is given."),
            ("probe", "The name of the probe, like certificate; nothing for the first one."),
            ("kind", "The type."),
            ("file", "The definition file on the host."),
        ],
    ),
    (
        HOSTGROUPS,
        &[
            ("groups", "A list, for `{{#each groups}}`, whose entries have the names `name` and `alias`."),
            ("name", "The group's name: auto-monitor-type-TYPE or auto-monitor-tag-TAG."),
            ("alias", "What it is, in words."),
            ("templates_folder", "The folder of the administrator's own templates."),
        ],
    ),
];

/// The templates in force.
#[derive(Debug)]
pub(super) struct Templates {
    engine: Handlebars<'static>,
    /// The file of each, where it came from one.
    files: Vec<(&'static str, PathBuf)>,
    folders: [PathBuf; 2],
}

impl Templates {
    /// Takes each template from the first of the folders that has it, else as built in. `except` is a file that is
    /// passed over.
    pub(super) fn load(folders: &[PathBuf; 2], except: Option<&Path>) -> Result<Self, TemplateError> {
        let mut engine = Handlebars::new();
        engine.set_strict_mode(true);
        engine.register_escape_fn(escape);
        let mut files = Vec::new();
        for (name, shipped) in SHIPPED {
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
