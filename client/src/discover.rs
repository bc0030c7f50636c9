//! `discover`: shows the servers that were found, and takes none of them. What `enrol` and `register` do with them, where
//! no server is known, is here too.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use jiff::Timestamp;
use ssh_key::Fingerprint;

use crate::configuration::Configuration;
use crate::discovery::{self, Found, Search, Source};
use crate::failure::{Failure, Status};
use crate::register;
use crate::root::Root;
use crate::screen::{BOLD, DIM, NEXT, Screen, count, paint};
use crate::state::{Sighting, State};
use crate::trust;
use crate::turn::Turns;

/// Shows what can be found.
///
/// # Errors
/// `client.conf` has faults.
pub fn run(root: &Root, screen: Screen) -> Result<Status, Failure> {
    let configuration = register::configuration(root, screen)?;
    let search = discovery::look(root, &configuration, None);
    screen.answer(&search, || text(&search));
    Ok(Status::Done)
}

fn text(search: &Search) -> String {
    if search.servers.is_empty() {
        return format!(
            "No monitoring server was found.\n  {}\n",
            paint(NEXT, "To name one: auto-monitor enrol SERVER")
        );
    }
    let mut text = String::new();
    for found in &search.servers {
        text.push_str(&block(found, "", true));
    }
    text.push_str(&more(search));
    text.push_str(&paint(
        DIM,
        "Anybody on the network can announce this; compare the fingerprint before you believe it.\n",
    ));
    text
}

/// A server on some lines, the first behind this mark.
fn block(found: &Found, mark: &str, command: bool) -> String {
    let place = match found.addresses.as_slice() {
        [] => String::new(),
        addresses => paint(DIM, format!("  {}", addresses.join(", "))),
    };
    let key = match (found.fingerprint, found.source) {
        (Some(print), _) => format!("says that its key is {print}"),
        (None, Source::Mdns) => "does not say what its key is".to_owned(),
        (None, Source::Dns) => "is named by DNS, which does not say what its key is".to_owned(),
    };
    let mut text = format!("{mark}{}  {}{place}\n  {key}\n", paint(BOLD, &found.name), found.server);
    if command {
        let _ = writeln!(text, "  {}", paint(NEXT, format!("To enrol: auto-monitor enrol {}", found.server)));
    }
    text
}

fn more(search: &Search) -> String {
    match search.left_out {
        0 => String::new(),
        n => format!("and {} more that cannot be shown\n", count(n, "announcement")),
    }
}

/// Looks for a server where none is known: the one that a person at the terminal chooses, or those that may be tried
/// unattended. Says what was found where there is none.
///
/// # Errors
/// The terminal is gone, or what was found cannot be remembered.
pub fn choose(
    root: &Root,
    screen: Screen,
    configuration: &Configuration,
    said: Option<&Fingerprint>,
    unattended: bool,
) -> Result<Vec<Found>, Failure> {
    // An image is not on the network of the machine that it is prepared on; a person may mean that one all the same.
    if unattended && !root.is_system() {
        return Ok(Vec::new());
    }
    let search = discovery::look(root, configuration, said);
    let tried = search.unattended(configuration, said);
    if !tried.is_empty() {
        return Ok(tried);
    }
    if unattended {
        return remember(root, screen, search).map(|()| Vec::new());
    }
    if search.servers.is_empty() || screen.json || !trust::person_is_there() {
        if !screen.json {
            screen.print(&text(&search));
        }
        return Ok(Vec::new());
    }
    Ok(ask(&search)?.into_iter().collect())
}

/// Lets the person at the terminal choose.
fn ask(search: &Search) -> Result<Option<Found>, Failure> {
    let fail = |error: io::Error| Failure::io("ask at the terminal", &error);
    let mut text = String::new();
    for (at, found) in search.servers.iter().enumerate() {
        text.push_str(&block(found, &format!("{}  ", at + 1), false));
    }
    text.push_str(&more(search));
    anstream::eprint!("{text}");
    let question = match search.servers.len() {
        1 => "Enrol with it? Type 1, or nothing to leave: ".to_owned(),
        n => format!("Enrol with which? Type a number up to {n}, or nothing to leave: "),
    };
    eprint!("{question}");
    io::stderr().flush().map_err(fail)?;
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(fail)?;
    if line.trim().is_empty() {
        return Ok(None);
    }
    let number = line.trim().parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    match number.and_then(|at| search.servers.get(at)) {
        Some(found) => Ok(Some(found.clone())),
        None => Err(Failure::here(format!("{:?} is no number of a server; nothing was sent", line.trim()))),
    }
}

/// Keeps for `status` what was found and not taken. It is said once, not every day; and where nothing is found and
/// nothing was, nothing is left behind.
fn remember(root: &Root, screen: Screen, search: Search) -> Result<(), Failure> {
    let before = State::read(root)?.0.found.map(|sighting| sighting.search).unwrap_or_default();
    if search.servers.is_empty() && before.servers.is_empty() {
        return Ok(());
    }
    if let ([first, others @ ..], true) = (search.servers.as_slice(), search != before) {
        let next = match others.len() + search.left_out {
            0 => format!("; to have it watch this host: auto-monitor enrol {}", first.server),
            n => format!(" (and {n} more); to choose one: auto-monitor enrol"),
        };
        screen.note(&format!("auto-monitor: found the monitoring server {}{next}", first.line()));
    }
    // Who has the turn has a server, and what was found matters no longer.
    if let Some(_turn) = Turns::new(root)?.attempt()? {
        let mut state = State::read(root)?.0;
        state.found = (!search.servers.is_empty()).then(|| Sighting { at: Timestamp::now(), search });
        state.write(root, false)?;
    }
    Ok(())
}

/// What `status` says of servers that were found.
#[must_use]
pub fn remembered(sighting: &Sighting, ago: &str) -> String {
    let mut text = format!("Found {ago}, and not enrolled with:\n");
    for found in &sighting.search.servers {
        text.push_str(&block(found, "", true));
    }
    text + &more(&sighting.search)
}
