//! The command `diff`: what a publish would change, host by host, and file by file of what is not a host's.
//!
//! Nothing is verified here: it answers "what did they register?" at once, and without the right to ask the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use anstyle::{AnsiColor, Style};
use monitoring_info::host::HostName;
use monitoring_info::published::Published;
use serde_json::json;
use similar::{ChangeTag, TextDiff};

use crate::configuration::Configuration;
use crate::paths::Paths;
use crate::publish::inputs::{Reader, Wish};
use crate::publish::manifest::{self, Entry, Manifest};
use crate::publish::staging::{Origin, Piece};
use crate::publish::stations::{CURRENT, routed};
use crate::publish::{guard, trial};
use crate::target::{self, File, Routed, STATIONS, StationKind};
use crate::{Context, cli};

/// A difference.
struct Difference {
    /// A host's name, or a shared file's.
    what: String,
    /// `new`, `changed`, `gone`, `held`, `refused`.
    how: &'static str,
    /// What there is to say of that.
    note: Option<String>,
    before: String,
    after: String,
}

/// Runs the command.
///
/// # Errors
/// It could not be run.
pub fn diff(context: &Context, output: &cli::Output) -> anyhow::Result<ExitCode> {
    let differences = differences(context)?;
    if output.json {
        let changes: Vec<_> = differences
            .iter()
            .map(|difference| {
                json!({ "what": difference.what, "how": difference.how, "diff": unified(difference, false) })
            })
            .collect();
        crate::print(format_args!("{}\n", json!({ "changes": changes })))?;
    } else if differences.is_empty() {
        crate::print("A publish would change nothing.\n")?;
    } else {
        for difference in &differences {
            crate::print(unified(difference, true))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn differences(context: &Context) -> anyhow::Result<Vec<Difference>> {
    let paths = &context.paths;
    let configuration = context.configuration()?;
    let target = target::engine(paths, &configuration)?;
    let current = Manifest::current(paths)?.unwrap_or_default();
    let inputs = Reader::new(paths, &configuration)?
        .all(SystemTime::now(), None, |watched| trial::render(&*target, watched))?;
    let held = guard::held(&inputs, &current);
    let names: BTreeSet<&HostName> = current.hosts.keys().chain(inputs.hosts.keys()).collect();
    let mut differences = Vec::new();
    // What would be in force.
    let mut entries: BTreeMap<HostName, Arc<Entry>> = BTreeMap::new();
    for name in names {
        let old = current.hosts.get(name);
        let new = match inputs.hosts.get(name) {
            Some(Wish::Watched(wanted)) => Some(&wanted.made),
            _ => None,
        };
        let stays = held.contains_key(name) || matches!(inputs.hosts.get(name), Some(Wish::Unreadable(_)));
        match (stays, old, new) {
            (true, Some(entry), _) | (false, _, Some(Piece { entry, .. })) => {
                entries.insert(name.clone(), entry.clone());
            }
            _ => {}
        }
        if old.map(|old| &old.digest) == new.map(|new| &new.entry.digest) {
            continue;
        }
        let before = old.map_or_else(String::new, |entry| {
            let text =
                fs::read_to_string(paths.current().join(target.name()).join(&entry.path)).unwrap_or_default();
            with_settings(text, crate::publication::published(paths, name).as_ref())
        });
        let how = match (stays, old, new) {
            (true, _, _) => "held",
            (_, None, _) => "new",
            (_, _, None) => "gone",
            _ => "changed",
        };
        let note = stays.then(|| {
            "would go as below; it stays until `auto-monitor-server publish --confirm-removal`".to_owned()
        });
        let after = new.map_or_else(String::new, rendered);
        differences.push(Difference { what: name.to_string(), how, note, before, after });
    }
    let groups = manifest::groups(entries.values())?;
    let folder = paths.current().join(target.name());
    differences.extend(of_files(&folder, Path::new(""), target.render_shared(&groups)?));
    let hosts = routed(&entries)?;
    for kind in STATIONS {
        differences.extend(of_station(paths, &configuration, kind, &hosts)?);
    }
    Ok(differences)
}

/// What would change of files that are rendered as a whole: those in the folder are replaced by these.
fn of_files(folder: &Path, shown_in: &Path, files: Vec<File>) -> Vec<Difference> {
    let difference = |File { path, text: after }| {
        let before = fs::read_to_string(folder.join(&path)).unwrap_or_default();
        let how = match (before.is_empty(), after.is_empty()) {
            (true, _) => "new",
            (_, true) => "gone",
            _ => "changed",
        };
        let what = shown_in.join(path).display().to_string();
        (before != after).then_some(Difference { what, how, note: None, before, after })
    };
    files.into_iter().filter_map(difference).collect()
}

/// What would change for a station, if these hosts are watched.
fn of_station(
    paths: &Paths,
    configuration: &Configuration,
    kind: &StationKind,
    hosts: &BTreeMap<HostName, Routed>,
) -> anyhow::Result<Vec<Difference>> {
    let folder = paths.station(kind.name).join(CURRENT);
    let files = match (kind.load)(paths, configuration) {
        Some(Ok(station)) => station.render(hosts)?,
        Some(Err(reason)) => {
            let (what, note) = (kind.title.to_owned(), Some(reason));
            let (before, after) = (String::new(), String::new());
            return Ok(vec![Difference { what, how: "refused", note, before, after }]);
        }
        // It is no station any more.
        None => {
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            let mut names: Vec<PathBuf> = entries.map(|entry| entry.file_name().into()).collect();
            names.sort();
            names.into_iter().map(|path| File { path, text: String::new() }).collect()
        }
    };
    Ok(of_files(&folder, Path::new(kind.name), files))
}

fn rendered(piece: &Piece) -> String {
    match &piece.origin {
        Origin::Rendered { configuration, published } => {
            with_settings(configuration.to_string(), serde_json::from_slice(published).ok().as_ref())
        }
        Origin::Current => String::new(),
    }
}

/// What the engine reads, and below it what the checking program reads, without secrets.
fn with_settings(mut text: String, published: Option<&Published>) -> String {
    for sent in published.iter().flat_map(|published| &published.definitions) {
        let _ = writeln!(text, "\n# probed as registered\n[{}]\ntype = {}", sent.name, sent.kind);
        for (key, value) in &sent.settings {
            let value = if key.contains("password") { "********" } else { value };
            let _ = writeln!(text, "{key} = {value}");
        }
    }
    text
}

fn unified(difference: &Difference, colour: bool) -> String {
    let style = |style: Style| if colour { style } else { Style::new() };
    let bold = style(Style::new().bold());
    let mut out = String::new();
    let Difference { what, how, note, before, after } = difference;
    let _ = writeln!(out, "{bold}{what}: {how}{bold:#}");
    for line in note.iter().flat_map(|note| note.lines()) {
        let _ = writeln!(out, "  {line}");
    }
    for group in TextDiff::from_lines(before, after).unified_diff().context_radius(2).iter_hunks() {
        let _ = writeln!(out, "{}", group.header());
        for change in group.iter_changes() {
            let (sign, painted) = match change.tag() {
                ChangeTag::Delete => ('-', style(AnsiColor::Red.on_default())),
                ChangeTag::Insert => ('+', style(AnsiColor::Green.on_default())),
                ChangeTag::Equal => (' ', Style::new()),
            };
            let _ = writeln!(out, "{painted}{sign}{}{painted:#}", change.value().trim_end_matches('\n'));
        }
    }
    out
}
