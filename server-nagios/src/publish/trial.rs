//! A set that the engine accepts: trying, leaving out what clashes, and finding who is to blame.
//!
//! A publish is a number of changes, one a host: what is published of it now becomes what is wanted. The engine judges
//! only whole sets, stops at the first fault of syntax, and sometimes names no file, so the changes at fault are found by
//! trying halves. Before any host is blamed, the administrator's files are: a set that passes without one of them means
//! that the administrator has a slip to mend, and then nothing is published.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use monitoring_info::host::HostName;
use monitoring_info::registration::{Publication, Standing};

use super::Error;
use super::generation::in_force;
use super::inputs::Reader;
use super::manifest::{self, Entry};
use super::staging::{Origin, Piece, Staging};
use super::watched::Watched;
use crate::administrator::HostOverride;
use crate::paths::Paths;
use crate::publication::Note;
use crate::target::{Clash, Engine, Fault, Verdict};

/// More hosts than this at fault at once are no accident of single hosts.
const QUARANTINED_MAX: usize = 50;
/// So many changes are tried alone where nothing passes without any change.
const ALONE_MAX: usize = 4;

/// A set in the making.
#[derive(Debug)]
pub(super) struct Trial<'a> {
    paths: &'a Paths,
    target: &'a dyn Engine,
    staging: &'a mut Staging,
    reader: &'a Reader<'a>,
    /// What is published now.
    old: BTreeMap<HostName, Piece>,
    /// What is wanted; a host in `old` alone is to go.
    new: BTreeMap<HostName, Piece>,
    /// The hosts that stay as they are published, whatever is wanted.
    held: BTreeSet<HostName>,
    /// The hosts that something was taken from because the administrator has it too.
    trimmed: BTreeMap<HostName, Watched>,
    /// Groups that the administrator defines.
    foreign_groups: BTreeSet<String>,
    /// What is to be said of hosts that are not simply published.
    notes: BTreeMap<HostName, Note>,
    /// Whether a host was left out for a fault that the engine did not name.
    unsure: bool,
}

/// What is to be said of a set that the engine accepts.
#[derive(Debug)]
pub(super) struct Settled {
    /// Of hosts that are not simply published.
    pub notes: BTreeMap<HostName, Note>,
    /// The hosts with problems that nobody would be told of.
    pub unheard: BTreeSet<HostName>,
    /// The hosts with services that a template of the administrator's leaves out.
    pub left_out: BTreeSet<HostName>,
    /// Whether a host was left out that may be at no fault, so that the same is worth another attempt.
    pub unsure: bool,
}

/// Renders a host.
pub(crate) fn render(target: &dyn Engine, watched: &Watched) -> Result<Piece, Error> {
    let file = target.render_host(&watched.host)?;
    // Plain data into memory: cannot fail, and an empty document would be UNKNOWN at every check.
    let published = serde_json::to_vec(&watched.published).unwrap_or_default();
    let files = [file.text.as_bytes(), &published];
    let (host, groups) = (&watched.host, watched.host.groups());
    Ok(Piece {
        entry: Arc::new(Entry::of(&watched.published, &host.services, &groups, file.path, files)?),
        origin: Origin::Rendered { configuration: file.text.into(), published: published.into() },
    })
}

/// How we call a host of the administrator's. Two whose names differ in case alone are two to the engine, and one to everybody
/// else.
fn our_name(own: &str) -> Option<HostName> {
    own.to_ascii_lowercase().parse().ok()
}

impl<'a> Trial<'a> {
    /// Prepares the way from what is published to what is wanted; `kept` hosts stay as they are, for these reasons.
    pub(super) fn new(
        paths: &'a Paths,
        target: &'a dyn Engine,
        staging: &'a mut Staging,
        reader: &'a Reader<'a>,
        current: &BTreeMap<HostName, Arc<Entry>>,
        mut new: BTreeMap<HostName, Piece>,
        kept: BTreeMap<HostName, Note>,
    ) -> Self {
        let as_it_is = |(name, entry): (&HostName, &Arc<Entry>)| {
            (name.clone(), Piece { entry: Arc::clone(entry), origin: Origin::Current })
        };
        let old: BTreeMap<HostName, Piece> = current.iter().map(as_it_is).collect();
        let held: BTreeSet<HostName> = kept.keys().cloned().collect();
        for name in &held {
            new.extend(old.get(name).map(|piece| (name.clone(), piece.clone())));
        }
        let (trimmed, foreign_groups) = (BTreeMap::new(), BTreeSet::new());
        Self {
            paths,
            target,
            staging,
            reader,
            old,
            new,
            held,
            trimmed,
            foreign_groups,
            notes: kept,
            unsure: false,
        }
    }

