//! A TCP connection that cannot be made to wait for ever or to take without end.
//!
//! The other side may be hostile: it may send a byte a second, or a greeting of a gigabyte. Every read and write is under the
//! check's one deadline, and all that is read counts against a budget. What fails is told by what was being done at the time
//! (`stage`), because "timed out" alone helps nobody.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::deadline::Deadline;

mod error;
mod transport;

pub(crate) use error::excerpt;
pub use error::{Error, Refusals};
pub use transport::Transport;

/// How many bytes a check reads at most, all in all: far more than any sound dialogue of ours, far less than memory.
const BUDGET: usize = 8 << 20;
const BUDGET_SAID: &str = "8 MiB";
/// So many of the first bytes received are kept, to tell what answers where TLS was expected.
const FIRST_BYTES: usize = 80;

/// Where to connect to: a name or an address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name, an IPv4 or an IPv6 address.
    pub host: String,
    /// The TCP or UDP port.
    pub port: u16,
}

/// What a host that was named so is called when speaking to it: without the zone of an address, which means something on this
/// machine alone (RFC 4007, section 11.2), and without the root's dot (RFC 6066, section 3).
#[must_use]
pub fn name_to_others(host: &str) -> &str {
    match host.split_once('%') {
        Some((address, _)) if address.parse::<IpAddr>().is_ok() => address,
        _ => host.strip_suffix('.').unwrap_or(host),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Endpoint {
    /// Every address of it, in the resolver's order.
    ///
    /// # Errors
    /// There is none, or the resolver did not answer in time.
    pub fn addresses(&self, deadline: &Deadline) -> Result<Vec<SocketAddr>, Error> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        let unresolved = |reason: &str| Error::Resolve { host: self.host.clone(), reason: reason.to_owned() };
        let silence = || unresolved(&format!("the resolver did not answer within {} s", deadline.seconds()));
        let left = deadline.remaining().ok_or_else(silence)?;
        // getaddrinfo(3) knows no deadline; a thread that still waits ends with the process.
        let (sender, receiver) = mpsc::channel();
        let asked = (self.host.clone(), self.port);
        thread::spawn(move || sender.send(asked.to_socket_addrs().map(Iterator::collect::<Vec<_>>)));
        match receiver.recv_timeout(left) {
            Err(_) => Err(silence()),
            Ok(Err(error)) => {
                let reason = error.to_string();
                // What std puts before each of the resolver's own reasons.
                Err(unresolved(reason.trim_start_matches("failed to lookup address information: ")))
            }
            Ok(Ok(addresses)) if addresses.is_empty() => Err(unresolved("it has no address")),
            Ok(Ok(addresses)) => Ok(addresses),
        }
    }
}

/// A connection under a deadline and a budget.
#[derive(Debug)]
pub struct Connection {
    transport: Box<dyn Transport>,
    deadline: Deadline,
    left: usize,
    stage: &'static str,
    first: Vec<u8>,
    protected_records: usize,
}

impl Connection {
    /// Connects to the first address of it that accepts, trying every one.
    ///
    /// # Errors
    /// It cannot be resolved, or no address accepts.
    pub fn open(endpoint: &Endpoint, deadline: Deadline) -> Result<Self, Error> {
        Self::open_any(&endpoint.addresses(&deadline)?, deadline)
    }

    /// Connects to the first of these addresses that accepts.
    ///
    /// # Errors
    /// None does, each with its reason.
    pub fn open_any(addresses: &[SocketAddr], deadline: Deadline) -> Result<Self, Error> {
        let mut refusals = Refusals::default();
        for (tried, address) in addresses.iter().enumerate() {
            let Some(left) = deadline.remaining() else { break };
            // An address that swallows packets leaves time for those after it.
            let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            match TcpStream::connect_timeout(address, share) {
                Ok(stream) => {
                    // A dialogue of short lines: waiting for more to send only costs time. It works without, too.
                    let _ = stream.set_nodelay(true);
                    return Ok(Self::over(stream, deadline));
                }
                Err(reason) => refusals.add(*address, share, reason),
            }
        }
        if refusals.is_empty() {
            return Err(Error::TimedOut { stage: "connecting", seconds: deadline.seconds() });
        }
        Err(Error::Connect(refusals))
    }

    /// A connection that somebody else has made.
    #[must_use]
    pub fn over(transport: impl Transport + 'static, deadline: Deadline) -> Self {
        Self {
            transport: Box::new(transport),
            deadline,
            left: BUDGET,
            stage: "waiting for the greeting",
            first: Vec::new(),
            protected_records: 0,
        }
    }

    /// Says what is being done from now on, for errors.
    pub fn stage(&mut self, stage: &'static str) {
        self.stage = stage;
    }

    /// What is being done.
    #[must_use]
    pub fn current_stage(&self) -> &'static str {
        self.stage
    }

    /// The first bytes that were received.
    #[must_use]
    pub fn first_bytes(&self) -> &[u8] {
        &self.first
    }

    /// Begins anew to keep the first bytes: what comes now answers something else.
    pub fn forget_first_bytes(&mut self) {
        self.first.clear();
    }

    /// How many protected TLS records (RFC 8446, section 5.2) the last write held; without TLS, it means nothing.
    #[must_use]
    pub fn protected_records(&self) -> usize {
        self.protected_records
    }

    /// Brings the end nearer, if it is farther away than this.
    pub fn wait_at_most(&mut self, span: Duration) {
        if self.deadline.remaining().is_some_and(|left| left > span) {
            self.deadline = Deadline::within(span);
        }
    }

    /// Our own address.
    ///
    /// # Errors
    /// The system's.
    pub fn local_address(&self) -> io::Result<IpAddr> {
        self.transport.local_address()
    }

    /// Does it with a timeout of what is left. A system call on a socket with a timeout ends early when the process is
    /// stopped and goes on (signal(7)); then it is done again.
    fn in_time(
        &mut self,
        mut attempt: impl FnMut(&mut dyn Transport, Duration) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            let left = self.deadline.remaining().ok_or_else(|| self.timed_out())?;
            match attempt(&mut *self.transport, left) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done.map_err(|error| self.told(error)),
            }
        }
    }

    fn timed_out(&self) -> io::Error {
        let error = Error::TimedOut { stage: self.stage, seconds: self.deadline.seconds() };
        io::Error::new(io::ErrorKind::TimedOut, error)
    }

    fn told(&self, error: io::Error) -> io::Error {
        match error.kind() {
            // What a socket's timeout gives, by platform.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => self.timed_out(),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                io::Error::new(error.kind(), Error::Closed { stage: self.stage })
            }
            _ => error,
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(Error::TooMuch { stage: self.stage, limit: BUDGET_SAID }));
        }
        let room = buffer.len().min(self.left);
        let read = self.in_time(|transport, left| transport.read_within(left, &mut buffer[..room]))?;
        self.left -= read;
        let missing = FIRST_BYTES.saturating_sub(self.first.len()).min(read);
        self.first.extend_from_slice(&buffer[..missing]);
        Ok(read)
    }
}

