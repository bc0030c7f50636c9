//! What Nagios is expected to hold, and waiting until it does.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

use crate::nagios::Nagios;
use crate::patience::wait_for;
use crate::status::Verdict;

/// A host's name and a service's, or none for the host itself.
pub type Object = (String, Option<String>);

/// Every object that Nagios is expected to hold, with the name of its state; and no other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectation(BTreeMap<Object, &'static str>);

impl Expectation {
    /// With a host that is UP and was heard from.
    #[must_use]
    pub fn host(self, host: &str) -> Self {
        self.state(host, None, "UP").service(host, "host registration", "OK")
    }

    /// With a service in a state.
    #[must_use]
    pub fn service(self, host: &str, service: &str, state: &'static str) -> Self {
        self.state(host, Some(service), state)
    }

    /// With what the administrator watches without us.
    #[must_use]
    pub fn administrators_own(self) -> Self {
        self.state("printer.example.org", None, "UP").service("printer.example.org", "paper", "OK")
    }

    fn state(mut self, host: &str, service: Option<&str>, state: &'static str) -> Self {
        self.0.insert((host.to_owned(), service.map(str::to_owned)), state);
        self
    }

    /// Without a service.
    #[must_use]
    pub fn without(mut self, host: &str, service: &str) -> Self {
        self.0.remove(&(host.to_owned(), Some(service.to_owned())));
        self
    }

    /// How many objects are expected.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What differs from it, in a sentence each; nothing when all is as expected.
    #[must_use]
    pub fn differences(&self, verdicts: &[Verdict]) -> Vec<String> {
        let seen: BTreeMap<Object, String> = verdicts
            .iter()
            .map(|verdict| ((verdict.host.clone(), verdict.service.clone()), verdict.state_name()))
            .collect();
        let name = |(host, service): &Object| match service {
            Some(service) => format!("{host} {service}"),
            None => host.clone(),
        };
        let mut differences: Vec<String> = self
            .0
            .iter()
            .filter_map(|(object, state)| match seen.get(object) {
                Some(found) if found == state => None,
                Some(found) => Some(format!("{} is {found}, not {state}", name(object))),
                None => Some(format!("{} is not there", name(object))),
            })
            .collect();
        differences.extend(
            seen.keys()
                .filter(|object| !self.0.contains_key(*object))
                .map(|object| format!("{} should not be there", name(object))),
        );
        differences
    }

    /// Waits until Nagios holds exactly this. `progress` is told how many objects still differ.
    ///
    /// # Errors
    /// It does not in time; the error has every difference.
    pub fn wait(
        &self,
        nagios: &mut Nagios,
        at_most: Duration,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<Verdict>> {
        wait_for("Nagios's verdicts are as they should be", at_most, || {
            let verdicts = nagios.verdicts()?;
            let differences = self.differences(&verdicts);
            progress(differences.len());
            Ok(if differences.is_empty() { Ok(verdicts) } else { Err(differences.join("; ")) })
        })
    }
}

#[cfg(test)]
mod tests {
    use monitoring_info::state::State;

    use super::*;

    #[test]
    fn whatever_is_missing_different_or_too_much_is_told() {
        let verdict = |service: &str, state| Verdict {
            host: "a".into(),
            service: Some(service.into()),
            state,
            output: String::new(),
            checked: 0,
        };
        let expected = Expectation::default().service("a", "x", "OK").service("a", "y", "OK");
        let seen = [verdict("y", None), verdict("z", Some(State::Ok))];
        assert_eq!(
            expected.differences(&seen),
            ["a x is not there", "a y is PENDING, not OK", "a z should not be there"]
        );
    }
}
