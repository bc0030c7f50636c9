//! A certificate as a person is shown it: whose it is, how long it is valid, and which names it carries.
//!
//! All of it is the other side's text. The answer makes it neutral; here it is kept short.

use std::fmt;
use std::net::IpAddr;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::nid::Nid;
use openssl::x509::{X509NameRef, X509Ref};

/// The longest name that is shown, in characters.
const NAME_SHOWN: usize = 60;
/// The most names that a sentence holds; 10,000 fit into a certificate.
const NAMES_SHOWN: usize = 3;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// A point in time: seconds since 1970. Display gives the day, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(i64);

impl Moment {
    pub(super) fn now() -> Self {
        Self(Timestamp::now().as_second())
    }

    /// What a certificate says, if it is a time at all.
    fn of(time: &Asn1TimeRef) -> Option<Self> {
        let span = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
        Some(Self(i64::from(span.days) * DAY + i64::from(span.secs)))
    }

    /// Whole days from the other to this one, rounded down: less than a day ago is -1.
    pub(super) fn days_since(self, other: Self) -> i64 {
        (self.0 - other.0).div_euclid(DAY)
    }

    /// Day and minute, in UTC.
    pub(super) fn to_the_minute(self) -> String {
        self.format("%F %H:%M UTC")
    }

    fn format(self, format: &str) -> String {
        // Not a Timestamp: it has to be one in every time zone, and so ends a day before the year 9999 does.
        DateTime::constant(1970, 1, 1, 0, 0, 0, 0)
            .checked_add(SignedDuration::from_secs(self.0))
            .map_or_else(|_| "an unknown date".to_owned(), |time| time.strftime(format).to_string())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format("%F"))
    }
}

/// So many days, for a sentence.
pub(super) fn days(count: i64) -> String {
    match count {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        many => format!("{many} days"),
    }
}

/// From when a certificate is valid; none where it says no time.
pub(super) fn begin(certificate: &X509Ref) -> Option<Moment> {
    Moment::of(certificate.not_before())
}

/// Until when a certificate is valid; none where it says no time.
pub(super) fn end(certificate: &X509Ref) -> Option<Moment> {
    Moment::of(certificate.not_after())
}

/// The subject, in quotes.
pub(super) fn subject(certificate: &X509Ref) -> String {
    name(certificate.subject_name()).map_or_else(
        || carried(certificate).names.first().map_or_else(|| "(no subject)".to_owned(), |name| quoted(name)),
        |name| quoted(&name),
    )
}

/// The issuer, in quotes.
pub(super) fn issuer(certificate: &X509Ref) -> String {
    name(certificate.issuer_name()).map_or_else(|| "(nobody)".to_owned(), |name| quoted(&name))
}

/// The most telling part of a name: the last common name, which is the most specific (RFC 4514, section 2.1), or what else is
/// there.
fn name(name: &X509NameRef) -> Option<String> {
    [Nid::COMMONNAME, Nid::ORGANIZATIONALUNITNAME, Nid::ORGANIZATIONNAME]
        .into_iter()
        .find_map(|part| name.entries_by_nid(part).last())
        .or_else(|| name.entries().last())
        .map(|entry| {
            let data = entry.data();
            data.to_string().unwrap_or_else(|_| String::from_utf8_lossy(data.as_slice()).into_owned())
        })
}

/// In quotes that it cannot end itself, and short.
fn quoted(text: &str) -> String {
    format!("\"{}\"", short(text).replace('"', "'"))
}

fn short(text: &str) -> String {
    match text.char_indices().nth(NAME_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What a certificate says that it is for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Carried {
    /// DNS names, then addresses.
    pub(super) names: Vec<String>,
    /// Whether there is a DNS name among them.
    pub(super) has_dns_name: bool,
}

/// The alternative names of a certificate (RFC 5280, section 4.2.1.6).
pub(super) fn carried(certificate: &X509Ref) -> Carried {
    let mut carried = Carried::default();
    let mut addresses = Vec::new();
    for name in certificate.subject_alt_names().iter().flatten() {
        if let Some(name) = name.dnsname() {
            carried.names.push(name.to_owned());
        } else if let Some(bytes) = name.ipaddress() {
            addresses.extend(address(bytes).map(|address| address.to_string()));
        }
    }
    carried.has_dns_name = !carried.names.is_empty();
    carried.names.extend(addresses);
    carried
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

/// Behind the name that is not carried.
impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.names.is_empty() {
            return f.write_str("nor any name");
        }
        let shown: Vec<String> = self.names.iter().take(NAMES_SHOWN).map(|name| short(name)).collect();
        write!(f, "but {}", shown.join(", "))?;
        match self.names.len().saturating_sub(NAMES_SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_shown_up_to_the_last_that_a_certificate_can_name() {
        let shown = |text| Moment::of(&Asn1Time::from_str(text).unwrap()).unwrap().to_the_minute();
        // RFC 5280, section 4.1.2.5: without a well-defined end.
        assert_eq!(shown("99991231235959Z"), "9999-12-31 23:59 UTC");
        assert_eq!(shown("20380119031408Z"), "2038-01-19 03:14 UTC");
        assert_eq!(shown("500101000000Z"), "1950-01-01 00:00 UTC");
        assert_eq!(shown("00010101000000Z"), "0001-01-01 00:00 UTC");
    }
}
