//! Nagios's status file, as far as alert stations depend on it.
//!
//! Nagios says each thing to a station once, in a datagram that may be lost, and some things it does not say: that something
//! recovers in a downtime, or in the last minute of one. A problem that was lost comes again with the next
//! `notification_interval`, two hours later; a recovery never does, and its alert would stay raised for ever. So what holds
//! is said again from here, of what is well after it was ill, and of problems that Nagios has notified somebody of: at
//! once, after a minute, after two, four, eight and so on. The first few make up for a datagram, the later ones for a
//! station that was away for hours, and together they are little even when a thousand things change at once. To a station
//! that knows it already, it is nothing new: what is raised stays raised since when it was, and acknowledged; what is
//! cleared stays cleared (`receive_update` in Mauve's `lib/mauve/alert.rb`).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use jiff::Timestamp;
use monitoring_info::alert;

use super::main_file::MainFile;
use crate::target::{Outlook, Problem, Subject};

/// How much later than Nagios was to write the file it still counts as alive, in seconds: reading a large configuration
/// again takes it a while, in which it does nothing else.
const LATE: i64 = 120;
/// How often Nagios writes the file where its main file does not say it, in seconds.
const UPDATE_INTERVAL: i64 = 60;
/// What its numbers mean of a host, and of a service.
const HOST_STATES: [&str; 3] = ["UP", "DOWN", "UNREACHABLE"];
const SERVICE_STATES: [&str; 4] = ["OK", "WARNING", "CRITICAL", "UNKNOWN"];

