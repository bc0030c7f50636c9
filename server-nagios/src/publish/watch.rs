//! `publish --watch`: publish whenever something has changed.
//!
//! Events of the file system are hints: what decides is always the whole of the inputs, compared by [`once_with`],
//! which does next to nothing where nothing has changed. So a lost event costs at most the time until the next
//! [`RECONCILE`], and an event too many costs nothing.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use monitoring_info::registration::Standing;
use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecursiveMode, Watcher};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::last::LastPublish;
use super::memory::Memory;
use super::{Error, Published, once_with, stations};
use crate::configuration::Configuration;
use crate::journal::{Level, Line};
use crate::maintenance::downtimes::{self, Told};
use crate::paths::Paths;
use crate::target;
use crate::{Context, with_causes};

/// How often everything is compared though nothing was heard of: for lost events, for hosts that expire, and for the
/// engine's own configuration, which is not watched.
const RECONCILE: Duration = Duration::from_secs(5 * 60);
/// How soon a publish that may succeed later is tried again; doubled each time.
const RETRY: Duration = Duration::from_secs(5);
/// And at least so often.
const RETRY_MAX: Duration = Duration::from_secs(60);

enum Message {
    Changed,
    /// It was published to the stations.
    Stations(Vec<stations::Outcome>),
    /// A host has said something of maintenance, which does not wait for quiet.
    Maintenance,
    Stop,
}

/// Runs until SIGTERM or SIGINT; a publish under way is finished first.
pub(super) fn watch(context: &Context) -> anyhow::Result<ExitCode> {
    let (sender, receiver) = channel();
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("cannot listen to signals")?;
    let stop = sender.clone();
    std::thread::spawn(move || {
        // One is enough; the main thread may be gone already.
        if signals.forever().next().is_some() {
            let _ = stop.send(Message::Stop);
        }
    });
    // Nobody else writes there, so what is unfinished was left by a publisher that was killed. It harms nobody.
    let _ = durable::sweep(&context.paths.downtimes());
    let stations = Stations::begin(&context.paths, sender.clone());
    let mut watches = Watches::new(context, sender)?;
    let mut journal = Journal::default();
    let mut memory = Memory::default();
    let mut retry = RETRY;
    let mut last = LastPublish::load(&context.paths).unwrap_or_default();
    Line::new("started").print();
    loop {
        watches.refresh();
        // Read each time: it may be what has changed.
        let configuration = context.configuration();
        let started = Instant::now();
        let wait = match &configuration {
            Ok(configuration) => {
                let outcome = once_with(&mut memory, &context.paths, configuration, false);
                journal.outcome(&outcome, started.elapsed());
                last.at = Timestamp::now();
                last.error = outcome.as_ref().err().map(|error| with_causes(error));
                last.store(&context.paths);
                stations.publish(configuration);
                match outcome {
                    Err(error) if error.may_pass() => {
                        let wait = retry;
                        retry = (retry * 2).min(RETRY_MAX);
                        wait
                    }
                    _ => {
                        retry = RETRY;
                        RECONCILE
                    }
                }
            }
            Err(error) => {
                journal.failure(&with_causes(error));
                RECONCILE
            }
        };
        let configuration = configuration.unwrap_or_default();
        let wait = wait.min(settle(context, &configuration, &mut journal));
        let meanwhile = |message| match message {
            Message::Stations(outcomes) => {
                journal.stations(&outcomes);
                last.stations = outcomes;
                last.store(&context.paths);
                RECONCILE
            }
            _ => settle(context, &configuration, &mut journal),
        };
        if quiet(&receiver, wait, &configuration, meanwhile).is_none() {
            stations.end();
            Line::new("stopped").print();
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// Tells the engine of maintenance; and says how long nothing more is to be told, or after which time to try again.
fn settle(context: &Context, configuration: &Configuration, journal: &mut Journal) -> Duration {
    let target = || target::engine(&context.paths, configuration).ok();
    let (told, outcome) = downtimes::settle(&context.paths, target);
    journal.maintenance(&told, outcome.as_ref().err());
    if outcome.is_ok() { RECONCILE } else { RETRY_MAX }
}

/// Waits until it is time for a publish; none when it is time to stop. Of what is no reason for one, `meanwhile` hears at
/// once, and says how long one waits at most then.
fn quiet(
    receiver: &Receiver<Message>,
    wait: Duration,
    configuration: &Configuration,
    mut meanwhile: impl FnMut(Message) -> Duration,
) -> Option<()> {
    let mut until = Instant::now() + wait;
    loop {
        match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Message::Changed) => break,
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
            Ok(message) => until = until.min(Instant::now() + meanwhile(message)),
            Err(RecvTimeoutError::Timeout) => return Some(()),
        }
    }
    let deadline = Instant::now() + configuration.quiet_at_most;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(configuration.quiet.min(left)) {
            Ok(Message::Changed) if left.is_zero() => return Some(()),
            Ok(Message::Changed) => {}
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
            // What cannot be told now is tried again after the publish that is at hand.
            Ok(message) => _ = meanwhile(message),
            Err(RecvTimeoutError::Timeout) => return Some(()),
        }
    }
}

