//! Nagios's verdicts, from its `status.dat`.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use monitoring_info::state::State;

/// What Nagios holds of a service, or of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The host.
    pub host: String,
    /// The service; none for the host itself.
    pub service: Option<String>,
    /// What the last check found; none before the first check. A host that is not UP is CRITICAL.
    pub state: Option<State>,
    /// The first line of what the plugin said.
    pub output: String,
    /// When it was last checked, in Unix seconds; 0 before the first check.
    pub checked: u64,
}

impl Verdict {
    /// `PENDING`, or the state's name as Nagios has it for hosts and for services.
    #[must_use]
    pub fn state_name(&self) -> String {
        match (self.state, &self.service) {
            (None, _) => "PENDING".to_owned(),
            (Some(State::Ok), None) => "UP".to_owned(),
            (Some(_), None) => "DOWN".to_owned(),
            (Some(state), Some(_)) => state.to_string(),
        }
    }
}

/// Reads every verdict, hosts first, in the order of names. A file that is not there yet holds none.
///
/// # Errors
/// The file cannot be read.
pub fn read(path: &Path) -> Result<Vec<Verdict>> {
    match fs::read(path) {
        Ok(bytes) => Ok(parse(&String::from_utf8_lossy(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Reads the text of a `status.dat`: blocks of `key=value` lines between `KIND {` and `}`.
#[must_use]
pub fn parse(text: &str) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut block: Option<(&str, Verdict)> = None;
    let mut checked = false;
    for line in text.lines().map(str::trim) {
        if let Some(kind) = line.strip_suffix(" {") {
            let verdict = Verdict {
                host: String::new(),
                service: None,
                state: None,
                output: String::new(),
                checked: 0,
            };
            block = Some((kind, verdict));
            checked = false;
        } else if line == "}" {
            if let Some(("hoststatus" | "servicestatus", mut verdict)) = block.take() {
                verdict.state = verdict.state.filter(|_| checked);
                verdicts.push(verdict);
            }
        } else if let (Some((kind, verdict)), Some((key, value))) = (&mut block, line.split_once('=')) {
            match key {
                "host_name" => value.clone_into(&mut verdict.host),
                "service_description" => verdict.service = Some(value.to_owned()),
                "plugin_output" => value.clone_into(&mut verdict.output),
                "last_check" => verdict.checked = value.parse().unwrap_or(0),
                "has_been_checked" => checked = value == "1",
                "current_state" => verdict.state = Some(state(kind, value)),
                _ => {}
            }
        }
    }
    verdicts.sort_by(|a, b| (&a.host, &a.service).cmp(&(&b.host, &b.service)));
    verdicts
}

/// Nagios's numbers: of services those of the plugins; of hosts 0 is UP, 1 DOWN, 2 UNREACHABLE.
fn state(kind: &str, number: &str) -> State {
    match (kind, number) {
        (_, "0") => State::Ok,
        ("servicestatus", "1") => State::Warning,
        ("servicestatus", "2") | ("hoststatus", _) => State::Critical,
        _ => State::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "########\ninfo {\n\tcreated=1\n\t}\n\nservicestatus {\n\thost_name=web1.example.org\n\
        \tservice_description=apache2\n\thas_been_checked=1\n\tcurrent_state=2\n\tplugin_output=refused = yes\n\
        \tlast_check=1700000000\n\t}\n\nservicestatus {\n\thost_name=web1.example.org\n\
        \tservice_description=host registration\n\thas_been_checked=0\n\tcurrent_state=0\n\tplugin_output=\n\t}\n\n\
        hoststatus {\n\thost_name=web1.example.org\n\thas_been_checked=1\n\tcurrent_state=0\n\t}\n";

    #[test]
    fn verdicts_are_told_from_what_was_never_checked() {
        let verdicts = parse(TEXT);
        let shown: Vec<_> = verdicts.iter().map(|v| (v.service.as_deref(), v.state_name())).collect();
        assert_eq!(
            shown,
            [
                (None, "UP".to_owned()),
                (Some("apache2"), "CRITICAL".to_owned()),
                (Some("host registration"), "PENDING".to_owned())
            ]
        );
        assert_eq!((verdicts[1].output.as_str(), verdicts[1].checked), ("refused = yes", 1_700_000_000));
    }
}
