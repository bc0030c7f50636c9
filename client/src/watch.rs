//! `watch`: registers when something that counts was edited by hand.
//!
//! Events of the file system are hints and no more. What they lead to is [`register`](crate::register) as packaging calls
//! it, in a process of its own, which looks at the whole host and says nothing where nothing has changed; so an event
//! too many costs little, a lost one costs at most an hour, until the next look, and this process stays as small as it
//! begins, whatever the files of the host or the libraries of a connection need.
//!
//! While a package manager works, nothing is registered: of two hundred packages, the state after the last one counts.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecursiveMode, Watcher};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::{Failure, Status};
use crate::layers::{LAYERS, is_ignored};
use crate::packages;
use crate::root::{CONFIGURATION, OVERRIDES, Root, reason};
use crate::screen::Screen;
use crate::state::State;

/// How long nothing must change before it is looked: an editor writes a file in several steps.
const QUIET: Duration = Duration::from_millis(500);
/// But somebody who never stops writing delays no more than this.
const QUIET_AT_MOST: Duration = Duration::from_secs(10);
/// How often it is looked though nothing was heard of: for lost events, and opt-outs that end.
const RECONCILE: Duration = Duration::from_secs(3600);
/// How long after a failure it is tried again at the soonest, whatever the state says.
const RETRY_LEAST: Duration = Duration::from_secs(30);
/// How long a package manager is waited for: one that waits for a person may take the night.
const PACKAGES_AT_MOST: Duration = Duration::from_secs(15 * 60);

/// What of dpkg's database tells something: that a package came or went, and that the package manager is done, because it
/// closes the file then that it has locked.
const OF_PACKAGES: [&str; 2] = ["status", packages::LOCK];

enum Message {
    /// Something may have changed.
    Hint,
    /// The registration has ended.
    Ended(ExitStatus),
    /// It is time to end.
    Stop,
}

/// Watches until SIGTERM or SIGINT; SIGHUP has it look at once.
///
/// # Errors
/// The system gives this process no means to watch.
pub fn run(root: &Root, screen: Screen) -> Result<Status, Failure> {
    let program =
        std::env::current_exe().map_err(|error| Failure::io("find out the path of this program", &error))?;
    let (sender, receiver) = channel();
    let mut signals =
        Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(|error| Failure::io("listen to signals", &error))?;
    let signalled = sender.clone();
    std::thread::spawn(move || {
        for signal in signals.forever() {
            // The main thread may be gone already.
            let _ = signalled.send(if signal == SIGHUP { Message::Hint } else { Message::Stop });
        }
    });
    let mut watches = Watches::new(root, sender.clone())?;
    let mut is_ready = false;
    loop {
        watches.refresh(screen);
        if !is_ready {
            // Without systemd there is nobody to tell.
            drop(sd_notify::notify(&[sd_notify::NotifyState::Ready]));
            is_ready = true;
        }
        let Some((status, hinted)) = register(&program, root, &sender, &receiver)? else { break };
        let wait = if status.success() { RECONCILE } else { next_try(root) };
        if !quiet(&receiver, wait, hinted) || !packages_are_done(&receiver, root) {
            break;
        }
    }
    Ok(Status::Done)
}

/// Registers where something has changed: how it ended, and whether a hint came meanwhile. None when it is time to end.
fn register(
    program: &Path,
    root: &Root,
    sender: &Sender<Message>,
    receiver: &Receiver<Message>,
) -> Result<Option<(ExitStatus, bool)>, Failure> {
    let mut child = Command::new(program)
        .arg("--root")
        .arg(root.path("/"))
        .args(["register", "--unattended", "--if-changed"])
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| Failure::io(format!("run {}", program.display()), &error))?;
    // By a descriptor, which means this process even when its id means another.
    let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
    let ended = sender.clone();
    std::thread::spawn(move || wait(&mut child, &ended));
    let (mut hinted, mut stop) = (false, false);
    // This end of the channel has senders as long as it lives.
    while let Ok(message) = receiver.recv() {
        match message {
            Message::Hint => hinted = true,
            Message::Ended(status) => return Ok((!stop).then_some((status, hinted))),
            Message::Stop => {
                stop = true;
                // A registration can be ended at every moment. Where it cannot be told to (before Linux 5.3), or has
                // just ended, it is waited for.
                let _ = process.as_ref().map(|process| pidfd_send_signal(process, Signal::TERM));
            }
        }
    }
    Ok(None)
}