/// What publishes to the stations, beside everything else: a station is often on another machine, and one that does not
/// answer must not keep Nagios waiting for what hosts register.
struct Stations {
    configurations: Sender<Configuration>,
    thread: JoinHandle<()>,
}

impl Stations {
    fn begin(paths: &Paths, outcomes: Sender<Message>) -> Self {
        let (configurations, receiver) = channel();
        let paths = paths.clone();
        let thread = std::thread::spawn(move || Self::run(&paths, &receiver, &outcomes));
        Self { configurations, thread }
    }

    /// Publishes to them what the engine has now.
    fn publish(&self, configuration: &Configuration) {
        // If the thread were gone, it would have said why, and the engine's part goes on.
        let _ = self.configurations.send(configuration.clone());
    }

    /// Lets it finish what it does.
    fn end(self) {
        drop(self.configurations);
        let _ = self.thread.join();
    }

    fn run(paths: &Paths, configurations: &Receiver<Configuration>, outcomes: &Sender<Message>) {
        let Ok(mut configuration) = configurations.recv() else { return };
        let mut retry = RETRY;
        loop {
            // Only the newest counts.
            while let Ok(newer) = configurations.try_recv() {
                configuration = newer;
            }
            let told = stations::publish(paths, &configuration);
            let wait = if told.iter().any(|outcome| outcome.error.is_some()) {
                let wait = retry;
                retry = (retry * 2).min(RETRY_MAX);
                wait
            } else {
                retry = RETRY;
                RECONCILE
            };
            if outcomes.send(Message::Stations(told)).is_err() {
                return;
            }
            match configurations.recv_timeout(wait) {
                Ok(newer) => configuration = newer,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// The folders that are watched.
struct Watches {
    watcher: notify::RecommendedWatcher,
    wanted: Vec<PathBuf>,
    watched: Vec<(PathBuf, u64)>,
    /// Those that are there and cannot be watched, so that each is told of once.
    unwatched: Vec<PathBuf>,
}

impl Watches {
    fn new(context: &Context, sender: Sender<Message>) -> anyhow::Result<Self> {
        let paths = &context.paths;
        let maintenance = paths.maintenance();
        // Of a server that starts for the first time, the endpoint may not have made them yet.
        let own = [maintenance.clone(), paths.registry()];
        for folder in &own {
            durable::folder(folder, 0o750).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An error (an overflow, say) may hide a change.
            let message = match event {
                Ok(event) if !is_change(&event) => return,
                Ok(event) if event.paths.first().is_some_and(|path| path.starts_with(&maintenance)) => {
                    Message::Maintenance
                }
                _ => Message::Changed,
            };
            let _ = sender.send(message);
        })
        .context("cannot watch folders")?;
        let folder = |path: &Path| path.parent().map(Path::to_owned);
        let administrator_s = [folder(&paths.configuration()), Some(paths.host_overrides())];
        let folders = own.into_iter().chain(administrator_s.into_iter().flatten());
        let wanted = folders.chain(target::names().flat_map(|target| paths.templates(target))).collect();
        Ok(Self { watcher, wanted, watched: Vec::new(), unwatched: Vec::new() })
    }

    /// Watches the folders that are there; those that are made, or made anew, later are found here the next time.
    fn refresh(&mut self) {
        use std::os::unix::fs::MetadataExt;
        for folder in &self.wanted {
            let inode = std::fs::metadata(folder).ok().map(|data| data.ino());
            let known = self.watched.iter().position(|(watched, _)| watched == folder);
            let same = known.map(|at| self.watched[at].1);
            if inode == same {
                continue;
            }
            if let Some(at) = known {
                // It is gone, and its watch with it.
                let _ = self.watcher.unwatch(folder);
                self.watched.remove(at);
            }
            if let Some(inode) = inode {
                match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
                    Ok(()) => {
                        self.watched.push((folder.clone(), inode));
                        self.unwatched.retain(|unwatched| unwatched != folder);
                    }
                    // Too few watches (fs.inotify.max_user_watches), say. Each change there waits for the next reconcile.
                    Err(error) if !self.unwatched.contains(folder) => {
                        Line::at(Level::Warning, "unwatched")
                            .with("folder", folder.display())
                            .with("reason", error)
                            .print();
                        self.unwatched.push(folder.clone());
                    }
                    Err(_) => {}
                }
            }
        }
    }
}

/// Reading is no change, and a publish reads all of it. Nor is a hidden file, as which we and editors begin what is to take
/// another's place: that is told of too, and a publish that had begun before would be one for nothing. (What begins with two
/// dots is what Kubernetes turns to replace all files of a folder at once.)
fn is_change(event: &Event) -> bool {
    let is_hidden = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        name.starts_with(b".") && !name.starts_with(b"..")
    };
    // What may have been lost has no path.
    if !event.paths.is_empty() && event.paths.iter().all(is_hidden) {
        return false;
    }
    match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

/// What the journal is told.
#[derive(Default)]
struct Journal {
    /// The last failure, which is not said again until something else happens.
    failure: Option<String>,
    /// The last failure of a station, likewise.
    untold: Option<String>,
    /// The last failure to tell the engine of maintenance, likewise.
    deaf: Option<String>,
}

impl Journal {
    fn outcome(&mut self, outcome: &Result<Published, Error>, took: Duration) {
        match outcome {
            Ok(published) => {
                self.failure = None;
                if !published.changed {
                    return;
                }
                Line::new("published")
                    .with("generation", published.generation.unwrap_or_default())
                    .with("hosts", published.hosts)
                    .with("services", published.services)
                    .with("milliseconds", took.as_millis())
                    .print();
                for warning in &published.warnings {
                    Line::at(Level::Warning, "warning").with("reason", warning).print();
                }
                for (name, note) in &published.notes {
                    let next = if note.publication.standing == Standing::Held {
                        "auto-monitor-server diff; if it may go: auto-monitor-server publish --confirm-removal"
                            .to_owned()
                    } else {
                        format!("auto-monitor-server show {name}")
                    };
                    Line::at(Level::Warning, "not-as-registered")
                        .with("host", name)
                        .with("standing", format!("{:?}", note.publication.standing).to_lowercase())
                        .with("reason", note.publication.reason.as_deref().unwrap_or_default())
                        .with("next", next)
                        .print();
                }
            }
            Err(error) => self.failure(&with_causes(error)),
        }
    }

    fn stations(&mut self, outcomes: &[stations::Outcome]) {
        let untold = outcomes.iter().find_map(|outcome| Some((&outcome.station, outcome.error.as_ref()?)));
        for outcome in outcomes.iter().filter(|outcome| outcome.changed) {
            let station = &outcome.station;
            Line::new("published")
                .with("station", station)
                .with("set", outcome.set.unwrap_or_default())
                .print();
            for doubt in outcome.doubts.iter().chain(&outcome.next) {
                Line::at(Level::Warning, "warning").with("station", station).with("reason", doubt).print();
            }
        }
        let reason = untold.map(|(_, reason)| reason.clone());
        if let Some((station, reason)) = untold.filter(|_| self.untold != reason) {
            Line::at(Level::Error, "publish-failed")
                .with("station", station)
                .with("reason", reason)
                .with("next", "auto-monitor-server status")
                .print();
        }
        self.untold = reason;
    }

    fn maintenance(&mut self, told: &[Told], error: Option<&downtimes::Error>) {
        for Told { host, downtime } in told {
            match downtime {
                Some(downtime) => {
                    Line::new("maintenance").with("host", host).with("until", downtime.until).print();
                }
                None => Line::new("maintenance-over").with("host", host).print(),
            }
        }
        let reason = error.map(|error| with_causes(error));
        if let Some(reason) = reason.as_ref().filter(|reason| self.deaf.as_ref() != Some(reason)) {
            Line::at(Level::Warning, "maintenance-untold")
                .with("reason", reason)
                .with("next", "auto-monitor-server doctor")
                .print();
        }
        self.deaf = reason;
    }

    fn failure(&mut self, reason: &str) {
        if self.failure.as_deref() != Some(reason) {
            Line::at(Level::Error, "publish-failed")
                .with("reason", reason)
                .with("next", "auto-monitor-server status")
                .print();
            self.failure = Some(reason.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_is_waited_for_and_not_for_ever() {
        let (sender, receiver) = channel();
        let configuration = Configuration {
            quiet: Duration::from_millis(50),
            quiet_at_most: Duration::from_millis(200),
            ..Configuration::default()
        };
        let noisy = std::thread::spawn(move || {
            for _ in 0..100 {
                let _ = sender.send(Message::Changed);
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = sender.send(Message::Stop);
        });
        let started = Instant::now();
        assert_eq!(quiet(&receiver, RECONCILE, &configuration, |_| RECONCILE), Some(()));
        assert!(started.elapsed() < Duration::from_millis(800), "{:?}", started.elapsed());
        noisy.join().unwrap();
        while quiet(&receiver, RECONCILE, &configuration, |_| RECONCILE).is_some() {}
    }

    #[test]
    fn maintenance_that_cannot_be_told_is_not_left_for_the_next_reconcile() {
        let (sender, receiver) = channel();
        sender.send(Message::Maintenance).unwrap();
        let again = Duration::from_millis(50);
        let started = Instant::now();
        assert_eq!(quiet(&receiver, Duration::from_secs(5), &Configuration::default(), |_| again), Some(()));
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
        drop(sender);
    }

    /// The registry of a new server, which is watched, and what is heard of it.
    fn registry() -> (tempfile::TempDir, PathBuf, Watches, Receiver<Message>) {
        let folder = tempfile::tempdir().unwrap();
        let context = Context::below(folder.path()).unwrap();
        let (sender, receiver) = channel();
        let mut watches = Watches::new(&context, sender).unwrap();
        watches.refresh();
        (folder, context.paths.registry(), watches, receiver)
    }

    fn is_heard_of(receiver: &Receiver<Message>) -> bool {
        matches!(receiver.recv_timeout(Duration::from_secs(10)), Ok(Message::Changed))
    }

    #[test]
    fn the_first_registration_of_a_new_server_is_heard_of() {
        let (_folder, registry, _watches, receiver) = registry();
        // The endpoint may start after the publisher, and makes the folder with the first host that asks.
        durable::folder(&registry, 0o750).unwrap();
        std::fs::write(registry.join("b.example.org.json"), "{}").unwrap();
        assert!(is_heard_of(&receiver));
    }

    #[test]
    fn what_is_still_being_written_is_no_reason_for_a_publish() {
        let (_folder, registry, _watches, receiver) = registry();
        let file = durable::begin(&registry).unwrap();
        std::fs::write(file.path(), "{}").unwrap();
        let moment = Duration::from_millis(300);
        assert!(receiver.recv_timeout(moment).is_err());
        file.persist(registry.join("b.example.org.json")).unwrap();
        assert!(is_heard_of(&receiver));
        while receiver.recv_timeout(moment).is_ok() {}
        std::os::unix::fs::symlink("..2026", registry.join("..data")).unwrap();
        assert!(is_heard_of(&receiver));
    }
}
