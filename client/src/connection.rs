//! One session with a server: connect, show our key, say a verb, hand over a document, take the answer.
//!
//! Nothing here waits without end: connecting, every step of SSH and the whole have their time (the resolver has its
//! own, resolv.conf(5), and is not asked where the server is given as an address). And nothing is said
//! that need not be: the key is offered at once (no `none` request to learn what the server accepts, it accepts keys
//! alone), compression is off, and Nagle's algorithm too, which would make each of the small packets wait for the
//! acknowledgement of the one before.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use monitoring_info::registration::{DOCUMENT_MAX, Reply, Request, Verb};
use monitoring_info::server_address::ServerAddress;
use socket2::{Domain, Protocol, Socket, Type};
use ssh_key::PublicKey;
use ssh2::{MethodType, Session};

use crate::discovery::local;
use crate::failure::{Failure, Status};
use crate::identity::Identity;
use crate::root::reason;

/// The time for one address to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// The time for a whole session.
const SESSION: Duration = Duration::from_secs(30);
/// The most that is read of an answer; a reply names at most every definition with its reasons.
const REPLY_MAX: u64 = 4 * DOCUMENT_MAX as u64;
/// The most that is read of what the server says beside its answer.
const STDERR_MAX: u64 = 16 * 1024;

/// The preferred algorithms. The endpoint is OpenSSH, and it is our own: its host key is an ed25519 key, and these are
/// the fastest of what every OpenSSH since 6.5 offers; the rest stand behind them for an administrator who has
/// restricted the endpoint.
const PREFERENCES: [(MethodType, &str); 4] = [
    (
        MethodType::Kex,
        "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,diffie-hellman-group16-sha512",
    ),
    (MethodType::HostKey, "ssh-ed25519"),
    (
        MethodType::CryptCs,
        "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr",
    ),
    (
        MethodType::CryptSc,
        "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr",
    ),
];

/// An SSH connection whose server has shown its key, before we have shown ours.
pub struct Connection<'a> {
    server: &'a ServerAddress,
    session: Session,
    until: Instant,
    /// The key that the server has proved to hold.
    pub key: PublicKey,
    /// The address that the server sees us by, if nobody translates it.
    pub local: IpAddr,
}

impl<'a> Connection<'a> {
    /// Connects, from `source` if there is one.
    ///
    /// # Errors
    /// The server cannot be found or reached, or does not speak SSH as our endpoint does.
    pub fn open(server: &'a ServerAddress, source: Option<IpAddr>) -> Result<Self, Failure> {
        let until = Instant::now() + SESSION;
        let stream = connect(server, source)?;
        let local = stream.local_addr().map_or(IpAddr::from([127, 0, 0, 1]), |address| address.ip());
        let fail = |attempt: &str, error: &ssh2::Error| {
            Failure::new(Status::Unreachable, format!("cannot {attempt} {server}: {}", error.message()))
                .help("is this the port of the server's endpoint? On the server: auto-monitor-server doctor")
        };
        let mut session = Session::new().map_err(|error| fail("speak SSH with", &error))?;
        session.set_timeout(remaining(until));
        session.set_tcp_stream(stream);
        for (method, preference) in PREFERENCES {
            session.method_pref(method, preference).map_err(|error| fail("speak SSH with", &error))?;
        }
        session.handshake().map_err(|error| fail("speak SSH with", &error))?;
        let key =
            session.host_key().and_then(|(blob, _)| PublicKey::from_bytes(blob).ok()).ok_or_else(|| {
                Failure::new(Status::Unreachable, format!("{server} shows a key that cannot be read"))
            })?;
        Ok(Self { server, session, until, key, local })
    }