fn wait(child: &mut Child, ended: &Sender<Message>) {
    if let Ok(status) = child.wait() {
        let _ = ended.send(Message::Ended(status));
    }
}

/// When the backoff lets the next attempt through.
fn next_try(root: &Root) -> Duration {
    let Ok((state, _)) = State::read(root) else { return RECONCILE };
    let now = Timestamp::now();
    let known = state.servers.values().filter(|server| !server.deregistered);
    let next = known.filter_map(|server| server.not_before).min();
    next.map_or(RECONCILE, |next| {
        Duration::try_from(next.duration_since(now)).unwrap_or_default().clamp(RETRY_LEAST, RECONCILE)
    })
}

/// Waits until it is time to look; false when it is time to end.
fn quiet(receiver: &Receiver<Message>, wait: Duration, hinted: bool) -> bool {
    if !hinted {
        match receiver.recv_timeout(wait) {
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => return true,
        }
    }
    let deadline = Instant::now() + QUIET_AT_MOST;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(QUIET.min(left)) {
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
            Ok(_) if left.is_zero() => return true,
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => return true,
        }
    }
}

/// Waits while a package manager works; false when it is time to end.
fn packages_are_done(receiver: &Receiver<Message>, root: &Root) -> bool {
    let deadline = Instant::now() + PACKAGES_AT_MOST;
    while packages::are_at_work(root) {
        // It closes its lock at the end, which is a hint; one that is killed does so too.
        let left = deadline.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left) {
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => return true,
        }
    }
    true
}

/// A folder, and which names in it count.
#[derive(Debug, Clone)]
struct Wanted {
    folder: PathBuf,
    /// None: all but those that say themselves that they are not meant.
    names: Option<Vec<&'static str>>,
}

impl Wanted {
    fn all(root: &Root) -> Vec<Self> {
        let layers = LAYERS.iter().map(|layer| Self { folder: root.path(layer), names: None });
        let own = Path::new(CONFIGURATION).parent().unwrap_or(Path::new("/"));
        let names = [CONFIGURATION, OVERRIDES].map(|path| path.rsplit('/').next().unwrap_or(path));
        layers
            .chain([
                Self { folder: root.path(own), names: Some(names.to_vec()) },
                Self { folder: root.path(packages::DATABASE), names: Some(OF_PACKAGES.to_vec()) },
            ])
            .collect()
    }

    /// Whether something that happened to this path counts: to a file of the folder, or to what leads there.
    fn means(&self, path: &Path) -> bool {
        if self.folder.starts_with(path) {
            return true;
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        path.parent() == Some(&self.folder)
            && self.names.as_ref().map_or(!is_ignored(name), |names| names.contains(&name))
    }
}

/// What is watched: each wanted folder, and what is nearest above it, for a folder that is made, replaced or removed.
struct Watches {
    watcher: notify::RecommendedWatcher,
    wanted: Vec<Wanted>,
    watched: Vec<(PathBuf, u64)>,
    /// The folders that could not be watched; said once.
    unwatched: Vec<PathBuf>,
}

impl Watches {
    fn new(root: &Root, sender: Sender<Message>) -> Result<Self, Failure> {
        let wanted = Wanted::all(root);
        let meant = wanted.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An error may hide an event.
            if event.map_or(true, |event| is_hint(&event, &meant)) {
                let _ = sender.send(Message::Hint);
            }
        })
        .map_err(|error| {
            Failure::here(format!("cannot watch the folders of definitions: {}", explained(&error)))
                .help("is the limit reached? sysctl fs.inotify.max_user_instances")
        })?;
        Ok(Self { watcher, wanted, watched: Vec::new(), unwatched: Vec::new() })
    }

    /// Watches what is there; what is made later shows itself to the watch above it, and is found here then.
    fn refresh(&mut self, screen: Screen) {
        use std::os::unix::fs::MetadataExt;
        let mut folders: Vec<(PathBuf, u64)> = Vec::new();
        for wanted in &self.wanted {
            let inode = |path: &Path| {
                std::fs::metadata(path).ok().filter(std::fs::Metadata::is_dir).map(|data| data.ino())
            };
            let above = wanted.folder.ancestors().skip(1).find_map(|path| Some((path, inode(path)?)));
            let own = inode(&wanted.folder).map(|inode| (wanted.folder.as_path(), inode));
            for (path, inode) in above.into_iter().chain(own) {
                if folders.iter().all(|(known, _)| known != path) {
                    folders.push((path.to_owned(), inode));
                }
            }
        }
        let mut gone = self.watched.clone();
        gone.retain(|watched| !folders.contains(watched));
        for (path, _) in &gone {
            // The watch of a folder that was removed has gone with it.
            let _ = self.watcher.unwatch(path);
        }
        self.watched.retain(|watched| !gone.contains(watched));
        for folder in folders {
            if self.watched.contains(&folder) {
                continue;
            }
            match self.watcher.watch(&folder.0, RecursiveMode::NonRecursive) {
                Ok(()) => self.watched.push(folder),
                Err(error) if !self.unwatched.contains(&folder.0) => {
                    screen.failure(
                        &Failure::here(format!("cannot watch {}: {}", folder.0.display(), explained(&error)))
                            .help("what changes there is seen within an hour; is the limit reached? sysctl fs.inotify.max_user_watches"),
                    );
                    self.unwatched.push(folder.0);
                }
                Err(_) => {}
            }
        }
    }
}

