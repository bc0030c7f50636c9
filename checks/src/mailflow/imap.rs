//! The look into a mailbox by IMAP (RFC 9051, and RFC 3501 before it), with the crate `imap` behind a `guard`.
//!
//! Nothing but our own mails is asked for, and only their two header fields: the server searches, twice at most. Nothing is
//! marked as read (`BODY.PEEK`). What is removed is named by UIDs that the server gave for our search, and again with a token
//! whose MAC is right; and never is more expunged than that: by `UID EXPUNGE` (RFC 4315) where the server has it, else only
//! if no other mail is marked as deleted.

mod guard;

use std::collections::{BTreeMap, BTreeSet};

use imap::{Authenticator, Client, Error as ImapError, Session};

use self::guard::{Guard, stage};
use super::mail::{Look, Verdict};
use super::password::Account;
use super::receive::{Error, Seen};
use super::token::HEADER;
use crate::connection::Error as ConnectionError;
use crate::dialogue::Dialogue;

/// The most mails that are looked at in one run; the next one goes on.
const MAILS_MAX: usize = 1000;
/// So many are asked for at once: a command of 2 KiB.
const BATCH: usize = 200;
/// The most lines before the answer about the capabilities.
const LINES_MAX: usize = 100;

/// Logs in, looks, removes what is ours and has served, and logs out.
///
/// # Errors
/// Any of it failed.
pub fn look_into(mut dialogue: Dialogue, account: &Account, look: &mut Look<'_>) -> Result<Seen, Error> {
    let capabilities = capabilities(&mut dialogue)?;
    let (stream, received) = dialogue.into_parts();
    let client = Client::new(Guard::new(stream, received));
    let mut session = log_in(client, account, &capabilities)?;
    let mut seen = Seen::default();
    done("SELECT", session.run_command_and_check_ok("SELECT INBOX"))?;
    for uids in wanted(&mut session, look, &mut seen)?.chunks(BATCH) {
        let ours = judge(&mut session, look, uids)?;
        // Where a mail cannot be removed, the round trip is proved all the same.
        if let Err(error) = remove(&mut session, &ours, &mut seen) {
            match error {
                Error::Refused { .. } => seen.not_removed = Some(error),
                _ => return Err(error),
            }
        }
    }
    done("LOGOUT", session.logout())?;
    Ok(seen)
}

/// What the server can do before the login. The crate asks only after it.
fn capabilities(dialogue: &mut Dialogue) -> Result<String, Error> {
    dialogue.stage(stage("CAPABILITY"));
    dialogue.send("c CAPABILITY")?;
    let mut capabilities = String::new();
    for _ in 0..LINES_MAX {
        let line =
            dialogue.expect("the capabilities", |line| line.starts_with("* ") || line.starts_with("c "))?;
        if line.starts_with("c ") {
            return Ok(capabilities);
        }
        if let Some(list) = line.strip_prefix("* CAPABILITY ") {
            capabilities = format!(" {} ", list.to_ascii_uppercase());
        }
    }
    Err(ConnectionError::TooMuch { stage: dialogue.current_stage(), limit: "100 lines" }.into())
}

fn log_in(client: Client<Guard>, account: &Account, capabilities: &str) -> Result<Session<Guard>, Error> {
    let has = |capability: &str| capabilities.contains(&format!(" {capability} "));
    let in_ascii = account.user.is_ascii() && account.password().is_ascii();
    // LOGIN is what every server understands, and has no way to say anything but ASCII (RFC 3501, section 4.3).
    let login = if (!in_ascii || has("LOGINDISABLED")) && has("AUTH=PLAIN") {
        client.authenticate("PLAIN", &Plain(account.plain_response()))
    } else if has("LOGINDISABLED") {
        return Err(Error::NoPasswords);
    } else {
        client.login(&account.user, account.password())
    };
    login.map_err(|(error, _)| match told(stage("LOGIN"), error) {
        Error::Refused { said, .. } => Error::Login(said),
        error => error,
    })
}

/// RFC 4616.
struct Plain(String);

impl Authenticator for Plain {
    type Response = String;

    fn process(&self, _challenge: &[u8]) -> String {
        self.0.clone()
    }
}

