//! `disable` and `enable`: the administrator's overrides, edited for a person.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use jiff::Zoned;
use jiff::civil::Date;
use monitoring_info::diagnostic::suggestion;
use monitoring_info::ini::FILE_MAX;
use monitoring_info::overrides::{self, EditError, Pattern};
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;

use crate::collect;
use crate::failure::{Failure, Status};
use crate::root::{OVERRIDES, Root, Unreadable};
use crate::screen::{DIM, GOOD, NEXT, Screen, WARNING, paint};

#[derive(Serialize)]
struct Answer<'a> {
    name: &'a str,
    enabled: bool,
    /// Whether the file had to be edited.
    changed: bool,
    file: String,
    /// The services of this host that are meant now.
    services: Vec<String>,
}

/// Says that a service is not to be watched.
///
/// # Errors
/// The overrides cannot be read or written, or have a fault.
pub fn disable(
    root: &Root,
    screen: Screen,
    name: &Pattern,
    reason: Option<&str>,
    until: Option<Date>,
) -> Result<Status, Failure> {
    let today = Zoned::now().date();
    if let Some(until) = until.filter(|until| *until <= today) {
        return Err(Failure::here(format!(
            "{until} is not in the future, so the service would stay watched"
        ))
        .help("give the first day on which it is to be watched again, or leave --until out"));
    }
    let changed = edit(root, |text| overrides::disable(text, name, reason, until))?;
    tell(root, screen, name, false, changed, None);
    Ok(Status::Done)
}

/// Says that a service is to be watched again.
///
/// # Errors
/// The overrides cannot be read or written, have a fault, or opt the service out in a way that needs a person.
pub fn enable(root: &Root, screen: Screen, name: &Pattern) -> Result<Status, Failure> {
    let today = Zoned::now().date();
    let mut exception = None;
    let changed = edit(root, |text| {
        let enabled = overrides::enable(text, name, today)?;
        exception = enabled.exception_to;
        Ok(enabled.text)
    })?;
    tell(root, screen, name, true, changed, exception.map(|(pattern, _)| pattern));
    Ok(Status::Done)
}

/// Replaces the text of the overrides; says whether it became another.
fn edit(root: &Root, change: impl FnOnce(&str) -> Result<String, EditError>) -> Result<bool, Failure> {
    let path = root.path(OVERRIDES);
    let shown = path.display();
    let fail = |attempt: &str, error: &std::io::Error| Failure::io(format!("{attempt} {shown}"), error);
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(|error| fail("make the folder of", &error))?;
    // The folder is the lock: it needs no file that anybody would wonder about, and two edits at once lose nothing.
    let lock = fs::File::open(folder).map_err(|error| fail("lock the folder of", &error))?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|error| fail("lock the folder of", &error.into()))?;
    // What cannot be removed harms nobody.
    let _ = durable::sweep(folder);
    let (bytes, mode) = match root.read(Path::new(OVERRIDES), FILE_MAX) {
        Ok(contents) => (contents.bytes, contents.mode),
        Err(Unreadable::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => (Vec::new(), 0o644),
        Err(Unreadable::Io(error)) => return Err(fail("read", &error)),
        Err(error) => return Err(Failure::here(format!("cannot read {shown}: {error}"))),
    };
    let text = monitoring_info::ini::decode(&bytes).map_err(|problem| {
        Failure::here(format!("cannot edit {shown}: {}", problem.message))
            .help(problem.help.unwrap_or_default())
    })?;
    let new = change(text).map_err(|error| {
        Failure::here(format!("cannot edit {shown}: {error}"))
            .help("auto-monitor check shows every fault with its place")
    })?;
    if new == text {
        return Ok(false);
    }
    // A link to the file stays a link.
    let target = root.resolve(Path::new(OVERRIDES)).unwrap_or_else(|_| path.clone());
    durable::replace(&target, new.as_bytes(), mode).map_err(|error| fail("write", &error))?;
    Ok(true)
}

fn tell(
    root: &Root,
    screen: Screen,
    name: &Pattern,
    enabled: bool,
    changed: bool,
    exception_to: Option<Pattern>,
) {
    let collection = collect::host(root, Zoned::now().date());
    let watched = collection.definitions.iter().map(|one| &one.draft);
    let disabled = collection.disabled.iter().map(|one| &one.draft);
    let mut services: Vec<String> = if enabled { watched.collect::<Vec<_>>() } else { disabled.collect() }
        .into_iter()
        .filter(|draft| name.matches(&draft.name))
        .map(|draft| draft.name.clone())
        .collect();
    services.sort();
    let faulty = collection.faulty.iter().any(|faulty| faulty == name.as_str());
    let near = (services.is_empty() && !faulty)
        .then(|| suggestion(name.as_str(), collection.drafts().map(|draft| draft.name.as_str())))
        .flatten();
    let file = root.path(OVERRIDES).display().to_string();
    let answer = Answer { name: name.as_str(), enabled, changed, file, services };
    screen.answer(&answer, || {
        let verb = if enabled { "watched" } else { "not watched" };
        let mut text = match (changed, answer.services.is_empty()) {
            (_, true) if faulty => format!(
                "{} {} has a fault, so it is not watched.\n  {}\n",
                paint(WARNING, "!"),
                answer.name,
                paint(NEXT, "To see it: auto-monitor check")
            ),
            (false, true) => format!("Nothing to do: no service of this host is called {}.\n", answer.name),
            (false, false) => format!("{} was {verb} already.\n", answer.name),
            (true, true) => format!(
                "{} No service of this host is called {} yet; when one comes, it is {verb} from its first moment on.\n",
                paint(WARNING, "!"),
                answer.name
            ),
            (true, false) => format!(
                "{} From the next registration on {verb}: {}\n",
                paint(GOOD, "✓"),
                answer.services.join(", ")
            ),
        };
        if let Some(near) = near {
            let _ = writeln!(text, "  {}", paint(NEXT, format!("Did you mean {near}?")));
        }
        if let Some(pattern) = exception_to {
            let _ = writeln!(
                text,
                "  as an exception to [{pattern}] {}",
                paint(DIM, format!("in {}", answer.file))
            );
        }
        if changed && !answer.services.is_empty() {
            let _ = writeln!(text, "  {}", paint(NEXT, "To tell the servers now: auto-monitor register"));
        }
        text
    });
}
