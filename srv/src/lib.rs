//! Asks DNS for SRV records (RFC 2782): which hosts and ports a service of a domain is at.
//!
//! The C library's `getaddrinfo` has no question for SRV, and a resolver of its own (hickory-resolver) would bring an
//! asynchronous runtime and as many crates as all the rest of a program, for one question. So the question is asked here,
//! of the name servers that `resolv.conf` names, in one packet each way; the packets are simple-dns's business. An answer
//! that does not fit into 512 bytes is asked for again over TCP (RFC 7766), which every server speaks, where EDNS is one
//! more thing that may be misunderstood.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use rustix::rand::{GetRandomFlags, getrandom};
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, Question, RCODE, TYPE};

/// Where the system has its resolver's configuration (resolv.conf(5)).
pub const CONFIGURATION: &str = "/etc/resolv.conf";
const PORT: u16 = 53;
/// How many name servers the C library asks, too (resolv.conf(5)).
const SERVERS_MAX: usize = 3;
/// How long one name server may take.
const ANSWER: Duration = Duration::from_secs(1);
/// The longest answer without EDNS (RFC 1035, section 4.2.1).
const PACKET_MAX: usize = 512;

/// Whom to ask, and for which domains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolver {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
}

/// One of the places that a service is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The host, in lower case and without a dot at its end; empty where the service is decidedly not to be had (RFC 2782).
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Resolver {
    /// What a `resolv.conf` says; without a name server it is this machine itself, as for the C library. Other than there, a
    /// name server may have a port, as in `[::1]:5353`.
    #[must_use]
    pub fn parse(configuration: &str) -> Self {
        Self { servers: name_servers(configuration), search: search(configuration) }
    }

    /// The domains that a name without a dot may be in, as they are written.
    #[must_use]
    pub fn search(&self) -> &[String] {
        &self.search
    }

    /// The targets that a name has, such as `_auto-monitor._tcp.example.org`; none where DNS says that there are none. The
    /// first name server that knows has the word, also when its word is that there is none.
    ///
    /// # Errors
    /// None answers in time, or none could find out.
    pub fn targets(&self, name: &str, until: Instant) -> io::Result<Vec<Target>> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let mut answer = Err(io::ErrorKind::TimedOut.into());
        for server in &self.servers {
            answer = exchange(&name, *server, until);
            if answer.is_ok() {
                break;
            }
        }
        answer
    }
}

fn name_servers(configuration: &str) -> Vec<SocketAddr> {
    let named = configuration.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| name_server(words.next()?)).flatten()
    });
    let mut servers: Vec<SocketAddr> = named.take(SERVERS_MAX).collect();
    if servers.is_empty() {
        servers.push(SocketAddr::from(([127, 0, 0, 1], PORT)));
    }
    servers
}

fn name_server(word: &str) -> Option<SocketAddr> {
    let address = word.parse().map(|address: IpAddr| SocketAddr::new(address, PORT));
    address.or_else(|_| word.parse()).ok()
}

/// The last of these lines counts (resolv.conf(5)).
fn search(configuration: &str) -> Vec<String> {
    let line = configuration.lines().rev().find_map(|line| {
        let mut words = line.split_whitespace();
        matches!(words.next(), Some("search" | "domain")).then_some(words)
    });
    line.into_iter().flatten().map(str::to_owned).collect()
}

/// What an answer to the question says.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Targets(Vec<Target>),
    /// More than fits into a datagram.
    Longer,
    /// The server could not find out, or does not want to.
    Unknown,
}

/// One question and its answer.
fn exchange(asked: &str, server: SocketAddr, until: Instant) -> io::Result<Vec<Target>> {
    let until = until.min(Instant::now() + ANSWER);
    let number = number()?;
    let question = question(asked, number).map_err(io::Error::other)?;
    let mut heard = by_datagram(&question, server, until, |packet| answer(asked, number, packet))?;
    if heard == Answer::Longer {
        let packet = by_stream(&question, server, until)?;
        heard = answer(asked, number, &packet).unwrap_or(Answer::Unknown);
    }
    match heard {
        Answer::Targets(targets) => Ok(targets),
        Answer::Longer | Answer::Unknown => {
            Err(io::Error::other(format!("the name server {} cannot say", server.ip())))
        }
    }
}

