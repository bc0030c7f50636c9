//! `check_certificate`: the certificate that a server shows is unexpired, carries the name, and chains to a trusted authority.
//!
//! One handshake tells everything: the verification collects every fault and goes on, so that whoever renews an expired
//! certificate is told at the same time that it carries the wrong name. The handshake itself is as lenient as OpenSSL can be,
//! because a server that is too old for today's clients shows its certificate all the same; what Debian's own clients would
//! refuse is then a fault with a sentence of its own.
//!
//! `check_http -S -C` of monitoring-plugins looks at the date alone: it answers OK for another host's certificate and for
//! one that nobody trusts.
//!
//! Not judged: revocation (neither lists nor OCSP: a probe would have to ask third parties), certificate transparency, and
//! whether the server prefers good ciphers.

mod fault;
mod judgement;
mod shown;

use std::ffi::OsString;
use std::net::IpAddr;
use std::time::Instant;

use clap::{Parser, ValueEnum};

use self::judgement::{Judgement, Limits};
use crate::answer::Answer;
use crate::command_line::{self, Basics};
use crate::connection::{self, Connection, Endpoint};
use crate::dialogue::Dialogue;
use crate::protocol::{Error, Protocol, ldap};
use crate::tls::{self, Context, Findings, Stream};

/// The longest name, in bytes (RFC 1035, section 2.3.4).
const NAME_MAX: usize = 253;

/// Check the certificate that a server shows
///
/// Makes one TLS handshake and tells every fault of the certificate and of its chain at once: expired, not yet valid, not for this
/// name, not from a trusted authority, too weak for Debian's own clients. CRITICAL where a client would refuse it.
#[derive(Debug, Parser)]
#[command(name = "check_certificate", version)]
struct Arguments {
    /// The host to connect to: a name, of which every address is tried, or an address
    #[arg(short = 'H', long = "host", value_name = "HOST")]
    host: String,
    /// The port to connect to [default: 443; with --starttls, the protocol's own]
    #[arg(short, long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Connect in plain text and upgrade to TLS by this protocol
    #[arg(long, value_name = "PROTOCOL")]
    starttls: Option<Upgrade>,
    /// The name or address that the certificate must carry; a name is also asked for in the handshake (SNI) [default: HOST]
    #[arg(long, value_name = "NAME", value_parser = name)]
    hostname: Option<String>,
    /// WARNING where a certificate of the chain expires within so many days
    #[arg(short, long, value_name = "DAYS")]
    warning: Option<u32>,
    /// CRITICAL where a certificate of the chain expires within so many days
    #[arg(short = 'c', long, visible_alias = "critical", value_name = "DAYS")]
    expire_before: Option<u32>,
    #[command(flatten)]
    basics: Basics,
}

/// A protocol that can be upgraded to TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Upgrade {
    /// STARTTLS (RFC 3207), port 25
    Smtp,
    /// STARTTLS (RFC 9051, section 6.2.1), port 143
    Imap,
    /// STLS (RFC 2595, section 4), port 110
    Pop3,
    /// The extended operation of RFC 4511, section 4.14, port 389
    Ldap,
}

impl Upgrade {
    fn port(self) -> u16 {
        match self {
            Self::Smtp => 25,
            Self::Imap => 143,
            Self::Pop3 => 110,
            Self::Ldap => 389,
        }
    }

    /// Asks for the upgrade; the connection is then ready for the handshake.
    fn request(self, connection: Connection) -> Result<Connection, Error> {
        let protocol = match self {
            Self::Smtp => Protocol::Smtp,
            Self::Imap => Protocol::Imap,
            Self::Pop3 => Protocol::Pop3,
            Self::Ldap => return ldap::starttls(connection),
        };
        let mut dialogue = Dialogue::over(Stream::Plain(connection));
        protocol.greet(&mut dialogue)?;
        protocol.starttls(dialogue)
    }
}

/// Does what the command line says and gives the exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    command_line::run(arguments, |arguments: Arguments| answer(&arguments))
}

fn answer(arguments: &Arguments) -> Answer {
    let name = match &arguments.hostname {
        Some(name) => name.clone(),
        None => match name(connection::name_to_others(&arguments.host)) {
            Ok(name) => name,
            Err(why) => return Answer::unknown(&why),
        },
    };
    let (findings, result) = match look(arguments, &name) {
        Ok(seen) => seen,
        Err(error) => return Answer::because(error.state(), &error),
    };
    let limits = Limits { warning: arguments.warning, critical: arguments.expire_before };
    Judgement::of(&findings, result, &name, limits).answer(arguments.basics.verbose)
}

/// Connects, makes the handshake, and says goodbye. What is found out before a handshake fails is worth as much as what is
/// found out by one that does not.
fn look(arguments: &Arguments, name: &str) -> Result<(Findings, Result<(), tls::Error>), Error> {
    let deadline = arguments.basics.deadline();
    let port = arguments.port.unwrap_or_else(|| arguments.starttls.map_or(443, Upgrade::port));
    let endpoint = Endpoint { host: arguments.host.clone(), port };
    // First, as long as there is but one thread: a name is resolved in another.
    let context = Context::to_judge(&arguments.basics.root).map_err(tls::Error::from)?;
    let mut connection = Connection::open(&endpoint, deadline)?;
    if let Some(upgrade) = arguments.starttls {
        connection = upgrade.request(connection).map_err(hinted)?;
    }
    let begun = Instant::now();
    let (findings, stream) = tls::secure(connection, &context, name);
    let handshake = begun.elapsed();
    Ok((findings, stream.and_then(|stream| tls::dismiss(stream, handshake))))
}

/// A server that expects TLS from the first byte greets nobody: it waits, as we do.
fn hinted(error: Error) -> Error {
    match error {
        Error::Dialogue(connection::Error::TimedOut { stage: "waiting for the greeting", seconds }) => {
            let stage = "waiting for the greeting; if this port expects TLS from the first byte, leave out --starttls";
            Error::Dialogue(connection::Error::TimedOut { stage, seconds })
        }
        other => other,
    }
}

/// A name or an address, in the form that certificates and SNI have it: ASCII, in lower case, without the root's dot
/// (RFC 6066, section 3).
fn name(text: &str) -> Result<String, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    if !text.is_ascii() {
        return Err(format!(
            "\"{text}\" is not ASCII: write an internationalised name in its encoded form (xn--…), which the program idn2 \
             prints"
        ));
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if name.is_empty() || name.len() > NAME_MAX || name.starts_with('.') || !name.chars().all(sound) {
        return Err(format!(
            "\"{text}\" is neither a name nor an address; --hostname says what the certificate must carry"
        ));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_a_certificate_can_carry() {
        assert_eq!(name("WWW.Example.ORG.").as_deref(), Ok("www.example.org"));
        assert_eq!(name("2001:DB8::1").as_deref(), Ok("2001:db8::1"));
        assert_eq!(name("xn--bcher-kva.example").as_deref(), Ok("xn--bcher-kva.example"));
        for wrong in ["", ".", "a b", ".example.org", "*.example.org", "a\nb", &"a".repeat(254)] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
        assert!(name("bücher.example").unwrap_err().contains("xn--"));
    }

    #[test]
    fn the_port_is_the_protocols_own_unless_said_otherwise() {
        assert_eq!(
            Upgrade::value_variants().iter().map(|upgrade| upgrade.port()).collect::<Vec<_>>(),
            [25, 143, 110, 389]
        );
    }
}
