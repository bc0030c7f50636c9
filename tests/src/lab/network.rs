//! The addresses and names of a lab.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The domain of all machines (RFC 6761 section 6.5: it is nobody's).
pub(super) const DOMAIN: &str = "lab.example";

/// What the machines of a lab reach each other by. Nothing leads out of it: there is no router and no resolver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    /// IPv4 and IPv6.
    #[default]
    Dual,
    /// IPv4 alone, apart from the link-local addresses that Linux gives every interface.
    Ipv4,
    /// IPv6 alone.
    Ipv6,
}

impl Network {
    /// The addresses of a machine by its number, from 1 to 254: of the networks that are for documentation (RFC 5737,
    /// RFC 3849), so that no machine can mistake another network for the lab's.
    #[must_use]
    pub fn addresses(self, number: u8) -> Vec<IpAddr> {
        let four = IpAddr::V4(Ipv4Addr::new(192, 0, 2, number));
        let six = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()));
        match self {
            Self::Dual => vec![four, six],
            Self::Ipv4 => vec![four],
            Self::Ipv6 => vec![six],
        }
    }

    /// A machine's `systemd.network` file. Without the detection of duplicate addresses, which takes a second or two.
    pub(super) fn configuration(self, number: u8) -> String {
        let mut text =
            "[Match]\nName=host0\n\n[Network]\nDHCP=no\nIPv6AcceptRA=no\nLLMNR=no\nMulticastDNS=no\n\
                        LinkLocalAddressing=ipv6\nIPv6DuplicateAddressDetection=0\n"
                .to_owned();
        for address in self.addresses(number) {
            let length = if address.is_ipv4() { 24 } else { 64 };
            // Writing to a String cannot fail.
            let _ = write!(text, "\n[Address]\nAddress={address}/{length}\nDuplicateAddressDetection=none\n");
        }
        text
    }

    /// `/etc/hosts` of every machine, from the short names and numbers of all.
    pub(super) fn hosts(self, machines: &[(String, u8)]) -> String {
        let mut text = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n".to_owned();
        for (name, number) in machines {
            for address in self.addresses(*number) {
                let _ = writeln!(text, "{address} {name}.{DOMAIN} {name}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_knows_all_by_name() {
        let machines = [("a".to_owned(), 1), ("b".to_owned(), 2)];
        assert_eq!(
            Network::Dual.hosts(&machines),
            "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n\
             192.0.2.1 a.lab.example a\n2001:db8::1 a.lab.example a\n\
             192.0.2.2 b.lab.example b\n2001:db8::2 b.lab.example b\n"
        );
        assert!(!Network::Ipv6.hosts(&machines).contains("192.0.2."));
    }
}