/// The UIDs of our mails: first of those that are waited for, the newest first, so that nobody can hide them behind a thousand
/// forged ones; then of the rest, the oldest first, which are the ones to remove.
fn wanted(session: &mut Session<Guard>, look: &Look<'_>, seen: &mut Seen) -> Result<Vec<u32>, Error> {
    let mut search = |prefix: &str| {
        // A token is of an alphabet that needs no escape between quotes.
        let found = session.uid_search(format!("HEADER {HEADER} \"{prefix}\""));
        Ok::<_, Error>(done("SEARCH", found)?.into_iter().collect::<BTreeSet<u32>>())
    };
    let own = search(&look.own_prefix())?;
    let all = search(&look.prefix())?;
    let mut uids: Vec<u32> = own.iter().rev().chain(all.difference(&own)).copied().collect();
    seen.not_looked_at = uids.len().saturating_sub(MAILS_MAX);
    uids.truncate(MAILS_MAX);
    Ok(uids)
}

/// Looks at these mails, and says which of them are to be removed.
fn judge(session: &mut Session<Guard>, look: &mut Look<'_>, uids: &[u32]) -> Result<BTreeSet<u32>, Error> {
    let query = format!("(UID BODY.PEEK[HEADER.FIELDS ({HEADER} Content-Type)])");
    let fetches = done("FETCH", session.uid_fetch(set(uids), query))?;
    let mut headers: BTreeMap<u32, Option<&[u8]>> = BTreeMap::new();
    for fetch in &fetches {
        // A server may send news of other mails at any time, and of ours without a header.
        let (Some(uid), Some(header)) = (fetch.uid, fetch.header()) else { continue };
        if uids.contains(&uid) {
            // What is said twice is not believed once.
            headers.entry(uid).and_modify(|header| *header = None).or_insert(Some(header));
        }
    }
    let mut ours = BTreeSet::new();
    for (uid, header) in headers {
        if let Some(header) = header {
            if look.judge(header).map_err(Error::Store)? == Verdict::Remove {
                ours.insert(uid);
            }
        }
    }
    Ok(ours)
}

/// Removes these mails and no other.
fn remove(session: &mut Session<Guard>, ours: &BTreeSet<u32>, seen: &mut Seen) -> Result<(), Error> {
    if ours.is_empty() {
        return Ok(());
    }
    let uids = set(&ours.iter().copied().collect::<Vec<_>>());
    // Without the `.SILENT`, the server would answer for each mail.
    done("STORE", session.run_command_and_check_ok(format!("UID STORE {uids} +FLAGS.SILENT (\\Deleted)")))?;
    let has_uid_expunge = done("CAPABILITY", session.capabilities())?.has_str("UIDPLUS");
    if has_uid_expunge {
        done("EXPUNGE", session.run_command_and_check_ok(format!("UID EXPUNGE {uids}")))?;
    } else {
        let deleted: BTreeSet<u32> = done("SEARCH", session.uid_search("DELETED"))?.into_iter().collect();
        if !deleted.is_subset(ours) {
            seen.left_marked += ours.len();
            return Ok(());
        }
        done("EXPUNGE", session.run_command_and_check_ok("EXPUNGE"))?;
    }
    // Who may only read is told OK to both, and the mails stay (RFC 4314, section 4).
    let left = done("SEARCH", session.uid_search(format!("UID {uids}")))?;
    if left.is_empty() {
        return Ok(());
    }
    let said = "it said OK, and they are still there: may the user delete mails?".to_owned();
    Err(Error::Refused { stage: stage("EXPUNGE"), said })
}

/// A sequence set (RFC 9051, section 9).
fn set(uids: &[u32]) -> String {
    uids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn done<T>(command: &str, result: imap::error::Result<T>) -> Result<T, Error> {
    result.map_err(|error| told(stage(command), error))
}

fn told(stage: &'static str, error: ImapError) -> Error {
    match error {
        ImapError::Io(error) => ConnectionError::out_of(error, stage).into(),
        ImapError::No(said) | ImapError::Bad(said) => Error::Refused { stage, said },
        ImapError::ConnectionLost => ConnectionError::Closed { stage }.into(),
        _ => ConnectionError::Unexpected {
            stage,
            // The crate's own words, which hold no more than the guard has let pass.
            said: error.to_string(),
            expected: "an answer as IMAP has it",
        }
        .into(),
    }
}
