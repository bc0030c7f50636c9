//! The running Nagios: is it there, and has it read what is current?

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

use super::main_file::MainFile;
use crate::process;
use crate::target::command;
use crate::target::{Activation, Running};

/// After this part of the patience it is asked again, and then after twice as long each time. Between the moment at which it
/// has written its object cache and that at which it begins to watch, Nagios forgets a signal; on an idle machine that takes
/// milliseconds. One that comes while it reads has it read once more.
const AGAIN: u32 = 10;
/// How long a process that has just read everything is watched before we believe that it stays.
const STEADY: Duration = Duration::from_millis(200);

/// Why no running Nagios was found.
#[derive(Debug)]
struct Missing {
    /// Whether that means that there is none.
    certain: bool,
    /// A sentence.
    reason: String,
}

/// How the running Nagios is found and told.
#[derive(Debug)]
pub(super) struct Process {
    /// The program, whose name the process must have.
    pub program: PathBuf,
    /// Nagios's main file.
    pub configuration: PathBuf,
    /// The administrator's command in place of a signal.
    pub reload_command: Option<String>,
    /// How long it may take to read everything.
    pub patience: Duration,
}

impl Process {
    /// Whether there is a live Nagios with this configuration.
    pub(super) fn running(&self) -> Running {
        match self.find() {
            Ok(process) => Running::Yes { process: process.as_raw_nonzero().get().unsigned_abs() },
            Err(missing) if missing.certain => Running::No { reason: missing.reason },
            Err(missing) => Running::Unknown { reason: missing.reason },
        }
    }

    fn main_file(&self) -> Result<MainFile, String> {
        MainFile::read(&self.configuration)
            .map_err(|error| format!("cannot read {}: {error}", self.configuration.display()))
    }

    fn find(&self) -> Result<Pid, Missing> {
        let unclear = |reason| Missing { certain: false, reason };
        let lock = self
            .main_file()
            .map_err(unclear)?
            .path("lock_file")
            .ok_or_else(|| unclear(format!("{} names no lock_file", self.configuration.display())))?;
        match fs::read_to_string(&lock) {
            Ok(text) => self.locked(&lock, &text).map_err(|reason| Missing { certain: true, reason }),
            // Nagios makes one only as a daemon, not in the foreground of a container or a supervisor; and Debian's is in
            // a folder that only Nagios's user and root may look into.
            Err(error) => self.visible().ok_or_else(|| {
                let (certain, what) = match error.kind() {
                    io::ErrorKind::NotFound => (true, "is not there".to_owned()),
                    _ => (false, format!("cannot be read ({error})")),
                };
                let (lock, configuration) = (lock.display(), self.configuration.display());
                Missing {
                    certain,
                    reason: format!(
                        "its lock file {lock} {what}, and no process is seen that runs with {configuration}"
                    ),
                }
            }),
        }
    }

    /// The process of a lock file.
    fn locked(&self, lock: &Path, text: &str) -> Result<Pid, String> {
        let id = text
            .trim()
            .parse::<i32>()
            .ok()
            .and_then(Pid::from_raw)
            .filter(|id| id.as_raw_nonzero().get() > 1)
            .ok_or_else(|| format!("its lock file {} holds no process id", lock.display()))?;
        let number = id.as_raw_nonzero();
        let process = process::Process::of(id)
            .ok_or_else(|| format!("the process {number} of {} is gone", lock.display()))?;
        if process.ended {
            return Err(format!("the process {number} of {} has ended", lock.display()));
        }
        if !self.is_named(&process.name) {
            return Err(format!(
                "the process {number} of {} is not Nagios but `{}`",
                lock.display(),
                process.name
            ));
        }
        Ok(id)
    }

