//! Where alerts go: the forms of a destination, and the file that names those of a host.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::str::FromStr;

use crate::update::PORT;

/// The file that names this host's stations, below `--root`: words, between blanks and line ends.
pub const FILE: &str = "/etc/mauvealert/mauvesend.destination";
/// The most bytes that it may have.
const FILE_MAX: u64 = 64 * 1024;
/// The longest host name (RFC 1035, section 2.3.4).
const HOST_MAX: usize = 253;

/// A station, or several under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// An address.
    Address(SocketAddr),
    /// A name. Without a port, DNS may say by SRV where the stations are.
    Host {
        /// As it was written.
        name: String,
        /// The port, where one was said.
        port: Option<u16>,
    },
}

/// Why something is no destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The part behind the colon.
    #[error("`{0}` is no port: it is a number from 1 to 65535")]
    Port(String),
    /// Digits and dots.
    #[error("this is no IPv4 address")]
    Ipv4,
    /// Something in brackets.
    #[error("this is no IPv6 address in brackets, like [2001:db8::1] or [2001:db8::1]:{PORT}")]
    Ipv6,
    /// An IPv6 address that could be taken for a host and a port.
    #[error("an IPv6 address stands in brackets: [{0}]")]
    Bare(Ipv6Addr),
    /// Anything else.
    #[error("this is neither an address nor the name of a host")]
    Host,
}

impl FromStr for Destination {
    type Err = Fault;

    fn from_str(word: &str) -> Result<Self, Fault> {
        if let Some(rest) = word.strip_prefix('[') {
            let (address, rest) = rest.split_once(']').ok_or(Fault::Ipv6)?;
            let address: Ipv6Addr = address.parse().map_err(|_| Fault::Ipv6)?;
            let port = match rest.strip_prefix(':') {
                Some(port) => parse_port(port)?,
                None if rest.is_empty() => PORT,
                None => return Err(Fault::Ipv6),
            };
            return Ok(Self::Address((address, port).into()));
        }
        if let Ok(IpAddr::V6(address)) = word.parse() {
            return Err(Fault::Bare(address));
        }
        let (host, port) = match word.split_once(':') {
            Some((host, port)) => (host, Some(parse_port(port)?)),
            None => (word, None),
        };
        if let Ok(address) = host.parse::<Ipv4Addr>() {
            return Ok(Self::Address((address, port.unwrap_or(PORT)).into()));
        }
        // Else the C library would read it as an address of another form: 10.1 as 10.0.0.1.
        if host.contains(|letter: char| letter.is_ascii_digit())
            && host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        {
            return Err(Fault::Ipv4);
        }
        if is_host_name(host) { Ok(Self::Host { name: host.to_owned(), port }) } else { Err(Fault::Host) }
    }
}

fn parse_port(said: &str) -> Result<u16, Fault> {
    let digits = said.bytes().all(|byte| byte.is_ascii_digit());
    said.parse().ok().filter(|port| digits && *port > 0).ok_or_else(|| Fault::Port(said.to_owned()))
}

/// With `_`, by which names of services begin, and perhaps with a dot at its end.
fn is_host_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.len() <= HOST_MAX && host.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(letter)
}

/// The words of the file; none, where there is no file.
pub fn from_file(root: &Path) -> io::Result<Vec<String>> {
    let path = root.join(FILE.trim_start_matches('/'));
    let mut text = Vec::new();
    match File::open(&path) {
        Ok(file) => file.take(FILE_MAX + 1).read_to_end(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    if text.len() as u64 > FILE_MAX {
        return Err(io::Error::other(format!("it has more than {FILE_MAX} bytes")));
    }
    Ok(String::from_utf8_lossy(&text).split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: Option<u16>) -> Destination {
        Destination::Host { name: name.to_owned(), port }
    }

    #[test]
    fn every_form_is_understood() {
        for (word, address) in [
            ("192.0.2.1", "192.0.2.1:32741"),
            ("192.0.2.1:514", "192.0.2.1:514"),
            ("[2001:db8::1]", "[2001:db8::1]:32741"),
            ("[2001:DB8::1]:65535", "[2001:db8::1]:65535"),
            ("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.1]:1"),
        ] {
            assert_eq!(word.parse(), Ok(Destination::Address(address.parse().unwrap())), "{word}");
        }
        for (word, destination) in [
            ("mauve.example.org", host("mauve.example.org", None)),
            ("mauve", host("mauve", None)),
            ("mauve.example.org.", host("mauve.example.org.", None)),
            ("mauve.example.org:99", host("mauve.example.org", Some(99))),
            ("_alerts._udp.example.org", host("_alerts._udp.example.org", None)),
            ("3com.example", host("3com.example", None)),
            ("abc.de", host("abc.de", None)),
        ] {
            assert_eq!(word.parse(), Ok(destination), "{word}");
        }
    }

    #[test]
    fn every_other_form_is_refused() {
        let port = |port: &str| Fault::Port(port.to_owned());
        for (word, fault) in [
            ("192.0.2.1:", port("")),
            ("192.0.2.1:0", port("0")),
            ("192.0.2.1:65536", port("65536")),
            ("192.0.2.1:+80", port("+80")),
            ("mauve:http", port("http")),
            ("[::1]:-1", port("-1")),
            ("999.0.2.1", Fault::Ipv4),
            ("10.1", Fault::Ipv4),
            ("[192.0.2.1]", Fault::Ipv6),
            ("[::1", Fault::Ipv6),
            ("[::1]80", Fault::Ipv6),
            ("[fe80::1%eth0]", Fault::Ipv6),
            ("2001:db8::1", Fault::Bare("2001:db8::1".parse().unwrap())),
            ("::1", Fault::Bare("::1".parse().unwrap())),
            ("", Fault::Host),
            (".", Fault::Host),
            (":80", Fault::Host),
            ("a..b", Fault::Host),
            ("-5m", Fault::Host),
            ("a-.example", Fault::Host),
            ("a b", Fault::Host),
            ("mäuve.example", Fault::Host),
            ("mauve.example/x", Fault::Host),
            ("$(reboot)", Fault::Host),
        ] {
            assert_eq!(word.parse::<Destination>(), Err(fault), "{word}");
        }
        assert_eq!("a".repeat(254).parse::<Destination>(), Err(Fault::Host));
    }

    #[test]
    fn the_file_is_words() {
        let root = tempfile::tempdir().unwrap();
        assert!(from_file(root.path()).unwrap().is_empty(), "there is none");
        let path = root.path().join("etc/mauvealert/mauvesend.destination");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "\n one  192.0.2.1:99\n\n[::1]\t\n").unwrap();
        assert_eq!(from_file(root.path()).unwrap(), ["one", "192.0.2.1:99", "[::1]"]);
        std::fs::write(&path, "one ".repeat(20_000)).unwrap();
        assert_eq!(from_file(root.path()).unwrap_err().to_string(), "it has more than 65536 bytes");
    }
}
