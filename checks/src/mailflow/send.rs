//! `check_mailflow_send`: an SMTP server greets, and takes a mail with a token.
//!
//! One dialogue for both. STARTTLS is used where the server offers it, as mail servers among themselves do, and its
//! certificate is not judged here: there is no password to lose, and `check_certificate` is what tells.
//!
//! The sender in the envelope is `<>`, so that a mail that is lost does not come back as one more mail (RFC 3834, section 4).
//! The token is on its list before the server is asked to take the mail; see [`super::store`] for what happens when this ends
//! in between.

use std::ffi::OsString;
use std::time::Instant;

use clap::Parser;
use monitoring_info::host::quoted;
use monitoring_info::state::State;
use monitoring_info::value;

use super::List;
use super::message::{Message, transparent};
use super::recipients::{Claim, INTERVAL, Turn, WAIT_MAX};
use super::store::{self, Pending, Store, now, random};
use super::token::{Key, Mark, Serial, Token};
use crate::answer::Answer;
use crate::command_line::{self, Securing, Target};
use crate::connection::{Error as ConnectionError, excerpt};
use crate::deadline::Deadline;
use crate::dialogue::Dialogue;
use crate::protocol::{self, Protocol, smtp};
use crate::tls::Purpose;

/// Check that a mail server takes a mail
///
/// Greets the server, upgrades to TLS where the server offers that, and hands over a mail with a token, which is kept on a list
/// until `check_mailflow_receive` sees the mail arrive. CRITICAL where the server does not take it. An address gets one mail a
/// minute at most; a check that comes sooner hands none over, and says so, or that the last hand-over failed.
#[derive(Debug, Parser)]
#[command(name = "check_mailflow_send", version)]
struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    securing: Securing,
    /// Whom to send the mail to
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    to: String,
    /// The list to put the token on: the host that defines it, and its id
    #[arg(long, value_name = "OWNER/ID")]
    list: Option<List>,
    /// The sender [default: none in the envelope, auto-monitor@ this machine in the mail]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    from: Option<String>,
    /// Send nothing to addresses of other domains than these
    #[arg(long, value_name = "DOMAIN,…", value_delimiter = ',')]
    only_to: Vec<String>,
}

fn address(text: &str) -> Result<String, String> {
    (value::EMAIL.parse)(text)
        .map(|address| address.to_string())
        .map_err(|invalid| format!("{}; {}", invalid.message, invalid.help))
}

/// Why no mail was handed over. Display says what to do next where that is ours to say.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Protocol(#[from] protocol::Error),
    #[error(transparent)]
    Dialogue(#[from] ConnectionError),
    #[error("the server refuses {what}: {}", excerpt(said))]
    Refused { what: String, said: String },
    #[error("nobody knows whether the server took the mail, so it is not waited for")]
    Undecided(#[source] ConnectionError),
    #[error(
        "no mail was sent: the last hand-over, begun {ago} s ago, is not known to have succeeded, and {to} gets a mail in \
         {INTERVAL} s at most"
    )]
    StillFailed { to: String, ago: u64 },
    #[error("no mail was sent")]
    Store(#[source] store::Error),
    #[error("the server took the mail, but its token is not on the list")]
    Lost(#[source] store::Error),
    #[error(
        "mails may not be sent to {}: the domains allowed are {allowed} (`mail-domains` in server.conf)", quoted(.domain)
    )]
    Forbidden { domain: String, allowed: String },
}

impl Error {
    fn state(&self) -> State {
        match self {
            Self::Protocol(error) => error.state(),
            Self::Dialogue(error) => error.state(),
            Self::Refused { .. } | Self::Undecided(_) | Self::StillFailed { .. } => State::Critical,
            Self::Store(_) | Self::Lost(_) | Self::Forbidden { .. } => State::Unknown,
        }
    }
}

