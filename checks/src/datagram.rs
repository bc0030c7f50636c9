//! `check_datagram`: a UDP port does not refuse a datagram.
//!
//! What listens on a UDP port answers only what it understands, and this probe knows no protocol. So only one thing is bad
//! news: the host's own word that nobody listens, ICMP "port unreachable" (RFC 1122, section 4.1.3.1; RFC 4443, section 3.1),
//! which the kernel reports on a connected socket as ECONNREFUSED. Silence is no failure, and the answer says that it proves
//! little. `check_udp` of monitoring-plugins takes it for one, and wants to be told what to send and what to expect.

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use clap::Parser;
use monitoring_info::state::State;

use crate::answer::Answer;
use crate::command_line::{self, Target};
use crate::connection::Error;

/// How long an answer or a refusal is waited for after each datagram.
const PATIENCE: Duration = Duration::from_millis(700);
/// Datagrams get lost, and a host limits how many refusals it sends; so there are several.
const DATAGRAMS: usize = 3;

/// Check that a UDP port does not refuse a datagram
///
/// Sends three empty datagrams. CRITICAL where the host answers that nobody listens (ICMP port unreachable); OK where anything
/// else is answered, and where nothing is, which proves little: a firewall that swallows packets looks the same.
#[derive(Debug, Parser)]
#[command(name = "check_datagram", version)]
struct Arguments {
    #[command(flatten)]
    target: Target,
}

/// What became of the datagrams.
enum Outcome {
    Answered(usize),
    Silence,
}

/// Does what the command line says and gives the exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    command_line::run(arguments, |arguments: Arguments| answer(&arguments.target))
}

fn answer(target: &Target) -> Answer {
    let endpoint = target.endpoint();
    let deadline = target.deadline();
    let addresses = match endpoint.addresses(&deadline) {
        Ok(addresses) => addresses,
        Err(error) => return Answer::because(error.state(), &error),
    };
    let mut refused = None;
    for address in addresses {
        match probe(address, || deadline.remaining()) {
            Ok(Outcome::Answered(bytes)) => {
                return Answer::new(State::Ok, &format!("{address} answered with {bytes} bytes"));
            }
            Ok(Outcome::Silence) => {
                return Answer::new(
                    State::Ok,
                    &format!(
                        "{address} did not refuse {DATAGRAMS} datagrams; nothing answered, so this proves little"
                    ),
                );
            }
            Err(error) => refused = Some(answer_of(address, error)),
        }
    }
    refused.unwrap_or_else(|| {
        let stage = "sending datagrams";
        Answer::because(State::Critical, &Error::TimedOut { stage, seconds: deadline.seconds() })
    })
}

fn answer_of(address: SocketAddr, error: io::Error) -> Answer {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        return Answer::new(State::Critical, &format!("{address} refused: nobody listens there"));
    }
    Answer::because(State::Critical, &Error::Connect { address, source: error })
}

fn probe(address: SocketAddr, remaining: impl Fn() -> Option<Duration>) -> io::Result<Outcome> {
    let unbound: SocketAddr =
        if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(unbound)?;
    // Connected, so that the kernel hands us this address's refusals and nobody else's answers.
    socket.connect(address)?;
    let mut answer = [0; 2048];
    for _ in 0..DATAGRAMS {
        let Some(left) = remaining() else { break };
        socket.send(&[])?;
        socket.set_read_timeout(Some(left.min(PATIENCE)))?;
        match socket.recv(&mut answer) {
            Ok(bytes) => return Ok(Outcome::Answered(bytes)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Outcome::Silence)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
