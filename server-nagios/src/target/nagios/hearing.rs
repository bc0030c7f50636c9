//! Running Nagios to hear what it says: for so long at most, and so much at most.
//!
//! The program may be a script of the administrator's around it. Where it has to be ended, so are its descendants; and
//! whoever is left behind, in whatever way, cannot go on filling the memory with words. It stays in our process group, so
//! that what a person presses at a terminal ends it too.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::process::{Pid, Signal, kill_process};

use crate::failure::FileError;
use crate::process::Process;
use crate::target::EngineError;

/// How often is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(5);

/// What was heard.
#[derive(Debug)]
pub(super) struct Heard {
    /// How the program ended.
    pub status: ExitStatus,
    /// What it has printed, errors too.
    pub text: String,
}

/// Runs a command to its end. What takes longer than `patience`, or says more than `most` bytes, is ended.
///
/// # Errors
/// It does not start, or was ended.
pub(super) fn hear(command: &mut Command, patience: Duration, most: u64) -> Result<Heard, EngineError> {
    let program = PathBuf::from(command.get_program());
    let hold = |source| {
        let (action, path) = ("hold in memory what is said by", program.clone());
        EngineError::File(FileError { action, path, source })
    };
    let fail = |source| EngineError::Program { program: program.clone(), setting: "nagios", source };
    // In memory: a full disk would cut it, and what is left would be taken for what Nagios says. A pipe would have to be
    // read while Nagios runs.
    let output = memfd_create("verdict", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .map_err(|error| hold(error.into()))?;
    let mut output = File::from(output);
    let mut child = command
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(hold)?)
        .stderr(output.try_clone().map_err(hold)?)
        .spawn()
        .map_err(fail)?;
    let begun = Instant::now();
    let is_much = |output: &File| output.metadata().is_ok_and(|output| output.len() > most);
    let status = loop {
        if let Some(status) = child.try_wait().map_err(fail)? {
            break Some(status);
        }
        if is_much(&output) || begun.elapsed() > patience {
            end(&mut child);
            break None;
        }
        thread::sleep(LOOK);
    };
    fcntl_add_seals(&output, SealFlags::WRITE | SealFlags::GROW).map_err(|error| hold(error.into()))?;
    if is_much(&output) {
        return Err(EngineError::Wordy { program, bytes: most });
    }
    let Some(status) = status else { return Err(EngineError::Endless { program, after: patience }) };
    let mut said = Vec::new();
    output.rewind().and_then(|()| output.read_to_end(&mut said)).map_err(hold)?;
    Ok(Heard { status, text: String::from_utf8_lossy(&said).into_owned() })
}

/// Ends a program with its descendants. Each step can only fail where somebody has just ended by himself.
fn end(child: &mut Child) {
    let all: Vec<Process> = Process::all().map(Iterator::collect).unwrap_or_default();
    let mut ended = vec![Pid::from_child(child)];
    let mut at = 0;
    while let Some(parent) = ended.get(at).map(|parent| parent.as_raw_nonzero().get().unsigned_abs()) {
        ended.extend(all.iter().filter(|process| process.parent == parent).map(|process| process.id));
        at += 1;
    }
    for process in ended {
        let _ = kill_process(process, Signal::KILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Has a shell run this, which writes the number of what it begins to `$FILE`, and says what was heard once that is gone.
    fn hear_script(script: &str, patience: Duration, most: u64) -> Result<Heard, EngineError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("id");
        let heard = hear(Command::new("/bin/sh").args(["-c", script]).env("FILE", &file), patience, most);
        let before = Instant::now();
        let id = fs::read_to_string(&file).unwrap();
        let id = Pid::from_raw(id.trim().parse().unwrap()).unwrap();
        while Process::of(id).is_some_and(|process| !process.ended) {
            assert!(before.elapsed() < LONG, "it runs on");
            thread::sleep(LOOK);
        }
        heard
    }

    #[test]
    fn what_says_too_much_is_ended_with_what_it_has_begun() {
        let heard = hear_script("yes & echo $! >\"$FILE\"; wait", LONG, 1 << 20);
        assert!(matches!(heard, Err(EngineError::Wordy { bytes: 0x10_0000, .. })), "{heard:?}");
    }

    #[test]
    fn what_does_not_end_is_ended_with_what_it_has_begun() {
        let heard = hear_script("sleep 300 & echo $! >\"$FILE\"; wait", Duration::from_secs(1), 1 << 20);
        assert!(matches!(heard, Err(EngineError::Endless { .. })), "{heard:?}");
    }

    #[test]
    fn what_goes_its_own_way_says_nothing_more() {
        let script = "echo first; setsid sh -c 'echo $$ >\"$FILE\"; while sleep 0.1; do echo more || exit; done' & \
                      while [ ! -s \"$FILE\" ]; do sleep 0.01; done; exit 3";
        let heard = hear_script(script, LONG, 1 << 20).unwrap();
        assert_eq!((heard.status.code(), heard.text.lines().next()), (Some(3), Some("first")));
    }
}