/// What a file of today says.
pub(super) fn outlook(main_file: &Path, now: Timestamp) -> Result<Outlook, String> {
    let main =
        MainFile::read(main_file).map_err(|error| format!("cannot read {}: {error}", main_file.display()))?;
    let path =
        main.path("status_file").ok_or_else(|| format!("{} names no status_file", main_file.display()))?;
    let file = File::open(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
    let now = now.as_second();
    let (written, outlook) = read(lines, now);
    let written = written.ok_or_else(|| format!("{} does not say when it was written", path.display()))?;
    let interval = main.settings().filter(|(name, _)| *name == "status_update_interval").last();
    let interval = interval.and_then(|(_, value)| value.parse().ok()).unwrap_or(UPDATE_INTERVAL);
    // One that is written later than now comes from before the clock was set back.
    if now.saturating_sub(written) > LATE.saturating_add(interval) {
        return Err(format!(
            "it has not written {} for {} s, and was to do so every {interval} s",
            path.display(),
            now.saturating_sub(written)
        ));
    }
    Ok(outlook)
}

/// One object of the file.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a line of the file")]
struct Object {
    host: String,
    service: Option<String>,
    state: usize,
    is_hard: bool,
    is_flapping: bool,
    is_acknowledged: bool,
    is_checked: bool,
    was_ill: bool,
    downtimes: bool,
    notifications: u64,
    changed: i64,
    next_check: i64,
    output: String,
    further: String,
}

impl Object {
    fn set(&mut self, key: &str, value: &str) {
        let number = || value.parse::<i64>().unwrap_or_default();
        match key {
            "host_name" => value.clone_into(&mut self.host),
            "service_description" => self.service = Some(value.to_owned()),
            // What is no number is no state, so that nothing is said of it.
            "current_state" => self.state = value.parse().unwrap_or(usize::MAX),
            "state_type" => self.is_hard = value == "1",
            "is_flapping" => self.is_flapping = value == "1",
            "problem_has_been_acknowledged" => self.is_acknowledged = value == "1",
            "active_checks_enabled" => self.is_checked = value == "1",
            "last_time_warning"
            | "last_time_critical"
            | "last_time_unknown"
            | "last_time_down"
            | "last_time_unreachable" => self.was_ill |= number() > 0,
            "scheduled_downtime_depth" => self.downtimes = number() > 0,
            "current_notification_number" => self.notifications = value.parse().unwrap_or_default(),
            "last_hard_state_change" => self.changed = number(),
            "next_check" => self.next_check = number(),
            "plugin_output" => value.clone_into(&mut self.output),
            "long_plugin_output" => value.clone_into(&mut self.further),
            _ => {}
        }
    }

    fn subject(&self) -> Subject {
        Subject { host: self.host.clone(), service: self.service.clone() }
    }

    /// Whether it is time to say again how it stands. One that is checked just now may be otherwise already, of which the
    /// file does not know yet; and while it flaps, that is the alert.
    fn is_due(&self, now: i64) -> bool {
        let settled = self.next_check > now || !self.is_checked;
        let minutes = u64::try_from(now.saturating_sub(self.changed).div_euclid(60));
        settled && !self.is_flapping && minutes.is_ok_and(|minutes| minutes <= 1 || minutes.is_power_of_two())
    }

    fn problem(&self) -> Option<Problem> {
        let states = if self.service.is_some() { &SERVICE_STATES[..] } else { &HOST_STATES };
        let state = *states.get(self.state)?;
        let text = alert::text(state, &self.output, &self.further);
        Some(Problem { subject: self.subject(), state, text })
    }
}

/// When the file was written, and what it says, by its lines.
#[must_use]
pub fn read(lines: impl Iterator<Item = Vec<u8>>, now: i64) -> (Option<i64>, Outlook) {
    let mut hosts_in_downtime = BTreeSet::new();
    let mut outlook = Outlook::default();
    let mut written = None;
    let mut object: Option<Object> = None;
    for line in lines {
        let line = String::from_utf8_lossy(&line);
        match (line.trim(), &mut object) {
            ("hoststatus {" | "servicestatus {", _) => object = Some(Object::default()),
            ("}", _) => {
                let Some(object) = object.take() else { continue };
                // Hosts come before all services.
                if object.service.is_none() && object.downtimes {
                    hosts_in_downtime.insert(object.host.clone());
                }
                let in_downtime = object.downtimes || hosts_in_downtime.contains(&object.host);
                outlook.watched.insert(object.subject());
                if !object.is_due(now) {
                    continue;
                }
                if object.state == 0 {
                    outlook.recoveries.extend(object.was_ill.then(|| object.subject()));
                } else if object.is_hard
                    && object.notifications > 0
                    && !object.is_acknowledged
                    && !in_downtime
                {
                    outlook.problems.extend(object.problem());
                }
            }
            (line, Some(object)) => {
                if let Some((key, value)) = line.split_once('=') {
                    object.set(key, value);
                }
            }
            (line, None) => {
                written = written.or_else(|| line.strip_prefix("created=")?.parse().ok());
            }
        }
    }
    (written, outlook)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 10_000;

    /// An object as Nagios writes it: one that was ill until a minute ago, but for these lines.
    fn object(host: &str, service: &str, lines: &str) -> String {
        let head = if service.is_empty() {
            format!("hoststatus {{\n\thost_name={host}\n\tlast_time_down=9000\n")
        } else {
            format!(
                "servicestatus {{\n\thost_name={host}\n\tservice_description={service}\n\tlast_time_critical=9000\n"
            )
        };
        let defaults = "\tcurrent_state=0\n\tstate_type=1\n\tplugin_output=a=}\n\tlong_plugin_output=b\\nc\n\t\
                        active_checks_enabled=1\n\tlast_hard_state_change=9930\n\tnext_check=20000\n\tis_flapping=0\n\t\
                        problem_has_been_acknowledged=0\n\tcurrent_notification_number=1\n\tscheduled_downtime_depth=0\n";
        let lines: String = lines.split_whitespace().flat_map(|line| ["\t", line, "\n"]).collect();
        format!("{head}{defaults}{lines}\t}}\n\n")
    }

    fn said(objects: &[String]) -> (Option<i64>, Outlook) {
        let text = format!("info {{\n\tcreated=9990\n\tversion=4.4.6\n\t}}\n\n{}", objects.concat());
        read(text.split('\n').map(|line| line.as_bytes().to_vec()), NOW)
    }

    fn names(subjects: &[Subject]) -> Vec<String> {
        let name = |subject: &Subject| {
            format!("{} {}", subject.host, subject.service.as_deref().unwrap_or_default())
        };
        subjects.iter().map(name).collect()
    }

    #[test]
    fn what_has_recovered_is_told_whether_nagios_has_told_it_or_not() {
        let (written, outlook) = said(&[
            object("h1", "", ""),
            object("h2", "", "scheduled_downtime_depth=1"),
            object("h3", "", "current_state=1 current_notification_number=0"),
            object("h1", "in a downtime", "scheduled_downtime_depth=1"),
            object("h1", "told of", ""),
            object("h1", "never ill", "").replace("last_time_critical=9000", "last_time_critical=0"),
            object("h1", "checked now", "next_check=10000"),
            object("h1", "passive", "next_check=0 active_checks_enabled=0"),
            object("h1", "flapping", "is_flapping=1"),
            object("h2", "of a host", ""),
        ]);
        assert_eq!(written, Some(9990));
        assert_eq!(
            names(&outlook.recoveries),
            ["h1 ", "h2 ", "h1 in a downtime", "h1 told of", "h1 passive", "h2 of a host"]
        );
        assert_eq!(outlook.problems, []);
        assert_eq!(outlook.watched.len(), 10);
    }

    #[test]
    fn what_nagios_has_notified_of_is_raised_again() {
        let (_, outlook) = said(&[
            object("h1", "", "current_state=1"),
            object("h2", "", "scheduled_downtime_depth=1"),
            object("h1", "ill", "current_state=2"),
            object("h1", "soft", "current_state=2 state_type=0"),
            object("h1", "untold", "current_state=2 current_notification_number=0"),
            object("h1", "acknowledged", "current_state=2 problem_has_been_acknowledged=1"),
            object("h1", "in a downtime", "current_state=2 scheduled_downtime_depth=1"),
            object("h2", "of a host", "current_state=2"),
            object("h1", "flapping", "current_state=2 is_flapping=1"),
            object("h1", "odd", "current_state=9"),
        ]);
        let told: Vec<_> =
            outlook.problems.iter().map(|problem| (problem.state, problem.text.as_str())).collect();
        assert_eq!(told, [("DOWN", "DOWN: a=}\nb\nc"), ("CRITICAL", "CRITICAL: a=}\nb\nc")]);
        let subjects: Vec<_> = outlook.problems.iter().map(|problem| problem.subject.clone()).collect();
        assert_eq!(names(&subjects), ["h1 ", "h1 ill"]);
    }

    #[test]
    fn no_number_is_too_odd() {
        for odd in [i64::MIN, i64::MAX] {
            let objects =
                ["last_hard_state_change", "next_check"].map(|key| object("h", "s", &format!("{key}={odd}")));
            let (written, _) = said(&objects);
            assert_eq!(written, Some(9990));
            let folder = tempfile::tempdir().unwrap();
            let main = folder.path().join("nagios.cfg");
            std::fs::write(&main, "status_file=status.dat\n").unwrap();
            std::fs::write(folder.path().join("status.dat"), format!("info {{\n\tcreated={odd}\n\t}}\n"))
                .unwrap();
            assert_eq!(outlook(&main, Timestamp::from_second(NOW).unwrap()).is_ok(), odd > 0);
        }
    }

    #[test]
    fn it_is_said_again_ever_more_rarely() {
        let told: Vec<i64> = (-5..1500)
            .filter(|minutes| {
                let changed = format!("last_hard_state_change={}", NOW - minutes * 60 - 30);
                !said(&[object("h", "s", &changed)]).1.recoveries.is_empty()
            })
            .collect();
        assert_eq!(told, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]);
    }

    #[test]
    fn a_file_that_is_not_written_any_more_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("nagios.cfg");
        std::fs::write(&main, "status_file=status.dat\nstatus_update_interval=10\n").unwrap();
        let status = folder.path().join("status.dat");
        let told = |at: i64| outlook(&main, Timestamp::from_second(at).unwrap()).map(drop);
        assert!(told(NOW).unwrap_err().contains("cannot read"));
        std::fs::write(&status, "info {\n\t}\n").unwrap();
        assert!(told(NOW).unwrap_err().ends_with("does not say when it was written"));
        std::fs::write(&status, "info {\n\tcreated=10000\n\t}\n").unwrap();
        for fresh in [NOW - 3600, NOW, NOW + 130] {
            assert_eq!(told(fresh), Ok(()), "{fresh}");
        }
        let expected =
            format!("it has not written {} for 131 s, and was to do so every 10 s", status.display());
        assert_eq!(told(NOW + 131), Err(expected));
        // Nagios's own default.
        std::fs::write(&main, "status_file=status.dat\n").unwrap();
        assert_eq!((told(NOW + 180).is_ok(), told(NOW + 181).is_ok()), (true, false));
    }
}
