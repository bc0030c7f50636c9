//! Publishing: from the registry to a running engine, or not at all.
//!
//! Stage the rendered set, have the engine itself verify its whole configuration with it, swap it in by one rename, have
//! the engine reload, see that it has; else go back. Every failure leaves the last good set in force and is one sentence
//! with the next step. A process that is killed at any moment leaves `current` naming a complete, verified set: the next
//! publish removes the rest and begins anew, because nothing but the inputs decides what is to be done.
//!
//! What one host sends cannot stop the others: hosts at fault are quarantined (`trial`), hosts that would lose too much
//! are held (`guard`). Nor can what is published to one program stop what is published to another (`stations`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use durable::Lock;
use jiff::Timestamp;
use monitoring_info::host::HostName;
use monitoring_info::registration::{Publication, Standing};

use self::inputs::{Inputs, Reader, Wish};
use self::manifest::Manifest;
use self::memory::Memory;
use self::staging::{Origin, Piece, Staging};
use self::trial::{Settled, Trial};
use crate::configuration::Configuration;
use crate::enrolment::Ledger;
use crate::failure::FileError;
use crate::paths::Paths;
use crate::publication::{self, Note};
use crate::registry::Withdrawn;
use crate::target::{self, Activation, Engine, Running, Target};

mod command;
mod error;
mod generation;
pub(crate) mod guard;
pub(crate) mod inputs;
mod last;
pub(crate) mod manifest;
mod memory;
pub(crate) mod packed;
mod recovered;
pub(crate) mod staging;
mod stamp;
pub mod stations;
pub(crate) mod trial;
mod watch;
mod watched;

pub use command::publish;
pub use error::Error;
pub use last::LastPublish;

/// How a publish went that was not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The generation that is in force; none when there has never been a host.
    pub generation: Option<u64>,
    /// Whether it is a new one.
    pub changed: bool,
    /// The hosts in it.
    pub hosts: usize,
    /// The services in it.
    pub services: usize,
    /// The hosts that are not simply published.
    pub notes: BTreeMap<HostName, Note>,
    /// What is in force and hardly meant, a sentence each.
    pub warnings: Vec<String>,
    /// What could not be done afterwards, and harms nobody.
    pub leftovers: Option<String>,
}

/// Publishes once. With `confirm_removal`, hosts and services go however many.
///
/// # Errors
/// Nothing was published, and the last good set stays.
pub fn once(paths: &Paths, configuration: &Configuration, confirm_removal: bool) -> Result<Published, Error> {
    once_with(&mut Memory::default(), paths, configuration, confirm_removal)
}

