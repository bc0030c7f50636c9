//! `check_mailflow`: mails that were sent have arrived in time.
//!
//! It looks at names alone, opens no file and no connection; whether the servers live is what the other two checks tell.

use std::ffi::OsString;

use clap::Parser;
use monitoring_info::state::State;

use super::List;
use super::store::{LEAP_MAX, Outstanding, Store, now};
use crate::answer::Answer;
use crate::command_line::{self, Basics};

/// When no mail was sent for so long and the time that a mail may take, in seconds, nothing is known any more.
const SILENCE_MAX: u64 = 86_400;

/// Check that mails that were sent have arrived
///
/// `check_mailflow_send --list` puts a token on the list for each mail, `check_mailflow_receive --list` takes off those that
/// have arrived. CRITICAL when a token stays for longer than a mail may take. UNKNOWN when nothing was sent at all, or nothing
/// for a day.
#[derive(Debug, Parser)]
#[command(name = "check_mailflow", version)]
struct Arguments {
    /// The list: the host that defines it, and its id
    #[arg(long, value_name = "OWNER/ID")]
    list: List,
    /// CRITICAL when a mail is on its way for longer
    #[arg(short, long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..), required_unless_present = "forget")]
    critical: Option<u64>,
    /// WARNING when a mail is on its way for longer
    #[arg(short, long, value_name = "SECONDS")]
    warning: Option<u64>,
    /// Wait no more for any mail on the list, when it is known why they were lost
    #[arg(long)]
    forget: bool,
    #[command(flatten)]
    basics: Basics,
}

/// Does what the command line says and gives the exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    command_line::run(arguments, |arguments: Arguments| {
        answer(&arguments).unwrap_or_else(|error| Answer::failed(&error))
    })
}

fn answer(arguments: &Arguments) -> Result<Answer, super::store::Error> {
    let store = Store::open(&arguments.basics.root)?;
    let list = &arguments.list;
    if arguments.forget {
        let forgotten = mails(store.forget(list)?);
        return Ok(Answer::new(State::Ok, &format!("no longer waiting for {forgotten} on the list {list}")));
    }
    // clap demands it where `forget` is not said.
    let limits = Limits { critical: arguments.critical.unwrap_or(u64::MAX), warning: arguments.warning };
    let outstanding = store.outstanding(list)?;
    let mut answer = judge(&outstanding, limits, now());
    if answer.state == State::Critical {
        answer = answer.with_detail(&format!(
            "when it is known why they were lost: check_mailflow --list {list} --forget"
        ));
    }
    Ok(answer)
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    critical: u64,
    warning: Option<u64>,
}

fn judge(outstanding: &Outstanding, limits: Limits, now: u64) -> Answer {
    let serials = &outstanding.serials;
    let age = |time: u64| now.saturating_sub(time);
    let older = |limit| serials.iter().filter(|serial| age(serial.time) > limit).count();
    let oldest = serials.iter().map(|serial| age(serial.time)).max();
    let future = serials.iter().filter(|serial| serial.time > now + LEAP_MAX).count();

    let late = older(limits.critical);
    let slow = limits.warning.map_or(0, older);
    let oldest_text = format!("the oldest for {}", span(oldest.unwrap_or(0)));
    let (state, sentence) = if late > 0 {
        let limit = span(limits.critical);
        (State::Critical, format!("{} for more than {limit}, {oldest_text}", on_the_way(late)))
    } else if future > 0 {
        let sentence = format!("{} dated in the future: was the clock set back?", mails(future));
        (State::Unknown, sentence)
    } else {
        match outstanding.last_sent {
            None => (State::Unknown, "nothing has been sent yet".to_owned()),
            Some(sent) if sent > now + LEAP_MAX => {
                (State::Unknown, "the last mail was sent in the future: was the clock set back?".to_owned())
            }
            Some(sent) if age(sent) > limits.critical.saturating_add(SILENCE_MAX) => {
                (State::Unknown, format!("nothing has been sent for {}", span(age(sent))))
            }
            Some(_) if slow > 0 => {
                let limit = span(limits.warning.unwrap_or(0));
                (State::Warning, format!("{} for more than {limit}, {oldest_text}", on_the_way(slow)))
            }
            Some(_) if serials.is_empty() => (State::Ok, "every mail has arrived".to_owned()),
            Some(_) => (State::Ok, format!("{}, {oldest_text}", on_the_way(serials.len()))),
        }
    };
    let warning = limits.warning.map_or_else(String::new, |limit| limit.to_string());
    let critical = limits.critical;
    let round_trip = outstanding.round_trip;
    let round_trip = round_trip
        .map_or_else(String::new, |seconds| format!(" round_trip={seconds}s;{warning};{critical};0"));
    let (count, oldest) = (serials.len(), oldest.unwrap_or(0));
    let performance = format!("outstanding={count};;;0 oldest={oldest}s;{warning};{critical};0{round_trip}");
    Answer::new(state, &sentence).with_performance(performance)
}

