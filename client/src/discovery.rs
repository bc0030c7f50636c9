//! Where a monitoring server may be, when nobody has said so: asked of the [local network](local) first, of the
//! organisation's [DNS](domain) then.
//!
//! Either answer is a hint where to look and never a reason to trust: whoever is on the network can announce anything, as
//! often as it likes. So what is found is bounded and made printable, a person compares the fingerprint, and unattended
//! only a server that [something said before](Search::unattended) can be meant by is taken.

use monitoring_info::announcement::LABEL_MAX;
use monitoring_info::fingerprint::Fingerprint;
use monitoring_info::server_address::ServerAddress;
use serde::{Deserialize, Serialize};

use crate::configuration::Configuration;
use crate::root::Root;
use crate::screen::printable;

pub mod domain;
pub mod local;

/// The most servers that are shown or remembered.
pub const FOUND_MAX: usize = 16;
/// The most addresses of a server that are shown or remembered.
pub const ADDRESSES_MAX: usize = 8;

/// A server that was found; not a word of it is proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What it calls itself.
    pub name: String,
    /// Where it is.
    pub server: ServerAddress,
    /// The addresses that it has announced; a link-local one of IPv6 with its interface (RFC 4007, section 11).
    pub addresses: Vec<String>,
    /// The fingerprint of the key that it says that it has.
    pub fingerprint: Option<Fingerprint>,
    /// Who says all this.
    pub source: Source,
}

/// Who says where a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Somebody on the local network, by multicast DNS.
    Mdns,
    /// The name servers of this host.
    Dns,
}

/// What a search has found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Search {
    /// The servers, in the order of their names.
    pub servers: Vec<Found>,
    /// How many more there were than can be shown.
    pub left_out: usize,
}

/// Looks for servers. Takes up to three seconds, and as long again where the name servers do not answer.
///
/// Those that announce the key that `said` names, or that `client.conf` does, come first: however many others are
/// announced, they are not what is left out. (Whoever repeats that very key under many names can still push it out.)
#[must_use]
pub fn look(root: &Root, configuration: &Configuration, said: Option<&ssh_key::Fingerprint>) -> Search {
    let found = local::browse();
    let found = if found.is_empty() { domain::ask(root, configuration) } else { found };
    Search::of(found, |found| known(found, configuration, said).is_some_and(|print| found.announces(&print)))
}

/// What somebody has said that the key of this server is.
fn known(
    found: &Found,
    configuration: &Configuration,
    said: Option<&ssh_key::Fingerprint>,
) -> Option<ssh_key::Fingerprint> {
    said.or_else(|| configuration.fingerprint(&found.server)).copied()
}

impl Search {
    fn of(mut servers: Vec<Found>, is_meant: impl Fn(&Found) -> bool) -> Self {
        let rank = |found: &Found| (!is_meant(found), found.name.clone(), found.server.clone());
        servers.sort_by_cached_key(rank);
        servers.dedup_by(|one, other| one.server == other.server);
        let left_out = servers.len().saturating_sub(FOUND_MAX);
        servers.truncate(FOUND_MAX);
        Self { servers, left_out }
    }

    /// The servers that may be tried while nobody attends, until one has the key that it announces.
    ///
    /// A fingerprint in `client.conf` (or `said` with the command) means those that announce just that one, however many
    /// others are announced: only one of them can prove to have the key, and anybody can repeat what it announces. DNS does
    /// not say what key a server has; the only one that it names is tried, and turned away if it has another. Without a
    /// fingerprint, `trust-on-first-use` means the only server that there is; of two, none.
    #[must_use]
    pub fn unattended(
        &self,
        configuration: &Configuration,
        said: Option<&ssh_key::Fingerprint>,
    ) -> Vec<Found> {
        let known = |found: &Found| known(found, configuration, said);
        let meant: Vec<Found> = self
            .servers
            .iter()
            .filter(|found| known(found).is_some_and(|print| found.announces(&print)))
            .cloned()
            .collect();
        match (self.servers.as_slice(), self.left_out) {
            _ if !meant.is_empty() => meant,
            ([one], 0) => {
                let may = match known(one) {
                    Some(_) => one.fingerprint.is_none(),
                    None => configuration.trust_on_first_use,
                };
                if may { vec![one.clone()] } else { Vec::new() }
            }
            _ => Vec::new(),
        }
    }
}