/// The same, by who may remember what is current.
fn once_with(
    memory: &mut Memory,
    paths: &Paths,
    configuration: &Configuration,
    confirm_removal: bool,
) -> Result<Published, Error> {
    let state = paths.state();
    fs::create_dir_all(&state).map_err(|source| {
        Error::File(FileError { action: "make the folder", path: state.clone(), source })
    })?;
    let _lock = lock(paths)?;

    // Twice: the first tells which files count, the second reads them after their states were taken.
    let files = stamp::file_states(&*target::engine(paths, configuration)?);
    let target = &*target::engine(paths, configuration)?;
    let current = memory.current(paths)?;
    let shared = target.render_shared(&BTreeSet::new())?;
    let basis = inputs::basis(&files, &shared, configuration)?;
    let known = current.as_ref().filter(|manifest| manifest.basis == basis);
    let reader = Reader::new(paths, configuration)?;
    let mut inputs =
        reader.all(SystemTime::now(), known, |watched| Ok(Some(trial::render(target, watched)?)))?;
    let is_published =
        |name: &HostName| current.as_ref().is_some_and(|manifest| manifest.hosts.contains_key(name));
    let digest = inputs.digest(&files, &shared, configuration, known, is_published)?;
    let any = inputs.hosts.values().any(|wish| matches!(wish, Wish::Watched(_) | Wish::Unchanged));
    match &current {
        None if !any => return Ok(summary(target, None, false)),
        Some(manifest)
            if manifest.inputs == digest && !confirm_removal && !vanished_is_new(manifest, &inputs) =>
        {
            target.include().map_err(Error::NotIncluded)?;
            // A process that was killed after the swap has come to neither of these.
            catch_up(paths, target, manifest)?;
            let leftovers = tidy(paths, target, manifest, &inputs);
            let mut published = Published { leftovers, ..summary(target, Some(manifest), false) };
            if let Running::No { reason } = target.running() {
                let engine = target.title();
                published.warnings.insert(
                    0,
                    format!("{engine} does not run ({reason}), so nothing is watched; start {engine}"),
                );
            }
            memory.put_back(current);
            return Ok(published);
        }
        _ => {}
    }

    // Not only afterwards: of publishes that fail or are killed each leaves a set, and the next one may come in a minute. What
    // cannot be removed is tried again.
    let _ = generation::prune(paths);
    let sources = inputs.sources(known);
    let mut staging = Staging::begin(paths, target.name(), current.as_ref(), sources.clone())?;
    let Settled { notes, unheard, left_out, unsure } =
        match settle(paths, target, &mut staging, &reader, current.as_ref(), &mut inputs, confirm_removal) {
            Ok(settled) => settled,
            Err(error) => {
                // The next publish removes it too; what went wrong is worth more than that this also did.
                let _ = staging.discard();
                return Err(error);
            }
        };
    let engine = target.title();
    let unreachable = match target.running() {
        Running::Yes { .. } => None,
        Running::No { reason } => Some(Error::NotRunning { engine, reason }),
        Running::Unknown { reason } => Some(Error::Unseen { engine, reason }),
    };
    if let Some(error) = unreachable {
        let _ = staging.discard();
        return Err(error);
    }
    let hosts = staging.placed().clone();
    // Tried again, and nothing has come of it.
    let same = |current: &&Manifest| {
        unsure
            && (&current.hosts, &current.notes, &current.basis) == (&hosts, &notes, &basis)
            && (&current.unheard, &current.left_out) == (&unheard, &left_out)
    };
    if let Some(current) = current.as_ref().filter(same) {
        staging.discard()?;
        catch_up(paths, target, current)?;
        let leftovers = tidy(paths, target, current, &inputs);
        return Ok(Published { leftovers, ..summary(target, Some(current), false) });
    }
    let newest = generation::numbers(paths)?.last().copied().unwrap_or(0);
    let manifest = Manifest {
        version: 1,
        generation: newest.max(current.as_ref().map_or(0, |manifest| manifest.generation)) + 1,
        made: Timestamp::now(),
        inputs: if unsure {
            // Unlike any, so that the next publish tries again.
            String::new()
        } else {
            inputs.digest(&files, &shared, configuration, known, |name| hosts.contains_key(name))?
        },
        sources,
        basis,
        hosts,
        notes,
        unheard,
        left_out,
    };
    staging.finish(&manifest, target)?;
    swap(paths, target, current.as_ref(), &manifest)?;
    let leftovers = tidy(paths, target, &manifest, &inputs);
    let published = Published { leftovers, ..summary(target, Some(&manifest), true) };
    memory.replace(paths, manifest);
    Ok(published)
}

fn lock_file(paths: &Paths) -> PathBuf {
    paths.state().join("publish.lock")
}

/// Whether somebody else publishes just now.
fn is_under_way(paths: &Paths) -> bool {
    matches!(Lock::attempt(&lock_file(paths)), Ok(None))
}

/// Waits until nobody else publishes.
fn lock(paths: &Paths) -> Result<Lock, Error> {
    let path = lock_file(paths);
    Lock::wait(&path).map_err(|source| Error::File(FileError { action: "lock", path, source }))
}

