//! Having Nagios itself judge its whole configuration, with a set of ours that it does not read yet.
//!
//! `nagios -v` is given a copy of `nagios.cfg` in which everything that Nagios may write is in a scratch folder, and the
//! folder that our link stands in is replaced by a mirror: links to everything but ours, and in place of ours an entry
//! to the set in question. So what is judged is exactly what would be read, and neither the running Nagios nor its files are touched.
//! Traced with 4.4.6, `-v` opens `log_file` for appending, makes and removes a file in `temp_path` and in
//! `check_result_path`, and with `-p` writes `precached_object_file`; the other writable files are redirected because
//! another version may touch them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use monitoring_info::host::quoted;
use rustix::process::Signal;

use super::hearing::{Heard, hear};
use super::main_file::MainFile;
use crate::failure::FileError;
use crate::target::{Clash, EngineError, Fault, File, Verdict};

/// What Nagios may write, and where in the scratch folder it goes instead.
const REDIRECTED: [(&str, &str); 13] = [
    ("log_file", "nagios.log"),
    ("log_archive_path", "."),
    ("debug_file", "nagios.debug"),
    ("object_cache_file", "objects.cache"),
    ("precached_object_file", PRECACHE),
    ("status_file", "status.dat"),
    ("state_retention_file", "retention.dat"),
    ("lock_file", "nagios.pid"),
    ("command_file", "nagios.cmd"),
    ("query_socket", "nagios.qh"),
    ("temp_file", "nagios.tmp"),
    ("temp_path", "."),
    ("check_result_path", "."),
];
const PRECACHE: &str = "objects.precache";
/// Our copy of the main file.
const MAIN_FILE: &str = "nagios.cfg";
/// What the names of the mirrors begin with; a number follows.
const MIRROR: &str = "mirror-";
/// The signals that come from somebody else: the kernel where memory is short, or a person.
const FROM_OUTSIDE: [Signal; 4] = [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP];
/// Nagios says a line or two of a host or a service that it warns of: this is far more than a hundred thousand of each.
const OUTPUT_MAX: u64 = 128 * 1024 * 1024;
/// The name of [`entry`].
pub(super) const ENTRY_FILE: &str = "auto-monitor.cfg";
/// Stands in what Nagios says of a set that it takes.
const GOOD: &str = "Things look okay";
/// Stands in all that Nagios says.
const BANNER: &str = "Nagios Core ";
/// What its words begin with where memory is short. The first follows another fault where there is one.
const SHORT: [&str; 4] =
    ["Could not register ", "Could not allocate memory ", "Unable to malloc(", "Unable to allocate memory "];
/// What the line begins with by which Nagios does not take its main file.
const SLIP: &str = "Error in configuration file ";
const COMMAND_NAME: &str = "command_name";

/// What is verified, and with what.
#[derive(Debug)]
pub(super) struct Verification<'a> {
    /// The program.
    pub program: PathBuf,
    /// Nagios's main file.
    pub configuration: PathBuf,
    /// The link through which Nagios reads us.
    pub link: PathBuf,
    /// What the link shall point to; none: it is left out.
    pub set: Option<&'a Path>,
    /// An existing folder for everything that is written.
    pub scratch: &'a Path,
    /// After how long it is ended, because it hangs.
    pub patience: Duration,
    /// Whether the verdict shall tell what would be watched.
    pub telling: bool,
}

