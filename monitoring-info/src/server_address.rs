//! Where a monitoring server is: `[USER@]HOST[:PORT]`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::host::{HOST_NAME_MAX, quoted};
use crate::registration::{PORT, USER};

/// The address of a monitoring server's endpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerAddress {
    /// The user of the endpoint.
    pub user: String,
    /// A name or an address, an IPv6 address without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// Why a text is no address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

/// What would be right, for messages.
pub const FORM: &str = "write [USER@]HOST[:PORT], an IPv6 address in brackets, like `monitor.example.org` or `[2001:db8::1]:2929`";

impl FromStr for ServerAddress {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text, PORT)
    }
}

impl ServerAddress {
    /// Reads an address; `default_port` is the one where none is given.
    ///
    /// # Errors
    /// The text is no address of a server.
    pub fn parse(text: &str, default_port: u16) -> Result<Self, Invalid> {
        let invalid = |what: &str| Invalid(format!("{} is no address of a server: {what}", quoted(text)));
        if text.contains("://") {
            return Err(invalid("it is a URL, and the host's name alone is wanted"));
        }
        let (user, place) = text.split_once('@').unwrap_or((USER, text));
        if user.is_empty() || !user.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
            return Err(invalid("its user is no user's name"));
        }
        let (host, port) = if let Some(bracketed) = place.strip_prefix('[') {
            let (host, rest) = bracketed.split_once(']').ok_or_else(|| invalid("the `]` is missing"))?;
            if !is_ipv6(host) {
                return Err(invalid("no IPv6 address stands in the brackets"));
            }
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(invalid("something stands behind the `]`")),
            }
        } else if is_ipv6(place) {
            (place, None)
        } else {
            place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port)))
        };
        let named = host.len() <= HOST_NAME_MAX
            && !host.starts_with(['-', '.'])
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if host.is_empty() || !(named || is_ipv6(host)) {
            return Err(invalid("its host is neither a name nor an address"));
        }
        let port = match port {
            None => default_port,
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| invalid("its port is not one of 1 to 65535"))?,
        };
        Ok(Self { user: user.to_owned(), host: host.to_ascii_lowercase(), port })
    }
}

/// An IPv6 address, for a link-local one with its interface (RFC 4007, section 11).
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "-"));
    let zone_sound =
        !zone.is_empty() && zone.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    address.parse::<Ipv6Addr>().is_ok() && zone_sound
}

impl ServerAddress {
    /// `HOST:PORT`, an IPv6 address in brackets: what a pinned key belongs to.
    #[must_use]
    pub fn host_and_port(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The address, where no name has to be looked up.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// The short form, which leaves out what is usual.
impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.user != USER {
            write!(f, "{}@", self.user)?;
        }
        match (self.host.contains(':'), self.port == PORT) {
            (true, true) => write!(f, "[{}]", self.host),
            (false, true) => f.write_str(&self.host),
            (_, false) => f.write_str(&self.host_and_port()),
        }
    }
}

impl Serialize for ServerAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ServerAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_reads_back() {
        for (text, host, port, user, short) in [
            ("Monitor.example.org", "monitor.example.org", 2929, "auto-monitor", "monitor.example.org"),
            ("root@127.0.0.1:22", "127.0.0.1", 22, "root", "root@127.0.0.1:22"),
            ("[2001:db8::1]:2930", "2001:db8::1", 2930, "auto-monitor", "[2001:db8::1]:2930"),
            ("2001:db8::1", "2001:db8::1", 2929, "auto-monitor", "[2001:db8::1]"),
            ("[fe80::1%eth0]", "fe80::1%eth0", 2929, "auto-monitor", "[fe80::1%eth0]"),
        ] {
            let address: ServerAddress = text.parse().unwrap();
            assert_eq!((address.host.as_str(), address.port, address.user.as_str()), (host, port, user));
            assert_eq!(address.to_string(), short);
            assert_eq!(short.parse::<ServerAddress>().unwrap(), address);
        }
    }

    #[test]
    fn a_url_is_called_one() {
        let error = "https://monitor.example.org/".parse::<ServerAddress>().unwrap_err();
        assert!(error.to_string().ends_with("it is a URL, and the host's name alone is wanted"), "{error}");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "@a",
            "a:",
            "a:0",
            "a:x",
            "a b",
            "[::1",
            "[a]",
            "[::1]x",
            "-oProxyCommand=x",
            "a/b",
            "a;b",
            "%",
            "a:1:2",
        ] {
            assert!(bad.parse::<ServerAddress>().is_err(), "{bad}");
        }
    }
}
