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

use monitoring_info::state::State;

use crate::deadline::Deadline;

/// How many bytes a check reads at most, all in all: far more than any sound dialogue of ours, far less than memory.
const BUDGET: usize = 8 << 20;
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

/// Why a dialogue ended. Display is a sentence for a person; what the other side said in it is not yet neutral.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name has no address, or nobody could be asked.
    #[error("cannot resolve {host}")]
    Resolve {
        /// The name.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// No address accepted the connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// The last address tried.
        address: SocketAddr,
        /// Why it did not.
        source: io::Error,
    },
    /// The deadline ended.
    #[error("no end within {seconds} s while {stage}")]
    TimedOut {
        /// What was being done.
        stage: &'static str,
        /// The deadline.
        seconds: u64,
    },
    /// The other side ended the connection.
    #[error("the server closed the connection while {stage}")]
    Closed {
        /// What was being done.
        stage: &'static str,
    },
    /// The other side sends without end.
    #[error("the server sent more than {limit} bytes while {stage}")]
    TooMuch {
        /// What was being done.
        stage: &'static str,
        /// How much it may send.
        limit: usize,
    },
    /// The connection broke.
    #[error("the connection broke while {stage}")]
    Broken {
        /// What was being done.
        stage: &'static str,
        /// How.
        source: io::Error,
    },
    /// The other side said what it must not say.
    #[error("while {stage}, the server said {said:?}, not {expected}")]
    Unexpected {
        /// What was being done.
        stage: &'static str,
        /// The line.
        said: String,
        /// What would have been right.
        expected: &'static str,
    },
}

impl Error {
    /// What it means for the service: a name that nobody resolves says nothing of the service; the rest does.
    #[must_use]
    pub fn state(&self) -> State {
        if matches!(self, Self::Resolve { .. }) { State::Unknown } else { State::Critical }
    }

    /// Ours, out of an error that came through a library's hands; else a broken connection.
    #[must_use]
    pub fn out_of(error: io::Error, stage: &'static str) -> Self {
        match error.downcast::<Self>() {
            Ok(ours) => ours,
            Err(error) => match error.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe => Self::Closed { stage },
                _ => Self::Broken { stage, source: error },
            },
        }
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
        // getaddrinfo(3) knows no deadline; a thread that still waits ends with the process.
        let (sender, receiver) = mpsc::channel();
        let asked = (self.host.clone(), self.port);
        thread::spawn(move || sender.send(asked.to_socket_addrs().map(Iterator::collect::<Vec<_>>)));
        let stage = "resolving the name";
        let timed_out = Error::TimedOut { stage, seconds: deadline.seconds() };
        let Some(left) = deadline.remaining() else { return Err(timed_out) };
        match receiver.recv_timeout(left) {
            Err(_) => Err(timed_out),
            Ok(Err(source)) => Err(Error::Resolve { host: self.host.clone(), source }),
            Ok(Ok(addresses)) if addresses.is_empty() => Err(Error::Resolve {
                host: self.host.clone(),
                source: io::Error::new(io::ErrorKind::NotFound, "it has no address"),
            }),
            Ok(Ok(addresses)) => Ok(addresses),
        }
    }
}

/// A connection under a deadline and a budget.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    deadline: Deadline,
    left: usize,
    stage: &'static str,
    first: Vec<u8>,
}

impl Connection {
    /// Connects to the first address that accepts, trying every one.
    ///
    /// # Errors
    /// The last address's, with its reason.
    pub fn open(endpoint: &Endpoint, deadline: Deadline) -> Result<Self, Error> {
        let addresses = endpoint.addresses(&deadline)?;
        let mut failed = Error::TimedOut { stage: "connecting", seconds: deadline.seconds() };
        for (tried, address) in addresses.iter().enumerate() {
            let Some(left) = deadline.remaining() else { break };
            // An address that swallows packets leaves time for those after it.
            let untried = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            match TcpStream::connect_timeout(address, left / untried) {
                Ok(stream) => {
                    // A dialogue of short lines: waiting for more to send only costs time. It works without, too.
                    let _ = stream.set_nodelay(true);
                    return Ok(Self {
                        stream,
                        deadline,
                        left: BUDGET,
                        stage: "waiting for the greeting",
                        first: Vec::new(),
                    });
                }
                Err(source) if source.kind() == io::ErrorKind::TimedOut => {
                    failed = Error::TimedOut { stage: "connecting", seconds: deadline.seconds() };
                }
                Err(source) => failed = Error::Connect { address: *address, source },
            }
        }
        Err(failed)
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

    /// Our own address.
    ///
    /// # Errors
    /// The system's.
    pub fn local_address(&self) -> io::Result<IpAddr> {
        self.stream.local_addr().map(|address| address.ip())
    }

    fn time_left(&self) -> io::Result<Duration> {
        self.deadline.remaining().ok_or_else(|| self.timed_out())
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
            return Err(io::Error::other(Error::TooMuch { stage: self.stage, limit: BUDGET }));
        }
        let room = buffer.len().min(self.left);
        self.stream.set_read_timeout(Some(self.time_left()?))?;
        let read = self.stream.read(&mut buffer[..room]).map_err(|error| self.told(error))?;
        self.left -= read;
        let missing = FIRST_BYTES.saturating_sub(self.first.len()).min(read);
        self.first.extend_from_slice(&buffer[..missing]);
        Ok(read)
    }
}

impl Write for Connection {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.time_left()?))?;
        self.stream.write(buffer).map_err(|error| self.told(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

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
        assert_eq!(said, "no end within 1 s while waiting for the greeting");
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
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = Connection::open(&local(port), soon()).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot connect to 127.0.0.1:{port}"));
        assert_eq!(error.state(), State::Critical);
    }

    #[test]
    fn a_name_without_an_address_says_nothing_of_the_service() {
        let nowhere = Endpoint { host: "nowhere.invalid".into(), port: 1 };
        let error = Connection::open(&nowhere, Deadline::within(Duration::from_secs(5))).unwrap_err();
        assert!(matches!(error, Error::Resolve { .. } | Error::TimedOut { .. }), "{error:?}");
    }
}
