//! The mail that is sent: one that no program answers (RFC 3834), and that tells a person who finds it what it is.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use monitoring_info::host::HostName;
use rustix::system::uname;

use super::List;
use super::token::{HEADER, Serial};
use crate::connection::Endpoint;

/// What a mail says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Whom it is sent to.
    pub to: &'a str,
    /// Whom it is from; else from this machine.
    pub from: Option<&'a str>,
    /// The server that it is handed to.
    pub through: &'a Endpoint,
    /// The list that waits for it.
    pub list: Option<&'a List>,
    /// The token's serial, by which the mail is named, too.
    pub serial: &'a Serial,
    /// The token, with its MAC.
    pub token: &'a str,
}

impl Message<'_> {
    /// The mail in the form of RFC 5322, every line ended by CR LF. It is ASCII, and no line is longer than 998 characters
    /// (section 2.1.1), because its parts are not.
    #[must_use]
    pub fn text(&self) -> String {
        let machine = machine();
        let date = Timestamp::from_second(i64::try_from(self.serial.time).unwrap_or(0))
            .ok()
            .and_then(|time| rfc2822::DateTimePrinter::new().timestamp_to_string(&time).ok())
            // No clock is there.
            .unwrap_or_else(|| "Thu, 1 Jan 1970 00:00:00 -0000".to_owned());
        let ours = format!("auto-monitor@{machine}");
        let from = self.from.unwrap_or(&ours);
        let list = self.list.map_or_else(|| "none".to_owned(), ToString::to_string);
        let stop = self.list.map_or_else(
            || "Ask the administrators of that machine.".to_owned(),
            |list| {
                format!(
                    "Ask the administrators of that machine, or those of\r\n{}, which wants mail watched.",
                    list.owner()
                )
            },
        );
        let Self { to, serial, token, through, .. } = self;
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "Date: {date}\r\n\
             From: {from}\r\n\
             To: {to}\r\n\
             Subject: auto-monitor looks whether mail arrives\r\n\
             Message-ID: <{serial}@{machine}>\r\n\
             {HEADER}: {token}\r\n\
             Auto-Submitted: auto-generated\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=us-ascii\r\n\
             \r\n\
             A monitoring server has sent this mail to see whether it arrives, and how\r\n\
             fast. Nobody needs to read it, answer it or keep it: a program looks for it\r\n\
             in the mailbox and removes it. Where such mails pile up, none does.\r\n\
             \r\n\
             Sent by:    auto-monitor on {machine}\r\n\
             Through:    {through}\r\n\
             Token list: {list}\r\n\
             \r\n\
             To have no more of them:\r\n\
             {stop}\r\n"
        );
        text
    }
}

/// The text as the command DATA has it (RFC 5321, section 4.5.2): a line that begins with a dot gets one more, and a line that
/// is a dot ends it.
#[must_use]
pub fn transparent(text: &str) -> String {
    let mut data = String::with_capacity(text.len() + 16);
    for line in text.split_inclusive("\r\n") {
        if line.starts_with('.') {
            data.push('.');
        }
        data.push_str(line);
    }
    data.push_str(".\r\n");
    data
}

/// This machine's name, where it can stand in an address.
fn machine() -> String {
    let name = uname().nodename().to_string_lossy().to_ascii_lowercase();
    // RFC 2606, section 2: nobody has that name.
    name.parse::<HostName>().map_or_else(|_| "auto-monitor.invalid".to_owned(), |name| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mail_has_what_a_mail_must_have() {
        let list = "web1.example.org/inbound".parse().unwrap();
        let message = Message {
            to: "probe@example.org",
            from: Some("monitor@example.org"),
            through: &Endpoint { host: "::1".into(), port: 25 },
            list: Some(&list),
            serial: &Serial { time: 1_763_600_000, nonce: *b"0123456789abcdef" },
            token: "1.x",
        };
        let text = message.text();
        let (header, body) = text.split_once("\r\n\r\n").unwrap();
        for line in [
            "Date: Thu, 20 Nov 2025 00:53:20 -0000",
            "From: monitor@example.org",
            "To: probe@example.org",
            "Auto-Monitor-Token: 1.x",
            "Auto-Submitted: auto-generated",
        ] {
            assert!(header.lines().any(|present| present == line), "{line} is missing in {header}");
        }
        assert!(header.contains("Message-ID: <1763600000.MDEyMzQ1Njc4OWFiY2RlZg@"));
        assert!(body.contains("web1.example.org/inbound") && body.contains("[::1]:25"));
        assert!(text.is_ascii() && !text.replace("\r\n", "").contains(['\r', '\n']));
        assert!(text.lines().all(|line| line.len() <= 100));
    }

    #[test]
    fn a_line_that_begins_with_a_dot_does_not_end_the_mail() {
        assert_eq!(transparent("a\r\n.\r\n..b\r\nc.\r\n"), "a\r\n..\r\n...b\r\nc.\r\n.\r\n");
    }
}
