//! From destinations to addresses, and never for long.
//!
//! An address needs nothing, so most calls start no thread and ask nobody. A name without a port is asked for by SRV
//! (RFC 2782), at every domain that the host searches if it has no dot; each target, or else the name itself, is the C
//! library's to resolve, since it alone knows `/etc/hosts`, mDNS and whatever else this host is set up for. That it may
//! take half a minute, and cannot be interrupted, is why each name has a thread: whoever is not back at the deadline is
//! left behind, and no name holds another one up.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use srv::{Resolver, Target};

use crate::destination::Destination;
use crate::update::PORT;

/// The service's name in DNS.
pub const SERVICE: &str = "_mauvealert._udp";
/// How long names may take, all of them together.
pub const ALL: Duration = Duration::from_secs(5);
/// Of how many targets of a name the addresses are asked for: an answer of DNS can name thousands.
const TARGETS_MAX: usize = 16;
/// How much of that the SRV records of one name may take, so that time is left for the name itself.
const RECORDS: Duration = Duration::from_secs(3);

/// Addresses of the destination of this place in the list, or why there are none. A name with several targets has several.
type Found = (usize, io::Result<Vec<SocketAddr>>);

/// Finds the addresses of all destinations, and tells `found` of each as soon as it is known.
pub fn each(
    destinations: &[Destination],
    root: &Path,
    mut found: impl FnMut(usize, io::Result<Vec<SocketAddr>>),
) {
    let until = Instant::now() + ALL;
    let (sender, receiver) = mpsc::channel();
    let mut resolver = None;
    let mut awaited = Vec::new();
    for (place, destination) in destinations.iter().enumerate() {
        match destination {
            Destination::Address(address) => found(place, Ok(vec![*address])),
            Destination::Host { name, port } => {
                let resolver = Arc::clone(resolver.get_or_insert_with(|| Arc::new(system_resolver(root))));
                let (name, port) = (name.clone(), *port);
                awaited.push(place);
                apart(place, &sender, move |sender| of_name(place, &name, port, &resolver, sender));
            }
        }
    }
    drop(sender);
    while let Ok((place, addresses)) = receiver.recv_timeout(until.saturating_duration_since(Instant::now()))
    {
        awaited.retain(|one| *one != place);
        found(place, addresses);
    }
    for place in awaited {
        let sentence = format!("no name server answered within {} s", ALL.as_secs());
        found(place, Err(io::Error::new(io::ErrorKind::TimedOut, sentence)));
    }
}

/// Does this in a thread of its own. What it sends when nobody waits any more is lost.
fn apart(place: usize, sender: &Sender<Found>, work: impl FnOnce(&Sender<Found>) + Send + 'static) {
    let own = sender.clone();
    if let Err(error) = std::thread::Builder::new().spawn(move || work(&own)) {
        let _ = sender.send((place, Err(error)));
    }
}

fn system_resolver(root: &Path) -> Resolver {
    // Unreadable as for the C library: then this machine itself is asked.
    let configuration =
        std::fs::read_to_string(root.join(srv::CONFIGURATION.trim_start_matches('/'))).unwrap_or_default();
    Resolver::parse(&configuration)
}

fn of_name(place: usize, name: &str, port: Option<u16>, resolver: &Resolver, sender: &Sender<Found>) {
    let targets = match port {
        Some(_) => Vec::new(),
        None => targets(name, resolver),
    };
    if targets.is_empty() {
        let _ = sender.send((place, addresses(name, port.unwrap_or(PORT))));
    }
    for Target { host, port } in targets.into_iter().take(TARGETS_MAX) {
        apart(place, sender, move |sender| {
            let _ = sender.send((place, addresses(&host, port)));
        });
    }
}

/// Where DNS says that the stations of this name are.
fn targets(name: &str, resolver: &Resolver) -> Vec<Target> {
    let until = Instant::now() + RECORDS;
    names(name, resolver)
        .iter()
        .find_map(|name| resolver.targets(name, until).ok().filter(|targets| !targets.is_empty()))
        .unwrap_or_default()
}

/// The names that may have SRV records, the first that has any counts.
fn names(name: &str, resolver: &Resolver) -> Vec<String> {
    let relative = name.trim_end_matches('.');
    // That is this machine, whatever anybody says (RFC 6761, section 6.3).
    if relative == "localhost" || relative.ends_with(".localhost") {
        return Vec::new();
    }
    // As the original has it: who names a service means it.
    let asked = if name.starts_with('_') { name.to_owned() } else { format!("{SERVICE}.{name}") };
    let searched = if name.contains('.') { &[][..] } else { resolver.search() };
    let within = searched.iter().map(|domain| format!("{asked}.{domain}"));
    within.chain([asked.clone()]).collect()
}

fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    // A target of `.` (RFC 2782).
    if host.is_empty() {
        return Err(io::Error::other("DNS says by SRV that it has no station"));
    }
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    if addresses.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_dot_is_searched_for() {
        let resolver = Resolver::parse("search example.org example.net\n");
        assert_eq!(names("mauve.example.com", &resolver), ["_mauvealert._udp.mauve.example.com"]);
        assert_eq!(
            names("mauve", &resolver),
            [
                "_mauvealert._udp.mauve.example.org",
                "_mauvealert._udp.mauve.example.net",
                "_mauvealert._udp.mauve"
            ]
        );
        assert_eq!(names("mauve.", &resolver), ["_mauvealert._udp.mauve."]);
        assert_eq!(names("_alerts._udp.example.org", &resolver), ["_alerts._udp.example.org"]);
        assert!(names("localhost", &resolver).is_empty());
        assert!(names("a.localhost.", &resolver).is_empty());
    }

    #[test]
    fn addresses_need_neither_a_thread_nor_a_file() {
        let addresses =
            ["192.0.2.1:1", "[2001:db8::1]:2"].map(|address| address.parse::<SocketAddr>().unwrap());
        let mut heard = Vec::new();
        each(&addresses.map(Destination::Address), Path::new("/nonexistent"), |place, found| {
            heard.push((place, found.unwrap()));
        });
        assert_eq!(heard, [(0, vec![addresses[0]]), (1, vec![addresses[1]])]);
    }
}