/// What a check has done.
enum Done {
    /// The mail was taken, and this is what the server said to it.
    Taken(String),
    /// The server greeted, and somebody else's mail went first, for so many seconds now.
    TurnedAway(u64),
}

/// Does what the command line says and gives the exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    command_line::run(arguments, |arguments: Arguments| answer(&arguments))
}

fn answer(arguments: &Arguments) -> Answer {
    let begun = Instant::now();
    let to = &arguments.to;
    let answer = match send(arguments) {
        Ok(Done::Taken(said)) => Answer::new(State::Ok, &format!("a mail was taken: {said}")),
        Ok(Done::TurnedAway(waiting)) if waiting > WAIT_MAX => Answer::new(
            State::Warning,
            &format!(
                "greeted; but for {} min no mail was sent, because others send to {to}, which gets one in {INTERVAL} s at \
                 most: give each an address of its own",
                waiting / 60
            ),
        ),
        Ok(Done::TurnedAway(_)) => Answer::new(
            State::Ok,
            &format!("greeted; no mail was sent, because {to} gets one in {INTERVAL} s at most"),
        ),
        Err(error) => return Answer::because(error.state(), &error),
    };
    answer.with_performance(format!("time={:.6}s;;;0", begun.elapsed().as_secs_f64()))
}

fn send(arguments: &Arguments) -> Result<Done, Error> {
    check_domain(&arguments.to, &arguments.only_to)?;
    let store = Store::open(&arguments.target.root).map_err(Error::Store)?;
    let key = store.key().map_err(Error::Store)?;
    let deadline = arguments.target.deadline();
    let mut dialogue = open(arguments, deadline)?;
    let patience = deadline.remaining().unwrap_or_default() / 2;
    let list = arguments.list.as_ref().map_or_else(String::new, ToString::to_string);
    let sender = format!("{} {list}", arguments.target.endpoint());
    let done = match store.claim(&arguments.to, &sender, now(), patience).map_err(Error::Store)? {
        Claim::Granted(turn) => hand_over(&mut dialogue, arguments, &store, &key, turn).map(Done::Taken),
        Claim::TurnedAway { failed: Some(ago), .. } => {
            Err(Error::StillFailed { to: arguments.to.clone(), ago })
        }
        Claim::TurnedAway { failed: None, waiting } => Ok(Done::TurnedAway(waiting)),
    };
    // The mail is taken or refused, whatever becomes of the goodbye; without one, the goodbye is what is left to judge.
    let farewell = Protocol::Smtp.farewell(&mut dialogue);
    match done {
        Ok(Done::TurnedAway(waiting)) => farewell.map(|()| Done::TurnedAway(waiting)).map_err(Error::from),
        done => done,
    }
}

fn check_domain(to: &str, allowed: &[String]) -> Result<(), Error> {
    let domain = to.rsplit_once('@').map_or(to, |(_, domain)| domain);
    if allowed.is_empty() || allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(domain)) {
        return Ok(());
    }
    Err(Error::Forbidden { domain: domain.to_owned(), allowed: allowed.join(", ") })
}

/// Up to where a mail can be handed over.
fn open(arguments: &Arguments, deadline: Deadline) -> Result<Dialogue, Error> {
    let target = &arguments.target;
    let security = arguments.securing.security();
    let name = arguments.securing.name(target);
    let purpose = Purpose::Look(&target.root);
    let opened = Protocol::Smtp.open(&target.endpoint(), security, name, purpose, deadline)?;
    let mut dialogue = opened.dialogue;
    let offered = smtp::hello(&mut dialogue)?;
    if dialogue.stream().is_secured() || !offered.announces("STARTTLS") {
        return Ok(dialogue);
    }
    let (_, mut dialogue) = Protocol::Smtp.upgrade(dialogue, name, purpose)?;
    // RFC 3207, section 4.2: what was said before counts no more.
    smtp::hello(&mut dialogue)?;
    Ok(dialogue)
}

