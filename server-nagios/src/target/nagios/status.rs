//! Nagios's status file, as far as alert stations depend on it.
//!
//! Nagios notifies nobody of what is in a downtime, of recoveries neither. An alert that was raised before would stay raised
//! for ever if the service is mended in the downtime, which is what a downtime is for. So what is well and in a downtime, and
//! was not well a while ago, is told of here.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::main_file::MainFile;
use crate::target::Subject;

/// For how long a recovery is told again, since datagrams are lost.
const RECENT: SignedDuration = SignedDuration::from_mins(30);

/// The hosts and services that have recovered of late, and are in a downtime.
pub(super) fn untold_recoveries(main_file: &Path, now: Timestamp) -> Result<Vec<Subject>, String> {
    let main =
        MainFile::read(main_file).map_err(|error| format!("cannot read {}: {error}", main_file.display()))?;
    let path =
        main.path("status_file").ok_or_else(|| format!("{} names no status_file", main_file.display()))?;
    let file = File::open(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
    Ok(recoveries(lines, now))
}

/// One object of the file.
#[derive(Default)]
struct Object {
    host: String,
    service: Option<String>,
    is_well: bool,
    downtimes: bool,
    changed: i64,
    next_check: i64,
}

fn recoveries(lines: impl Iterator<Item = Vec<u8>>, now: Timestamp) -> Vec<Subject> {
    let now = now.as_second();
    let mut hosts_in_downtime = BTreeSet::new();
    let mut recoveries = Vec::new();
    let mut object: Option<Object> = None;
    for line in lines {
        let line = String::from_utf8_lossy(&line);
        match line.trim() {
            "hoststatus {" | "servicestatus {" => object = Some(Object::default()),
            "}" => {
                // Hosts come before all services.
                let Some(object) = object.take() else { continue };
                if object.service.is_none() && object.downtimes {
                    hosts_in_downtime.insert(object.host.clone());
                }
                let silent = object.downtimes || hosts_in_downtime.contains(&object.host);
                let recent = (now - RECENT.as_secs()..=now).contains(&object.changed);
                // One that is checked just now may be ill again, of which the file does not know yet.
                if silent && object.is_well && recent && object.next_check > now {
                    recoveries.push(Subject { host: object.host, service: object.service });
                }
            }
            line => {
                let Some((object, (key, value))) = object.as_mut().zip(line.split_once('=')) else {
                    continue;
                };
                let number = || value.parse().unwrap_or_default();
                match key {
                    "host_name" => value.clone_into(&mut object.host),
                    "service_description" => object.service = Some(value.to_owned()),
                    "current_state" => object.is_well = value == "0",
                    "scheduled_downtime_depth" => object.downtimes = number() > 0,
                    "last_hard_state_change" => object.changed = number(),
                    "next_check" => object.next_check = number(),
                    _ => {}
                }
            }
        }
    }
    recoveries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_recovers_in_a_downtime_is_told_of_for_a_while() {
        let object = |host: &str, service: &str, state: u8, depth: u8, changed: i64, next: i64| {
            let service = if service.is_empty() {
                "hoststatus {\n".to_owned()
            } else {
                format!("servicestatus {{\n\tservice_description={service}\n")
            };
            format!(
                "{service}\thost_name={host}\n\tcurrent_state={state}\n\tplugin_output=a=}}\n\t\
                 last_hard_state_change={changed}\n\tnext_check={next}\n\tscheduled_downtime_depth={depth}\n\t}}\n\n"
            )
        };
        let text = [
            object("h1", "", 0, 0, 900, 2000),
            object("h2", "", 0, 1, 900, 2000),
            object("h3", "", 1, 1, 900, 2000),
            object("h1", "well again", 0, 1, 990, 2000),
            object("h1", "ill", 2, 1, 990, 2000),
            object("h1", "always well", 0, 1, 1000 - 31 * 60, 2000),
            object("h1", "told of", 0, 0, 990, 2000),
            object("h1", "checked now", 0, 1, 990, 1000),
            object("h2", "of a host", 0, 0, 990, 2000),
        ]
        .concat();
        let lines = text.split('\n').map(|line| line.as_bytes().to_vec());
        let told: Vec<String> = recoveries(lines, Timestamp::from_second(1000).unwrap())
            .into_iter()
            .map(|Subject { host, service }| format!("{host} {}", service.unwrap_or_default()))
            .collect();
        assert_eq!(told, ["h2 ", "h1 well again", "h2 of a host"]);
    }
}
