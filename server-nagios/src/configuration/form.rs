//! The forms that values of `server.conf` have: what each looks like, for the documentation, and the one function that reads
//! it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use monitoring_info::host::{HostName, quoted};
use monitoring_info::registration::PORT;
use monitoring_info::value::{self, Invalid};

/// Of [`duration`].
pub(super) const DURATION_FORM: &str = "a duration like `30s`, `10m`, `24h` or `3d`";
/// Of [`duration_or_never`].
pub(super) const DURATION_OR_NEVER_FORM: &str = "a duration like `10m`, `24h` or `3d`, or `never`";
/// Of [`pause`].
pub(super) const PAUSE_FORM: &str = "a duration like `2s` or `1m`, or `0s` for none";
/// Of a [`list`] of [`object_name`].
pub(super) const NAMES_FORM: &str = "names joined by commas, or nothing";
/// Of [`path`].
pub(super) const PATH_FORM: &str = "an absolute path";

/// Reads `yes`, `no`, or what else may be written for either.
pub(crate) fn yes_or_no(text: &str) -> Result<bool, Invalid> {
    let refuse = || Invalid::new(format!("{} is no boolean", quoted(text)), "write `yes` or `no`");
    value::boolean(text).ok_or_else(refuse)
}

/// Reads a span of time: a whole number with `s`, `m`, `h` or `d`, more than nothing.
///
/// # Errors
/// Anything else.
pub fn duration(text: &str) -> Result<Duration, Invalid> {
    let refuse = || Invalid::new(format!("{} is no duration", quoted(text)), format!("give {DURATION_FORM}"));
    let unit = text.chars().last().ok_or_else(refuse)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(refuse()),
    };
    let digits = text.strip_suffix(unit).unwrap_or_default();
    // Five digits of days are 273 years, which every clock can still add.
    if digits.is_empty() || digits.len() > 5 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refuse());
    }
    match digits.parse::<u64>() {
        Ok(number) if number > 0 => Ok(Duration::from_secs(number * seconds)),
        _ => Err(refuse()),
    }
}

/// Reads a span of time, or `never`.
pub(super) fn duration_or_never(text: &str) -> Result<Option<Duration>, Invalid> {
    if text == "never" {
        return Ok(None);
    }
    duration(text)
        .map(Some)
        .map_err(|invalid| Invalid::new(invalid.message, format!("give {DURATION_OR_NEVER_FORM}")))
}

/// Reads a span of time that may be none.
pub(super) fn pause(text: &str) -> Result<Duration, Invalid> {
    if text == "0s" {
        return Ok(Duration::ZERO);
    }
    duration(text).map_err(|invalid| Invalid::new(invalid.message, format!("give {PAUSE_FORM}")))
}

/// Reads values joined by commas.
pub(crate) fn list<T>(text: &str, read: fn(&str) -> Result<T, Invalid>) -> Result<Vec<T>, Invalid> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(read).collect()
}

/// Reads an address to listen on, with a port or without.
pub(super) fn listen_address(text: &str) -> Result<SocketAddr, Invalid> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    let address = text
        .parse::<SocketAddr>()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, PORT)))
        .or_else(|| bracketed().map(|address| SocketAddr::new(address.into(), PORT)));
    match address {
        Some(address) if address.port() != 0 => Ok(address),
        _ => Err(Invalid::new(
            format!("{} is no address to listen on", quoted(text)),
            "give addresses like `192.0.2.1`, `192.0.2.1:2930` or `[2001:db8::1]:2930`",
        )),
    }
}

/// Reads a network, or one address as a network of its own.
pub(super) fn network(text: &str) -> Result<IpNet, Invalid> {
    text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
        Invalid::new(
            format!("{} is no network", quoted(text)),
            "give networks like `192.0.2.0/24` or `2001:db8::/32`",
        )
    })
}

/// Reads the domain of mail addresses.
pub(super) fn domain(text: &str) -> Result<HostName, Invalid> {
    text.to_ascii_lowercase().parse().map_err(|_| {
        Invalid::new(
            format!("{} is no domain", quoted(text)),
            "give what stands behind the `@` of an address, like `example.org`",
        )
    })
}

/// A name of an object in Nagios's configuration: nothing of what its default `illegal_object_name_chars` forbids, and
/// nothing that means something in an object file (`;`, `*`, `!`, `+` in front, `null`).
pub(crate) fn object_name(text: &str) -> Result<String, Invalid> {
    let sound = |c: char| c.is_alphanumeric() || " ._-@+/".contains(c);
    if text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
        && text.chars().all(sound)
        && text != "null"
    {
        return Ok(text.to_owned());
    }
    Err(Invalid::new(
        format!("{} cannot be the name of a Nagios object", quoted(text)),
        "give names as Nagios's own configuration defines them, like `nagiosadmin`",
    ))
}

/// Reads an absolute path.
pub(super) fn path(text: &str) -> Result<PathBuf, Invalid> {
    if text.starts_with('/') {
        return Ok(text.into());
    }
    Err(Invalid::new(format!("{} is not an absolute path", quoted(text)), "begin it with `/`"))
}
