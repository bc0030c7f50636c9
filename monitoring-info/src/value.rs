//! The kinds of value that a key can have.
//!
//! A kind is data: its name and form for the documentation, and the one function that parses it. A service type that
//! needs a kind of its own defines it in its own file.

use std::fmt;
use std::net::IpAddr;

use crate::host::{HostName, ListId, SERVICE_NAME_MAX, quoted};

/// A kind of value.
#[derive(Debug, Clone, Copy)]
pub struct ValueKind {
    /// What the documentation calls it, e.g. `port`.
    pub name: &'static str,
    /// What it looks like, for the documentation.
    pub form: &'static str,
    /// Reads it.
    pub parse: fn(&str) -> Result<Value, Invalid>,
}

/// A value that its kind has accepted. Display gives the canonical text, which parses to the same value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text that its kind has found sound.
    Text(String),
    /// A whole number; the unit is the key's.
    Number(u64),
    /// True or False.
    Boolean(bool),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Boolean(true) => f.write_str("True"),
            Self::Boolean(false) => f.write_str("False"),
        }
    }
}

/// Why a value was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong, without the key's name.
    pub message: String,
    /// What would be right.
    pub help: String,
}

impl Invalid {
    /// What is wrong and what would be right.
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

/// A TCP or UDP port, 1 to 65535.
pub static PORT: ValueKind =
    ValueKind { name: "port", form: "1 to 65535", parse: |text| number(text, 1, 65_535) };

/// True/False, yes/no, on/off, 1/0, in any case.
pub static BOOLEAN: ValueKind = ValueKind {
    name: "boolean",
    form: "True or False (also yes/no, on/off, 1/0, in any case)",
    parse: |text| {
        boolean(text)
            .map(Value::Boolean)
            .ok_or_else(|| Invalid::new(format!("{} is no boolean", quoted(text)), "write `True` or `False`"))
    },
};

/// How `ssl` is said, where a plain connection cannot be upgraded.
pub static SSL: ValueKind = ValueKind {
    name: "boolean",
    form: "True or False",
    parse: |text| {
        if text.eq_ignore_ascii_case("starttls") {
            return Err(Invalid::new(
                "`starttls` is not possible for this type",
                "its connections cannot be upgraded; write `True` or `False`",
            ));
        }
        (BOOLEAN.parse)(text)
    },
};

/// How `ssl` is said, where a plain connection can be upgraded to TLS.
pub static SSL_OR_STARTTLS: ValueKind = ValueKind {
    name: "boolean or `starttls`",
    form: "True, False or starttls",
    parse: |text| {
        if text.eq_ignore_ascii_case("starttls") {
            return Ok(Value::Text("starttls".into()));
        }
        boolean(text).map(Value::Boolean).ok_or_else(|| {
            Invalid::new(
                format!("{} is neither a boolean nor `starttls`", quoted(text)),
                "write `True`, `False` or `starttls`",
            )
        })
    },
};

/// The path and query of an HTTP request (RFC 9112, section 3.2.1, origin-form): printable ASCII that begins with `/`.
pub static URI: ValueKind = ValueKind {
    name: "string",
    form: "a path, begins with `/`, with a query if need be; printable ASCII without blanks",
    parse: |text| {
        if !text.starts_with('/') {
            return Err(Invalid::new(
                format!("{} does not begin with `/`", quoted(text)),
                "give the path alone, like `/status?full`; the host is `hostname`, the port is `port`",
            ));
        }
        match text.chars().find(|c| !c.is_ascii_graphic()) {
            Some(odd) => {
                let odd = if odd.is_whitespace() { "a blank".to_owned() } else { quoted(&odd.to_string()) };
                Err(Invalid::new(
                    format!("{odd} cannot stand in the path of a request"),
                    "percent-encode it (RFC 3986), e.g. a space as `%20`",
                ))
            }
            None => Ok(Value::Text(text.into())),
        }
    },
};

/// A DNS name or an IP address, as a Host header, SNI or a certificate carries it.
pub static NAME: ValueKind = ValueKind {
    name: "name",
    form: "a DNS name or an IP address",
    parse: |text| {
        if text.parse::<IpAddr>().is_ok() {
            return Ok(Value::Text(text.into()));
        }
        if !text.is_ascii() {
            return Err(Invalid::new(
                format!("{} is not ASCII", quoted(text)),
                "write an internationalised name in its encoded form (`xn--…`); the program `idn2` prints it",
            ));
        }
        let lower = text.to_ascii_lowercase();
        if lower == "localhost" {
            return Ok(Value::Text(lower));
        }
        lower.parse::<HostName>().map(|name| Value::Text(name.as_str().into())).map_err(|error| {
            Invalid::new(
                error.message,
                "give a name like `www.example.org`, without port and without `https://`",
            )
        })
    },
};

/// A mail address (RFC 5321, section 4.1.2, without quoted local parts and address literals).
pub static EMAIL: ValueKind = ValueKind {
    name: "address",
    form: "a mail address",
    parse: |text| {
        let refuse = |why: &str| {
            Err(Invalid::new(
                format!("{} is no mail address: {why}", quoted(text)),
                "give one address like `probe@example.org`",
            ))
        };
        let Some((local, domain)) = text.rsplit_once('@') else { return refuse("it has no `@`") };
        let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
        if local.is_empty()
            || local.len() > 64
            || local.starts_with('.')
            || local.ends_with('.')
            || local.contains("..")
        {
            return refuse("what stands before the `@` is empty, too long, or has dots in wrong places");
        }
        if let Some(odd) = local.chars().find(|&c| !atom(c)) {
            return refuse(&format!("{} cannot stand before the `@`", quoted(&odd.to_string())));
        }
        if domain.to_ascii_lowercase().parse::<HostName>().is_err() {
            return refuse("what stands after the `@` is no domain");
        }
        Ok(Value::Text(text.into()))
    },
};

/// The name of a token list.
pub static ID: ValueKind = ValueKind {
    name: "id",
    form: "letters, digits, `.`, `_` and `-`, at most 63",
    parse: |text| {
        const { assert!(SERVICE_NAME_MAX == 63, "the form above says so") };
        text.parse::<ListId>()
            .map(|id| Value::Text(id.as_str().into()))
            .map_err(|error| Invalid::new(error.message, error.help))
    },
};

/// A span in seconds, at least 1.
pub static SECONDS: ValueKind = ValueKind {
    name: "integer > 0",
    form: "a number of seconds",
    parse: |text| number(text, 1, u32::MAX.into()),
};

/// A number of days, 0 to 36500.
pub static DAYS: ValueKind = ValueKind {
    name: "integer ≥ 0",
    form: "a number of days, at most 36500",
    parse: |text| number(text, 0, 36_500),
};

/// A distinguished name (RFC 4514); the empty one is the root DSE (RFC 4512, section 5.1).
pub static DN: ValueKind = ValueKind {
    name: "DN",
    form: "a distinguished name, or nothing",
    parse: |text| {
        if text.is_empty() || (text.contains('=') && !text.starts_with(['=', ','])) {
            return Ok(Value::Text(text.into()));
        }
        Err(Invalid::new(
            format!("{} is no distinguished name", quoted(text)),
            "give one like `dc=example,dc=org`, or nothing for the root DSE",
        ))
    },
};

/// Any text but none.
pub static TEXT: ValueKind = ValueKind {
    name: "string",
    form: "any text",
    parse: |text| {
        if text.is_empty() {
            return Err(Invalid::new("it is empty", "give any text"));
        }
        Ok(Value::Text(text.into()))
    },
};

/// The absolute path of a file.
pub static PATH: ValueKind = ValueKind {
    name: "path",
    form: "an absolute path",
    parse: |text| {
        if text.starts_with('/') {
            return Ok(Value::Text(text.into()));
        }
        // Without the value, which may be the password itself.
        Err(Invalid::new("it is not an absolute path", "begin it with `/`"))
    },
};

/// Reads a boolean as the format has it.
#[must_use]
pub fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Reads a whole number within bounds.
///
/// # Errors
/// Anything but digits, or a number out of bounds.
pub fn number(text: &str, least: u64, most: u64) -> Result<Value, Invalid> {
    let help = || format!("give a whole number from {least} to {most}");
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Invalid::new(format!("{} is no whole number", quoted(text)), help()));
    }
    match text.parse::<u64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(Value::Number(number)),
        _ => Err(Invalid::new(format!("{} is out of range", quoted(text)), help())),
    }
}