    /// The process that runs the program with our configuration as an argument, and not to verify it.
    ///
    /// What Nagios forks begins with its command line, so what has such a process as its parent is none. The fork that reads
    /// commands outlives a Nagios that was killed: for half a second, or for as long as nobody waits for the dead. So of
    /// several that are left, the youngest.
    fn visible(&self) -> Option<Pid> {
        let wanted = fs::canonicalize(&self.configuration).ok()?;
        let has_it = |process: &process::Process| {
            let Ok(arguments) = fs::read(process.folder().join("cmdline")) else { return false };
            let here = fs::read_link(process.folder().join("cwd")).unwrap_or_default();
            let arguments: Vec<&[u8]> = arguments.split(|&byte| byte == 0).skip(1).collect();
            let configuration = |argument: &&[u8]| {
                let path = here.join(OsStr::from_bytes(argument));
                fs::canonicalize(path).is_ok_and(|path| path == wanted)
            };
            let before = arguments.iter().position(configuration).map(|at| &arguments[..at]);
            before.is_some_and(|options| !options.iter().any(|option| only_looks(option)))
        };
        let running: Vec<process::Process> = process::Process::all()
            .ok()?
            .filter(|process| !process.ended && self.is_named(&process.name) && has_it(process))
            .collect();
        let id = |process: &process::Process| process.id.as_raw_nonzero().get();
        let is_fork = |process: &&process::Process| {
            running.iter().any(|other| id(other).unsigned_abs() == process.parent)
        };
        running
            .iter()
            .filter(|process| !is_fork(process))
            .max_by_key(|process| (process.began, id(process)))
            .map(|process| process.id)
    }

    fn is_named(&self, name: &str) -> bool {
        // The kernel keeps 15 bytes of a name.
        let program = self.program.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
        name.starts_with("nagios") || name == program.chars().take(15).collect::<String>()
    }

    /// Has it read its configuration again, and waits until it has, and has a command of this name.
    pub(super) fn reload(&self, mark: Option<&str>) -> Activation {
        match self.attempt(mark) {
            Ok(()) => Activation::Confirmed,
            Err(reason) => Activation::Failed { reason },
        }
    }

