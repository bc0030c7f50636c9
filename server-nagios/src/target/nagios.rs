//! The target `nagios`: Nagios Core 4 (facts tried with 4.4.6 of Debian 12).
//!
//! Every word of Nagios's is here, below here, or in `templates/nagios`. A set is `base.cfg`, `hostgroups.cfg` and
//! `hosts/NAME.cfg`. Nagios reads it through a link in one of its `cfg_dir`s, which it descends, so that `nagios.cfg` is
//! never edited. The link leads to a folder with one file, which names all those of the set: Nagios opens
//! that file once, whereas a link to the set itself would be followed anew for each file, and a swap meanwhile would
//! give some files of each of two generations. A command in the same file, which nobody calls, says in Nagios's object cache
//! which generation that was: that the cache is another one says only that Nagios has read something, which somebody else
//! may have asked it to before.
//!
//! Publishing is to be run as the account that the state belongs to, which needs no right but to read Nagios's
//! configuration and to write to its command file: `reload-command = printf '[%s] RESTART_PROCESS\n' "$(date +%s)" >
//! FILE`. The link is root's to make, once: a package makes the empty folder `generations/0/entry`, `current` that names
//! `generations/0`, and then the link, because Nagios does not start while it leads nowhere. Run by root, as a person
//! does, a publish [acts as that account](identity::act_as_owner), and is root only while it looks at Nagios, tells it
//! to reload, and makes the link.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use monitoring_info::host::HostName;

use self::main_file::{INTERVAL_LENGTH, MainFile};
use self::process::Process;
use self::verify::Verification;
use crate::configuration::Configuration;
use crate::failure::FileError;
use crate::folder;
use crate::identity;
use crate::maintenance::downtimes::Downtime;
use crate::paths::Paths;
use crate::target::templates::Templates;
use crate::target::{
    Activation, ENTRY, Engine, EngineError, File, Group, Host, Outlook, Running, Target, TemplateError,
    Verdict,
};

mod check_command;
mod commands;
pub mod escape;
mod hearing;
mod main_file;
mod objects;
mod process;
pub mod status;
mod templates;
mod verify;

pub(crate) use templates::TEMPLATES;

/// The name of the target, of its templates' folder and of its part of a generation.
pub const NAME: &str = "nagios";
/// How long Nagios may take to judge or read a set of a few hosts. Far longer than it takes, because a good set must not be
/// taken back where the machine is busy.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same for judging: the administrator may have ten thousand hosts of their own.
const VERDICT_PATIENCE: Duration = Duration::from_secs(120);
/// And so much longer for each host: ten thousand with ten services each take it five seconds of a processor's time.
const PATIENCE_PER_HOST: Duration = Duration::from_millis(10);
/// A command that is defined by us alone, by which our set is recognised in Nagios's object cache.
const MARK: &str = "auto-monitor-service";
/// The templates, as they are shipped.
const SHIPPED: [(&str, &str); 4] = [
    (BASE, include_str!("../../../templates/nagios/base.cfg.hbs")),
    (HOST, include_str!("../../../templates/nagios/host.cfg.hbs")),
    (HOSTGROUPS, include_str!("../../../templates/nagios/hostgroups.cfg.hbs")),
    (MAUVE, include_str!("../../../templates/nagios/mauve.cfg.hbs")),
];
/// Commands, and the templates that all hosts and services use.
const BASE: &str = "base.cfg";
/// One host and its services.
const HOST: &str = "host.cfg";
/// The folder of the files of single hosts.
const HOSTS: &str = "hosts";
/// The groups.
const HOSTGROUPS: &str = "hostgroups.cfg";
/// What is told to an alert station.
const MAUVE: &str = "mauve.cfg";
/// The contact that is an alert station, which hears of everything.
const STATION: &str = "auto-monitor-mauve";
/// The service that warns of a host that was not heard from, as `host.cfg.hbs` has it.
const REGISTRATION: &str = "host registration";

