//! `check_mailflow_receive`: a mailbox can be logged in to, and our mails in it are taken off their list and removed.
//!
//! A password is sent over TLS whose certificate is verified, and else only where somebody has said so. What a server says is
//! not repeated if it holds the password.
//!
//! OK means that the login and the look worked. Whether mails arrive is what `check_mailflow` tells, which knows of those
//! that do not.

use std::ffi::OsString;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use monitoring_info::state::State;

use super::mail::{Look, Tally};
use super::password::{self, Account};
use super::store::{self, Store, now};
use super::{List, imap, pop3};
use crate::answer::Answer;
use crate::command_line::{self, Securing, Target};
use crate::connection::{Error as ConnectionError, excerpt};
use crate::deadline::Deadline;
use crate::protocol::{self, Protocol, Security};
use crate::tls::{Findings, Purpose};

/// How long a mailbox that is in use is waited for, once.
const PATIENCE: Duration = Duration::from_secs(2);

/// Check that a mailbox can be read, and that our mails arrive in it
///
/// Logs in, looks for mails that `check_mailflow_send` has sent from this machine, takes their tokens off the list, and removes
/// these mails. No other mail is touched. Mails of this machine's other lists stay for a week.
#[derive(Debug, Parser)]
#[command(name = "check_mailflow_receive", version)]
struct Arguments {
    #[command(flatten)]
    target: Target,
    /// The protocol to speak
    #[arg(long)]
    protocol: Spoken,
    #[command(flatten)]
    securing: Securing,
    /// Send the password over TLS whatever the certificate says
    #[arg(long)]
    any_certificate: bool,
    /// The user to log in as
    #[arg(long, value_name = "USER", value_parser = user)]
    username: String,
    /// A file with the user's password, and nothing else
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
    /// The list to take tokens off: the host that defines it, and its id
    #[arg(long, value_name = "OWNER/ID")]
    list: Option<List>,
    /// Send the password without TLS, too
    #[arg(long)]
    allow_plain_text: bool,
}

/// What a mailbox is read by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Spoken {
    /// IMAP (RFC 9051), usually on port 143, with --tls on 993
    Imap,
    /// POP3 (RFC 1939), usually on port 110, with --tls on 995
    Pop3,
}

fn user(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(char::is_control) {
        return Err("a user's name is a text without control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// Why there was no look. Display says what to do next where that is ours to say.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no password.
    #[error(transparent)]
    Password(#[from] password::Error),
    /// It would be readable on its way.
    #[error(
        "the password is not sent in plain text; have the definition say `ssl = True` or `ssl = starttls`, or allow it with \
         `plain-text-logins = yes` in server.conf (--allow-plain-text)"
    )]
    PlainText,
    /// Nobody knows who gets it.
    #[error(
        "the server's certificate does not prove that it is {name} ({faults}), so the password was not sent; \
         check_certificate says more"
    )]
    Untrusted {
        /// Who it should be.
        name: String,
        /// What is wrong with it.
        faults: String,
    },
    /// The connection, and what belongs to it.
    #[error(transparent)]
    Protocol(#[from] protocol::Error),
    /// What was said.
    #[error(transparent)]
    Dialogue(#[from] ConnectionError),
    /// The server takes no password over this connection.
    #[error(
        "the server takes no password over this connection; most demand TLS first (--tls or --starttls; in the definition, \
         `ssl = True` or `ssl = starttls`)"
    )]
    NoPasswords,
    /// The password is wrong, or the user is.
    #[error("the server refuses the login: {}", excerpt(.0))]
    Login(String),
    /// Somebody else has the mailbox open.
    #[error("another session has the mailbox open: {}", excerpt(.0))]
    Busy(String),
    /// POP3 without its optional command.
    #[error("the server shows no headers alone (TOP), so our mails cannot be found; use imap: {}", excerpt(.0))]
    NoTop(String),
    /// The server says no.
    #[error("while {stage}, the server refused: {}", excerpt(said))]
    Refused {
        /// What was being done.
        stage: &'static str,
        /// Its words.
        said: String,
    },
    /// Ours.
    #[error(transparent)]
    Store(store::Error),
}

impl Error {
    /// What it means for the service.
    #[must_use]
    pub fn state(&self) -> State {
        match self {
            Self::Password(_) | Self::PlainText | Self::NoTop(_) | Self::Store(_) => State::Unknown,
            // It lives, and the next look may find it free.
            Self::Busy(_) => State::Warning,
            Self::Protocol(error) => error.state(),
            Self::Dialogue(error) => error.state(),
            Self::Untrusted { .. } | Self::NoPasswords | Self::Login(_) | Self::Refused { .. } => {
                State::Critical
            }
        }
    }

    /// Without the password, if the server has repeated it.
    #[must_use]
    pub fn safe(self, account: &Account) -> Self {
        let safe = |said| account.without_password(said);
        match self {
            Self::Login(said) => Self::Login(safe(said)),
            Self::Busy(said) => Self::Busy(safe(said)),
            Self::NoTop(said) => Self::NoTop(safe(said)),
            Self::Refused { stage, said } => Self::Refused { stage, said: safe(said) },
            Self::Dialogue(ConnectionError::Unexpected { stage, said, expected }) => {
                Self::Dialogue(ConnectionError::Unexpected { stage, said: safe(said), expected })
            }
            error => error,
        }
    }
}