    /// Shows our key, says a verb with its document, and takes the reply.
    ///
    /// # Errors
    /// The server does not take the key, or the answer is no reply.
    pub fn exchange(self, identity: &Identity, verb: Verb, request: &Request) -> Result<Reply, Failure> {
        let Self { server, session, until, .. } = self;
        let failed = |attempt: &str, reason: &str| {
            Failure::new(Status::Unreachable, format!("cannot {attempt} {server}: {reason}"))
        };
        session.set_timeout(remaining(until));
        session.userauth_pubkey_memory(&server.user, None, &identity.pem, None).map_err(|error| {
            failed("log in at", error.message()).help(format!(
                "the endpoint takes every key; is `{}` its user? On the server: auto-monitor-server doctor",
                server.user
            ))
        })?;
        let document = serde_json::to_vec(request)
            .map_err(|error| Failure::here(format!("cannot write the document for {server}: {error}")))?;
        if document.len() > DOCUMENT_MAX {
            return Err(Failure::new(
                Status::Faults,
                format!(
                    "the document for {server} has {} KiB, at most {} are possible",
                    document.len() / 1024,
                    DOCUMENT_MAX / 1024
                ),
            )
            .help("shorten the values of this host's definitions"));
        }
        let mut channel =
            session.channel_session().map_err(|error| failed("open a session at", error.message()))?;
        channel.exec(verb.word()).map_err(|error| failed("start a session at", error.message()))?;
        // A server that has read enough to refuse answers and leaves; the answer then says more than the write's error.
        let written = channel.write_all(&document).and_then(|()| channel.send_eof().map_err(io::Error::from));
        session.set_timeout(remaining(until));
        let mut answer = Vec::new();
        let read = read_until(&session, until, &mut channel, REPLY_MAX, &mut answer);
        if let Ok(reply) = serde_json::from_slice::<Reply>(&answer) {
            return Ok(reply);
        }
        let mut said = Vec::new();
        // Only for the message; what cannot be read of it is not said.
        drop(read_until(&session, until, &mut channel.stderr(), STDERR_MAX, &mut said));
        let said = String::from_utf8_lossy(&said);
        let said = said.lines().map(str::trim).find(|line| !line.is_empty());
        let why = match (read.and(written), said) {
            (_, Some(line)) => format!("it says: {line}"),
            (Err(error), None) => reason(&error),
            (Ok(()), None) if answer.is_empty() => "it ended the session without an answer".to_owned(),
            (Ok(()), None) => "what it answers is no reply of auto-monitor".to_owned(),
        };
        Err(failed(&format!("{} at", verb.word()), &why)
            .help("on the server, its journal says more: auto-monitor-server doctor"))
    }
}

/// Reads to the end, but neither more nor longer than this.
fn read_until(
    session: &Session,
    until: Instant,
    from: &mut impl Read,
    most: u64,
    into: &mut Vec<u8>,
) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        session.set_timeout(remaining(until));
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            n => into.extend_from_slice(&buffer[..n]),
        }
        if into.len() as u64 > most {
            return Err(io::Error::other("the answer is too long"));
        }
        if Instant::now() >= until {
            return Err(io::Error::other("the answer takes too long"));
        }
    }
}

/// Milliseconds, at least one: zero would mean to wait without end.
fn remaining(until: Instant) -> u32 {
    let left = until.saturating_duration_since(Instant::now()).as_millis();
    u32::try_from(left).unwrap_or(u32::MAX).max(1)
}

fn addresses(server: &ServerAddress) -> Result<Vec<SocketAddr>, Failure> {
    if let Some(ip) = server.ip() {
        return Ok(vec![SocketAddr::new(ip, server.port)]);
    }
    let is_local = local::is_local(&server.host);
    let (why, help) = match (server.host.as_str(), server.port).to_socket_addrs() {
        Ok(found) => return Ok(found.collect()),
        // Where the C library does not ask the local network, or only by IPv4.
        Err(_) if is_local => match local::resolve(&server.host, server.port) {
            found if !found.is_empty() => return Ok(found),
            _ => (
                "no machine on the local network has that name".to_owned(),
                "is it up, and on this network? Who announces a server: auto-monitor discover",
            ),
        },
        Err(error) => (
            resolver(&error),
            "look at the name of the server, and at this host's resolver (getent hosts NAME)",
        ),
    };
    Err(Failure::new(Status::Unreachable, format!("cannot find the address of {server}: {why}")).help(help))
}

fn connect(server: &ServerAddress, source: Option<IpAddr>) -> Result<TcpStream, Failure> {
    let mut failures = Vec::new();
    for address in addresses(server)? {
        if source.is_some_and(|source| source.is_ipv4() != address.is_ipv4()) {
            failures.push(format!("{} (bind-address is of the other kind)", address.ip()));
            continue;
        }
        match connect_to(address, source) {
            Ok(stream) => return Ok(stream),
            Err(error) => failures.push(format!("{} ({})", address.ip(), reason(&error))),
        }
    }
    Err(Failure::new(
        Status::Unreachable,
        format!("cannot connect to {server} on TCP port {}: {}", server.port, failures.join(", ")),
    )
    .help("is the server's endpoint running, and does a firewall stand in between? On the server: auto-monitor-server doctor"))
}

fn connect_to(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    socket.connect_timeout(&address.into(), CONNECT)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

/// The resolver's words without those of the library around them.
fn resolver(error: &io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_lowercase()
}
