//! Asks DNS for SRV records (RFC 2782): which hosts and ports a service of a domain is at.
//!
//! The C library's `getaddrinfo` has no question for SRV, and a resolver of its own (hickory-resolver) would bring an
//! asynchronous runtime and as many crates as all the rest of a program, for one question. So the question is asked here,
//! of the name servers that `resolv.conf` names, in one packet each way; the packets are simple-dns's business. No EDNS
//! and no TCP: an answer that does not fit into 512 bytes names more servers than anybody could choose from, and counts as
//! none.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
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
    /// What a `resolv.conf` says; without a name server it is this machine itself, as for the C library.
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
    /// first name server that answers has the word, also when its word is that there is none.
    ///
    /// # Errors
    /// None answers in time.
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
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
    });
    let mut servers: Vec<SocketAddr> =
        named.take(SERVERS_MAX).map(|address: IpAddr| SocketAddr::new(address, PORT)).collect();
    if servers.is_empty() {
        servers.push(SocketAddr::from(([127, 0, 0, 1], PORT)));
    }
    servers
}

/// The last of these lines counts (resolv.conf(5)).
fn search(configuration: &str) -> Vec<String> {
    let line = configuration.lines().rev().find_map(|line| {
        let mut words = line.split_whitespace();
        matches!(words.next(), Some("search" | "domain")).then_some(words)
    });
    line.into_iter().flatten().map(str::to_owned).collect()
}

/// One question and its answer.
fn exchange(asked: &str, server: SocketAddr, until: Instant) -> io::Result<Vec<Target>> {
    let until = until.min(Instant::now() + ANSWER);
    let any: IpAddr = if server.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    // A new port, by the kernel's choice, and a new number each time: what an answer from elsewhere would have to guess.
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    let number = number()?;
    socket.send(&question(asked, number).map_err(io::Error::other)?)?;
    let mut packet = [0; PACKET_MAX];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let length = socket.recv(&mut packet)?;
        if let Some(targets) = answer(asked, number, &packet[..length]) {
            return Ok(targets);
        }
    }
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

/// The targets in an answer; none, when it is no answer to this question.
fn answer(asked: &str, number: u16, packet: &[u8]) -> Option<Vec<Target>> {
    let packet = Packet::parse(packet).ok()?;
    let name = |name: &Name<'_>| name.to_string().trim_end_matches('.').to_ascii_lowercase();
    let [question] = packet.questions.as_slice() else { return None };
    if packet.id() != number || !packet.has_flags(PacketFlag::RESPONSE) || name(&question.qname) != asked {
        return None;
    }
    if packet.rcode() != RCODE::NoError || packet.has_flags(PacketFlag::TRUNCATION) {
        return Some(Vec::new());
    }
    // A CNAME on the way gives the records another name; there is only this question that they could answer.
    let records = packet.answers.iter().filter_map(|record| match &record.rdata {
        RData::SRV(record) => Some(record),
        _ => None,
    });
    Some(records.map(|record| Target { host: name(&record.target), port: record.port }).collect())
}

#[cfg(test)]
mod tests {
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
        let resolver = Resolver::parse("");
        assert_eq!(resolver.servers, ["127.0.0.1:53".parse().unwrap()]);
        assert!(resolver.search().is_empty());
    }

    #[test]
    fn only_the_answer_to_the_question_counts() {
        let good = reply(7, ASKED, &[("monitor.example.org", 2929), ("Other.example.org", 2930)]);
        assert_eq!(
            answer(ASKED, 7, &good).unwrap(),
            [target("monitor.example.org", 2929), target("other.example.org", 2930)]
        );
        assert_eq!(answer(ASKED, 8, &good), None, "another number");
        assert_eq!(answer("_auto-monitor._tcp.example.net", 7, &good), None, "another question");
        assert_eq!(answer(ASKED, 7, &question(ASKED, 7).unwrap()), None, "no answer at all");
        for cut in 0..good.len() {
            // Whatever becomes of it, it ends.
            drop(answer(ASKED, 7, &good[..cut]));
        }
        assert_eq!(answer(ASKED, 7, &reply(7, ASKED, &[(".", 0)])), Some(vec![target("", 0)]));
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
}