impl Verification<'_> {
    /// Nagios's judgement.
    pub(super) fn run(&self) -> Result<Verdict, EngineError> {
        let heard = self.nagios(if self.telling { &["-p", "-v"] } else { &["-v"] })?;
        let mut verdict = verdict(&heard);
        if self.telling && verdict.good {
            verdict.watched = Some(self.precached()?);
        }
        for fault in &mut verdict.faults {
            // As it is rendered: where it stands until it is swapped in is nobody's business.
            if let Some(set) = self.set {
                fault.message = fault.message.replace(&format!("{}/", set.display()), "");
            }
            let Some((file, line)) = &mut fault.place else { continue };
            if *file == self.scratch.join(MAIN_FILE) {
                // Our copy has other lines.
                let text = fs::read_to_string(&*file).unwrap_or_default();
                let said = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
                fault.message =
                    format!("{} in {}: {}", quoted(said), self.configuration.display(), fault.message);
                fault.place = None;
                continue;
            }
            if let Some(ours) = self.set.and_then(|set| file.strip_prefix(set).ok()) {
                *file = ours.to_owned();
            } else if let Some(real) = self.behind_mirror(file) {
                *file = real;
            }
        }
        Ok(verdict)
    }

    /// The host names of the whole configuration, where it is sound.
    pub(super) fn hosts(&self) -> Result<Option<BTreeSet<String>>, EngineError> {
        if !is_good(&self.nagios(&["-p", "-v"])?) {
            return Ok(None);
        }
        Ok(Some(self.precached()?.into_keys().collect()))
    }

    fn precached(&self) -> Result<BTreeMap<String, BTreeSet<String>>, EngineError> {
        let path = self.scratch.join(PRECACHE);
        let text = fs::read(&path)
            .map_err(|source| EngineError::File(FileError { action: "read", path, source }))?;
        Ok(services(&String::from_utf8_lossy(&text)))
    }

    fn nagios(&self, options: &[&str]) -> Result<Heard, EngineError> {
        let configuration = self.scratch.join(MAIN_FILE);
        let text = self.configuration_text()?;
        fs::write(&configuration, text).map_err(|source| {
            EngineError::File(FileError { action: "write", path: configuration.clone(), source })
        })?;
        let mut command = Command::new(&self.program);
        let heard = hear(command.args(options).arg(&configuration), self.patience, OUTPUT_MAX)?;
        // That is no refusal, for which a host or the administrator would be blamed. A configuration that Nagios crashes at is one.
        let from_outside = |signal| FROM_OUTSIDE.iter().any(|outside| outside.as_raw() == signal);
        if heard.status.signal().is_some_and(from_outside) {
            return Err(EngineError::Killed { program: self.program.clone() });
        }
        Ok(heard)
    }

    fn configuration_text(&self) -> Result<String, EngineError> {
        let file = MainFile::read(&self.configuration).map_err(|source| {
            EngineError::File(FileError { action: "read", path: self.configuration.clone(), source })
        })?;
        let mut text = String::new();
        let mut included = false;
        let mut mirrors = 0;
        for (name, value) in file.settings() {
            let value = match name {
                // Directed elsewhere below.
                _ if REDIRECTED.iter().any(|(redirected, _)| *redirected == name) => continue,
                // Said differently below; and modules are no objects, and loading one may have effects.
                "nagios_user" | "nagios_group" | "use_syslog" | "broker_module" => continue,
                // It holds secrets for the arguments of commands, which are not expanded here; we need not be
                // allowed to read it.
                "resource_file" if fs::File::open(file.absolute(value)).is_err() => continue,
                "cfg_dir" => {
                    let folder = file.absolute(value);
                    match self.link_below(&folder) {
                        Some(way) => {
                            included = true;
                            let mirror = self.scratch.join(format!("{MIRROR}{mirrors}"));
                            mirrors += 1;
                            self.mirror(&folder, &way, &mirror).map_err(|source| {
                                EngineError::File(FileError { action: "mirror", path: folder, source })
                            })?;
                            mirror
                        }
                        None => folder,
                    }
                    .display()
                    .to_string()
                }
                "cfg_file" | "resource_file" => file.absolute(value).display().to_string(),
                _ => value.to_owned(),
            };
            let _ = writeln!(text, "{name}={value}");
        }
        if !included {
            return Err(EngineError::NotIncluded {
                reason: format!(
                    "no cfg_dir of {} holds {}, so Nagios would never read what is published; add `cfg_dir={}` \
                     there, or set `nagios-link` in server.conf to a path in a folder that it reads",
                    self.configuration.display(),
                    self.link.display(),
                    self.link.parent().unwrap_or(&self.link).display()
                ),
            });
        }
        for (name, target) in REDIRECTED {
            let _ = writeln!(text, "{name}={}", self.scratch.join(target).display());
        }
        // As who we are: run by root, Nagios would change to its own user, who cannot write to our scratch folder.
        let _ = writeln!(text, "nagios_user={}", rustix::process::geteuid().as_raw());
        let _ = writeln!(text, "nagios_group={}", rustix::process::getegid().as_raw());
        text.push_str("use_syslog=0\n");
        Ok(text)
    }

    /// The file that Nagios would read in place of one in a mirror.
    fn behind_mirror(&self, file: &Path) -> Option<PathBuf> {
        let below = file.strip_prefix(self.scratch).ok()?;
        let mut steps = below.components();
        let mirror = steps.next()?.as_os_str().to_str()?;
        let number: usize = mirror.strip_prefix(MIRROR)?.parse().ok()?;
        let folders = MainFile::read(&self.configuration).ok()?.object_folders();
        let folder = folders.into_iter().filter(|folder| self.link_below(folder).is_some()).nth(number)?;
        Some(folder.join(steps.as_path()))
    }

    /// The way from this folder to our link, if it is in or below it.
    fn link_below(&self, folder: &Path) -> Option<PathBuf> {
        let parent = fs::canonicalize(self.link.parent()?).ok()?;
        let way = parent.strip_prefix(fs::canonicalize(folder).ok()?).ok()?.to_owned();
        Some(way.join(self.link.file_name()?))
    }

    /// Makes `mirror` look like `folder`, but for what is at the end of `way`.
    fn mirror(&self, folder: &Path, way: &Path, mirror: &Path) -> io::Result<()> {
        match fs::remove_dir_all(mirror) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir(mirror)?,
        }
        let mut steps = way.components();
        let Some(step) = steps.next() else { return Ok(()) };
        let rest = steps.as_path();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name() != step.as_os_str() {
                symlink(entry.path(), mirror.join(entry.file_name()))?;
            }
        }
        let ours = mirror.join(step);
        if !rest.as_os_str().is_empty() {
            self.mirror(&folder.join(step), rest, &ours)
        } else if let Some(set) = self.set {
            fs::create_dir(&ours)?;
            let File { path, text } = entry(set, set)?;
            fs::write(ours.join(path), text)
        } else {
            Ok(())
        }
    }
}

