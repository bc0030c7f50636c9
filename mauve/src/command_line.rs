//! The command line of `mauvesend`, which is the original's, in the order in which it is said.
//!
//! `--id` begins an alert, and what follows is of that alert until the next one: so what was said is put back into its
//! order by the places that clap keeps. An option's value does not begin with `-`, unless it is joined to it (`--id=-x`,
//! `-i-x`): a value that is missing, because a variable was empty, never takes the next option for itself. A time before
//! now is the exception (`-r -10m`), since no option is a digit.
//!
//! Ours are `--text`, which the original has not, `-` for standard input, and `--root`, as all our programs have it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, OsStringValueParser, StringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::manual;
use crate::moment::Moment;
use crate::text::Text;

/// The program's name.
pub const NAME: &str = "mauvesend";

/// What is to be sent, and where to.
#[derive(Debug, Default)]
pub struct Request {
    pub root: PathBuf,
    /// As they were written; none where the file is to say it.
    pub destinations: Vec<String>,
    pub source: Option<Text>,
    pub replace: bool,
    pub verbose: u8,
    pub alerts: Vec<Said>,
}

/// What is said of one alert.
#[derive(Debug, Default)]
pub struct Said {
    pub id: Text,
    pub subject: Option<Text>,
    pub summary: Option<Words>,
    pub detail: Option<Detail>,
    pub raise: Option<Moment>,
    pub clear: Option<Moment>,
    pub suppress: Option<Moment>,
}

/// Words that are said, or come from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Words {
    These(Text),
    StandardInput,
}

/// An alert's detail, and what it is written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    Html(Words),
    Plain(Words),
}

/// What one of the options says whose order matters.
#[derive(Debug, Clone)]
enum Part {
    Id(Text),
    Subject(Text),
    Summary(Words),
    Detail(Detail),
    Raise(Moment),
    Clear(Moment),
    Suppress(Moment),
}

/// Reads the command line.
///
/// # Errors
/// There is nothing to send, because help was asked for, or because it was not understood.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, clap::Error> {
    let mut command = command().after_help(manual::examples());
    let mut matches = command.try_get_matches_from_mut(as_clap_wants(arguments))?;
    let mut request = Request {
        root: matches.remove_one("root").unwrap_or_default(),
        destinations: matches.remove_many("destination").into_iter().flatten().collect(),
        source: matches.remove_one("source"),
        replace: matches.get_flag("replace"),
        verbose: matches.get_count("verbose"),
        alerts: Vec::new(),
    };
    for part in in_order(&matches) {
        request.add(part).map_err(|misuse| command.error(ErrorKind::ValueValidation, misuse))?;
    }
    if request.alerts.is_empty() && !request.replace {
        return Err(command.error(
            ErrorKind::MissingRequiredArgument,
            "there is nothing to send; begin an alert with --id, or clear all of them with --replace",
        ));
    }
    if request.words_from_standard_input() > 1 {
        return Err(command
            .error(ErrorKind::ArgumentConflict, "standard input (`-`) can be read for one option only"));
    }
    Ok(request)
}

impl Request {
    fn add(&mut self, part: Part) -> Result<(), String> {
        if let Part::Id(id) = part {
            if self.alerts.iter().any(|alert| alert.id == id) {
                return Err(format!("the id `{id}` is given to two alerts; each needs its own"));
            }
            self.alerts.push(Said { id, ..Said::default() });
            return Ok(());
        }
        let Some(alert) = self.alerts.last_mut() else {
            return Err("say --id first: what follows an id is of that alert".to_owned());
        };
        match part {
            Part::Id(_) => {}
            Part::Subject(subject) => alert.subject = Some(subject),
            Part::Summary(words) => alert.summary = Some(words),
            Part::Detail(detail) => alert.detail = Some(detail),
            Part::Raise(moment) => alert.raise = Some(moment),
            Part::Clear(moment) => alert.clear = Some(moment),
            Part::Suppress(moment) => alert.suppress = Some(moment),
        }
        Ok(())
    }

