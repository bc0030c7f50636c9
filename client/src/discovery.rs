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
#[must_use]
pub fn look(root: &Root, configuration: &Configuration) -> Search {
    let found = local::browse();
    let found = if found.is_empty() { domain::ask(root, configuration) } else { found };
    Search::of(found)
}

impl Search {
    fn of(mut servers: Vec<Found>) -> Self {
        servers.sort_by(|one, other| (&one.name, &one.server).cmp(&(&other.name, &other.server)));
        servers.dedup_by(|one, other| one.server == other.server);
        let left_out = servers.len().saturating_sub(FOUND_MAX);
        servers.truncate(FOUND_MAX);
        Self { servers, left_out }
    }

    /// The server that may be enrolled with while nobody attends.
    ///
    /// A fingerprint in `client.conf` (or `said` with the command) means a server that announces just that one, however
    /// many others are announced: nobody else can prove to have that key. Of those that announce it there must be one,
    /// because which of them has it can only be tried. DNS does not say what key a server has; the only one that it names
    /// is tried, and turned away if it has another. Without a fingerprint, `trust-on-first-use` means the only server
    /// that there is; of two, none.
    #[must_use]
    pub fn unattended(
        &self,
        configuration: &Configuration,
        said: Option<&ssh_key::Fingerprint>,
    ) -> Option<&Found> {
        let known = |found: &Found| said.or_else(|| configuration.fingerprint(&found.server)).copied();
        let meant =
            self.servers.iter().filter(|found| known(found).is_some_and(|print| found.announces(&print)));
        match (meant.collect::<Vec<_>>().as_slice(), self.servers.as_slice(), self.left_out) {
            ([one], ..) => Some(one),
            ([], [one], 0) => {
                let may = match known(one) {
                    Some(_) => one.fingerprint.is_none(),
                    None => configuration.trust_on_first_use,
                };
                may.then_some(one)
            }
            _ => None,
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

    fn taken(servers: &[Found], configuration: &Configuration) -> Option<String> {
        let search = Search::of(servers.to_vec());
        search.unattended(configuration, None).map(|found| found.server.to_string())
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
        assert_eq!(taken(&[], &nothing), None);
        assert_eq!(taken(&[found("a.local", Some(0))], &nothing), None);
        assert_eq!(taken(&[found("a.example", None)], &nothing), None);
    }

    #[test]
    fn on_first_use_the_only_one_is_taken_and_of_two_none() {
        let first = Configuration { trust_on_first_use: true, ..Configuration::default() };
        let (a, b) = (found("a.local", Some(0)), found("b.local", Some(1)));
        assert_eq!(taken(std::slice::from_ref(&a), &first).as_deref(), Some("a.local"));
        assert_eq!(taken(&[a.clone(), b], &first), None);
        let many: Vec<Found> = (0..99).map(|n| found(&format!("h{n}.local"), Some(0))).collect();
        let search = Search::of(many.clone());
        assert_eq!((search.servers.len(), search.left_out), (FOUND_MAX, 99 - FOUND_MAX));
        assert_eq!(taken(&many, &first), None);
    }

    #[test]
    fn a_known_fingerprint_means_the_one_that_announces_it_whatever_else_is_announced() {
        let (a, b, c) = (found("a.local", Some(0)), found("b.local", Some(1)), found("c.local", Some(0)));
        for configuration in [saying(None, false), saying(None, true), saying(Some("a.local"), false)] {
            assert_eq!(taken(&[a.clone(), b.clone()], &configuration).as_deref(), Some("a.local"));
            assert_eq!(taken(&[found("a.local", Some(1))], &configuration), None, "{configuration:?}");
        }
        assert_eq!(taken(&[a.clone(), c], &saying(None, false)), None, "one of the two only says so");
        assert_eq!(taken(&[found("d.example", None)], &saying(None, false)).as_deref(), Some("d.example"));
        assert_eq!(taken(&[a], &saying(Some("b.local"), false)), None);
    }

    #[test]
    fn what_a_server_calls_itself_moves_no_cursor_and_fills_no_screen() {
        assert_eq!(shown("a\u{1b}[2J\nb"), "a\u{fffd}[2J\u{fffd}b");
        assert_eq!(shown(&"ä".repeat(1000)).chars().count(), LABEL_MAX);
        assert_eq!(shown(" "), "(a server without a name)");
    }
}