/// The file by which Nagios finds a set, and by which we find in Nagios's object cache which set it has read: both stand in
/// one file, so they are of one set whatever is swapped meanwhile. The set's files are at `there` now.
///
/// It names each file, from the last name to the first. Nagios keeps the members of a group sorted, and looks for each one's
/// place from the beginning: in the order of a folder, which is none, or in that of the alphabet, ten thousand hosts of four
/// groups cost 4.4.6 four times as much of a processor (2.4 s and 0.6 s, measured), and thirty thousand far more.
pub(super) fn entry(there: &Path, set: &Path) -> io::Result<File> {
    let mut files = configuration_files(there)?;
    files.sort_unstable_by(|one, other| other.cmp(one));
    let mut includes = String::new();
    for file in &files {
        let _ = writeln!(includes, "include_file={}", set.join(file).display());
    }
    let number = set.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    Ok(File {
        path: ENTRY_FILE.into(),
        text: format!(
            "# Generated by auto-monitor-server; the next publish replaces it.\n\
             {includes}\n\
             # Nobody calls this. It says in Nagios's object cache which set was read.\n\
             define command {{\n    \
                 {COMMAND_NAME}            auto-monitor-set-{number}\n    \
                 command_line            /bin/true\n\
             }}\n"
        ),
    })
}

/// The files of a set, as they are named within it.
fn configuration_files(set: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(set)? {
        let entry = entry?;
        let name = PathBuf::from(entry.file_name());
        if entry.file_type()?.is_dir() {
            files.extend(configuration_files(&entry.path())?.into_iter().map(|file| name.join(file)));
        } else {
            files.push(name);
        }
    }
    Ok(files)
}