    fn words_from_standard_input(&self) -> usize {
        let details = self.alerts.iter().filter_map(|alert| match &alert.detail {
            Some(Detail::Html(words) | Detail::Plain(words)) => Some(words),
            None => None,
        });
        let summaries = self.alerts.iter().filter_map(|alert| alert.summary.as_ref());
        details.chain(summaries).filter(|words| **words == Words::StandardInput).count()
    }
}

/// The description that the parser, `--help`, the manual page and the completions are made from.
pub fn command() -> Command {
    Command::new(NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .about("Send alerts to an alert station (Mauve)")
        .long_about(
            "Tells alert stations (Mauve) of alerts, in one UDP datagram each. A station does not answer, and a datagram may \
             be lost: say it again from time to time, whether the alert is raised or cleared.\n\n\
             Every --id begins an alert; what follows is of that alert. An alert of which neither --raise nor --clear is \
             said is raised now.",
        )
        .infer_long_args(true)
        .disable_help_flag(true)
        .arg(
            Arg::new("destination")
                .value_name("DESTINATION")
                .action(ArgAction::Append)
                .help("Where the stations are [default: what /etc/mauvealert/mauvesend.destination says]")
                .long_help(
                    "Where the stations are: an address or a name, with a port behind a colon if it is another than 32741; \
                     an IPv6 address stands in brackets. A name without a port is looked up as an SRV record first \
                     (_mauvealert._udp.NAME), and every target gets a copy; of a name with several addresses, every \
                     address. Without any, the words of /etc/mauvealert/mauvesend.destination are the destinations",
                ),
        )
        .arg(
            Arg::new("source")
                .short('o')
                .long("source")
                .value_name("NAME")
                .value_parser(OsStringValueParser::new().try_map(|value| text(&value)))
                .help("Who tells this; alerts of two sources are apart, whatever their ids [default: the host's name]"),
        )
        .arg(
            Arg::new("replace")
                .short('p')
                .long("replace")
                .action(ArgAction::SetTrue)
                .overrides_with("replace")
                .help("Clear every other alert of the source; without any --id, all of them"),
        )
        .args(of_an_alert())
        .args(of_the_program())
}

fn of_an_alert() -> Vec<Arg> {
    let words = || OsStringValueParser::new().try_map(|value| words(&value));
    let text = || OsStringValueParser::new().try_map(|value| text(&value));
    let part = |name: &'static str, short| {
        Arg::new(name).short(short).long(name).action(ArgAction::Append).help_heading("Alerts")
    };
    let time =
        |name, short| part(name, short).value_name("TIME").num_args(0..=1).default_missing_value("now");
    vec![
        part("id", 'i')
            .value_name("ID")
            .value_parser(text().map(Part::Id))
            .help("Begin an alert; its id tells it apart from the source's other alerts"),
        part("subject", 'u')
            .value_name("NAME")
            .value_parser(text().map(Part::Subject))
            .help("What it is about: a host, as a rule [default: the source]"),
        part("summary", 's')
            .value_name("TEXT")
            .value_parser(words().map(Part::Summary))
            .help("What is the matter, in at most 100 characters that stay the same for as long as it is; - reads it from \
                   standard input"),
        part("detail", 'd')
            .value_name("HTML")
            .value_parser(words().map(|words| Part::Detail(Detail::Html(words))))
            .help("Everything else, as a fragment of HTML; - reads it from standard input"),
        part("text", 't')
            .value_name("TEXT")
            .value_parser(words().map(|words| Part::Detail(Detail::Plain(words))))
            .help("The detail as plain text, which is shown as it stands; - reads it from standard input"),
        time("raise", 'r')
            .value_parser(StringValueParser::new().try_map(|said| said.parse().map(Part::Raise)))
            .help("Raise it: now, or at that time"),
        time("clear", 'c')
            .value_parser(StringValueParser::new().try_map(|said| said.parse().map(Part::Clear)))
            .help("Clear it: now, or at that time"),
        part("suppress", 'e')
            .value_name("TIME")
            .value_parser(NonEmptyStringValueParser::new().try_map(|said| said.parse().map(Part::Suppress)))
            .help("Have nobody notified of it before that time"),
    ]
}

