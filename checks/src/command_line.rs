//! The command lines of all our programs: what they share, and how they are read.
//!
//! The engine shows the first line of standard output and reads the exit status; so a misuse is an UNKNOWN on standard
//! output, not clap's own message with exit status 2, which the engine would take for CRITICAL.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser};

use crate::answer::Answer;
use crate::connection::{self, Endpoint};
use crate::deadline::Deadline;
use crate::manual;
use crate::protocol::Security;

/// What every check that connects to something is told.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// The host to connect to: a name, of which every address is tried, or an address
    #[arg(short = 'H', long = "host", value_name = "HOST")]
    pub host: String,
    /// The port to connect to
    #[arg(short, long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    #[command(flatten)]
    basics: Basics,
}

/// How a check secures a connection that may be upgraded.
#[derive(Debug, Clone, Args)]
pub struct Securing {
    /// Expect TLS from the first byte
    #[arg(long, conflicts_with = "starttls")]
    tls: bool,
    /// Demand that the connection is upgraded to TLS
    #[arg(long)]
    starttls: bool,
    /// The name to ask for in the TLS handshake (SNI), and that a certificate must carry where it is judged [default: HOST]
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
}

/// What every check is told.
#[derive(Debug, Clone, Args)]
pub struct Basics {
    /// End within so many seconds, whatever the other side does
    #[arg(short, long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Say more, in further lines
    #[arg(short, long)]
    pub verbose: bool,
    /// Look for the system's files below this folder
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
}

impl Target {
    /// Where to connect to.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        Endpoint { host: self.host.clone(), port: self.port }
    }
}

impl Securing {
    /// Whether and how the connection is secured.
    #[must_use]
    pub fn security(&self) -> Security {
        match (self.tls, self.starttls) {
            (_, true) => Security::Starttls,
            (true, false) => Security::Tls,
            (false, false) => Security::Plain,
        }
    }

    /// What the server is called in the handshake.
    #[must_use]
    pub fn name<'a>(&'a self, target: &'a Target) -> &'a str {
        self.hostname.as_deref().unwrap_or_else(|| connection::name_to_others(&target.host))
    }
}

impl std::ops::Deref for Target {
    type Target = Basics;

    fn deref(&self) -> &Basics {
        &self.basics
    }
}

impl Basics {
    /// The deadline, from now.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        Deadline::within(Duration::from_secs(self.timeout))
    }
}

/// A command line that asks nothing.
#[derive(Debug)]
pub enum Ended {
    /// Help, the version or the manual page was printed.
    Served,
    /// It was not understood; the sentence says what was wrong.
    Misused(String),
}

/// Reads the command line, asks `answer`, prints what it says, and gives the exit status: all that a program's `main` does.
pub fn run<A: Parser>(arguments: impl IntoIterator<Item = OsString>, answer: impl FnOnce(A) -> Answer) -> u8 {
    respond(parse(arguments).map(answer))
}

/// Prints an answer, or why there is none, and gives the exit status.
pub fn respond(answer: Result<Answer, Ended>) -> u8 {
    let answer = match answer {
        Ok(answer) => answer,
        Err(Ended::Served) => return 0,
        Err(Ended::Misused(sentence)) => Answer::unknown(&sentence),
    };
    // When nobody reads the answer (a closed pipe), the exit status still says it.
    let _ = writeln!(std::io::stdout(), "{answer}");
    answer.state.exit_status()
}

/// Reads the command line.
///
/// # Errors
/// There is nothing to answer, because something was printed or because it was misused.
pub fn parse<A: Parser>(arguments: impl IntoIterator<Item = OsString>) -> Result<A, Ended> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // Before anything is demanded, and not part of any program's own description.
    if arguments.get(1).is_some_and(|argument| argument == "--generate-man") {
        let page = manual::page(&A::command())
            .map_err(|error| Ended::Misused(format!("cannot write the manual page: {error}")))?;
        let _ = std::io::stdout().write_all(page.to_roff().as_bytes());
        return Err(Ended::Served);
    }
    let matches = manual::with_examples(A::command()).try_get_matches_from(arguments);
    matches.and_then(|matches| A::from_arg_matches(&matches)).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            Ended::Served
        }
        _ => Ended::Misused(one_line::<A>(&error)),
    })
}

/// clap's message without its `error: `, its usage, its own word on `--help`, and its line breaks.
fn one_line<A: Parser>(error: &clap::Error) -> String {
    let text = error.to_string();
    let message = ["\n\nUsage:", "\n\nFor more information"]
        .iter()
        .fold(text.as_str(), |message, end| message.split(end).next().unwrap_or(message));
    let words: Vec<&str> = message.trim_start_matches("error: ").split_whitespace().collect();
    format!("{}; `{} --help` says more", words.join(" "), A::command().get_name())
}