impl Found {
    /// Whether it says that it has the key of this fingerprint.
    #[must_use]
    pub fn announces(&self, fingerprint: &ssh_key::Fingerprint) -> bool {
        self.fingerprint.is_some_and(|announced| announced.to_string() == fingerprint.to_string())
    }

    /// One line for people and for a journal.
    #[must_use]
    pub fn line(&self) -> String {
        let key = self.fingerprint.map(|print| format!(", which says that its key is {print}"));
        format!("{} at {}{}", self.name, self.server, key.unwrap_or_default())
    }
}

/// A name from the network as it can be shown: printable, and no longer than a label can be.
fn shown(name: &str) -> String {
    let name: String = printable(name).replace('\n', "\u{fffd}").chars().take(LABEL_MAX).collect();
    if name.trim().is_empty() { "(a server without a name)".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTS: [&str; 2] = [
        "SHA256:q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
        "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ];

    fn found(host: &str, print: Option<usize>) -> Found {
        Found {
            name: host.to_owned(),
            server: host.parse().unwrap(),
            addresses: vec!["192.0.2.1".to_owned()],
            fingerprint: print.map(|at| PRINTS[at].parse().unwrap()),
            source: if print.is_some() { Source::Mdns } else { Source::Dns },
        }
    }

    fn tried(servers: &[Found], configuration: &Configuration) -> Vec<String> {
        let meant =
            |found: &Found| known(found, configuration, None).is_some_and(|print| found.announces(&print));
        let search = Search::of(servers.to_vec(), meant);
        search.unattended(configuration, None).iter().map(|found| found.server.to_string()).collect()
    }

    fn saying(host: Option<&str>, trust_on_first_use: bool) -> Configuration {
        Configuration {
            fingerprints: vec![(host.map(str::to_owned), PRINTS[0].parse().unwrap())],
            trust_on_first_use,
            ..Configuration::default()
        }
    }

    #[test]
    fn nothing_is_taken_on_the_network_s_word() {
        let nothing = Configuration::default();
        assert!(tried(&[], &nothing).is_empty());
        assert!(tried(&[found("a.local", Some(0))], &nothing).is_empty());
        assert!(tried(&[found("a.example", None)], &nothing).is_empty());
    }

    #[test]
    fn on_first_use_the_only_one_is_taken_and_of_two_none() {
        let first = Configuration { trust_on_first_use: true, ..Configuration::default() };
        let (a, b) = (found("a.local", Some(0)), found("b.local", Some(1)));
        assert_eq!(tried(std::slice::from_ref(&a), &first), ["a.local"]);
        assert!(tried(&[a.clone(), b], &first).is_empty());
        let many: Vec<Found> = (0..99).map(|n| found(&format!("h{n}.local"), Some(0))).collect();
        let search = Search::of(many.clone(), |_| false);
        assert_eq!((search.servers.len(), search.left_out), (FOUND_MAX, 99 - FOUND_MAX));
        assert!(tried(&many, &first).is_empty());
    }

    #[test]
    fn a_known_fingerprint_means_those_that_announce_it_whatever_else_is_announced() {
        let (a, b, c) = (found("a.local", Some(0)), found("b.local", Some(1)), found("c.local", Some(0)));
        for configuration in [saying(None, false), saying(None, true), saying(Some("a.local"), false)] {
            assert_eq!(tried(&[a.clone(), b.clone()], &configuration), ["a.local"]);
            assert!(tried(&[found("a.local", Some(1))], &configuration).is_empty(), "{configuration:?}");
        }
        assert_eq!(tried(&[a.clone(), b.clone(), c.clone()], &saying(None, false)), ["a.local", "c.local"]);
        assert_eq!(tried(&[found("d.example", None)], &saying(None, false)), ["d.example"]);
        assert!(tried(&[a], &saying(Some("b.local"), false)).is_empty());

        let mut flood: Vec<Found> = (0..99).map(|n| found(&format!("a{n}.local"), Some(1))).collect();
        flood.push(c);
        assert_eq!(tried(&flood, &saying(None, false)), ["c.local"]);
    }

    #[test]
    fn what_a_server_calls_itself_moves_no_cursor_and_fills_no_screen() {
        assert_eq!(shown("a\u{1b}[2J\nb"), "a\u{fffd}[2J\u{fffd}b");
        assert_eq!(shown(&"ä".repeat(1000)).chars().count(), LABEL_MAX);
        assert_eq!(shown(" "), "(a server without a name)");
    }
}