/// Why Nagios would not hear of maintenance, as far as this user can tell.
pub(super) fn deaf(paths: &Paths, configuration: &Configuration) -> Option<String> {
    commands::deaf(&paths.rooted(&configuration.nagios_configuration))
}

/// Nagios, as the administrator's configuration describes it.
#[derive(Debug)]
pub struct Nagios {
    paths: Paths,
    configuration: Configuration,
    templates: Templates,
    check_command: String,
    /// The command that tells an alert station; none: there is no station.
    notify_command: Option<String>,
    /// Nagios's unit of intervals, in seconds.
    interval_length: u64,
}

impl Nagios {
    /// Reads the templates.
    ///
    /// # Errors
    /// One cannot be read, or has a fault of syntax; or the check program's path cannot stand in a command line.
    pub fn new(paths: &Paths, configuration: &Configuration) -> Result<Self, TemplateError> {
        Self::except(paths, configuration, None)
    }

    fn except(
        paths: &Paths,
        configuration: &Configuration,
        template: Option<&Path>,
    ) -> Result<Self, TemplateError> {
        let templates = Templates::load(&SHIPPED, escape::escape, &paths.templates(NAME), template)?;
        let check_command = check_command::of(paths, configuration)?;
        let notify_command = check_command::notifying(configuration)?;
        // Where the main file cannot be read, verifying says so.
        let interval_length = MainFile::read(&paths.rooted(&configuration.nagios_configuration))
            .map_or(INTERVAL_LENGTH, |file| file.interval_length());
        let (paths, configuration) = (paths.clone(), configuration.clone());
        Ok(Self { paths, configuration, templates, check_command, notify_command, interval_length })
    }

    fn names_contacts(&self) -> bool {
        !self.configuration.contacts.is_empty()
            || !self.configuration.contact_groups.is_empty()
            || self.configuration.mauve.is_some()
    }

    /// The contact that is an alert station, where there is one.
    fn station(&self) -> Option<&'static str> {
        self.notify_command.as_ref().map(|_| STATION)
    }

    fn main_file(&self) -> PathBuf {
        self.paths.rooted(&self.configuration.nagios_configuration)
    }

    /// The link through which Nagios reads us.
    fn link(&self) -> PathBuf {
        self.paths.rooted(&self.configuration.nagios_link)
    }

    fn verification<'a>(&self, set: Option<&'a Path>, scratch: &'a Path) -> Verification<'a> {
        Verification {
            program: self.configuration.nagios.clone(),
            configuration: self.main_file(),
            link: self.link(),
            set,
            scratch,
            patience: set.map_or(PATIENCE, patience).max(VERDICT_PATIENCE),
            telling: !self.templates.replaced().is_empty(),
        }
    }

    fn process(&self) -> Process {
        Process {
            program: self.configuration.nagios.clone(),
            configuration: self.main_file(),
            reload_command: self.configuration.reload_command.clone(),
            patience: patience(&self.paths.current().join(NAME)),
        }
    }

    /// The files in which the administrator describes what Nagios watches.
    fn object_files(&self) -> Vec<PathBuf> {
        let Ok(file) = MainFile::read(&self.main_file()) else { return Vec::new() };
        let mut files = file.object_files();
        for folder in file.object_folders() {
            gather(&folder, &self.link(), &mut files);
        }
        files
    }

    /// Has Nagios take these commands. The FIFO is no sign that it runs: the package puts one of its own in that place, so
    /// that not every command gets through.
    fn tell(&self, commands: &[String]) -> Result<(), String> {
        identity::as_root(|| match self.process().running() {
            Running::No { reason } => Err(format!(
                "Nagios cannot be told of maintenance, because it does not run ({reason}); it will be when it does"
            )),
            Running::Yes { .. } | Running::Unknown { .. } => commands::send(&self.main_file(), commands),
        })
    }

    /// Whether the running Nagios has read a set of ours.
    ///
    /// # Errors
    /// Why that cannot be told, as a sentence.
    pub fn reads_us(&self) -> Result<bool, String> {
        let cache = self.process().object_cache()?;
        process::defines(&cache, MARK)
    }

    fn link_in(&self) -> Result<(), String> {
        let link = self.link();
        let wanted = self.published();
        let by_hand = |why: String| {
            Err(format!(
                "{why}; Nagios does not read what is published until somebody runs, with the right to: ln -sfn {} {}",
                wanted.display(),
                link.display()
            ))
        };
        match fs::read_link(&link) {
            Ok(there) if there == wanted => Ok(()),
            // By another way to the same place.
            Ok(_)
                if fs::canonicalize(&link)
                    .is_ok_and(|there| fs::canonicalize(&wanted).is_ok_and(|wanted| there == wanted)) =>
            {
                Ok(())
            }
            Ok(there) => by_hand(format!("{} points to {}", link.display(), there.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match symlink(&wanted, &link) {
                Ok(()) => Ok(()),
                Err(error) => by_hand(format!("cannot make the link {}: {error}", link.display())),
            },
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(format!(
                "{} is not a link; move it away, and run `auto-monitor-server publish`",
                link.display()
            )),
            Err(error) => by_hand(format!("cannot read the link {}: {error}", link.display())),
        }
    }

    fn link_out(&self) -> Result<(), String> {
        let link = self.link();
        match fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(format!(
                "cannot remove {}: {error}; Nagios does not start while it leads nowhere",
                link.display()
            )),
            _ => Ok(()),
        }
    }

    /// The folder that our link must point to.
    #[must_use]
    pub fn published(&self) -> PathBuf {
        self.paths.current().join(ENTRY)
    }
}