/// What a look left undone.
#[derive(Debug, Default)]
pub struct Seen {
    /// Mails that were not looked at, because they are too many.
    pub not_looked_at: usize,
    /// Why mails of ours could not be removed.
    pub not_removed: Option<Error>,
    /// Mails of ours that are marked as deleted and stay, because others' are, too.
    pub left_marked: usize,
}

/// Does what the command line says and gives the exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    command_line::run(arguments, |arguments: Arguments| answer(&arguments))
}

fn answer(arguments: &Arguments) -> Answer {
    // First of all: the store may make us another user, who cannot read it.
    let account = match Account::read(&arguments.username, &arguments.password_file) {
        Ok(account) => account,
        Err(error) => return Answer::failed(&error),
    };
    look(arguments, &account).unwrap_or_else(|error| {
        let error = error.safe(&account);
        Answer::because(error.state(), &error)
    })
}

fn look(arguments: &Arguments, account: &Account) -> Result<Answer, Error> {
    let begun = Instant::now();
    let deadline = arguments.target.deadline();
    if arguments.securing.security() == Security::Plain && !arguments.allow_plain_text {
        return Err(Error::PlainText);
    }
    // Before anything is seen: a mail whose token cannot be taken off its list must stay.
    let store = Store::open(&arguments.target.root).map_err(Error::Store)?;
    let key = store.key().map_err(Error::Store)?;
    let list = arguments.list.as_ref();
    let mut look = Look::new(&store, &key, list, now());
    let seen = match look_into(arguments, account, &mut look, deadline) {
        Err(Error::Busy(_)) => {
            thread::sleep(PATIENCE.min(deadline.remaining().unwrap_or_default() / 2));
            look_into(arguments, account, &mut look, deadline)
        }
        seen => seen,
    }?;
    let performance = performance(&look.tally, begun.elapsed());
    Ok(report(&look.tally, seen, account).with_performance(performance))
}

fn look_into(
    arguments: &Arguments,
    account: &Account,
    look: &mut Look<'_>,
    deadline: Deadline,
) -> Result<Seen, Error> {
    let target = &arguments.target;
    let security = arguments.securing.security();
    let name = arguments.securing.name(target);
    let protocol = match arguments.protocol {
        Spoken::Imap => Protocol::Imap,
        Spoken::Pop3 => Protocol::Pop3,
    };
    let purpose = if arguments.any_certificate { Purpose::Look } else { Purpose::Confide };
    let opened = protocol.open(&target.endpoint(), security, name, purpose(&target.root), deadline)?;
    if security != Security::Plain && !arguments.any_certificate {
        trust(&opened.findings, name)?;
    }
    match arguments.protocol {
        Spoken::Imap => imap::look_into(opened.dialogue, account, look),
        Spoken::Pop3 => pop3::look_into(opened.dialogue, account, look, deadline),
    }
}

fn trust(findings: &Findings, name: &str) -> Result<(), Error> {
    let mut faults: Vec<&str> = findings.faults.iter().map(|fault| fault.result.error_string()).collect();
    faults.dedup();
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::Untrusted { name: name.to_owned(), faults: faults.join(", ") })
}

fn report(tally: &Tally, seen: Seen, account: &Account) -> Answer {
    let arrived = match tally.arrived {
        0 => "no mail that is waited for".to_owned(),
        1 => "1 mail has arrived".to_owned(),
        arrived => format!("{arrived} mails have arrived"),
    };
    let mut answer = match seen.not_removed.map(|error| error.safe(account)) {
        None => Answer::new(State::Ok, &format!("logged in; {arrived}")),
        Some(error) => Answer::new(
            State::Warning,
            &format!("logged in; {arrived}; our mails cannot be removed: {error}"),
        ),
    };
    let details = [
        (tally.known, "removed, which nobody waits for: seen before, sent twice, or put in again"),
        (tally.old, "removed, which are older than a week"),
        (tally.others, "of this server's other lists, which were left for their own checks"),
        (tally.foreign, "of other monitoring servers, which were left alone"),
        (
            tally.forged,
            "with a token in this server's name that it did not make (forged, or changed on the way), which were left alone: \
             see their headers, and delete them",
        ),
        (tally.doubtful, "with several tokens, or that are reports about one, which were left alone"),
        (seen.not_looked_at, "not looked at, because they are too many"),
        (
            seen.left_marked,
            "removed by whoever expunges next: other mails are marked as deleted, and the server has no UIDPLUS",
        ),
    ];
    for (count, what) in details.into_iter().filter(|(count, _)| *count > 0) {
        answer = answer.with_detail(&format!("{count} {} {what}", if count == 1 { "mail" } else { "mails" }));
    }
    answer
}

fn performance(tally: &Tally, elapsed: Duration) -> String {
    let foreign = tally.others + tally.foreign + tally.forged + tally.doubtful;
    let round_trip =
        tally.round_trip.map_or_else(String::new, |seconds| format!(" round_trip={seconds}s;;;0"));
    format!(
        "arrived={};;;0 known={};;;0 foreign={foreign};;;0{round_trip} time={:.6}s;;;0",
        tally.arrived,
        tally.known + tally.old,
        elapsed.as_secs_f64()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_no_command() {
        assert!(user("probe user").is_ok());
        for bad in ["", "a\r\nDELE 1", "a\0"] {
            assert!(user(bad).is_err(), "{bad:?}");
        }
    }
}