/// The first datagram from the server that is an answer.
fn by_datagram(
    question: &[u8],
    server: SocketAddr,
    until: Instant,
    read: impl Fn(&[u8]) -> Option<Answer>,
) -> io::Result<Answer> {
    let any: IpAddr = if server.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    // A new port, by the kernel's choice, and a new number each time: what an answer from elsewhere would have to guess.
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    socket.send(question)?;
    let mut packet = [0; PACKET_MAX];
    loop {
        socket.set_read_timeout(Some(left(until)?))?;
        let length = socket.recv(&mut packet)?;
        if let Some(answer) = read(&packet[..length]) {
            return Ok(answer);
        }
    }
}

/// What the server says to the question over TCP, where lengths stand before packets (RFC 1035, section 4.2.2).
fn by_stream(question: &[u8], server: SocketAddr, until: Instant) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, left(until)?)?;
    stream.set_write_timeout(Some(left(until)?))?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat())?;
    let mut length = [0; 2];
    fill(&mut stream, &mut length, until)?;
    let mut packet = vec![0; u16::from_be_bytes(length).into()];
    fill(&mut stream, &mut packet, until)?;
    Ok(packet)
}

/// As [`Read::read_exact`], by a deadline for all of it.
fn fill(stream: &mut TcpStream, mut buffer: &mut [u8], until: Instant) -> io::Result<()> {
    while !buffer.is_empty() {
        stream.set_read_timeout(Some(left(until)?))?;
        let read = stream.read(buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[read..];
    }
    Ok(())
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn number() -> io::Result<u16> {
    let mut bytes = [0; 2];
    getrandom(&mut bytes[..], GetRandomFlags::empty())?;
    Ok(u16::from_ne_bytes(bytes))
}

fn question(asked: &str, number: u16) -> Result<Vec<u8>, simple_dns::SimpleDnsError> {
    let mut packet = Packet::new_query(number);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(Name::new(asked)?, QTYPE::TYPE(TYPE::SRV), CLASS::IN.into(), false));
    packet.build_bytes_vec()
}

/// What a packet says; nothing, when it is no answer to this question.
fn answer(asked: &str, number: u16, packet: &[u8]) -> Option<Answer> {
    let packet = Packet::parse(packet).ok()?;
    let name = |name: &Name<'_>| name.to_string().trim_end_matches('.').to_ascii_lowercase();
    let [question] = packet.questions.as_slice() else { return None };
    if packet.id() != number || !packet.has_flags(PacketFlag::RESPONSE) || name(&question.qname) != asked {
        return None;
    }
    if packet.has_flags(PacketFlag::TRUNCATION) {
        return Some(Answer::Longer);
    }
    // A CNAME on the way gives the records another name; there is only this question that they could answer.
    let records = packet.answers.iter().filter_map(|record| match &record.rdata {
        RData::SRV(record) => Some(Target { host: name(&record.target), port: record.port }),
        _ => None,
    });
    Some(match packet.rcode() {
        RCODE::NoError => Answer::Targets(records.collect()),
        RCODE::NameError => Answer::Targets(Vec::new()),
        _ => Answer::Unknown,
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use simple_dns::ResourceRecord;
    use simple_dns::rdata::SRV;

    use super::*;

    const ASKED: &str = "_auto-monitor._tcp.example.org";

    fn reply(number: u16, asked: &str, targets: &[(&'static str, u16)]) -> Vec<u8> {
        let mut packet = Packet::new_reply(number);
        let name = Name::new(asked).unwrap().into_owned();
        packet.questions.push(Question::new(name.clone(), QTYPE::TYPE(TYPE::SRV), CLASS::IN.into(), false));
        for (target, port) in targets {
            let record = SRV { priority: 0, weight: 0, port: *port, target: Name::new(target).unwrap() };
            packet.answers.push(ResourceRecord::new(name.clone(), CLASS::IN, 60, RData::SRV(record)));
        }
        packet.build_bytes_vec_compressed().unwrap()
    }

    fn target(host: &str, port: u16) -> Target {
        Target { host: host.to_owned(), port }
    }

    #[test]
    fn a_configuration_names_servers_and_domains() {
        let resolver = Resolver::parse(
            "domain old.example\nsearch Example.org. example.net local .\nnameserver 192.0.2.53\n\
             nameserver fe80::1%eth0\nnameserver 2001:db8::53\n",
        );
        assert_eq!(resolver.servers, ["192.0.2.53:53", "[2001:db8::53]:53"].map(|it| it.parse().unwrap()));
        assert_eq!(resolver.search(), ["Example.org.", "example.net", "local", "."]);
        let resolver =
            Resolver::parse("nameserver 127.0.0.1:5353\nnameserver [::1]:5353\nnameserver ns.example");
        assert_eq!(resolver.servers, ["127.0.0.1:5353", "[::1]:5353"].map(|it| it.parse().unwrap()));
        let resolver = Resolver::parse("");
        assert_eq!(resolver.servers, ["127.0.0.1:53".parse().unwrap()]);
        assert!(resolver.search().is_empty());
    }

    #[test]
    fn only_the_answer_to_the_question_counts() {
        let good = reply(7, ASKED, &[("monitor.example.org", 2929), ("Other.example.org", 2930)]);
        let targets = vec![target("monitor.example.org", 2929), target("other.example.org", 2930)];
        assert_eq!(answer(ASKED, 7, &good), Some(Answer::Targets(targets)));
        assert_eq!(answer(ASKED, 8, &good), None, "another number");
        assert_eq!(answer("_auto-monitor._tcp.example.net", 7, &good), None, "another question");
        assert_eq!(answer(ASKED, 7, &question(ASKED, 7).unwrap()), None, "no answer at all");
        for cut in 0..good.len() {
            // Whatever becomes of it, it ends.
            drop(answer(ASKED, 7, &good[..cut]));
        }
        let none = reply(7, ASKED, &[(".", 0)]);
        assert_eq!(answer(ASKED, 7, &none), Some(Answer::Targets(vec![target("", 0)])));
        // NXDOMAIN is an answer; SERVFAIL and REFUSED are for another server to make good.
        for (code, says) in [(3, Answer::Targets(Vec::new())), (2, Answer::Unknown), (5, Answer::Unknown)] {
            let mut failed = reply(7, ASKED, &[]);
            failed[3] |= code;
            assert_eq!(answer(ASKED, 7, &failed), Some(says), "{code}");
        }
    }

    #[test]
    fn a_name_server_is_asked_and_the_next_one_where_it_is_silent() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let servers = [&silent, &server].map(|socket| socket.local_addr().unwrap());
        let resolver = Resolver { servers: servers.into(), search: Vec::new() };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut packet = [0; PACKET_MAX];
                let (length, from) = server.recv_from(&mut packet).unwrap();
                let query = Packet::parse(&packet[..length]).unwrap();
                assert!(query.has_flags(PacketFlag::RECURSION_DESIRED));
                // Somebody who guesses is not heard.
                let guess = reply(query.id().wrapping_add(1), ASKED, &[("evil.example", 22)]);
                server.send_to(&guess, from).unwrap();
                server.send_to(&reply(query.id(), ASKED, &[("monitor.example.org", 2929)]), from).unwrap();
            });
            let until = Instant::now() + Duration::from_secs(10);
            assert_eq!(resolver.targets(ASKED, until).unwrap(), [target("monitor.example.org", 2929)]);
        });
    }

    #[test]
    fn many_targets_come_over_tcp() {
        let targets: Vec<(&str, u16)> = (1..=60).map(|port| ("monitor.example.org", port)).collect();
        // A port that is free for both, which the kernel does not promise of the first that it has.
        let (datagrams, streams) = std::iter::repeat_with(|| {
            let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
            let streams = TcpListener::bind(datagrams.local_addr().unwrap());
            Some((datagrams, streams.ok()?))
        })
        .flatten()
        .next()
        .unwrap();
        let resolver = Resolver { servers: vec![datagrams.local_addr().unwrap()], search: Vec::new() };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut packet = [0; PACKET_MAX];
                let (length, from) = datagrams.recv_from(&mut packet).unwrap();
                let number = Packet::parse(&packet[..length]).unwrap().id();
                let mut truncated = reply(number, ASKED, &targets[..2]);
                truncated[2] |= 2;
                datagrams.send_to(&truncated, from).unwrap();
                let (mut stream, _) = streams.accept().unwrap();
                let mut question = vec![0; 2 + length];
                stream.read_exact(&mut question).unwrap();
                assert_eq!(question[2..], packet[..length]);
                let whole = reply(number, ASKED, &targets);
                assert!(whole.len() > PACKET_MAX);
                stream.write_all(&u16::try_from(whole.len()).unwrap().to_be_bytes()).unwrap();
                stream.write_all(&whole).unwrap();
            });
            let until = Instant::now() + Duration::from_secs(10);
            assert_eq!(resolver.targets(ASKED, until).unwrap().len(), targets.len());
        });
    }
}
