//! Nagios's command file: a FIFO that Nagios reads commands from, one a line (Nagios Core 4, "External Commands").
//!
//! All commands of a call go in one write, which is not torn by others' as long as it is at most `PIPE_BUF` bytes
//! (pipe(7)). Without a reader, opening fails at once instead of waiting.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use monitoring_info::host::HostName;
use rustix::fs::OFlags;

use super::main_file::MainFile;
use crate::maintenance::downtimes::Downtime;

/// Who has scheduled our downtimes, in Nagios's pages.
const AUTHOR: &str = "auto-monitor";
/// The comment of our downtimes, by which alone they are found again: an administrator's own are left alone.
const COMMENT: &str = "auto-monitor: the host says that it is under maintenance";

/// The command file of a Nagios that takes commands.
///
/// # Errors
/// It takes none, as a sentence with the next step.
pub(super) fn file(main_file: &Path) -> Result<PathBuf, String> {
    let read =
        MainFile::read(main_file).map_err(|error| format!("cannot read {}: {error}", main_file.display()))?;
    // The last counts, and without one Nagios takes commands.
    let takes = read.settings().filter(|(name, _)| *name == "check_external_commands").last();
    if takes.is_some_and(|(_, value)| value == "0") {
        return Err(format!(
            "Nagios takes no commands; set check_external_commands=1 in {}, and restart it",
            main_file.display()
        ));
    }
    read.path("command_file").ok_or_else(|| {
        format!("{} names no command_file, so Nagios cannot be told of maintenance", main_file.display())
    })
}

/// Why Nagios would not hear us, as far as this user can tell.
pub(super) fn deaf(main_file: &Path) -> Option<String> {
    let file = match file(main_file) {
        Ok(file) => file,
        Err(reason) => return Some(reason),
    };
    match std::fs::metadata(&file) {
        Ok(data) if data.file_type().is_fifo() => None,
        Ok(_) => Some(format!("{} is not Nagios's FIFO; remove it, and restart Nagios", file.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Some(format!("there is no {}; does Nagios run? It makes it when it starts", file.display()))
        }
        // Who may not look there may still be heard by the publisher's word.
        Err(_) => None,
    }
}

/// The commands that schedule a downtime for a host and all its services.
pub(super) fn schedule(host: &HostName, downtime: &Downtime) -> Vec<String> {
    let (from, until) = (downtime.from.as_second(), downtime.until.as_second());
    // Fixed, triggered by none; the length is for flexible ones.
    ["SCHEDULE_HOST_DOWNTIME", "SCHEDULE_HOST_SVC_DOWNTIME"]
        .map(|command| format!("{command};{host};{from};{until};1;0;{};{AUTHOR};{COMMENT}", until - from))
        .to_vec()
}

/// The command that takes back every downtime of ours of a host and its services.
pub(super) fn end(host: &HostName) -> Vec<String> {
    vec![format!("DEL_DOWNTIME_BY_HOST_NAME;{host};;;{COMMENT}")]
}

/// Has Nagios take these commands.
///
/// # Errors
/// It does not, as a sentence with the next step.
pub(super) fn send(main_file: &Path, commands: &[String]) -> Result<(), String> {
    let file = file(main_file)?;
    let now = Timestamp::now().as_second();
    let text: Vec<String> = commands.iter().map(|command| format!("[{now}] {command}\n")).collect();
    write(&file, text.concat().as_bytes()).map_err(|error| {
        let next = match error.kind() {
            io::ErrorKind::NotFound => "does Nagios run? It makes the file when it starts".to_owned(),
            io::ErrorKind::PermissionDenied => format!(
                "the account that the server runs as needs to write there; it is Nagios's group's: ls -l {}",
                file.display()
            ),
            _ if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
                "Nagios does not run, or does not read it".to_owned()
            }
            _ => "look at the file, and at Nagios's log".to_owned(),
        };
        format!("cannot tell Nagios of maintenance by {}: {error}; {next}", file.display())
    })
}

fn write(file: &Path, text: &[u8]) -> io::Result<()> {
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
    let mut fifo = File::options().write(true).custom_flags(flags).open(file)?;
    if !fifo.metadata()?.file_type().is_fifo() {
        return Err(io::Error::other("it is no FIFO"));
    }
    fifo.write_all(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_fit_into_one_write_whatever_the_name() {
        let host: HostName =
            format!("{}.{}.{}.org", "a".repeat(63), "b".repeat(63), "c".repeat(63)).parse().unwrap();
        let downtime = Downtime {
            from: Timestamp::from_second(1_000_000_000).unwrap(),
            until: Timestamp::from_second(1_000_001_800).unwrap(),
        };
        let commands = schedule(&host, &downtime);
        assert!(commands[0].contains(";1000000000;1000001800;1;0;1800;"));
        let length: usize = commands.iter().chain(&end(&host)).map(|command| command.len() + 20).sum();
        assert!(length < 4096, "{length}");
    }

    #[test]
    fn a_nagios_that_takes_no_commands_is_told_from_one_that_does() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("nagios.cfg");
        let with = |text: &str| std::fs::write(&main, text).unwrap();
        with("check_external_commands=0\ncommand_file=rw/nagios.cmd\n");
        assert!(file(&main).unwrap_err().contains("check_external_commands=1"));
        with("command_file=nagios.cmd\n");
        assert_eq!(file(&main).unwrap(), folder.path().join("nagios.cmd"));
        assert!(deaf(&main).unwrap().contains("does Nagios run?"));
        assert!(send(&main, &[]).unwrap_err().contains("does Nagios run?"));
        std::fs::write(folder.path().join("nagios.cmd"), "").unwrap();
        assert!(deaf(&main).is_some() && send(&main, &["X".into()]).is_err());
        assert_eq!(std::fs::read(folder.path().join("nagios.cmd")).unwrap(), b"");
        with("\n");
        assert!(deaf(&main).unwrap().contains("names no command_file"));
    }
}