    fn attempt(&self, mark: Option<&str>) -> Result<(), String> {
        let cache = self.object_cache()?;
        let mut known = identity(&cache)?;
        let mut told = self.ask()?;
        let asked = Instant::now();
        let mut again = self.patience / AGAIN;
        let mut others = false;
        loop {
            // Another file, and not a later one: clocks are set back.
            let now = identity(&cache)?;
            if now.is_some() && now != known {
                if mark.map_or(Ok(true), |mark| defines(&cache, mark))? {
                    // Nagios writes the cache when it has accepted everything; then it must still be there.
                    std::thread::sleep(STEADY);
                    return match self.running() {
                        Running::No { reason } => Err(format!("Nagios ended after the reload: {reason}")),
                        Running::Yes { .. } | Running::Unknown { .. } => Ok(()),
                    };
                }
                // Not yet written to its end; or somebody else has asked Nagios before, or started it, and it has read what
                // was current then.
                known = now;
                others = true;
            }
            if asked.elapsed() > self.patience {
                return Err(format!(
                    "Nagios has not read its configuration within {} s of the reload: {} {}",
                    self.patience.as_secs(),
                    cache.display(),
                    if others { "is that of another set" } else { "is unchanged" }
                ));
            }
            // A restart by the administrator's command has a moment without a process, and must not be cut short by another.
            // What cannot be seen just now may be seen in a moment. To look for it anew is to go through all processes of
            // the machine.
            if self.reload_command.is_none() && !told.as_ref().is_some_and(process::Process::lives) {
                if let Err(Missing { certain: true, reason }) = self.find() {
                    return Err(format!("Nagios ended instead of reloading: {reason}"));
                }
            }
            if asked.elapsed() > again && (others || self.reload_command.is_none()) {
                told = self.ask()?;
                again *= 2;
                others = false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Says to it that it is to read its configuration again. Gives the process that was told, where that is known.
    fn ask(&self) -> Result<Option<process::Process>, String> {
        if let Some(command) = &self.reload_command {
            return command::run("reload-command", command, &[], self.patience).map(|()| None);
        }
        let process = self.find().map_err(|Missing { certain, reason }| {
            let what = if certain { "Nagios is not running" } else { "it is unknown whether Nagios runs" };
            format!("{what}: {reason}")
        })?;
        kill_process(process, Signal::HUP).map_err(|error| {
            format!(
                "cannot send SIGHUP to Nagios (process {}): {error}; run `publish` as a user who may, or set \
                 `reload-command` in server.conf",
                process.as_raw_nonzero()
            )
        })?;
        Ok(process::Process::of(process))
    }

    /// Where Nagios writes every object when it has read its configuration.
    pub(super) fn object_cache(&self) -> Result<PathBuf, String> {
        self.main_file()?
            .path("object_cache_file")
            .ok_or_else(|| format!("{} names no object_cache_file", self.configuration.display()))
    }
}

/// Whether an object cache has a command of this name.
pub(super) fn defines(cache: &Path, command: &str) -> Result<bool, String> {
    let fail = |error| format!("cannot read {}: {error}", cache.display());
    let wanted = format!("\tcommand_name\t{command}\n");
    // It has a hundred megabytes where there are ten thousand hosts, and the commands near its beginning.
    let mut cache = BufReader::new(fs::File::open(cache).map_err(fail)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        match cache.read_until(b'\n', &mut line).map_err(fail)? {
            0 => return Ok(false),
            _ if line == wanted.as_bytes() => return Ok(true),
            _ => {}
        }
    }
}

/// Whether an option has Nagios end when it has looked at its configuration: `-v`, `-s`, and others with them, as in `-vp`.
fn only_looks(option: &[u8]) -> bool {
    match option {
        [b'-', b'-', name @ ..] => [&b"verify-config"[..], b"test-scheduling"].contains(&name),
        [b'-', letters @ ..] => letters.iter().any(|letter| b"vs".contains(letter)),
        _ => false,
    }
}

/// A file as it was last written.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    inode: u64,
    size: u64,
    modified: SystemTime,
}

/// None where there is no file. One that cannot be looked at is no such file: the next look would take it for a new one.
fn identity(path: &Path) -> Result<Option<Identity>, String> {
    let of = |metadata: fs::Metadata| {
        Ok(Identity { inode: metadata.ino(), size: metadata.size(), modified: metadata.modified()? })
    };
    match fs::metadata(path).and_then(of) {
        Ok(identity) => Ok(Some(identity)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot tell whether Nagios has reloaded, by {}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn beside_a_lock_file_that_cannot_be_read(folder: &Path) -> Process {
        // Root can read everything but a folder.
        let lock = folder.join("nagios.pid");
        fs::create_dir(&lock).unwrap();
        let configuration = folder.join("nagios.cfg");
        fs::write(&configuration, format!("lock_file={}\n", lock.display())).unwrap();
        Process {
            program: "/usr/sbin/nagios4".into(),
            configuration,
            reload_command: None,
            patience: Duration::from_secs(30),
        }
    }

    #[test]
    fn what_may_not_be_seen_is_not_said_to_be_missing() {
        let folder = tempfile::tempdir().unwrap();
        let nagios = beside_a_lock_file_that_cannot_be_read(folder.path());
        let Running::Unknown { reason } = nagios.running() else { panic!("{:?}", nagios.running()) };
        assert!(reason.contains("nagios.pid cannot be read (Is a directory"), "{reason}");
        fs::remove_dir(folder.path().join("nagios.pid")).unwrap();
        let Running::No { reason } = nagios.running() else { panic!("{:?}", nagios.running()) };
        assert!(reason.contains("nagios.pid is not there, and no process is seen"), "{reason}");
    }

    #[test]
    fn what_cannot_be_looked_at_confirms_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let configuration = folder.path().join("nagios.cfg");
        // Below a file, there is no looking at anything.
        let cache = configuration.join("objects.cache");
        fs::write(&configuration, format!("object_cache_file={}\n", cache.display())).unwrap();
        let nagios = Process {
            program: "/usr/sbin/nagios4".into(),
            configuration,
            reload_command: Some("true".to_owned()),
            patience: Duration::from_secs(30),
        };
        let Activation::Failed { reason } = nagios.reload(None) else { panic!("confirmed") };
        assert!(reason.starts_with("cannot tell whether Nagios has reloaded, by "), "{reason}");
    }

    /// Something that is called like Nagios, with its configuration as an argument, and runs until its standard input ends.
    fn pretended(nagios: &Process, options: &[&str], script: &str) -> std::process::Child {
        let program = nagios.configuration.with_file_name("nagios-of-test");
        let _ = std::os::unix::fs::symlink("/bin/sh", &program);
        // Called by nohup(1), the tests have SIGHUP ignored, and a shell cannot trap what it was begun with ignored.
        let mut child = Command::new("env")
            .arg("--default-signal=HUP")
            .arg(&program)
            .args(["-c", script, "nagios"])
            .args(options)
            .arg(&nagios.configuration)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        child
    }

    #[test]
    fn a_nagios_whose_lock_file_cannot_be_read_is_found_by_its_arguments() {
        let folder = tempfile::tempdir().unwrap();
        let nagios = beside_a_lock_file_that_cannot_be_read(folder.path());
        let mut child = pretended(&nagios, &[], "echo; read line");
        assert_eq!(nagios.running(), Running::Yes { process: child.id() });
        let mut verification = pretended(&nagios, &["-v"], "echo; read line");
        assert_eq!(nagios.running(), Running::Yes { process: child.id() });
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(matches!(nagios.running(), Running::Unknown { .. }), "{:?}", nagios.running());
        drop(verification.stdin.take());
        verification.wait().unwrap();
    }

    #[test]
    fn what_a_killed_nagios_has_forked_is_not_taken_for_the_next_one() {
        const FORKS: &str = "exec 3<&0; (echo; read line <&3) & wait";
        let folder = tempfile::tempdir().unwrap();
        let nagios = beside_a_lock_file_that_cannot_be_read(folder.path());
        let mut killed = pretended(&nagios, &[], FORKS);
        assert_eq!(nagios.running(), Running::Yes { process: killed.id() });
        killed.kill().unwrap();
        // Its end of this keeps the fork alive.
        let stays = killed.stdin.take();
        killed.wait().unwrap();
        let mut next = pretended(&nagios, &[], FORKS);
        assert_eq!(nagios.running(), Running::Yes { process: next.id() });
        drop(stays);
        drop(next.stdin.take());
        next.wait().unwrap();
    }

    #[test]
    fn a_signal_that_nagios_forgets_is_sent_again() {
        forgets(":", None);
    }

    #[test]
    fn what_nagios_has_read_for_somebody_else_confirms_nothing() {
        forgets("define 28", Some("auto-monitor-set-29"));
    }

    /// Publishes to a Nagios that does this at the first signal, and as it should at the second.
    fn forgets(first: &str, mark: Option<&str>) {
        let script = format!(
            "define() {{ printf '\\tcommand_name\\tauto-monitor-set-%s\\n' $1 > \"$cache\"; }}\ncache=${{1%cfg}}cache\n\
             trap 'test -n \"$heard\" && define 29 || {first}; heard=1' HUP; echo; while sleep 0.1; do :; done"
        );
        let folder = tempfile::tempdir().unwrap();
        let configuration = folder.path().join("nagios.cfg");
        let [cache, lock] = ["nagios.cache", "nagios.pid"].map(|name| folder.path().join(name));
        let text = format!("object_cache_file={}\nlock_file={}\n", cache.display(), lock.display());
        fs::write(&configuration, text).unwrap();
        let nagios = Process {
            program: "/usr/sbin/nagios4".into(),
            configuration,
            reload_command: None,
            patience: Duration::from_secs(30),
        };
        let mut forgetful = pretended(&nagios, &[], &script);
        fs::write(lock, forgetful.id().to_string()).unwrap();
        assert_eq!(nagios.reload(mark), Activation::Confirmed);
        forgetful.kill().unwrap();
        forgetful.wait().unwrap();
    }
}
