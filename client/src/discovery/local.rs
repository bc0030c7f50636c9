//! The local network, by multicast DNS: who announces a server (DNS-SD, RFC 6763), and what is the address of a name
//! below `local`.
//!
//! Both are questions that are asked once, in seconds; nothing of ours listens to the network afterwards. It is asked
//! directly and not through avahi-daemon or the C library, because hosts without either shall find their server, and
//! because nss-mdns leaves IPv6 out in its usual form (`mdns4_minimal`).

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

use mdns_sd::{HostnameResolutionEvent, IfKind, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent};
use monitoring_info::announcement::{DOMAIN, FINGERPRINT, SERVICE};
use monitoring_info::server_address::ServerAddress;

use super::{ADDRESSES_MAX, Found, Source, shown};

/// How long the network is listened to. Queries go out at once and after one second; an answer that more than one
/// machine could give waits up to 120 ms (RFC 6762, section 6).
const BROWSE: Duration = Duration::from_millis(2500);
/// How long a name is asked for, with queries at once and after one and three seconds. As long as the C library waits for
/// a name server (resolv.conf(5), `timeout`): whoever asks for a name knows that it exists, and the one machine that can
/// answer may be busy.
const RESOLVE: Duration = Duration::from_secs(5);
/// How long further addresses of a name are waited for, once there is one.
const MORE: Duration = Duration::from_millis(200);
/// How long the last word may take.
const GOODBYE: Duration = Duration::from_millis(500);
/// The most announcements that are looked at, so that whoever floods the network fills no memory.
const HEARD_MAX: usize = 256;

/// Who announces a server. A network that cannot be asked has none.
#[must_use]
pub fn browse() -> Vec<Found> {
    let until = Instant::now() + BROWSE;
    let service = format!("{SERVICE}.{DOMAIN}.");
    let mut heard: BTreeMap<String, Found> = BTreeMap::new();
    let Some(daemon) = ask() else { return Vec::new() };
    if let Ok(events) = daemon.browse(&service) {
        while let Ok(event) = events.recv_deadline(until) {
            match event {
                ServiceEvent::ServiceResolved(resolved) if heard.len() < HEARD_MAX => {
                    let instance = resolved.get_fullname().strip_suffix(&format!(".{service}"));
                    if let Some(found) = found(&unescaped(instance.unwrap_or_default()), &resolved) {
                        heard.insert(resolved.get_fullname().to_owned(), found);
                    }
                }
                ServiceEvent::ServiceRemoved(_, fullname) => drop(heard.remove(&fullname)),
                _ => {}
            }
        }
    }
    end(&daemon);
    heard.into_values().collect()
}

/// The addresses of a name below `local`, those that work without an interface first.
#[must_use]
pub fn resolve(host: &str, port: u16) -> Vec<SocketAddr> {
    let mut until = Instant::now() + RESOLVE;
    let mut found: HashSet<SocketAddr> = HashSet::new();
    let Some(daemon) = ask() else { return Vec::new() };
    if let Ok(events) = daemon.resolve_hostname(&format!("{}.", host.trim_end_matches('.')), None) {
        while let Ok(event) = events.recv_deadline(until) {
            if let HostnameResolutionEvent::AddressesFound(_, addresses) = event {
                let usable = addresses.iter().filter(|address| is_usable(address.to_ip_addr()));
                found.extend(usable.take(ADDRESSES_MAX).map(|address| with_port(address, port)));
                until = until.min(Instant::now() + MORE);
            }
        }
    }
    end(&daemon);
    let mut found: Vec<SocketAddr> = found.into_iter().collect();
    found.sort_by_key(|address| (is_link_local(address.ip()), *address));
    found.truncate(ADDRESSES_MAX);
    found
}

/// Whether a name is one that multicast DNS answers for (RFC 6762, section 3).
#[must_use]
pub fn is_local(host: &str) -> bool {
    host.trim_end_matches('.').strip_suffix(DOMAIN).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

fn ask() -> Option<ServiceDaemon> {
    let daemon = ServiceDaemon::new().ok()?;
    daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6]).ok()?;
    Some(daemon)
}

fn end(daemon: &ServiceDaemon) {
    // It ends with this process in any case.
    drop(daemon.shutdown().map(|ended| ended.recv_timeout(GOODBYE)));
}

/// What is believed for the moment of an announcement: something that one could connect to.
fn found(instance: &str, resolved: &ResolvedService) -> Option<Found> {
    let host = resolved.get_hostname().trim_end_matches('.');
    // A name elsewhere would send those who choose it out into the internet.
    if !is_local(host) || resolved.get_port() == 0 {
        return None;
    }
    let server: ServerAddress = format!("{host}:{}", resolved.get_port()).parse().ok()?;
    let mut addresses: Vec<&ScopedIp> =
        resolved.get_addresses().iter().filter(|address| is_usable(address.to_ip_addr())).collect();
    addresses.sort_by_key(|address| (is_link_local(address.to_ip_addr()), address.to_ip_addr()));
    if addresses.is_empty() {
        return None;
    }
    Some(Found {
        name: shown(instance),
        server,
        addresses: addresses.iter().take(ADDRESSES_MAX).map(|address| written(address)).collect(),
        fingerprint: resolved.get_property_val_str(FINGERPRINT).and_then(|print| print.parse().ok()),
        source: Source::Mdns,
    })
}

/// The address as one can hand it to any program.
fn written(address: &ScopedIp) -> String {
    match address {
        ScopedIp::V6(v6) if v6.addr().is_unicast_link_local() && !v6.scope_id().name.is_empty() => {
            format!("{}%{}", v6.addr(), v6.scope_id().name)
        }
        other => other.to_ip_addr().to_string(),
    }
}

fn with_port(address: &ScopedIp, port: u16) -> SocketAddr {
    match address {
        ScopedIp::V6(v6) if v6.addr().is_unicast_link_local() => {
            SocketAddrV6::new(*v6.addr(), port, 0, v6.scope_id().index).into()
        }
        other => SocketAddr::new(other.to_ip_addr(), port),
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// Addresses that are nobody's on the network, or everybody's, lead to no server.
fn is_usable(address: IpAddr) -> bool {
    !(address.is_loopback() || address.is_unspecified() || address.is_multicast())
        && address != IpAddr::from([255, 255, 255, 255])
}

/// The text of a label as names are written (RFC 1035, section 5.1): `\.` is a dot, `\032` a blank.
fn unescaped(label: &str) -> String {
    let mut rest = label.as_bytes();
    let mut text = Vec::with_capacity(rest.len());
    while let [first, behind @ ..] = rest {
        let number = behind.get(..3).and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u8>().ok());
        let (byte, after) = match (first, behind, number) {
            (b'\\', [_, _, _, after @ ..], Some(byte)) => (byte, after),
            (b'\\', [byte, after @ ..], None) => (*byte, after),
            _ => (*first, behind),
        };
        text.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_local_by_their_last_label() {
        for host in ["a.local", "a.b.local", "a.local."] {
            assert!(is_local(host), "{host}");
        }
        for host in ["local", ".local", "a.notlocal", "local.example", "192.0.2.1", ""] {
            assert!(!is_local(host), "{host}");
        }
    }

    #[test]
    fn labels_are_read_as_they_are_written() {
        assert_eq!(unescaped(r"monitor\.example\.org"), "monitor.example.org");
        assert_eq!(unescaped(r"a\032b\\c"), r"a b\c");
        assert_eq!(unescaped(r"\195\164"), "ä");
        assert_eq!(unescaped(r"end\"), r"end\");
        assert_eq!(unescaped(r"\999"), "999");
    }
}
