//! `notify_mauve`: what Nagios notifies becomes an alert of the station Mauve.
//!
//! Nagios puts the text of macros into a command line, and gives that to a shell where it holds a character that means
//! something to one. What a plugin has printed may hold anything; so does what a person writes who acknowledges. Quotes
//! around a macro are no help where the text has quotes of its own, `illegal_macro_output_chars` is a setting that
//! somebody may change, and macros in the environment cost every check time and are off on Debian. But Nagios encodes, for
//! links on its pages, every macro inside of a `notes_url` or an `action_url`: whatever is not a letter, a digit or one of
//! `-._~` becomes `%` and two hexadecimal digits (RFC 3986, section 2.1; `get_url_encoded_string` in `common/macros.c`,
//! tried with 4.4.6). So what is notified is the `notes_url` of a group without hosts
//! (`templates/nagios/mauve.cfg.hbs`), whose macros Nagios fills in, encoded, and it is one argument here whatever
//! anybody has printed.
//!
//! From there on no shell is in the way either: this process becomes `mauvesend` (`execve`). Nagios runs notifications in
//! its workers and does not wait; and a datagram waits for nobody.
//!
//! A station is told of every notification, again at each interval, since a datagram may be lost. The subject is the host;
//! [`alert`] says what the alert is called. Who hears of it is the station's to decide.
//!
//! During a downtime Nagios itself notifies nobody, neither of problems nor of recoveries, with one exception: that somebody
//! acknowledges a problem. To the station that would be a raise, of an alert that it may never have heard of; so it is not
//! told. (The wire has a word for suppressing an alert until some time, which is none for this: the original station takes
//! it only at the moment at which an alert is raised or cleared, and nothing takes it back, so that a downtime that is over
//! sooner would still keep the next problem quiet.)

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::Parser;
use monitoring_info::alert;
use monitoring_info::state::State;

use crate::answer::Answer;
use crate::command_line;

/// How much of what a person has written is sent, in characters.
const COMMENT_MAX: usize = 1024;
/// How many texts Nagios says.
const TEXTS: usize = 9;

/// Tell the alert station Mauve what Nagios notifies
///
/// Nagios runs it. It becomes mauvesend: a problem raises the alert `svc:SERVICE@HOST` or `host@HOST`, a recovery clears
/// it; an acknowledgement is mentioned, but in a downtime nothing is raised.
#[derive(Debug, Parser)]
#[command(name = "notify_mauve", version)]
struct Arguments {
    /// The program that sends alerts
    #[arg(long, value_name = "PROGRAM", default_value = "/usr/bin/mauvesend")]
    mauvesend: PathBuf,
    /// Send there; may be given several times [default: where mauvesend sends by itself]
    #[arg(long, value_name = "DESTINATION")]
    to: Vec<String>,
    /// The name under which alerts are sent
    #[arg(long, value_name = "NAME")]
    source: String,
    /// What Nagios says, each text percent-encoded, joined by commas: the type of the notification, host, service (empty:
    /// the host itself), state, depths of downtimes, output, further output, who says something, and what
    #[arg(value_name = "SAID")]
    said: String,
}

/// What Nagios notifies.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Notification {
    kind: String,
    host: String,
    /// None: the host itself.
    service: Option<String>,
    state: String,
    in_downtime: bool,
    /// The state, and what the plugin has printed, without performance data.
    text: String,
    /// Who says what.
    comment: Option<(String, String)>,
}

/// Does what the command line says and gives the exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    command_line::run(arguments, |arguments: Arguments| answer(&arguments))
}

