//! Faults at a certain system call of a program, by strace(1).
//!
//! strace stops a program at each of its system calls, and can have any of them fail with an error of choice, or have the
//! program killed there. That is no matter of luck, as a signal after so many milliseconds is: the nth call is the nth
//! call, and when every one was tried that changes something, every state was seen that a kill can leave behind. Of the
//! program's own threads it is the main one; the programs that it starts are left alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The system calls by which a program changes something that outlives it, or tells somebody something.
const CHANGES: &[&str] = &[
    "openat",
    "creat",
    "write",
    "pwrite64",
    "writev",
    "copy_file_range",
    "sendfile",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "fsync",
    "fdatasync",
    "syncfs",
    "truncate",
    "ftruncate",
    "fallocate",
    "chmod",
    "fchmod",
    "fchmodat",
    "chown",
    "fchown",
    "lchown",
    "fchownat",
    "utimensat",
    "flock",
    "kill",
    "bind",
    "connect",
    "sendto",
    "recvfrom",
];
/// And those by which it looks at a disk, which fail too where that is broken.
const LOOKS: &[&str] = &[
    "read",
    "pread64",
    "getdents64",
    "stat",
    "lstat",
    "statx",
    "newfstatat",
    "access",
    "faccessat",
    "faccessat2",
    "readlink",
    "readlinkat",
];
/// The seconds after which a program is taken to hang. A publish waits 30 s for Nagios, and once more for the set before; the rest is
/// for a machine that has more to do.
const SECONDS: &str = "300";

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The program is killed before the call.
    Killed,
    /// The call fails, because the disk is full.
    Full,
    /// The call fails, because the disk is broken.
    Broken,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Killed, Self::Full, Self::Broken];

    /// What the table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed (SIGKILL)",
            Self::Full => "disk full (ENOSPC)",
            Self::Broken => "disk broken (EIO), reading too",
        }
    }

    fn injection(self) -> &'static str {
        match self {
            Self::Killed => "signal=KILL",
            Self::Full => "error=ENOSPC",
            Self::Broken => "error=EIO",
        }
    }

    /// Whether it makes a difference at this call. Where something is opened to be read, a kill leaves what it leaves at the
    /// next call, and a full disk is none; and of what is only looked at, what is broken is the disk with `ours`.
    fn strikes(self, call: &str, line: &str, ours: &str) -> bool {
        let changes = CHANGES.contains(&call)
            && (call != "openat" || ["O_CREAT", "O_WRONLY", "O_RDWR"].iter().any(|flag| line.contains(flag)));
        changes || (self == Self::Broken && line.contains(ours))
    }

    fn calls(self) -> impl Iterator<Item = &'static str> {
        let looks = if self == Self::Broken { LOOKS } else { &[] };
        CHANGES.iter().chain(looks).copied()
    }
}

/// How a program ended that was traced.
#[derive(Debug)]
pub struct Run {
    /// How.
    pub status: ExitStatus,
    /// What it said to whoever called it.
    pub output: Vec<u8>,
    /// The same as text, with what it complained of.
    pub text: String,
    /// The call at which the fault was, as strace shows it; none if the program came to its end untouched.
    pub struck: Option<String>,
    trace: Vec<String>,
}

/// A program that is run again and again, each time with a fault at another step.
pub trait Scene {
    /// Gets everything ready, and says what is to be run, with what on standard input.
    fn prepare(&mut self) -> Result<(Command, Vec<u8>)>;
    /// How it ends where nothing goes wrong.
    fn well(&self) -> i32 {
        0
    }
    /// Looks at what the run has left, puts it in order as it would be put in order in life, and looks again.
    fn judge(&mut self, run: &Run) -> Result<()>;
}