fn explained(error: &notify::Error) -> String {
    match &error.kind {
        notify::ErrorKind::Io(error) => reason(error),
        _ => error.to_string(),
    }
}

/// Whether something may have changed. That files are read changes nothing, and a registration reads all of them.
fn is_hint(event: &Event, wanted: &[Wanted]) -> bool {
    if event.need_rescan() || event.paths.is_empty() {
        // The kernel's queue ran over: anything may have happened.
        return true;
    }
    let changes = match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    };
    changes && event.paths.iter().any(|path| wanted.iter().any(|wanted| wanted.means(path)))
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, Flag, ModifyKind, RemoveKind};

    use super::*;

    #[test]
    fn only_what_counts_is_a_hint() {
        let wanted = Wanted::all(&Root::new(Path::new("/")).unwrap());
        let hint = |kind: EventKind, path: &str| is_hint(&Event::new(kind).add_path(path.into()), &wanted);
        let made = EventKind::Create(CreateKind::Any);
        for path in [
            "/etc/monitoring-info/a.conf",
            "/usr/share/monitoring-info.d/a",
            "/usr/share/auto-monitor/monitoring-info.d/a.conf",
            "/etc/auto-monitor/overrides.conf",
            "/etc/auto-monitor/client.conf",
            "/var/lib/dpkg/status",
            "/var/lib/dpkg/lock-frontend",
            "/etc/monitoring-info",
            "/usr/share/auto-monitor",
        ] {
            assert!(hint(made, path) && hint(EventKind::Remove(RemoveKind::Any), path), "{path}");
            assert!(hint(EventKind::Modify(ModifyKind::Any), path), "{path}");
            assert!(!hint(EventKind::Access(AccessKind::Open(AccessMode::Any)), path), "{path}");
            assert!(hint(EventKind::Access(AccessKind::Close(AccessMode::Write)), path), "{path}");
        }
        for path in [
            "/etc/monitoring-info/.a.conf.swp",
            "/etc/monitoring-info/a.conf~",
            "/etc/monitoring-info/deeper/a.conf",
            "/etc/passwd",
            "/etc/auto-monitor/other",
            "/var/lib/dpkg/status-new",
            "/var/lib/dpkg/info",
        ] {
            assert!(!hint(made, path), "{path}");
        }
        assert!(is_hint(&Event::new(EventKind::Other).set_flag(Flag::Rescan), &wanted), "an overflow");
    }

    #[test]
    fn quiet_is_waited_for_and_an_end_at_once() {
        let (sender, receiver) = channel();
        let begin = Instant::now();
        sender.send(Message::Hint).unwrap();
        assert!(quiet(&receiver, RECONCILE, false));
        assert!(begin.elapsed() >= QUIET);
        sender.send(Message::Stop).unwrap();
        assert!(!quiet(&receiver, RECONCILE, false));
        assert!(quiet(&receiver, Duration::ZERO, false), "the timer alone leads to a look");
    }

    #[test]
    fn the_next_attempt_is_when_the_backoff_lets_it_through() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path()).unwrap();
        assert_eq!(next_try(&root), RECONCILE);
        let mut state = State::default();
        state.server(&"a.example".parse().unwrap()).not_before =
            Timestamp::now().checked_add(Duration::from_secs(600)).ok();
        state.write(&root, false).unwrap();
        assert!((590..=600).contains(&next_try(&root).as_secs()));
        state.server(&"b.example".parse().unwrap()).not_before = Some(Timestamp::UNIX_EPOCH);
        state.write(&root, false).unwrap();
        assert_eq!(next_try(&root), RETRY_LEAST, "no hot loop");
    }
}