    /// Leaves the staging folder with a set that the engine accepts.
    pub(super) fn settle(mut self) -> Result<Settled, Error> {
        self.yield_hosts()?;
        let mut refused = BTreeSet::new();
        loop {
            let all = self.changes();
            let verdict = self.attempt(&(&all - &refused))?;
            if self.yield_to(&verdict)? {
                continue;
            }
            if verdict.good {
                let ours = self.staging.placed();
                let those = |wanted: &dyn Fn(&HostName, &Entry) -> bool| {
                    ours.iter()
                        .filter(|(name, entry)| wanted(name, entry))
                        .map(|(name, _)| name.clone())
                        .collect()
                };
                let unheard = those(&|name, _| verdict.unheard.contains(name.as_str()));
                let left_out = those(&|name, entry| {
                    verdict.watched.as_ref().is_some_and(|watched| {
                        let there = watched.get(name.as_str());
                        !there.zip(entry.services.get().ok()).is_some_and(|(there, services)| {
                            services.keys().all(|service| there.contains(service))
                        })
                    })
                });
                return Ok(Settled { notes: self.notes, unheard, left_out, unsure: self.unsure });
            }
            self.blame_administrator(&(&all - &refused), &verdict)?;
            let found = self.refused(&(&all - &refused), &verdict)?;
            for (name, faults) in found {
                self.quarantine(&name, &faults);
                refused.insert(name);
            }
        }
    }

