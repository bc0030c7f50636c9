//! What a problem is called where an alert station is told of it.
//!
//! Two programs tell a station of the same problems: what the engine runs when it notifies somebody, and the server's
//! heartbeat, which says again what may have been lost. A station tells the alerts of a source apart by their ids alone, and
//! the engine is one source. So an id ends with the host, `host@HOST` or `svc:SERVICE@HOST`: else `svc:ssh` of two hosts
//! were one alert, raised by one and cleared by the other; and both programs have it from here.

use sha2::{Digest as _, Sha256};

use crate::fingerprint::hexadecimal;

/// The longest id that a station keeps, in characters.
pub const ID_MAX: usize = 256;
/// How much of what a plugin has printed is told, in characters. Nagios keeps 8 KiB; a datagram takes 64 KiB, and every
/// character may become six in HTML.
pub const OUTPUT_MAX: usize = 8 * 1024;

/// The part of an id before the host: which alert of that host's it is. No service: the one about the host itself.
#[must_use]
pub fn which(service: Option<&str>) -> String {
    service.map_or_else(|| "host".to_owned(), |service| format!("svc:{service}"))
}

/// The id of the alert about a service, or about the host itself.
///
/// It fits into the station's database, which has room for the names of all but very odd hosts. What does not fit ends with
/// a digest, so that it is still one alert's alone.
#[must_use]
pub fn id(host: &str, service: Option<&str>) -> String {
    let id = format!("{}@{host}", which(service));
    if id.chars().count() <= ID_MAX {
        return id;
    }
    let digest = hexadecimal(&Sha256::digest(&id));
    id.chars().take(ID_MAX - digest.len() - 1).chain(['~']).chain(digest.chars()).collect()
}

/// What stands on a pager. In it is nothing that changes from one time to the next.
#[must_use]
pub fn summary(service: Option<&str>, state: &str) -> String {
    format!("{} is {state}", service.unwrap_or("host"))
}

/// What stands below it: the state, and what the plugin has printed, its first line and what Nagios keeps of the further
/// ones, in which a line end is `\n` and a backslash `\\`.
#[must_use]
pub fn text(state: &str, output: &str, further: &str) -> String {
    let further = unescaped(further);
    let between = if further.is_empty() { "" } else { "\n" };
    let output: String =
        [output, between, &further].into_iter().flat_map(str::chars).take(OUTPUT_MAX).collect();
    format!("{state}: {output}")
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, characters.as_str().chars().next()) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('\\')) => out.push('\\'),
            _ => {
                out.push(c);
                continue;
            }
        }
        characters.next();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_alerts_alone_and_fits() {
        assert_eq!(id("db.example.org", None), "host@db.example.org");
        assert_eq!(id("db", Some("apache2 certificate")), "svc:apache2 certificate@db");
        let host = format!("{}bb", "a.".repeat(124));
        let long = |end: &str| id(&host, Some(&format!("{}{end}", "s".repeat(62))));
        assert_eq!((long("s").chars().count(), long("t").chars().count()), (ID_MAX, ID_MAX));
        assert_ne!(long("s"), long("t"));
        // It is characters that a station counts.
        let wide = "\u{e9}".repeat(ID_MAX - "svc:@h".len());
        assert_eq!(id("h", Some(&wide)), format!("svc:{wide}@h"));
    }

    #[test]
    fn a_text_is_what_was_printed() {
        assert_eq!(text("CRITICAL", "gone", ""), "CRITICAL: gone");
        assert_eq!(text("OK", "first", r"a\\b\nc\d\"), "OK: first\na\\b\nc\\d\\");
        assert_eq!(text("OK", &"x".repeat(3 * OUTPUT_MAX), "y").chars().count(), "OK: ".len() + OUTPUT_MAX);
    }
}