/// The command that says which set an entry is of; none in what was published before there was one.
pub(super) fn mark(entry: &str) -> Option<&str> {
    entry.lines().find_map(|line| line.trim().strip_prefix(COMMAND_NAME)).map(str::trim)
}

/// Whether Nagios takes it. Whatever stands in its place says so itself, or it has not judged.
fn is_good(heard: &Heard) -> bool {
    heard.status.success() && heard.text.contains(GOOD)
}

/// Reads what `nagios -v` prints.
fn verdict(heard: &Heard) -> Verdict {
    let Heard { status, text } = heard;
    let good = is_good(heard);
    let mut verdict = Verdict { good, ..Verdict::default() };
    for line in text.lines() {
        if let Some(clash) = line.strip_prefix("Warning: Duplicate definition found for ").and_then(clash) {
            verdict.clashes.insert(clash);
        } else if let Some(host) = line.strip_prefix("Warning: ").and_then(unheard) {
            verdict.unheard.insert(host.to_owned());
        } else if let Some(slip) = line.strip_prefix(SLIP).and_then(slip) {
            verdict.faults.push(slip);
        } else if let Some(message) = line.strip_prefix("Error: ") {
            let fault = fault(message);
            // Two lines are about one fault when the second only adds the place, as in
            // "Invalid service object directive 'x'." and "Could not add object property in file … on line …".
            match verdict.faults.last_mut() {
                Some(last) if last.place.is_none() && fault.message.starts_with("Could not ") => {
                    last.place = fault.place;
                }
                _ => verdict.faults.push(fault),
            }
        }
    }
    let is_short = |fault: &Fault| SHORT.iter().any(|beginning| fault.message.starts_with(beginning));
    verdict.wordless = !good && verdict.clashes.is_empty() && verdict.faults.iter().all(is_short);
    if verdict.wordless && verdict.faults.is_empty() {
        // What Nagios says of itself helps nobody. If it was not Nagios that spoke, the last lines say most.
        let of_itself = text.contains(BANNER);
        let mut lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && (!of_itself || line.contains("rror")))
            .rev()
            .take(3)
            .collect();
        lines.reverse();
        let said = if lines.is_empty() { "no fault named".to_owned() } else { quoted(&lines.join(" / ")) };
        let message = format!("Nagios ended with {status}, {said}; is there too little memory?");
        verdict.faults.push(Fault { message, place: None });
    }
    verdict
}

/// Reads `'FILE' - Line N (REASON)`.
fn slip(text: &str) -> Option<Fault> {
    let (file, rest) = text.strip_prefix('\'')?.split_once("' - Line ")?;
    let (line, reason) = rest.split_once(" (")?;
    let message = reason.trim_end().trim_end_matches(')').to_owned();
    Some(Fault { message, place: Some((file.into(), line.parse().ok()?)) })
}

/// Reads `MESSAGE in file 'F' on line N…` or `MESSAGE (config file 'F', starting on line N)`.
fn fault(message: &str) -> Fault {
    for (before, between) in [(" in file '", "' on line "), (" (config file '", "', starting on line ")] {
        let parts =
            message.split_once(before).and_then(|(said, rest)| Some((said, rest.split_once(between)?)));
        if let Some((said, (file, rest))) = parts {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if let Ok(line) = rest[..digits].parse() {
                let said = said.trim_end_matches('.').to_owned();
                return Fault { message: said, place: Some((file.into(), line)) };
            }
        }
    }
    Fault { message: message.trim_end_matches('.').to_owned(), place: None }
}

/// Reads `host 'H' (config …`, `service 'S' on host 'H' (config …`, `hostgroup 'G' (config …`.
fn clash(text: &str) -> Option<Clash> {
    let (what, _) = text.split_once(" (config file")?;
    let name = |text: &str| Some(text.strip_prefix('\'')?.strip_suffix('\'')?.to_owned());
    if let Some(rest) = what.strip_prefix("service ") {
        let (service, host) = rest.split_once(" on host ")?;
        return Some(Clash::Service { host: name(host)?, service: name(service)? });
    }
    if let Some(rest) = what.strip_prefix("hostgroup ") {
        return Some(Clash::Group(name(rest)?));
    }
    Some(Clash::Host(name(what.strip_prefix("host ")?)?))
}