impl Target for Nagios {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "Nagios"
    }

    fn verify(&self, set: Option<&Path>, scratch: &Path) -> Result<Verdict, EngineError> {
        ask(scratch, |scratch| self.verification(set, scratch).run())
    }

    fn activate(&self) -> Activation {
        let path = self.published().join(verify::ENTRY_FILE);
        match fs::read_to_string(&path) {
            Ok(entry) => identity::as_root(|| self.process().reload(verify::mark(&entry))),
            // The package's empty set.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                identity::as_root(|| self.process().reload(None))
            }
            Err(error) => Activation::Failed { reason: format!("cannot read {}: {error}", path.display()) },
        }
    }

    fn watched_files(&self) -> Vec<PathBuf> {
        let mut files = self.templates.files();
        files.extend(self.object_files());
        files.push(self.main_file());
        files
    }
}

impl Engine for Nagios {
    fn render_host(&self, host: &Host) -> Result<File, TemplateError> {
        let text = self.templates.render(HOST, &self.host_data(host))?;
        Ok(File { path: Path::new(HOSTS).join(format!("{}.cfg", host.name)), text })
    }

    fn render_shared(&self, groups: &BTreeSet<Group>) -> Result<Vec<File>, TemplateError> {
        let mut files = vec![
            File { path: BASE.into(), text: self.templates.render(BASE, &self.base_data())? },
            File {
                path: HOSTGROUPS.into(),
                text: self.templates.render(HOSTGROUPS, &self.groups_data(groups))?,
            },
        ];
        if let Some(command) = &self.notify_command {
            files.push(File {
                path: MAUVE.into(),
                text: self.templates.render(MAUVE, &self.mauve_data(command))?,
            });
        }
        Ok(files)
    }

    fn entry(&self, there: &Path, set: &Path) -> io::Result<File> {
        verify::entry(there, set)
    }

    fn group_name(&self, group: &Group) -> String {
        match group {
            Group::Type(name) => format!("auto-monitor-type-{name}"),
            Group::Tag(name) => format!("auto-monitor-tag-{name}"),
        }
    }

