//! What there is to tell the administrator: lines of `key=value` pairs.
//!
//! Whoever has a standard error that is the journal's prints a line there. A session cannot write to standard error,
//! which is the client's, nor use the endpoint's, which sshd does not hand on. So on an installed system its lines go to
//! the system's log by its socket, `/dev/log`; below another root, or where there is no system log, into
//! `endpoint/session.log`. That file is for scratch set-ups and containers; when it has grown to [`FILE_MAX`], it becomes
//! `session.log.old`.
//!
//! No line of a session ever holds what a client sent as a value or as a secret.

use std::fmt::{Display, Write as _};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use jiff::Timestamp;

use crate::paths::Paths;

/// The size in bytes at which the file is put aside.
pub const FILE_MAX: u64 = 4 * 1024 * 1024;

/// The socket of the system's log (syslog(3)), which journald serves too.
const SYSTEM_LOG: &str = "/dev/log";

/// How much a line matters: the numbers are those of syslog (RFC 5424, section 6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Somebody has to do something about it.
    Error = 3,
    /// Somebody may want to look.
    Warning = 4,
    /// It was done.
    Info = 6,
}

impl Level {
    /// What stands before a line on standard error that systemd hands on to its journal (sd-daemon(3)), so that
    /// `journalctl -p warning` finds it; nothing where somebody else reads.
    fn prefix(self) -> String {
        if journal_reads() { format!("<{}>", self as u8) } else { String::new() }
    }
}

/// Whether standard error is the journal's. The variable alone does not say so: children inherit it (systemd.exec(5)).
fn journal_reads() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(std::io::stderr()).is_ok_and(|stat| named == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// The most characters of a value that a client may have had a say in.
pub const VALUE_MAX: usize = 300;

/// One line in the making.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    level: Level,
    text: String,
}

impl Line {
    /// A line about this event.
    #[must_use]
    pub fn new(event: &str) -> Self {
        Self::at(Level::Info, event)
    }

    /// A line about this event, at this level.
    #[must_use]
    pub fn at(level: Level, event: &str) -> Self {
        Self { level, text: format!("event={event}") }
    }

    /// At this level from now on.
    pub fn level(&mut self, level: Level) {
        self.level = level;
    }

    /// With one more pair, its value whole: for what the server says itself.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Display) -> Self {
        self.append(key, &value.to_string());
        self
    }

    /// With one more pair, of at most [`VALUE_MAX`] characters.
    pub fn pair(&mut self, key: &str, value: impl Display) {
        self.append(key, &value.to_string().chars().take(VALUE_MAX).collect::<String>());
    }

    /// A value that is more than a word is quoted and escaped, so that a line stays a line.
    fn append(&mut self, key: &str, value: &str) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._:/+,-%[]".contains(c);
        // Writing to a String cannot fail.
        let _ = if !value.is_empty() && value.chars().all(plain) {
            write!(self.text, " {key}={value}")
        } else {
            write!(self.text, " {key}={value:?}")
        };
    }

    /// Prints the line to standard error.
    pub fn print(&self) {
        anstream::eprintln!("{}{}", self.level.prefix(), self.text);
    }

    /// Writes the line. A log that cannot be written is no reason to turn a client away, so there is no error.
    pub fn write(self, paths: &Paths) {
        if paths.root() != Path::new("/") || self.to_system_log(Path::new(SYSTEM_LOG)).is_err() {
            let _ = self.to_file(paths);
        }
    }

    fn to_system_log(&self, log: &Path) -> std::io::Result<()> {
        const DAEMON: i32 = 3;
        let priority = DAEMON * 8 + self.level as i32;
        let datagram = format!("<{priority}>auto-monitor-server[{}]: {}", std::process::id(), self.text);
        let socket = UnixDatagram::unbound()?;
        // A log daemon that hangs must not hang the endpoint.
        socket.set_write_timeout(Some(std::time::Duration::from_secs(1)))?;
        socket.send_to(datagram.as_bytes(), log).map(drop)
    }

    fn to_file(&self, paths: &Paths) -> std::io::Result<()> {
        let path = paths.endpoint().join("session.log");
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > FILE_MAX) {
            fs::rename(&path, path.with_extension("log.old"))?;
        }
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info => "info",
        };
        let line = format!("time={:.3} level={level} {}\n", Timestamp::now(), self.text);
        // One write to a file opened for appending: lines of sessions at the same time do not mix.
        fs::File::options().create(true).append(true).mode(0o640).open(path)?.write_all(line.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_a_line_whatever_a_client_says() {
        let mut line = Line::new("refused");
        line.pair("name", "web1.example.org");
        line.pair("verb", "register\nevent=approve \"x\" \u{1b}[2J ä");
        line.pair("empty", "");
        assert_eq!(
            line.text,
            r#"event=refused name=web1.example.org verb="register\nevent=approve \"x\" \u{1b}[2J ä" empty="""#
        );
    }

    #[test]
    fn the_system_log_gets_one_datagram_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = UnixDatagram::bind(&path).unwrap();
        let mut line = Line::new("session");
        line.level(Level::Warning);
        line.pair("refused", "verb");
        line.to_system_log(&path).unwrap();
        let mut buffer = [0; 1024];
        let length = log.recv(&mut buffer).unwrap();
        let expected = format!("<28>auto-monitor-server[{}]: event=session refused=verb", std::process::id());
        assert_eq!(std::str::from_utf8(&buffer[..length]).unwrap(), expected);
        assert!(line.to_system_log(&folder.path().join("none")).is_err());
    }
}
