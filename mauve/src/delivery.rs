//! One datagram, to as many addresses as there are.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// How long the kernel may take to have room for a datagram.
const ROOM: Duration = Duration::from_secs(1);

/// A datagram, and where it went.
#[derive(Debug)]
pub struct Delivery<'a> {
    datagram: &'a [u8],
    ipv4: Option<UdpSocket>,
    ipv6: Option<UdpSocket>,
    sent: Vec<SocketAddr>,
}

impl<'a> Delivery<'a> {
    pub fn of(datagram: &'a [u8]) -> Self {
        Self { datagram, ipv4: None, ipv6: None, sent: Vec::new() }
    }

    /// The addresses that it left for.
    pub fn sent(&self) -> &[SocketAddr] {
        &self.sent
    }

    /// Sends it there, unless it is under way to there already.
    pub fn send(&mut self, to: SocketAddr) -> io::Result<()> {
        if self.sent.contains(&to) {
            return Ok(());
        }
        let (socket, any): (_, IpAddr) = match to {
            SocketAddr::V4(_) => (&mut self.ipv4, Ipv4Addr::UNSPECIFIED.into()),
            SocketAddr::V6(_) => (&mut self.ipv6, Ipv6Addr::UNSPECIFIED.into()),
        };
        let socket = match socket {
            Some(socket) => socket,
            // Not connected: a station that refused an earlier one is none of this one's business.
            None => socket.insert(open(any)?),
        };
        socket.send_to(self.datagram, to)?;
        self.sent.push(to);
        Ok(())
    }
}

fn open(any: IpAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_write_timeout(Some(ROOM))?;
    Ok(socket)
}
