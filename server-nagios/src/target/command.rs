//! Running a command of the administrator's that has a target read what is current.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// Runs it by the shell, with these variables, for so long at most; then it is ended, with whatever it has begun.
/// `setting` is the key of `server.conf` that names it.
///
/// # Errors
/// It does not succeed, as a sentence.
pub(super) fn run(
    setting: &str,
    command: &str,
    variables: &[(&str, &OsStr)],
    time_max: Duration,
) -> Result<(), String> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("cannot run the {setting} `{command}`: {error}"))?;
    let deadline = Instant::now() + time_max;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("the {setting} `{command}` failed: {status}")),
            Err(error) => return Err(format!("cannot wait for the {setting} `{command}`: {error}")),
            Ok(None) if Instant::now() > deadline => {
                // Both can only fail when it has just ended by itself.
                let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
                let _ = child.wait();
                return Err(format!(
                    "the {setting} `{command}` did not come to an end in {} s, and was ended",
                    time_max.as_secs()
                ));
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_end_is_ended_with_what_it_has_begun() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("id");
        // The shell waits for what it has begun, which holds on to nothing of ours.
        let command = "sleep 300 & echo $! >\"$FILE\"; wait";
        let before = Instant::now();
        let error =
            run("x-command", command, &[("FILE", file.as_os_str())], Duration::from_secs(1)).unwrap_err();
        assert!(error.ends_with("did not come to an end in 1 s, and was ended"), "{error}");
        assert!(before.elapsed() < Duration::from_secs(60), "{:?}", before.elapsed());
        let id = std::fs::read_to_string(&file).unwrap();
        let id = Pid::from_raw(id.trim().parse().unwrap()).unwrap();
        let gone = || crate::process::Process::of(id).is_none_or(|process| process.ended);
        while !gone() {
            assert!(before.elapsed() < Duration::from_secs(60), "it sleeps on");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
