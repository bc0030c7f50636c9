//! Running a command of the administrator's that has a target read what is current.

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take. 100,000 services take Nagios about a second on an idle machine, and a good set must not be
/// taken back because the machine is busy.
pub(super) const TIME_MAX: Duration = Duration::from_secs(30);

/// Runs it by the shell, with these variables. `setting` is the key of `server.conf` that names it.
///
/// # Errors
/// It does not succeed, as a sentence.
pub(super) fn run(setting: &str, command: &str, variables: &[(&str, &OsStr)]) -> Result<(), String> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot run the {setting} `{command}`: {error}"))?;
    let deadline = Instant::now() + TIME_MAX;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("the {setting} `{command}` failed: {status}")),
            Err(error) => return Err(format!("cannot wait for the {setting} `{command}`: {error}")),
            Ok(None) if Instant::now() > deadline => {
                // Both can only fail when it has just ended by itself.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("the {setting} `{command}` did not come to an end"));
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