/// Becomes `mauvesend`; if it returns, that was impossible.
fn answer(arguments: &Arguments) -> Answer {
    let Some(notification) = Notification::read(&arguments.said) else {
        return Answer::unknown(&format!(
            "Nagios does not say {TEXTS} texts, joined by commas; publish once more"
        ));
    };
    if notification.is_withheld() {
        return Answer::new(State::Ok, "in a downtime nothing is raised");
    }
    let error = Command::new(&arguments.mauvesend)
        .args(&arguments.to)
        .arg(format!("--source={}", arguments.source))
        .args(notification.alert())
        .stdin(Stdio::null())
        .exec();
    Answer::unknown(&format!(
        "cannot run {}: {error}; install it, or say in server.conf where it is",
        arguments.mauvesend.display()
    ))
}

impl Notification {
    fn read(said: &str) -> Option<Self> {
        let texts: Vec<String> = said.split(',').map(decoded).collect();
        let [kind, host, service, state, downtimes, output, further, author, comment]: [String; TEXTS] =
            texts.try_into().ok()?;
        Some(Self {
            text: alert::text(&state, &output, &further),
            kind,
            host,
            service: Some(service).filter(|service| !service.is_empty()),
            state,
            // That of the service and that of the host, one number behind the other.
            in_downtime: downtimes.contains(|digit| matches!(digit, '1'..='9')),
            comment: Some((short(&author), short(&comment)))
                .filter(|(author, comment)| !author.is_empty() || !comment.is_empty()),
        })
    }

    /// While a service flaps, Nagios notifies none of its changes; so that it does is the problem, until it is said to
    /// have ended, in whatever state.
    fn begins_to_flap(&self) -> bool {
        self.kind == "FLAPPINGSTART"
    }

    fn is_bad(&self) -> bool {
        self.begins_to_flap() || !matches!(self.state.as_str(), "OK" | "UP")
    }

    /// Whether it would raise something in a downtime, of which nobody is to be told but what a person has Nagios say in
    /// spite of that.
    fn is_withheld(&self) -> bool {
        let in_downtime = self.in_downtime || self.kind == "DOWNTIMESTART";
        in_downtime && self.is_bad() && self.kind != "CUSTOM"
    }

    /// The arguments of `mauvesend`, each joined to its option, so that none is taken for an option itself.
    fn alert(&self) -> Vec<String> {
        let service = self.service.as_deref();
        let state = if self.begins_to_flap() { "flapping" } else { &self.state };
        let mut text = self.text.clone();
        match (self.kind.as_str(), &self.comment) {
            ("ACKNOWLEDGEMENT", Some((author, comment))) => {
                let _ = write!(text, "\nAcknowledged in Nagios by {author}: {comment}");
            }
            (_, Some((author, comment))) => {
                let _ = write!(text, "\n{author}: {comment}");
            }
            (_, None) => {}
        }
        let arguments = [
            format!("--id={}", alert::id(&self.host, service)),
            format!("--subject={}", self.host),
            format!("--summary={}", alert::summary(service, state)),
            format!("--text={text}"),
            if self.is_bad() { "--raise=now".to_owned() } else { "--clear=now".to_owned() },
        ];
        // No argument of a program can hold it, and there is nothing to lose.
        arguments.into_iter().map(|argument| argument.replace('\0', "")).collect()
    }
}

fn short(text: &str) -> String {
    text.chars().take(COMMENT_MAX).collect()
}

