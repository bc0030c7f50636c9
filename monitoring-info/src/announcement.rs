//! What a server says of itself on the local network, by DNS-SD (RFC 6763) over multicast DNS (RFC 6762).
//!
//! Nobody vouches for a word of it: it says where a server may be, and which key it will show, so that a person can
//! compare, and so that a host to which somebody has told that key finds the server that has it.

use crate::fingerprint::Fingerprint;

/// The type of the service (RFC 6763, section 7).
pub const SERVICE: &str = "_auto-monitor._tcp";
/// The domain of what is announced by multicast DNS (RFC 6762, section 3).
pub const DOMAIN: &str = "local";

/// The version of the TXT record (RFC 6763, section 6.7): stands first.
pub const TXT_VERSION: (&str, &str) = ("txtvers", "1");
/// The key of the version of the wire ([`crate::registration::VERSION`]).
pub const WIRE_VERSION: &str = "version";
/// The key of the fingerprint of the endpoint's host key.
pub const FINGERPRINT: &str = "fingerprint";

/// The most bytes of one label of a name (RFC 1035, section 2.3.4).
pub const LABEL_MAX: usize = 63;

/// What the TXT record of a server holds, in its order.
#[must_use]
pub fn text(fingerprint: &Fingerprint) -> [(&'static str, String); 3] {
    [
        (TXT_VERSION.0, TXT_VERSION.1.to_owned()),
        (WIRE_VERSION, crate::registration::VERSION.to_string()),
        (FINGERPRINT, fingerprint.to_string()),
    ]
}

/// The host name that a server announces its addresses under: the first label of its name, and a mark that no other
/// machine has.
///
/// Not the machine's own name below `local`: an mDNS responder that already runs there has announced that with the
/// addresses that it has chosen, and others under the same name are a conflict (RFC 6762, section 9), in which one of
/// the two has to take another name. And not without a mark, because two machines that are called `debian` would be one.
#[must_use]
pub fn host(name: &str, mark: &str) -> String {
    let first = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let sound: String =
        first.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect();
    let sound = sound.trim_matches('-');
    let cut = &sound[..sound.len().min(LABEL_MAX - mark.len() - 1)];
    let label = format!("{}-{mark}", if cut.is_empty() { "auto-monitor" } else { cut });
    format!("{label}.{DOMAIN}")
}

/// The name of the instance, which people read: the server's whole name, cut to what a label holds, and the mark.
#[must_use]
pub fn instance(name: &str, mark: &str) -> String {
    let most = LABEL_MAX - mark.len() - 3;
    let end = (0..=name.len().min(most)).rev().find(|end| name.is_char_boundary(*end));
    format!("{} ({mark})", &name[..end.unwrap_or_default()])
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &str = "3f9c1a2b";

    #[test]
    fn the_host_is_one_label_whatever_the_machine_is_called() {
        assert_eq!(host("Monitor.example.org", MARK), "monitor-3f9c1a2b.local");
        assert_eq!(host("my_host", MARK), "my-host-3f9c1a2b.local");
        assert_eq!(host("", MARK), "auto-monitor-3f9c1a2b.local");
        assert_eq!(host(&"x".repeat(99), MARK).len(), LABEL_MAX + ".local".len());
    }

    #[test]
    fn the_instance_is_at_most_a_label() {
        assert_eq!(instance("monitor.example.org", MARK), "monitor.example.org (3f9c1a2b)");
        assert_eq!(instance(&"ä".repeat(40), MARK).len(), 52 + 11);
    }
}