/// Hands the mail over and gives the server's word for it.
fn hand_over(
    dialogue: &mut Dialogue,
    arguments: &Arguments,
    store: &Store,
    key: &Key,
    turn: Turn,
) -> Result<String, Error> {
    dialogue.stage("naming the sender");
    let sender = arguments.from.as_deref().unwrap_or_default();
    command(dialogue, &format!("MAIL FROM:<{sender}>"), 250, || format!("the sender <{sender}>"))?;
    dialogue.stage("naming the recipient");
    let recipient = &arguments.to;
    command(dialogue, &format!("RCPT TO:<{recipient}>"), 250, || format!("the recipient <{recipient}>"))?;

    let list = arguments.list.as_ref();
    let pending = list.map(|list| store.begin(list, now())).transpose().map_err(Error::Store)?;
    let taken = deliver(dialogue, arguments, key, pending.as_ref(), &turn);
    let said = match (pending, taken) {
        (Some(pending), Ok(said)) => pending.accepted(now()).map(|()| said).map_err(Error::Lost),
        (Some(pending), Err(error)) => {
            // One that stays is pending, and forgotten after a minute.
            let _ = pending.withdraw();
            Err(error)
        }
        (None, taken) => taken,
    };
    // Where these cannot be noted, the next mail comes later, or its check says that this one is not known to be taken.
    let _ = match &said {
        Ok(_) | Err(Error::Lost(_)) => turn.taken(now()),
        Err(Error::Refused { .. }) => turn.refused(),
        Err(_) => Ok(()),
    };
    said
}

fn deliver(
    dialogue: &mut Dialogue,
    arguments: &Arguments,
    key: &Key,
    pending: Option<&Pending>,
    turn: &Turn,
) -> Result<String, Error> {
    let serial = match pending {
        Some(pending) => *pending.serial(),
        None => Serial { time: now(), nonce: random().map_err(Error::Store)? },
    };
    let list = arguments.list.as_ref();
    let token = key.seal(&Token { mark: Mark::of(list), serial });
    let text = Message {
        to: &arguments.to,
        from: arguments.from.as_deref(),
        through: &arguments.target.endpoint(),
        list,
        serial: &serial,
        token: &token,
    }
    .text();
    dialogue.stage("asking to send the mail");
    command(dialogue, "DATA", 354, || "mail".to_owned())?;
    turn.begin(now()).map_err(Error::Store)?;
    dialogue.stage("sending the mail");
    dialogue.send_bytes(transparent(&text).as_bytes()).map_err(Error::Undecided)?;
    dialogue.stage("waiting for the server to take the mail");
    let reply = smtp::reply(dialogue).map_err(Error::Undecided)?;
    if reply.is_positive() {
        return Ok(reply.said());
    }
    Err(Error::Refused { what: "the mail".to_owned(), said: reply.said() })
}

/// Sends a command whose reply must have this code; 251 stands for 250 where the server forwards (RFC 5321, section 3.4).
fn command(
    dialogue: &mut Dialogue,
    line: &str,
    code: u16,
    what: impl FnOnce() -> String,
) -> Result<(), Error> {
    dialogue.send(line)?;
    let reply = smtp::reply(dialogue)?;
    if reply.code == code || (code == 250 && matches!(reply.code, 251 | 252)) {
        return Ok(());
    }
    Err(Error::Refused { what: what(), said: reply.said() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_domains_get_mail() {
        let allowed = ["example.org".to_owned()];
        assert!(check_domain("a@Example.Org", &allowed).is_ok());
        assert!(check_domain("a@anything.example", &[]).is_ok());
        for other in ["a@mail.example.org", "a@xexample.org", "a@example.org.example"] {
            assert!(check_domain(other, &allowed).is_err(), "{other}");
        }
    }

    #[test]
    fn an_address_holds_no_command() {
        for bad in ["a@b>\r\nRCPT TO:<c@d", "a b@c", "<a@b>", "a"] {
            assert!(address(bad).is_err(), "{bad:?}");
        }
    }
}