/// Has a fault at every `stride`th step of a scene, and says how many that were. What a program does before it looks at
/// anything below `folder`, it does as every program does, loading itself.
pub fn at_every_step(fault: Fault, stride: usize, folder: &Path, scene: &mut impl Scene) -> Result<usize> {
    let untouched = play(folder, scene, fault, None)?;
    ensure!(untouched.status.code() == Some(scene.well()), "without a fault, it fails: {}", untouched.text);
    let ours = folder.display().to_string();
    let begins = untouched.trace.iter().position(|line| line.contains(&ours)).unwrap_or(0);
    let (mut count, mut at) = (0, 0);
    for call in fault.calls() {
        let mut steps = Vec::new();
        let mut nth = 0;
        for (position, line) in untouched.trace.iter().enumerate() {
            if line.strip_prefix(call).is_some_and(|rest| rest.starts_with('(')) {
                nth += 1;
                if position >= begins && fault.strikes(call, line, &ours) {
                    steps.push(nth);
                }
            }
        }
        // One run need not end where another one did, so it is done when nothing is left to be struck.
        let more = (nth + 1..).take_while(|_| stride == 1 && !steps.is_empty());
        for nth in steps.clone().into_iter().chain(more) {
            at += 1;
            if at % stride != 0 {
                continue;
            }
            if play(folder, scene, fault, Some((call, nth)))?.struck.is_none() {
                break;
            }
            count += 1;
        }
    }
    ensure!(count > 0, "no step of it was seen");
    Ok(count)
}

/// Runs a program on a disk that takes a second for every sync and 20 ms for every write; with the number of those.
pub fn slowly(folder: &Path, command: &Command, input: &[u8]) -> Result<(Run, usize)> {
    let delays = ["fsync,?fdatasync,syncfs:delay_enter=1000000", "write:delay_enter=20000"];
    let injections: Vec<String> = delays.map(|delay| format!("inject={delay}")).to_vec();
    let run = trace(folder, command, input, Fault::Killed, &injections)?;
    let delayed = run.trace.iter().filter(|line| line.ends_with("(DELAYED)")).count();
    ensure!(delayed > 0, "nothing was delayed: {}", run.text);
    Ok((run, delayed))
}

fn play(folder: &Path, scene: &mut impl Scene, fault: Fault, at: Option<(&str, usize)>) -> Result<Run> {
    let (command, input) = scene.prepare()?;
    let injection = at.map(|(call, nth)| format!("inject={call}:{}:when={nth}", fault.injection()));
    let run = trace(folder, &command, &input, fault, injection.as_slice())
        .with_context(|| format!("{} at {at:?}", fault.name()))?;
    let about = || match (&run.struck, at) {
        (Some(call), Some((name, nth))) => {
            let (what, how) = (fault.name(), run.status);
            format!("{what} at {name} number {nth}, {call}\nit ended with {how} and said: {}", run.text)
        }
        _ => "untouched".to_owned(),
    };
    if fault == Fault::Killed && run.struck.is_some() {
        ensure!(run.status.code() != Some(scene.well()), "{}: a killed program ended well", about());
    }
    scene.judge(&run).with_context(about)?;
    Ok(run)
}

fn trace(folder: &Path, command: &Command, input: &[u8], fault: Fault, injections: &[String]) -> Result<Run> {
    let file: PathBuf = folder.join("trace");
    let calls: Vec<String> = fault.calls().map(|call| format!("?{call}")).collect();
    let mut strace = Command::new("timeout");
    strace.args(["--kill-after=5", SECONDS, "strace", "-qq", "-y", "-s", "200", "-o"]).arg(&file);
    strace.args(["-e", &format!("trace={}", calls.join(","))]);
    for injection in injections {
        strace.args(["-e", injection]);
    }
    strace.arg("--").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        strace.env(name, value.unwrap_or_default());
    }
    strace.current_dir(command.get_current_dir().unwrap_or(folder));
    let given = folder.join("input");
    fs::write(&given, input)?;
    let output =
        strace.stdin(fs::File::open(&given)?).stdout(Stdio::piped()).stderr(Stdio::piped()).output()?;
    let trace = fs::read(&file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(124) {
        bail!("it hangs; its last steps: {}", trace.lines().rev().take(5).collect::<Vec<_>>().join("\n"));
    }
    let trace: Vec<String> = trace.lines().map(str::to_owned).collect();
    ensure!(!trace.is_empty(), "strace has seen nothing: {text}");
    let struck = match fault {
        Fault::Killed => trace.iter().find(|line| line.ends_with("= ?")),
        Fault::Full | Fault::Broken => trace.iter().find(|line| line.ends_with("(INJECTED)")),
    };
    Ok(Run { status: output.status, output: output.stdout, text, struck: struck.cloned(), trace })
}