/// So many mails.
fn mails(count: usize) -> String {
    if count == 1 { "1 mail".to_owned() } else { format!("{count} mails") }
}

/// So many mails that have not arrived yet.
fn on_the_way(count: usize) -> String {
    format!("{} on {} way", mails(count), if count == 1 { "its" } else { "their" })
}

/// A span of time for a person, with its two largest units.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min {} s", seconds / 60, seconds % 60),
        7200..172_800 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailflow::token::Serial;

    const NOW: u64 = 1_763_600_000;

    fn judged(times: &[u64], last_sent: Option<u64>) -> String {
        let serials = times.iter().map(|&time| Serial { time, nonce: [0; 16] }).collect();
        let outstanding = Outstanding { serials, last_sent, round_trip: None };
        let limits = Limits { critical: 900, warning: Some(600) };
        judge(&outstanding, limits, NOW).to_string()
    }

    #[test]
    fn the_oldest_mail_decides() {
        let sent = Some(NOW);
        assert_eq!(judged(&[], sent), "OK: every mail has arrived|outstanding=0;;;0 oldest=0s;600;900;0");
        assert_eq!(
            judged(&[NOW - 600, NOW], sent),
            "OK: 2 mails on their way, the oldest for 10 min 0 s|outstanding=2;;;0 oldest=600s;600;900;0"
        );
        assert!(
            judged(&[NOW - 601], sent).starts_with("WARNING: 1 mail on its way for more than 10 min 0 s,")
        );
        assert!(judged(&[NOW - 900], sent).starts_with("WARNING"));
        assert!(judged(&[NOW - 901, NOW], sent).starts_with("CRITICAL: 1 mail"));
        assert!(
            judged(&[NOW - 901, NOW - 90_000], sent)
                .contains("2 mails on their way for more than 15 min 0 s, the oldest for 25 h 0 min")
        );
    }

    #[test]
    fn what_is_not_known_is_never_ok() {
        assert!(judged(&[], None).starts_with("UNKNOWN: nothing has been sent yet"));
        assert!(judged(&[], Some(NOW - 87_300)).starts_with("OK"));
        assert!(
            judged(&[], Some(NOW - 87_301)).starts_with("UNKNOWN: nothing has been sent for 24 h 15 min")
        );
        assert!(
            judged(&[NOW + 5], Some(NOW + 5)).starts_with("OK"),
            "a clock that is set right leaps a little"
        );
        assert!(judged(&[NOW + 6], Some(NOW)).starts_with("UNKNOWN: 1 mail dated in the future"));
        assert!(judged(&[], Some(NOW + 6)).starts_with("UNKNOWN: the last mail was sent in the future"));
    }

    #[test]
    fn what_is_known_to_be_lost_outweighs_what_is_not_known() {
        assert!(judged(&[NOW - 901, NOW + 6], Some(NOW + 6)).starts_with("CRITICAL: 1 mail"));
        assert!(judged(&[NOW - 901], None).starts_with("CRITICAL"));
    }
}
