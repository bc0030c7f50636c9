//! Which address of a host is probed.
//!
//! It is the one that the host connected from. A host may claim another, and gets it if the host's bound name resolves
//! to it: so a host cannot aim probes at somebody else, unless it can also change the organisation's DNS.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use monitoring_info::host::HostName;

/// How long a name may take to resolve.
const RESOLVE_TIME: Duration = Duration::from_secs(2);

/// The source address in sshd's `SSH_CONNECTION`: `ADDRESS PORT ADDRESS PORT`. IPv4 in its IPv6 form becomes IPv4
/// again, and the zone of a link-local address is dropped.
#[must_use]
pub fn peer(ssh_connection: &str) -> Option<IpAddr> {
    let address = ssh_connection.split(' ').next()?;
    let address = address.split('%').next()?;
    address.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// There was none, or it is the address connected from.
    None,
    /// The host's name resolves to it.
    Confirmed,
    /// The host's name resolves to other addresses.
    Refused,
    /// The host's name does not resolve just now. What held before, holds.
    Unresolved,
}

/// The address to probe, and what became of the claim.
#[must_use]
pub fn judge(
    peer: IpAddr,
    claimed: Option<IpAddr>,
    name: &HostName,
    before: Option<IpAddr>,
) -> (IpAddr, Claim) {
    judge_by(peer, claimed, before, || resolve(name))
}

fn judge_by(
    peer: IpAddr,
    claimed: Option<IpAddr>,
    before: Option<IpAddr>,
    resolve: impl FnOnce() -> Option<Vec<IpAddr>>,
) -> (IpAddr, Claim) {
    let Some(claimed) = claimed.map(|address| address.to_canonical()).filter(|claimed| *claimed != peer)
    else {
        return (peer, Claim::None);
    };
    match resolve() {
        Some(addresses) if addresses.contains(&claimed) => (claimed, Claim::Confirmed),
        Some(_) => (peer, Claim::Refused),
        // A resolver that is down for a minute must not move every probe.
        None if before == Some(claimed) => (claimed, Claim::Unresolved),
        None => (peer, Claim::Unresolved),
    }
}

/// The addresses of a name; none when it has none, or none in time.
fn resolve(name: &HostName) -> Option<Vec<IpAddr>> {
    let (sender, receiver) = mpsc::channel();
    let name = name.to_string();
    // getaddrinfo has no deadline of its own, so it gets a thread, which the end of the process ends.
    thread::spawn(move || {
        let addresses = (name.as_str(), 0).to_socket_addrs();
        // When nobody waits any more, there is nothing to tell.
        let _ = sender.send(addresses.map(|all| all.map(|one| one.ip().to_canonical()).collect()).ok());
    });
    receiver.recv_timeout(RESOLVE_TIME).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_is_read_in_every_form() {
        for (text, expected) in [
            ("192.0.2.1 40000 192.0.2.2 2929", Some("192.0.2.1")),
            ("::ffff:192.0.2.1 40000 ::1 2929", Some("192.0.2.1")),
            ("fe80::1%eth0 40000 fe80::2%eth0 2929", Some("fe80::1")),
            ("UNKNOWN 65535 UNKNOWN 65535", None),
            ("", None),
        ] {
            assert_eq!(peer(text), expected.map(|address| address.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_claim_holds_only_where_the_name_resolves_to_it() {
        let [peer, own, victim]: [IpAddr; 3] =
            ["192.0.2.1", "192.0.2.7", "198.51.100.1"].map(|address| address.parse().unwrap());
        let judge = |claimed, before, found: Option<&[IpAddr]>| {
            judge_by(peer, claimed, before, || found.map(<[IpAddr]>::to_vec))
        };
        assert_eq!(judge(None, None, None), (peer, Claim::None));
        assert_eq!(judge(Some(peer), None, None), (peer, Claim::None));
        assert_eq!(judge(Some(own), None, Some(&[peer, own])), (own, Claim::Confirmed));
        assert_eq!(judge(Some(victim), None, Some(&[own])), (peer, Claim::Refused));
        assert_eq!(judge(Some(victim), Some(victim), Some(&[own])), (peer, Claim::Refused));
        assert_eq!(judge(Some(own), Some(own), None), (own, Claim::Unresolved));
        assert_eq!(judge(Some(victim), Some(own), None), (peer, Claim::Unresolved));
    }
}
