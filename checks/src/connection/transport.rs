//! What a connection goes over.

use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::time::Duration;

/// What a [`Connection`](super::Connection) goes over: a TCP stream, or what stands in for one where a server's part is
/// known beforehand, as it is to whoever fuzzes those who read it.
pub trait Transport: Debug + Send {
    /// Reads, waiting for so long at most.
    ///
    /// # Errors
    /// The system's; `WouldBlock` or `TimedOut` where nothing has come.
    fn read_within(&mut self, span: Duration, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes, waiting for so long at most.
    ///
    /// # Errors
    /// The system's; `WouldBlock` or `TimedOut` where nothing was taken.
    fn write_within(&mut self, span: Duration, buffer: &[u8]) -> io::Result<usize>;

    /// Our own address.
    ///
    /// # Errors
    /// The system's.
    fn local_address(&self) -> io::Result<IpAddr>;
}

impl Transport for TcpStream {
    fn read_within(&mut self, span: Duration, buffer: &mut [u8]) -> io::Result<usize> {
        self.set_read_timeout(Some(span))?;
        self.read(buffer)
    }

    fn write_within(&mut self, span: Duration, buffer: &[u8]) -> io::Result<usize> {
        self.set_write_timeout(Some(span))?;
        self.write(buffer)
    }

    fn local_address(&self) -> io::Result<IpAddr> {
        self.local_addr().map(|address| address.ip())
    }
}