/// Whether a published host has vanished from the registry without having been held already: the digest is of what is
/// there, so it does not tell.
fn vanished_is_new<T>(manifest: &Manifest, inputs: &Inputs<T>) -> bool {
    manifest.hosts.keys().any(|name| !inputs.hosts.contains_key(name) && !manifest.notes.contains_key(name))
}

fn settle(
    paths: &Paths,
    target: &dyn Engine,
    staging: &mut Staging,
    reader: &Reader<'_>,
    current: Option<&Manifest>,
    inputs: &mut Inputs<Option<Piece>>,
    confirm_removal: bool,
) -> Result<Settled, Error> {
    let none = BTreeMap::new();
    let published = current.map_or(&none, |manifest| &manifest.hosts);
    let held = match current {
        Some(manifest) if !confirm_removal => guard::held(inputs, manifest),
        _ => BTreeMap::new(),
    };
    let mut kept = BTreeMap::new();
    let mut keep = |name: &HostName, standing, reason: String| {
        let registered = match inputs.hosts.get(name) {
            Some(Wish::Watched(wanted)) => Some(wanted.generation),
            Some(Wish::Expired { generation }) => Some(*generation),
            _ => None,
        };
        let generation = published.get(name).map(|entry| entry.generation);
        let publication = Publication { generation, standing, reason: Some(reason) };
        kept.insert(name.clone(), Note { registered, clash: false, publication });
    };
    for (name, reason) in &held {
        let reason = format!("{reason}; it waits for the administrator of the monitoring server");
        keep(name, Standing::Held, reason);
    }
    for (name, wish) in &inputs.hosts {
        if let Wish::Unreadable(reason) = wish {
            keep(name, Standing::Waiting, reason.clone());
        }
    }
    let mut new = BTreeMap::new();
    for (name, wish) in &mut inputs.hosts {
        let piece = match wish {
            _ if held.contains_key(name) => None,
            Wish::Watched(wanted) => wanted.made.take(),
            Wish::Unchanged => {
                published.get(name).map(|entry| Piece { entry: Arc::clone(entry), origin: Origin::Current })
            }
            Wish::Unreadable(_) | Wish::Gone { .. } | Wish::Expired { .. } => None,
        };
        new.extend(piece.map(|piece| (name.clone(), piece)));
    }
    Trial::new(paths, target, staging, reader, published, new, kept).settle()
}

/// Swaps a generation in, and back if the engine does not take it.
fn swap(
    paths: &Paths,
    target: &dyn Engine,
    current: Option<&Manifest>,
    manifest: &Manifest,
) -> Result<(), Error> {
    let is_there = |number: &u64| paths.generations().join(number.to_string()).is_dir();
    let before = generation::current_number(paths)
        .filter(is_there)
        // Where `current` named none, it is known all the same.
        .or_else(|| current.map(|manifest| manifest.generation).filter(is_there));
    generation::point(paths, Some(manifest.generation))?;
    // Only now: before the first good set the link would lead nowhere.
    if let Err(sentence) = target.include() {
        if before.is_none() {
            generation::point(paths, None)?;
        }
        return Err(Error::NotIncluded(sentence));
    }
    let Activation::Failed { reason } = target.activate() else {
        generation::note_taken(paths, manifest.generation);
        return Ok(());
    };
    let engine = target.title();
    let then = if let Some(before) = before {
        generation::point(paths, Some(before))?;
        match target.activate() {
            Activation::Confirmed | Activation::Left { .. } => {
                generation::note_taken(paths, before);
                format!("went back to generation {before}, which {engine} has taken. Its log says more")
            }
            Activation::Failed { reason } => {
                format!(
                    "went back to generation {before}, but then: {reason}. Start {engine}; its log says more"
                )
            }
        }
    } else {
        match target
            .exclude()
            .and_then(|()| generation::point(paths, None).map_err(|error| error.to_string()))
        {
            Ok(()) => format!(
                "there is no earlier set, so it was taken out again. Start {engine}; its log says more"
            ),
            Err(sentence) => format!("there is no earlier set, and {sentence}"),
        }
    };
    Err(Error::NotActivated { reason, then })
}

