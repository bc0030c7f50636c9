//! An alert station for tests: it keeps the table of alerts that Mauve would keep, of datagrams that it receives on the
//! loopback interface, or that were received elsewhere.
//!
//! The rules are those of the original's `Alert.receive_update`: alerts are told apart by source and id; a datagram whose
//! number was seen is dropped; times are corrected by how far the sender's clock is from ours; what is to be raised or
//! cleared later is, unless something else is said before; a replacement clears what it does not mention.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use mauve::{AlertUpdate, RECEIVED_MAX};

use crate::patience::wait_for;

/// What is to be so many seconds from now is so now: clocks are read in whole seconds, twice.
const TOLERANCE: u64 = 5;

/// An alert as the station has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alert {
    /// What it is about.
    pub subject: String,
    /// For a pager.
    pub summary: String,
    /// Everything else, as HTML.
    pub detail: String,
    /// Since when it is raised, in Unix seconds.
    pub raised: Option<u64>,
    /// When it will be raised, unless something else is said before.
    pub will_raise: Option<u64>,
    /// When it will be cleared, unless something else is said before.
    pub will_clear: Option<u64>,
}

/// A station that ends with this value.
#[derive(Debug)]
pub struct Station {
    socket: UdpSocket,
    table: Table,
}

/// What a station knows.
#[derive(Debug, Default)]
pub struct Table {
    seen: BTreeSet<u64>,
    alerts: BTreeMap<(String, String), Alert>,
}

impl Station {
    /// One that listens on a free port.
    ///
    /// # Errors
    /// There is none.
    pub fn start() -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").context("cannot listen for alerts")?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, table: Table::default() })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// The alert of a source and id, if it was ever told of.
    ///
    /// # Errors
    /// A datagram is none of Mauve's.
    pub fn alert(&mut self, source: &str, id: &str) -> Result<Option<Alert>> {
        self.listen()?;
        Ok(self.table.alert(source, id))
    }

    /// Waits until an alert is raised, or is not.
    ///
    /// # Errors
    /// It stays otherwise, or a datagram is none of Mauve's.
    pub fn wait(&mut self, source: &str, id: &str, raised: bool, at_most: Duration) -> Result<Alert> {
        let what = format!("{id} of {source} is {}", if raised { "raised" } else { "cleared" });
        wait_for(&what, at_most, || {
            let alert = self.alert(source, id)?;
            Ok(match alert {
                Some(alert) if alert.raised.is_some() == raised => Ok(alert),
                _ => Err(format!("{:?}", self.table.alerts)),
            })
        })
    }

    /// Takes in what has arrived, and does what is due.
    fn listen(&mut self) -> Result<()> {
        let mut datagram = vec![0; RECEIVED_MAX];
        // Nothing has arrived: the socket does not block.
        while let Ok(length) = self.socket.recv(&mut datagram) {
            self.table.receive(&datagram[..length], now())?;
        }
        self.table.pass(now());
        Ok(())
    }
}

impl Table {
    /// The alert of a source and id, if it was ever told of.
    #[must_use]
    pub fn alert(&self, source: &str, id: &str) -> Option<Alert> {
        self.alerts.get(&(source.to_owned(), id.to_owned())).cloned()
    }

    /// Takes a datagram in that arrived then, in Unix seconds.
    ///
    /// # Errors
    /// It is none of Mauve's.
    pub fn receive(&mut self, datagram: &[u8], then: u64) -> Result<()> {
        let update = AlertUpdate::decode(datagram).context("a datagram is none of Mauve's")?;
        self.pass(then);
        self.take(&update, then);
        Ok(())
    }

    fn take(&mut self, update: &AlertUpdate, now: u64) {
        if !self.seen.insert(update.transmission_id) {
            return;
        }
        let sent = update.transmission_time.map_or(now, NonZeroU64::get);
        let here = |time: NonZeroU64| (time.get() + now).saturating_sub(sent);
        let source = update.source.to_string();
        let mut mentioned = BTreeSet::new();
        for told in &update.alerts {
            let key = (source.clone(), told.id.to_string());
            mentioned.insert(key.clone());
            let alert = self.alerts.entry(key).or_default();
            let clear = told.clear_time.map(here);
            let raise = told.raise_time.map(here).or_else(|| clear.is_none().then_some(now));
            // What is raised and cleared in one is cleared: clearing is looked at last.
            if let Some(time) = raise {
                if time <= now + TOLERANCE {
                    alert.raised = alert.raised.or(Some(time));
                    alert.will_raise = None;
                } else {
                    alert.raised = None;
                    alert.will_raise = Some(time);
                }
            } else {
                (alert.raised, alert.will_raise) = (None, None);
            }
            if let Some(time) = clear {
                if time <= now + TOLERANCE {
                    alert.raised = None;
                    alert.will_clear = None;
                } else {
                    alert.will_clear = Some(time);
                }
            } else {
                alert.will_clear = None;
            }
            for (known, said) in [
                (&mut alert.subject, &told.subject),
                (&mut alert.summary, &told.summary),
                (&mut alert.detail, &told.detail),
            ] {
                if !said.to_string().is_empty() {
                    *known = said.to_string();
                }
            }
        }
        if update.replace {
            let others =
                self.alerts.iter_mut().filter(|(key, _)| key.0 == source && !mentioned.contains(*key));
            others.for_each(|(_, alert)| alert.raised = None);
        }
    }

    /// Does what is due then.
    pub fn pass(&mut self, now: u64) {
        for alert in self.alerts.values_mut() {
            if alert.will_raise.is_some_and(|time| time <= now) {
                alert.raised = alert.will_raise.take();
            }
            if alert.will_clear.is_some_and(|time| time <= now) {
                alert.will_clear = None;
                alert.raised = None;
            }
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests {
    use mauve::Alert as Told;

    use super::*;

    fn told(id: &str, raise: u64, clear: u64) -> Told {
        Told {
            id: id.into(),
            raise_time: NonZeroU64::new(raise),
            clear_time: NonZeroU64::new(clear),
            ..Told::default()
        }
    }

    fn update(number: u64, replace: bool, alerts: Vec<Told>) -> AlertUpdate {
        AlertUpdate {
            transmission_id: number,
            source: "s".into(),
            replace,
            alerts,
            signature: Vec::new(),
            // The sender's clock is a hundred seconds behind.
            transmission_time: NonZeroU64::new(900),
        }
    }

    fn raised(station: &Table, id: &str) -> Option<u64> {
        station.alerts[&("s".to_owned(), id.to_owned())].raised
    }

    #[test]
    fn alerts_are_kept_as_mauve_keeps_them() {
        let mut station = Table::default();
        station
            .take(&update(1, false, vec![told("a", 900, 0), told("b", 0, 0), told("beat", 910, 900)]), 1000);
        assert_eq!((raised(&station, "a"), raised(&station, "b")), (Some(1000), Some(1000)));
        assert_eq!(raised(&station, "beat"), None);
        // The same datagram once more, and a repetition that does not move the beginning.
        station.take(&update(1, false, vec![told("a", 0, 900)]), 1001);
        station.take(&update(2, false, vec![told("a", 901, 0)]), 1001);
        assert_eq!(raised(&station, "a"), Some(1000));
        station.pass(1009);
        assert_eq!(raised(&station, "beat"), None);
        station.pass(1010);
        assert_eq!(raised(&station, "beat"), Some(1010), "it was not heard from");
        station.take(&update(3, true, vec![told("b", 900, 0)]), 1000);
        assert_eq!((raised(&station, "a"), raised(&station, "b")), (None, Some(1000)));
    }
}
