//! The values of these sections.

use std::time::Duration;

use monitoring_info::diagnostic::instead;
use monitoring_info::host::{HostName, Tag, quoted};
use monitoring_info::service::{KINDS, Kind};
use monitoring_info::value::Invalid;

use super::Level;
use crate::configuration::form::{DURATION_FORM, duration};

/// The longest name of a person and of a group, in characters: a column of the station's database.
pub const NAME_MAX: usize = 50;
/// The station looks for the next hour at which somebody is to be told among those of the next eight days
/// (`DuringRunner#find_next`), and tells nobody if there is none: a day, and a week until the hours of `during` come again.
const AFTER_MAX: Duration = Duration::from_secs(86_400);

pub(super) fn after(text: &str) -> Result<Duration, Invalid> {
    let help = || format!("give {DURATION_FORM} of at most 1d, or nothing");
    let after = duration(text).map_err(|invalid| Invalid::new(invalid.message, help()))?;
    if after > AFTER_MAX {
        return Err(Invalid::new(
            format!("{text} is more than a day, after which the station may find no hour to tell anybody in"),
            help(),
        ));
    }
    Ok(after)
}

pub(super) fn name(text: &str, noun: &str) -> Result<String, Invalid> {
    let sound = |c: char| c.is_ascii_alphanumeric() || "._@+-".contains(c);
    if text.chars().count() > NAME_MAX {
        return Err(Invalid::new(
            format!(
                "{} is {} characters long, and the station keeps {NAME_MAX}",
                quoted(text),
                text.chars().count()
            ),
            "give it a shorter name",
        ));
    }
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(sound) {
        return Ok(text.to_owned());
    }
    Err(Invalid::new(
        format!("{} is no name of {noun}", quoted(text)),
        "use letters, digits and ._@+-, with a letter or digit first",
    ))
}

pub(super) fn person(text: &str) -> Result<String, Invalid> {
    name(text, "a person")
}

pub(super) fn tag(text: &str) -> Result<String, Invalid> {
    text.parse::<Tag>().map(|tag| tag.to_string()).map_err(|error| Invalid::new(error.message, error.help))
}

pub(super) fn host(text: &str) -> Result<String, Invalid> {
    text.parse::<HostName>()
        .map(|host| host.to_string())
        .map_err(|error| Invalid::new(error.message, error.help))
}

pub(super) fn kind(text: &str) -> Result<String, Invalid> {
    if Kind::named(text).is_some() {
        return Ok(text.to_owned());
    }
    let help = instead(text, KINDS.iter().map(|kind| kind.name), "the types are");
    Err(Invalid::new(format!("{} is no type of a service", quoted(text)), help))
}

pub(super) fn level(text: &str) -> Result<Level, Invalid> {
    match text {
        "urgent" => Ok(Level::Urgent),
        "normal" => Ok(Level::Normal),
        "low" => Ok(Level::Low),
        _ => Err(Invalid::new(format!("{} is no level", quoted(text)), "write `urgent`, `normal` or `low`")),
    }
}

pub(super) fn destination(text: &str) -> Result<String, Invalid> {
    use std::net::{IpAddr, Ipv6Addr, SocketAddr};
    let port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0);
    let bracketed = || text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let named = || match text.split_once(':') {
        Some((host, number)) => host.parse::<HostName>().is_ok() && port(number),
        None => text.parse::<HostName>().is_ok(),
    };
    let sound = text.parse::<SocketAddr>().is_ok_and(|address| address.port() > 0)
        || text.parse::<IpAddr>().is_ok()
        || bracketed().is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok())
        || named();
    // A bare one of version 6 would be taken for a host and a port.
    match text.parse::<Ipv6Addr>() {
        Ok(address) => Ok(format!("[{address}]")),
        Err(_) if sound => Ok(text.to_owned()),
        Err(_) => Err(Invalid::new(
            format!("{} is no destination", quoted(text)),
            "give hosts and addresses like `alert.example.org`, `alert.example.org:32741`, `192.0.2.1` or \
             `[2001:db8::1]:32741`",
        )),
    }
}

pub(super) fn source(text: &str) -> Result<Option<String>, Invalid> {
    let sound = |c: char| c.is_ascii_alphanumeric() || "._:/@+-".contains(c);
    if text.len() <= 255 && text.chars().all(sound) && !text.starts_with('-') {
        return Ok(Some(text.to_owned()).filter(|text| !text.is_empty()));
    }
    Err(Invalid::new(
        format!("{} cannot be the name of a source", quoted(text)),
        "use at most 255 letters, digits and ._:/@+-, and not - first",
    ))
}