    /// The hosts of which something else is wanted than is published.
    fn changes(&self) -> BTreeSet<HostName> {
        // Most are the same one, which need not be compared.
        fn entry<'a>(pieces: &'a BTreeMap<HostName, Piece>, name: &HostName) -> Option<&'a Arc<Entry>> {
            pieces.get(name).map(|piece| &piece.entry)
        }
        self.old
            .keys()
            .chain(self.new.keys())
            .filter(|name| entry(&self.old, name) != entry(&self.new, name))
            .cloned()
            .collect()
    }

    /// The engine's judgement of what is published with these changes.
    fn attempt(&mut self, changes: &BTreeSet<HostName>) -> Result<Verdict, Error> {
        self.attempt_with(changes, self.target, &BTreeMap::new())
    }

    /// The same with what is shared from another target, and other pieces in place of the wanted ones.
    fn attempt_with(
        &mut self,
        changes: &BTreeSet<HostName>,
        target: &dyn Engine,
        instead: &BTreeMap<HostName, Piece>,
    ) -> Result<Verdict, Error> {
        self.stage(changes, target, instead)?;
        // What is accepted has to be durable and listed anyway, and nothing else is to be done meanwhile. No file is
        // opened there: the engine may be asked by root, and who this process acts as is so for all of its threads.
        let staging = &*self.staging;
        let unsettled = staging.unsettled()?;
        let (verdict, settled) = thread::scope(|scope| {
            let settling = scope.spawn(|| staging.settle(&unsettled));
            let verdict = target.verify(Some(&staging.engine_folder()), staging.scratch());
            (verdict, settling.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        settled?;
        Ok(verdict?)
    }

    /// Puts into the staging folder what is published with these changes.
    fn stage(
        &mut self,
        changes: &BTreeSet<HostName>,
        target: &dyn Engine,
        instead: &BTreeMap<HostName, Piece>,
    ) -> Result<(), Error> {
        let all = self.changes();
        let names: BTreeSet<HostName> =
            self.old.keys().chain(self.new.keys()).chain(self.staging.placed().keys()).cloned().collect();
        let piece = |name| {
            if all.contains(name) && !changes.contains(name) {
                self.old.get(name)
            } else {
                instead.get(name).or_else(|| self.new.get(name))
            }
        };
        self.staging.place(names.iter().map(|name| (name, piece(name))))?;
        let mut groups = manifest::groups(self.staging.placed().values())?;
        groups.retain(|group| !self.foreign_groups.contains(&target.group_name(group)));
        self.staging.share(&target.render_shared(&groups)?)
    }

    /// What a host's wanted piece is rendered from, to be rendered otherwise; none of a host that stays as it is or goes.
    fn watched(&self, name: &HostName) -> Result<Option<Watched>, Error> {
        if self.held.contains(name) || !self.new.contains_key(name) {
            return Ok(None);
        }
        match self.trimmed.get(name) {
            Some(trimmed) => Ok(Some(trimmed.clone())),
            None => self.reader.one(name),
        }
    }

    /// Leaves out what the administrator has too. Says whether anything was.
    fn yield_to(&mut self, verdict: &Verdict) -> Result<bool, Error> {
        let mut any = false;
        for clash in &verdict.clashes {
            any |= match clash {
                Clash::Host(host) => self.yield_host(host),
                Clash::Service { host, service } => self.yield_service(host, service)?,
                Clash::Group(group) => {
                    let pieces = self.new.values().chain(self.old.values());
                    let groups = manifest::groups(pieces.map(|piece| &piece.entry))?;
                    let ours = groups.iter().any(|ours| self.target.group_name(ours) == *group);
                    ours && self.foreign_groups.insert(group.clone())
                }
            };
        }
        Ok(any)
    }

    /// Leaves out the hosts that the administrator has too.
    fn yield_hosts(&mut self) -> Result<(), Error> {
        if let Some(own) = self.target.hosts(None, self.staging.scratch())? {
            for own in own {
                self.yield_host(&own);
            }
            return Ok(());
        }
        // Without ours, theirs are refused: they watch something more of a host of ours, say. Of the hosts that are in both,
        // the engine names one at a time. So all are left out once that may be theirs, and what is there then, is.
        let suspects: BTreeSet<HostName> =
            self.target.suspected_hosts().iter().filter_map(|own| our_name(own)).collect();
        let mut suspects: BTreeMap<HostName, _> = suspects
            .into_iter()
            .map(|name| (name.clone(), (self.new.remove(&name), self.old.remove(&name))))
            .collect();
        suspects.retain(|_, (wanted, published)| wanted.is_some() || published.is_some());
        if suspects.is_empty() {
            return Ok(());
        }
        let changes = self.changes();
        self.stage(&changes, self.target, &BTreeMap::new())?;
        let set = self.staging.engine_folder();
        // Where the whole is still refused, they are named one at a time after all.
        let there = self.target.hosts(Some(&set), self.staging.scratch())?.unwrap_or_default();
        for (name, (wanted, published)) in &mut suspects {
            self.new.extend(wanted.take().map(|piece| (name.clone(), piece)));
            self.old.extend(published.take().map(|piece| (name.clone(), piece)));
        }
        for own in there {
            if our_name(&own).is_some_and(|name| suspects.contains_key(&name)) {
                self.yield_host(&own);
            }
        }
        Ok(())
    }

    fn yield_host(&mut self, own: &str) -> bool {
        let Some(name) = our_name(own) else { return false };
        let wanted = self.new.remove(&name);
        // What is published of it cannot stay either, but a set may be tried in which it does.
        let published = self.old.remove(&name);
        let Some(piece) = wanted.or(published) else { return false };
        let registered = piece.entry.generation;
        let publication = Publication {
            generation: None,
            standing: Standing::Quarantined,
            reason: Some(format!(
                "the monitoring server's administrator has a host `{own}` of their own, which is watched instead"
            )),
        };
        self.notes.insert(name, Note { registered: Some(registered), clash: true, publication });
        true
    }

    fn yield_service(&mut self, host: &str, label: &str) -> Result<bool, Error> {
        let Ok(name) = host.parse::<HostName>() else { return Ok(false) };
        let Some(mut watched) = self.watched(&name)? else { return Ok(false) };
        let before = watched.host.services.len();
        watched.host.services.retain(|service| service.label() != label);
        if watched.host.services.len() == before {
            return Ok(false);
        }
        self.new.insert(name.clone(), render(self.target, &watched)?);
        let generation = Some(watched.host.generation);
        self.trimmed.insert(name.clone(), watched);
        let said = format!(
            "the monitoring server's administrator has a service `{label}` of their own for this host, which is \
             watched instead"
        );
        let note = self.notes.entry(name).or_insert_with(|| Note {
            registered: generation,
            clash: true,
            publication: Publication { generation, standing: Standing::Published, reason: None },
        });
        note.publication.reason = Some(match note.publication.reason.take() {
            Some(before) => format!("{before}; {said}"),
            None => said,
        });
        Ok(true)
    }

    fn quarantine(&mut self, name: &HostName, faults: &[Fault]) {
        let registered = self.new.get(name).map(|piece| piece.entry.generation);
        let told: Vec<String> = faults.iter().take(3).map(ToString::to_string).collect();
        let reason = if self.new.contains_key(name) {
            format!("{} refuses it: {}", self.target.title(), told.join("; "))
        } else {
            format!(
                "{} refuses its configuration without this host: {}",
                self.target.title(),
                told.join("; ")
            )
        };
        let publication = Publication {
            generation: self.old.get(name).map(|piece| piece.entry.generation),
            standing: Standing::Quarantined,
            reason: Some(reason),
        };
        self.notes.insert(name.clone(), Note { registered, clash: false, publication });
    }

    /// Finds the changes that the engine refuses, each with what it says of it.
    fn refused(
        &mut self,
        changes: &BTreeSet<HostName>,
        verdict: &Verdict,
    ) -> Result<BTreeMap<HostName, Vec<Fault>>, Error> {
        let mut accepted = BTreeSet::new();
        if !self.attempt(&accepted)?.good {
            // Without any change nothing is accepted, though the administrator is not to blame: an engine that would
            // have no service at all, say. One change that is accepted alone is as good a beginning.
            let mut alone = changes.iter().take(ALONE_MAX).map(|name| BTreeSet::from([name.clone()]));
            loop {
                let Some(one) = alone.next() else {
                    return match changes.first() {
                        Some(only) if changes.len() == 1 => {
                            self.unsure |= verdict.wordless;
                            Ok(BTreeMap::from([(only.clone(), verdict.faults.clone())]))
                        }
                        _ => Err(Error::Refused {
                            engine: self.target.title(),
                            faults: verdict.faults.clone(),
                        }),
                    };
                };
                if self.attempt(&one)?.good {
                    accepted = one;
                    break;
                }
            }
        }
        let mut found = BTreeMap::new();
        let candidates: Vec<HostName> = (changes - &accepted).into_iter().collect();
        self.bisect(&candidates, &mut accepted, &mut found)?;
        Ok(found)
    }

    fn bisect(
        &mut self,
        candidates: &[HostName],
        accepted: &mut BTreeSet<HostName>,
        found: &mut BTreeMap<HostName, Vec<Fault>>,
    ) -> Result<(), Error> {
        if candidates.is_empty() {
            return Ok(());
        }
        let with: BTreeSet<HostName> = accepted.iter().chain(candidates).cloned().collect();
        let verdict = self.attempt(&with)?;
        if verdict.good {
            *accepted = with;
        } else if let [name] = candidates {
            if verdict.wordless {
                self.unsure = true;
            } else {
                self.blame_override(name, accepted, &verdict)?;
            }
            if found.len() == QUARANTINED_MAX {
                let (engine, most) = (self.target.title(), QUARANTINED_MAX);
                return Err(Error::Many { engine, most, faults: verdict.faults });
            }
            found.insert(name.clone(), verdict.faults);
        } else {
            let (one, other) = candidates.split_at(candidates.len() / 2);
            self.bisect(one, accepted, found)?;
            self.bisect(other, accepted, found)?;
        }
        Ok(())
    }

    /// Is a file of the administrator's to blame for what the engine refuses?
    fn blame_administrator(&mut self, changes: &BTreeSet<HostName>, verdict: &Verdict) -> Result<(), Error> {
        let published = in_force(self.paths).join(self.target.name());
        let alone = self.target.verify(
            Some(&published).filter(|set| set.exists()).map(PathBuf::as_path),
            self.staging.scratch(),
        )?;
        // Faults that are there without us: the engine's own configuration. (It may have others, such as having nothing
        // to watch.)
        let engine = self.target.title();
        if alone.wordless {
            return Err(Error::Refused { engine, faults: alone.faults });
        }
        let is_alike = alone.faults.iter().all(|fault| verdict.faults.contains(fault));
        if !alone.good && !alone.faults.is_empty() && is_alike {
            return Err(Error::EngineConfiguration { engine, faults: alone.faults });
        }
        // A fault that is not named may be the machine's, and goes away where there is less to read.
        if verdict.wordless {
            return Ok(());
        }
        for file in self.target.own_files() {
            let target = self.target.without_file(&file)?;
            let mut instead = BTreeMap::new();
            for name in changes {
                if let Some(watched) = self.watched(name)? {
                    instead.insert(name.clone(), render(&*target, &watched)?);
                }
            }
            if self.attempt_with(changes, &*target, &instead)?.good {
                return Err(self.to_blame(file, verdict));
            }
        }
        Ok(())
    }

    fn to_blame(&self, file: PathBuf, verdict: &Verdict) -> Error {
        let mut faults = verdict.faults.clone();
        if file.extension().is_some_and(|extension| extension == "conf") {
            // A line that was rendered from a value in the file is nothing to be mended; one from a template shows where.
            for fault in &mut faults {
                fault.place = None;
            }
            faults.dedup();
        }
        Error::ToBlame { engine: self.target.title(), file, faults }
    }

    /// Is the administrator's override of a single host to blame, or a template only together with it?
    fn blame_override(
        &mut self,
        name: &HostName,
        accepted: &BTreeSet<HostName>,
        verdict: &Verdict,
    ) -> Result<(), Error> {
        let Some(watched) = self.watched(name)? else { return Ok(()) };
        let mut with = accepted.clone();
        with.insert(name.clone());
        if watched.host.say != HostOverride::default() {
            let mut without = watched.clone();
            without.host.say = HostOverride::default();
            let instead = BTreeMap::from([(name.clone(), render(self.target, &without)?)]);
            if self.attempt_with(&with, self.target, &instead)?.good {
                let file = self.paths.host_overrides().join(format!("{name}.conf"));
                return Err(self.to_blame(file, verdict));
            }
        }
        Ok(())
    }
}