fn of_the_program() -> [Arg; 4] {
    [
        Arg::new("root")
            .long("root")
            .value_name("DIR")
            .value_parser(value_parser!(PathBuf))
            .default_value("/")
            .help("Look for the system's files below this folder"),
        Arg::new("verbose")
            .short('v')
            .long("verbose")
            .action(ArgAction::Count)
            .help("Print what was sent where; twice, all of it"),
        Arg::new("help")
            .short('h')
            .long("help")
            .action(ArgAction::Help)
            .help("Print help; --help says more than -h"),
        // The original's, of which people's fingers know.
        Arg::new("manual").short('m').long("manual").action(ArgAction::HelpLong).hide(true),
    ]
}

fn text(value: &OsStr) -> Result<Text, &'static str> {
    if value.is_empty() { Err("it cannot be empty") } else { Ok(Text::from_bytes(value.as_bytes())) }
}

fn words(value: &OsStr) -> Result<Words, &'static str> {
    if value == "-" { Ok(Words::StandardInput) } else { text(value).map(Words::These) }
}

/// The options whose order matters, in their order.
fn in_order(matches: &ArgMatches) -> Vec<Part> {
    let mut parts: Vec<(usize, &Part)> = of_an_alert()
        .iter()
        .filter_map(|argument| {
            let name = argument.get_id().as_str();
            Some(matches.indices_of(name)?.zip(matches.get_many(name)?))
        })
        .flatten()
        .collect();
    parts.sort_by_key(|(place, _)| *place);
    parts.into_iter().map(|(_, part)| part.clone()).collect()
}

/// Joins a time before now to its option, as clap wants it: `-r -10m` becomes `-r-10m`, `--raise -10m` `--raise=-10m`. And
/// keeps the `=` of `-s=x`, which clap would take for a sign between the two, and the original takes for text.
fn as_clap_wants(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match joined.last_mut() {
            Some(option) if is_before_now(argument.as_bytes()) && awaits_a_time(option.as_bytes()) => {
                if option.as_bytes().starts_with(b"--") {
                    option.push("=");
                }
                option.push(argument);
            }
            _ => joined.push(with_its_sign(argument)),
        }
        if joined.last().is_some_and(|argument| argument == "--") {
            joined.extend(arguments.by_ref());
        }
    }
    joined
}

fn with_its_sign(argument: OsString) -> OsString {
    let bytes = argument.as_bytes();
    let Some(at) = bytes.iter().position(|&byte| byte == b'=') else { return argument };
    match &bytes[..at] {
        [b'-', flags @ .., option]
            if *option != b'-' && flags.iter().all(|flag| matches!(flag, b'p' | b'v')) =>
        {
            OsString::from_vec([&bytes[..at], b"=", &bytes[at..]].concat())
        }
        _ => argument,
    }
}

fn is_before_now(argument: &[u8]) -> bool {
    matches!(argument, [b'-', digit, ..] if digit.is_ascii_digit())
}

/// Whether it is an option for a time that has none yet: a long one or a beginning of it, or a short one, perhaps with flags
/// before it.
fn awaits_a_time(argument: &[u8]) -> bool {
    match argument {
        [b'-', b'-', _, ..] => {
            ["--raise", "--clear", "--suppress"].iter().any(|option| option.as_bytes().starts_with(argument))
        }
        [b'-', flags @ .., b'r' | b'c' | b'e'] => flags.iter().all(|flag| matches!(flag, b'p' | b'v')),
        _ => false,
    }
}
