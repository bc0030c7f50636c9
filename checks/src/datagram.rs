//! `check_datagram`: a UDP port does not refuse a datagram.
//!
//! What listens on a UDP port answers only what it understands, and this probe knows no protocol. So only one thing is bad
//! news: somebody's word that the datagrams do not arrive. The host says so where nobody listens, by ICMP "port unreachable"
//! (RFC 1122, section 4.1.3.1; RFC 4443, section 3.1), a router or firewall by one of the others; the kernel reports them on a
//! connected socket, the passing ones only when asked to (`IP_RECVERR`, ip(7)). Silence is no failure, and the answer says that
//! it proves little. `check_udp` of monitoring-plugins takes it for one, and wants to be told what to send and what to expect.

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use monitoring_info::state::State;
use nix::sys::socket::{setsockopt, sockopt};

use crate::answer::Answer;
use crate::command_line::{self, Target};
use crate::connection::{Error, Refusals};
use crate::deadline::Deadline;

/// How long an answer or a refusal is waited for after each datagram.
const PATIENCE: Duration = Duration::from_millis(700);
/// Datagrams get lost, and a host limits how many refusals it sends; so there are several.
const DATAGRAMS: usize = 3;

/// Check that a UDP port does not refuse a datagram
///
/// Sends three empty datagrams. CRITICAL where the host answers that nobody listens (ICMP port unreachable), or a router that
/// they do not arrive; OK where anything else is answered, and where nothing is, which proves little: a firewall that swallows
/// packets looks the same.
#[derive(Debug, Parser)]
#[command(name = "check_datagram", version)]
struct Arguments {
    #[command(flatten)]
    target: Target,
}

/// What became of the datagrams.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Something of so many bytes came back.
    Answered(usize),
    /// Nothing came back after so many datagrams.
    Silence(usize),
}

/// Does what the command line says and gives the exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    command_line::run(arguments, |arguments: Arguments| answer(&arguments.target))
}

fn answer(target: &Target) -> Answer {
    let deadline = target.deadline();
    let addresses = match target.endpoint().addresses(&deadline) {
        Ok(addresses) => addresses,
        Err(error) => return Answer::because(error.state(), &error),
    };
    let mut refusals = Refusals::default();
    for address in addresses {
        let begun = Instant::now();
        match probe(address, &deadline) {
            Ok(outcome) => return outcome.answer(address),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                refusals.add(
                    address,
                    begun.elapsed(),
                    io::Error::new(error.kind(), "refused, nobody listens there"),
                );
            }
            Err(error) => refusals.add(address, begun.elapsed(), error),
        }
    }
    let error = Error::Undelivered(refusals);
    Answer::because(error.state(), &error)
}

impl Outcome {
    fn answer(&self, address: SocketAddr) -> Answer {
        let sentence = match self {
            Self::Answered(bytes) => format!("{address} answered with {bytes} bytes"),
            Self::Silence(sent) => {
                let datagrams = if *sent == 1 { "a datagram" } else { &format!("{sent} datagrams") };
                format!("{address} did not refuse {datagrams}; nothing answered, so this proves little")
            }
        };
        Answer::new(State::Ok, &sentence)
    }
}

fn probe(address: SocketAddr, deadline: &Deadline) -> io::Result<Outcome> {
    let socket = connect(address)?;
    let mut sent = 0;
    let mut unreachable = None;
    while sent < DATAGRAMS {
        let Some(left) = deadline.remaining() else { break };
        let patience = left.min(PATIENCE);
        sent += 1;
        match exchange(&socket, patience) {
            Ok(bytes) => return Ok(Outcome::Answered(bytes)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Err(error),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                unreachable = None;
            }
            // A router's word may pass, as when a line comes back: the last datagram's counts.
            Err(error) => {
                unreachable = Some(error);
                thread::sleep(patience);
            }
        }
    }
    match unreachable {
        Some(error) => Err(error),
        None if sent == 0 => Err(io::Error::new(io::ErrorKind::TimedOut, "no time was left")),
        None => Ok(Outcome::Silence(sent)),
    }
}

/// A socket that gets this address's answers and refusals, and nobody else's.
fn connect(address: SocketAddr) -> io::Result<UdpSocket> {
    let unbound: SocketAddr =
        if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(unbound)?;
    if address.is_ipv4() {
        setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
    } else {
        setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
    }
    socket.connect(address)?;
    Ok(socket)
}

/// Sends an empty datagram and waits for what comes back.
fn exchange(socket: &UdpSocket, patience: Duration) -> io::Result<usize> {
    let end = Instant::now() + patience;
    let mut answer = [0; 2048];
    socket.send(&[])?;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        // A timeout of nothing would mean to wait for ever.
        socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        match socket.recv(&mut answer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