/// Has the engine read what is current, if it has not since the swap.
fn catch_up(paths: &Paths, target: &dyn Engine, manifest: &Manifest) -> Result<(), Error> {
    // One that does not run reads it when it starts.
    if generation::taken(paths) == generation::current_number(paths)
        || !matches!(target.running(), Running::Yes { .. })
    {
        return Ok(());
    }
    match target.activate() {
        Activation::Confirmed | Activation::Left { .. } => {
            generation::note_taken(paths, manifest.generation);
            Ok(())
        }
        Activation::Failed { reason } => Err(Error::NotActivated {
            reason,
            then: format!(
                "generation {} is in force as soon as {} reads it",
                manifest.generation,
                target.title()
            ),
        }),
    }
}

/// What follows a publish and is repeated by the next one: the notes' files, tombstones, old generations, what a publish
/// that was killed has left, and the beginning of the next set.
fn tidy<T>(
    paths: &Paths,
    target: &(impl Target + ?Sized),
    manifest: &Manifest,
    inputs: &Inputs<T>,
) -> Option<String> {
    let notes = publication::store(paths, &manifest.notes)
        .err()
        .map(|error| format!("cannot write to {}: {error}", paths.publications().display()));
    let unfinished = durable::sweep(&paths.state())
        .err()
        .map(|error| format!("cannot remove what is unfinished in {}: {error}", paths.state().display()));
    // A host that the administrator removed is forgotten; one that deregistered keeps its generation, which must never go
    // back.
    let removed = |(name, wish): &(&HostName, &Wish<T>)| {
        matches!(wish, Wish::Gone { withdrawn: Some(Withdrawn::ByAdministrator) })
            && !manifest.hosts.contains_key(*name)
    };
    let removed = inputs.hosts.iter().filter(removed).map(|(name, _)| name);
    // Sessions leave something too, and never look back.
    let sessions = Ledger::sweep_unless_in_use(paths, removed).err().map(|error| error.to_string());
    let generations = generation::prune(paths).err();
    generation::prepare(paths, target.name(), manifest);
    notes.or(generations.map(|error| error.to_string())).or(unfinished).or(sessions)
}

/// What is in force and hardly meant, a sentence each.
pub(crate) fn warnings(target: &dyn Engine, manifest: &Manifest) -> Vec<String> {
    let mut warnings = Vec::new();
    if !manifest.unheard.is_empty() {
        let whose = if manifest.unheard.len() == manifest.hosts.len() {
            "any alarm".to_owned()
        } else {
            format!("some alarms of {}", few(&manifest.unheard))
        };
        warnings.push(format!("nobody is notified of {whose}: {}", target.to_be_heard()));
    }
    if !manifest.left_out.is_empty() {
        let whose = few(&manifest.left_out);
        warnings.push(format!("not every service is watched of {whose}: {}", target.to_be_whole()));
    }
    warnings
}

/// Names, cut to one screen.
pub(crate) fn few<Name: ToString>(
    names: impl IntoIterator<Item = Name, IntoIter: ExactSizeIterator>,
) -> String {
    const SHOWN: usize = 8;
    let names = names.into_iter();
    let more = names.len().saturating_sub(SHOWN);
    let mut text = names.take(SHOWN).map(|name| name.to_string()).collect::<Vec<_>>().join(", ");
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    text
}

fn summary(target: &dyn Engine, manifest: Option<&Manifest>, changed: bool) -> Published {
    Published {
        generation: manifest.map(|manifest| manifest.generation),
        changed,
        hosts: manifest.map_or(0, |manifest| manifest.hosts.len()),
        services: manifest
            .map_or(0, |manifest| manifest.hosts.values().map(|entry| entry.services.len()).sum()),
        notes: manifest.map(|manifest| manifest.notes.clone()).unwrap_or_default(),
        warnings: manifest.map_or_else(Vec::new, |manifest| warnings(target, manifest)),
        leftovers: None,
    }
}