/// A text that was percent-encoded. What is not UTF-8 becomes U+FFFD.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |at: usize| tail.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            bytes.extend(u8::try_from(high * 16 + low));
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(said: &str) -> Vec<String> {
        Notification::read(said).unwrap().alert()
    }

    #[test]
    fn a_problem_raises_and_a_recovery_clears() {
        assert_eq!(
            alert(
                "PROBLEM,db.example.org,apache2%20certificate,CRITICAL,0,ends%20%27soon%27%2C%20%24%28x%29,a%5C%5Cb%5Cnc,,"
            ),
            [
                "--id=svc:apache2 certificate@db.example.org",
                "--subject=db.example.org",
                "--summary=apache2 certificate is CRITICAL",
                "--text=CRITICAL: ends 'soon', $(x)\na\\b\nc",
                "--raise=now",
            ]
        );
        assert_eq!(
            alert("RECOVERY,db.example.org,,UP,0,PING%20OK,,,"),
            [
                "--id=host@db.example.org",
                "--subject=db.example.org",
                "--summary=host is UP",
                "--text=UP: PING OK",
                "--clear=now"
            ]
        );
        for state in ["WARNING", "UNKNOWN", "DOWN", "UNREACHABLE"] {
            assert_eq!(alert(&format!("PROBLEM,h,s,{state},0,,,,"))[4], "--raise=now", "{state}");
        }
    }

    #[test]
    fn the_summary_is_the_same_each_time() {
        let summary = |output: &str| alert(&format!("PROBLEM,h,s,WARNING,0,{output},,,"))[2].clone();
        assert_eq!(summary("3%20mails"), summary("4%20mails"));
    }

    #[test]
    fn what_people_say_is_mentioned() {
        let acknowledged = alert("ACKNOWLEDGEMENT,h,s,CRITICAL,0,out,,J%C3%BCrgen,it%27s%20known");
        assert_eq!(
            acknowledged[3],
            "--text=CRITICAL: out\nAcknowledged in Nagios by J\u{fc}rgen: it's known"
        );
        assert_eq!(acknowledged[4], "--raise=now");
        assert_eq!(alert("CUSTOM,h,s,CRITICAL,0,out,,A,B")[3], "--text=CRITICAL: out\nA: B");
    }

    #[test]
    fn in_a_downtime_nothing_is_raised() {
        let withheld = |said: &str| Notification::read(said).unwrap().is_withheld();
        for said in [
            "ACKNOWLEDGEMENT,h,s,CRITICAL,10,out,,a,b",
            "ACKNOWLEDGEMENT,h,s,CRITICAL,01,out,,a,b",
            "ACKNOWLEDGEMENT,h,,DOWN,1,out,,a,b",
            "DOWNTIMESTART,h,s,CRITICAL,00,out,,,",
        ] {
            assert!(withheld(said), "{said}");
        }
        for said in [
            "ACKNOWLEDGEMENT,h,s,CRITICAL,00,out,,a,b",
            "DOWNTIMEEND,h,s,CRITICAL,00,out,,,",
            "RECOVERY,h,s,OK,10,out,,,",
            "CUSTOM,h,s,CRITICAL,10,out,,a,b",
        ] {
            assert!(!withheld(said), "{said}");
            assert_eq!(alert(said).len(), 5, "no word of suppression: {said}");
        }
    }

    #[test]
    fn flapping_is_a_problem_until_it_ends_in_whatever_state() {
        let begun = alert("FLAPPINGSTART,h,s,OK,0,out,,,");
        assert_eq!((begun[2].as_str(), begun[4].as_str()), ("--summary=s is flapping", "--raise=now"));
        assert_eq!(alert("FLAPPINGSTOP,h,s,OK,0,out,,,")[4], "--clear=now");
        assert_eq!(alert("FLAPPINGSTOP,h,s,CRITICAL,0,out,,,")[4], "--raise=now");
    }

    #[test]
    fn too_much_is_cut_and_too_few_texts_are_none() {
        let long = "%27".repeat(20_000);
        let said = alert(&format!("ACKNOWLEDGEMENT,h,s,CRITICAL,0,{long},{long},{long},{long}"));
        assert_eq!(
            said[3].chars().filter(|c| *c == '\'').count(),
            super::alert::OUTPUT_MAX + 2 * COMMENT_MAX
        );
        assert_eq!(Notification::read("PROBLEM,h,s"), None);
        assert_eq!(Notification::read(&",".repeat(9)), None);
        assert_eq!(decoded("%ff%4%zz%"), "\u{fffd}%4%zz%");
        assert!(!alert("PROBLEM,h,s,CRITICAL,0,a%00b,,,").concat().contains('\0'));
    }
}
