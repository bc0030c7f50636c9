//! `mauvesend`: from a command line to datagrams.
//!
//! It is called by scripts and by monitoring engines, which wait for it; so whatever a network or a name server does, it
//! ends within seconds. A station that cannot be reached holds up no other, and is named on standard error. Of a name with
//! an IPv4 and an IPv6 address, one that this host has no way to is nothing to complain of where the other took it.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::Path;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use clap_complete::Shell;
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::system::uname;

use crate::command_line::{self, Detail, NAME, Request, Said, Words};
use crate::delivery::Delivery;
use crate::destination::{self, Destination};
use crate::input::{self, TooLong};
use crate::moment::{self, Moment};
use crate::text::Text;
use crate::update::{Alert, AlertUpdate, Time, TooLarge};
use crate::{manual, resolution};

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot read where alerts go from {}", destination::FILE)]
    Destinations(#[source] io::Error),
    #[error("nobody says where alerts go: name a station, or write its name to {}", destination::FILE)]
    NoDestination,
    #[error("nothing was sent")]
    NothingSent,
    #[error("this host has no name: say one with --source")]
    Nameless,
    #[error("cannot send the alert `{id}`")]
    Time { id: Text, source: moment::Fault },
    #[error("cannot draw a random number")]
    Random(#[source] io::Error),
    #[error(transparent)]
    Input(#[from] TooLong),
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

/// Does what a command line says, and gives the exit status.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some(text) = generated(&arguments) {
        // Where nobody reads it, there is nobody to tell.
        let _ = io::stdout().write_all(&text);
        return 0;
    }
    let sent = match command_line::parse(arguments) {
        Ok(request) => send(&request),
        Err(error) => {
            let _ = error.print();
            return u8::from(error.use_stderr());
        }
    };
    match sent {
        Ok(()) => 0,
        Err(error) => {
            complain(&with_reasons(&error));
            1
        }
    }
}

/// What packaging asks for: before anything is demanded, and not part of the program's own description.
fn generated(arguments: &[OsString]) -> Option<Vec<u8>> {
    match arguments.get(1)?.to_str()? {
        "--generate-man" => Some(manual::page().ok()?.to_roff().into_bytes()),
        "--generate-completions" => {
            let shell = Shell::from_str(arguments.get(2)?.to_str()?).ok()?;
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut command_line::command(), NAME, &mut text);
            Some(text)
        }
        _ => None,
    }
}

fn with_reasons(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(reason) => format!("{error}: {}", with_reasons(reason)),
        None => error.to_string(),
    }
}

fn complain(sentence: &str) {
    let _ = writeln!(io::stderr(), "{NAME}: {sentence}");
}

fn send(request: &Request) -> Result<(), Error> {
    let words = destinations(request)?;
    let update = compose(request)?;
    let datagram = update.encode()?;
    let mut delivery = Delivery::of(&datagram);
    deliver(&mut delivery, &words, &request.root, request.verbose > 0);
    if request.verbose > 0 {
        report(&update, delivery.sent(), request.verbose);
    }
    if delivery.sent().is_empty() { Err(Error::NothingSent) } else { Ok(()) }
}

fn destinations(request: &Request) -> Result<Vec<String>, Error> {
    if !request.destinations.is_empty() {
        return Ok(request.destinations.clone());
    }
    let words = destination::from_file(&request.root).map_err(Error::Destinations)?;
    if words.is_empty() { Err(Error::NoDestination) } else { Ok(words) }
}

fn compose(request: &Request) -> Result<AlertUpdate, Error> {
    let source = match &request.source {
        Some(source) => source.clone(),
        None => Text::from_bytes(uname().nodename().to_bytes()),
    };
    if source.is_empty() {
        return Err(Error::Nameless);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Ok(AlertUpdate {
        transmission_id: random()?,
        source,
        replace: request.replace,
        alerts: request.alerts.iter().map(|said| alert(said, now)).collect::<Result<_, _>>()?,
        signature: Vec::new(),
        transmission_time: NonZeroU64::new(now),
    })
}

/// Of which nothing is said, it is raised now.
fn alert(said: &Said, now: u64) -> Result<Alert, Error> {
    let time = |moment: Option<Moment>| -> Result<Time, Error> {
        let time = moment.map(|moment| moment.time(now)).transpose();
        time.map(Option::flatten).map_err(|source| Error::Time { id: said.id.clone(), source })
    };
    let (raise_time, clear_time) = (time(said.raise)?, time(said.clear)?);
    Ok(Alert {
        id: said.id.clone(),
        raise_time: if clear_time.is_none() { raise_time.or(NonZeroU64::new(now)) } else { raise_time },
        clear_time,
        subject: said.subject.clone().unwrap_or_default(),
        summary: said.summary.as_ref().map(text).transpose()?.unwrap_or_default(),
        detail: match &said.detail {
            Some(Detail::Html(words)) => text(words)?,
            Some(Detail::Plain(words)) => text(words)?.as_html(),
            None => Text::default(),
        },
        importance: 0,
        suppress_until: time(said.suppress)?,
    })
}

/// The words themselves; those of standard input without blanks and line ends behind them.
fn text(words: &Words) -> Result<Text, Error> {
    match words {
        Words::These(text) => Ok(text.clone()),
        Words::StandardInput => {
            let input = input::read()?;
            if let Some(doubt) = input.doubt {
                complain(&format!("standard input may be cut short: {doubt}"));
            }
            Ok(Text::from_bytes(input.bytes.trim_ascii_end()))
        }
    }
}

fn random() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    getrandom(&mut bytes[..], GetRandomFlags::empty()).map_err(|error| Error::Random(error.into()))?;
    Ok(u64::from_ne_bytes(bytes))
}

/// How it went with one destination.
struct Attempt<'a> {
    word: &'a str,
    taken: bool,
    faults: Vec<String>,
}

fn deliver(delivery: &mut Delivery<'_>, words: &[String], root: &Path, verbose: bool) {
    let mut attempts: Vec<Attempt<'_>> =
        words.iter().map(|word| Attempt { word, taken: false, faults: Vec::new() }).collect();
    let mut destinations: Vec<Destination> = Vec::new();
    let mut places: Vec<usize> = Vec::new();
    for (place, attempt) in attempts.iter_mut().enumerate() {
        match attempt.word.parse() {
            Ok(destination) => {
                destinations.push(destination);
                places.push(place);
            }
            Err(fault) => attempt.faults.push(fault.to_string()),
        }
    }
    resolution::each(&destinations, root, |place, found| {
        let attempt = &mut attempts[places[place]];
        match found {
            Ok(addresses) => addresses.into_iter().for_each(|address| match delivery.send(address) {
                Ok(()) => attempt.taken = true,
                Err(error) => attempt.faults.push(format!("{address}: {error}")),
            }),
            Err(error) => attempt.faults.push(error.to_string()),
        }
    });
    for attempt in attempts.iter().filter(|attempt| verbose || !attempt.taken) {
        for fault in &attempt.faults {
            complain(&format!("cannot send to {}: {fault}", attempt.word));
        }
    }
}

fn report(update: &AlertUpdate, sent: &[SocketAddr], verbose: u8) {
    let addresses: Vec<String> = sent.iter().map(SocketAddr::to_string).collect();
    let what = match verbose {
        1 => format!("{} from {}", update.transmission_id, update.source),
        _ => format!("{update:?}"),
    };
    let _ = writeln!(io::stdout(), "Sent {what} to {}", addresses.join(", "));
}