impl Write for Connection {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.in_time(|transport, left| transport.write_within(left, buffer))?;
        self.protected_records = protected_records(buffer);
        Ok(written)
    }

    /// Nothing is held back.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts the records whose type is `application_data`, which TLS 1.3 gives to all that it protects.
fn protected_records(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let [kind, _, _, high, low, rest @ ..] = bytes {
        count += usize::from(*kind == 0x17);
        bytes = rest.get(usize::from(u16::from_be_bytes([*high, *low]))..).unwrap_or_default();
    }
    count
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

    use monitoring_info::state::State;

    use super::*;

    fn local(port: u16) -> Endpoint {
        Endpoint { host: "127.0.0.1".into(), port }
    }

    fn serve(serve: impl FnOnce(TcpStream) + Send + 'static) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || serve(listener.accept().unwrap().0));
        local(port)
    }

    fn soon() -> Deadline {
        Deadline::within(Duration::from_secs(1))
    }

    #[test]
    fn a_byte_at_a_time_does_not_outlast_the_deadline() {
        let endpoint = serve(|mut stream| {
            while stream.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(50));
            }
        });
        let begun = Instant::now();
        let mut connection = Connection::open(&endpoint, soon()).unwrap();
        let error = io::copy(&mut connection, &mut io::sink()).unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(3));
        let said = Error::out_of(error, "").to_string();
        assert_eq!(said, "timed out after 1 s while waiting for the greeting");
    }

    #[test]
    fn the_protected_records_of_a_flight_are_counted() {
        let flight = b"\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x02ab\x17\x03\x03\x00\x01c";
        assert_eq!(protected_records(flight), 2);
        assert_eq!(protected_records(&flight[..13]), 1);
        assert_eq!(protected_records(b""), 0);
        assert_eq!(protected_records(b"\x17\x03\x03\xff\xff"), 1);
    }

    #[test]
    fn a_flood_ends_at_the_budget() {
        let endpoint = serve(|mut stream| {
            let flood = [b'x'; 8192];
            while stream.write_all(&flood).is_ok() {}
        });
        let mut connection = Connection::open(&endpoint, Deadline::within(Duration::from_secs(20))).unwrap();
        let error = io::copy(&mut connection, &mut io::sink()).unwrap_err();
        assert!(matches!(Error::out_of(error, ""), Error::TooMuch { .. }));
        assert!(connection.first_bytes().len() == FIRST_BYTES);
    }

    #[test]
    fn a_refusal_names_the_address() {
        let closed = auto_monitor_tests::service::closed();
        let error = Connection::open(&local(closed.port()), soon()).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot connect to {closed}: Connection refused")));
        assert_eq!(error.state(), State::Critical);
    }

    #[test]
    fn a_name_without_an_address_says_nothing_of_the_service() {
        let nowhere = Endpoint { host: "nowhere.invalid".into(), port: 1 };
        let error = Connection::open(&nowhere, Deadline::within(Duration::from_secs(5))).unwrap_err();
        assert!(matches!(error, Error::Resolve { .. }), "{error:?}");
        assert_eq!(error.state(), State::Unknown);
    }
}