    fn hosts(&self, set: Option<&Path>, scratch: &Path) -> Result<Option<BTreeSet<String>>, EngineError> {
        ask(scratch, |scratch| self.verification(set, scratch).hosts())
    }

    fn suspected_hosts(&self) -> BTreeSet<String> {
        let files = self.object_files();
        // What cannot be read names nobody.
        let texts =
            identity::as_root(|| files.iter().filter_map(|file| folder::read(file).ok()).collect::<Vec<_>>());
        let names = |text: Vec<u8>| {
            let text = String::from_utf8_lossy(&text);
            objects::host_names(&text).map(str::to_owned).collect::<Vec<_>>()
        };
        texts.into_iter().flat_map(names).collect()
    }

    fn running(&self) -> Running {
        identity::as_root(|| self.process().running())
    }

    fn outlook(&self) -> Result<Outlook, String> {
        identity::as_root(|| status::outlook(&self.main_file(), Timestamp::now()))
    }

    fn services_of_its_own(&self) -> &'static [&'static str] {
        &[REGISTRATION]
    }

    fn schedule_downtime(&self, host: &HostName, downtime: &Downtime) -> Result<(), String> {
        self.tell(&commands::schedule(host, downtime))
    }

    fn end_downtimes(&self, host: &HostName) -> Result<(), String> {
        self.tell(&commands::end(host))
    }

    fn include(&self) -> Result<(), String> {
        identity::as_root(|| self.link_in())
    }

    fn exclude(&self) -> Result<(), String> {
        identity::as_root(|| self.link_out())
    }

    fn own_files(&self) -> Vec<PathBuf> {
        let mut files = self.templates.replaced();
        if self.names_contacts() {
            files.push(self.paths.configuration());
        }
        files
    }

    fn without_file(&self, file: &Path) -> Result<Box<dyn Engine>, TemplateError> {
        let mut configuration = self.configuration.clone();
        if file == self.paths.configuration() {
            configuration.contacts.clear();
            configuration.contact_groups.clear();
            configuration.mauve = None;
        }
        Ok(Box::new(Self::except(&self.paths, &configuration, Some(file))?))
    }

    fn to_be_whole(&self) -> String {
        let folder = self.templates.own_folder().display();
        format!("compare your templates in {folder} with the shipped ones")
    }

    fn to_be_heard(&self) -> String {
        if self.names_contacts() {
            format!(
                "your templates in {} leave out the contacts of server.conf",
                self.templates.own_folder().display()
            )
        } else {
            "set contact-groups in server.conf, e.g. `contact-groups = admins`".to_owned()
        }
    }
}

/// How long Nagios may take to judge or read a set.
fn patience(set: &Path) -> Duration {
    let hosts = fs::read_dir(set.join(HOSTS)).map_or(0, Iterator::count);
    PATIENCE + PATIENCE_PER_HOST * u32::try_from(hosts).unwrap_or(u32::MAX)
}

/// Asks Nagios about its configuration, which may be root's alone to read. But root writes nothing below a folder of
/// another account's, which could lay a link there.
fn ask<T>(scratch: &Path, question: impl FnOnce(&Path) -> Result<T, EngineError>) -> Result<T, EngineError> {
    if !identity::acts_for_root() {
        return question(scratch);
    }
    identity::as_root(|| {
        let own = tempfile::tempdir().map_err(|source| {
            EngineError::File(FileError { action: "make a folder in", path: std::env::temp_dir(), source })
        })?;
        question(own.path())
    })
}

/// The files below a folder that Nagios reads, without what our link leads to. What cannot be read is left out: Nagios
/// itself will say so.
fn gather(folder: &Path, link: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path == link {
            continue;
        }
        if path.is_dir() {
            gather(&path, link, files);
        } else if path.extension().is_some_and(|extension| extension == "cfg") {
            files.push(path);
        }
    }
}

#[cfg(test)]
mod tests;