/// Reads `Host 'H' has no default contacts…` and `Service 'S' on host 'H' has no default contacts…`.
fn unheard(text: &str) -> Option<&str> {
    let what = text.strip_suffix("' has no default contacts or contactgroups defined!")?;
    what.strip_prefix("Host '").or_else(|| Some(what.strip_prefix("Service '")?.split_once("' on host '")?.1))
}

/// The hosts of a precached object file, each with its services.
fn services(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut hosts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for object in text.split("\ndefine ") {
        let value =
            |name: &str| object.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('\t'));
        let Some(host) = value("host_name") else { continue };
        if object.starts_with("host {") {
            hosts.entry(host.to_owned()).or_default();
        } else if let Some(service) = value("service_description").filter(|_| object.starts_with("service {"))
        {
            hosts.entry(host.to_owned()).or_default().insert(service.to_owned());
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;

    /// The verdict where Nagios ends so, having said this.
    fn verdict(text: &str, status: i32) -> Verdict {
        super::verdict(&Heard { status: ExitStatus::from_raw(status << 8), text: text.to_owned() })
    }

    #[test]
    fn what_nagios_prints_is_understood() {
        let said = verdict(
            "Warning: Duplicate definition found for host 'h1' (config file '/a.cfg', starting on line 1)\n\
             Warning: Duplicate definition found for service 's t' on host 'h1' (config file '/b.cfg', starting on line 2)\n\
             Warning: Duplicate definition found for hostgroup 'g' (config file '/b.cfg', starting on line 2)\n\
             Error: Invalid service object directive 'max_check_attempt'.\n\
             Error: Could not add object property in file '/a.cfg' on line 5.\n\
             Error: Could not find any host matching 'h9' (config file '/c.cfg', starting on line 7)\n\
             Error: The name of host 'x' contains one or more illegal characters.\n",
            1,
        );
        let told: Vec<String> = said.faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "/a.cfg:5: Invalid service object directive 'max_check_attempt'",
                "/c.cfg:7: Could not find any host matching 'h9'",
                "The name of host 'x' contains one or more illegal characters",
            ]
        );
        assert_eq!(
            said.clashes.into_iter().collect::<Vec<_>>(),
            [
                Clash::Host("h1".into()),
                Clash::Service { host: "h1".into(), service: "s t".into() },
                Clash::Group("g".into())
            ]
        );
    }

    #[test]
    fn an_unknown_form_of_failure_is_never_silent() {
        for (said, told) in [
            (
                "Segmentation fault\n",
                "Nagios ended with exit status: 1, `Segmentation fault`; is there too little memory?",
            ),
            ("", "Nagios ended with exit status: 1, no fault named; is there too little memory?"),
            (
                "\nNagios Core 4.4.6\n…\n",
                "Nagios ended with exit status: 1, no fault named; is there too little memory?",
            ),
        ] {
            let verdict = verdict(said, 1);
            assert_eq!((verdict.faults[0].message.as_str(), verdict.wordless), (told, true));
        }
        // As 4.4.6 says it where memory is short; and it is not Nagios that says nothing and is content.
        let short = "Error: Could not register service (config file '/a.cfg', starting on line 7)\n";
        assert!(verdict(short, 1).wordless);
        assert!(!verdict("Error: Could not find any host matching 'alloc1'\n", 1).wordless);
        let content = verdict("", 0);
        assert!(!content.good && content.wordless);
    }

    #[test]
    fn hosts_and_services_are_found_in_the_precached_objects() {
        let text = "# x\n\ndefine host {\n\thost_name\tH1\n\talias\tx\n\t}\n\ndefine hostgroup {\n\thost_name\tno\n\t}\n\n\
                    define service {\n\thost_name\tH1\n\tservice_description\ta b\n\t}\n";
        assert_eq!(services(text), BTreeMap::from([("H1".to_owned(), BTreeSet::from(["a b".to_owned()]))]));
    }
}
