//! The organisation's DNS: `_auto-monitor._tcp.DOMAIN` as an SRV record (RFC 2782) names the server of a domain.
//!
//! The C library's `getaddrinfo` has no question for SRV, and a resolver of its own (hickory-resolver) would bring an
//! asynchronous runtime and as many crates as all the rest of this program, for one question whose answer is a hint. So
//! the question is asked here, of the name servers that `resolv.conf` names, in one packet each way; the packets are
//! simple-dns's business. No EDNS and no TCP: an answer that does not fit into 512 bytes names more servers than anybody
//! could choose from, and counts as none.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use monitoring_info::announcement::SERVICE;
use monitoring_info::host::HOST_NAME_MAX;
use monitoring_info::server_address::ServerAddress;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, Question, RCODE, TYPE};
use ssh_key::rand_core::{OsRng, RngCore};

use super::{Found, Source, shown};
use crate::configuration::Configuration;
use crate::identity;
use crate::root::Root;

const RESOLVER: &str = "/etc/resolv.conf";
const RESOLVER_MAX: usize = 64 * 1024;
const PORT: u16 = 53;
/// How many name servers the C library asks, too (resolv.conf(5)).
const SERVERS_MAX: usize = 3;
/// How many domains are asked for, the nearest first.
const DOMAINS_MAX: usize = 4;
/// How long one name server may take.
const ANSWER: Duration = Duration::from_secs(1);
/// How long all of it may take.
const ALL: Duration = Duration::from_secs(3);
/// The longest answer without EDNS (RFC 1035, section 4.2.1).
const PACKET_MAX: usize = 512;

/// The servers that DNS names for this host's domains, those of the first domain that has any.
#[must_use]
pub fn ask(root: &Root, configuration: &Configuration) -> Vec<Found> {
    let resolver =
        root.read(Path::new(RESOLVER), RESOLVER_MAX).map(|contents| contents.bytes).unwrap_or_default();
    let resolver = String::from_utf8_lossy(&resolver);
    let name = identity::host_name(root, configuration).ok();
    let servers: Vec<SocketAddr> =
        name_servers(&resolver).into_iter().map(|ip| SocketAddr::new(ip, PORT)).collect();
    let until = Instant::now() + ALL;
    domains(name.as_ref().map(monitoring_info::host::HostName::as_str), &resolver)
        .iter()
        .find_map(|domain| Some(of_domain(domain, &servers, until)).filter(|found| !found.is_empty()))
        .unwrap_or_default()
}

/// The domain of the host's own name, then those that it searches.
fn domains(name: Option<&str>, resolver: &str) -> Vec<String> {
    let own = name.and_then(|name| name.split_once('.')).map(|(_, domain)| domain);
    // The last of these lines counts (resolv.conf(5)).
    let searched = resolver.lines().rev().find_map(|line| {
        let mut words = line.split_whitespace();
        matches!(words.next(), Some("search" | "domain")).then_some(words)
    });
    let mut domains: Vec<String> = Vec::new();
    for domain in own.into_iter().chain(searched.into_iter().flatten()) {
        let domain = domain.trim_matches('.').to_ascii_lowercase();
        // Multicast DNS has been asked for these.
        if !domain.is_empty() && domain != "local" && !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    domains.truncate(DOMAINS_MAX);
    domains
}

fn name_servers(resolver: &str) -> Vec<IpAddr> {
    let named = resolver.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
    });
    let mut servers: Vec<IpAddr> = named.take(SERVERS_MAX).collect();
    if servers.is_empty() {
        servers.push(IpAddr::from([127, 0, 0, 1]));
    }
    servers
}

/// The first name server that answers has the word, also when its word is that there is none.
fn of_domain(domain: &str, servers: &[SocketAddr], until: Instant) -> Vec<Found> {
    let asked = format!("{SERVICE}.{domain}");
    servers.iter().find_map(|server| exchange(&asked, *server, until).ok()).unwrap_or_default()
}

/// One question and its answer.
fn exchange(asked: &str, server: SocketAddr, until: Instant) -> io::Result<Vec<Found>> {
    let until = until.min(Instant::now() + ANSWER);
    let any: IpAddr = if server.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    // A new port, by the kernel's choice, and a new number each time: what an answer from elsewhere would have to guess.
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    let number = (OsRng.next_u32() & 0xffff) as u16;
    socket.send(&question(asked, number).map_err(io::Error::other)?)?;
    let mut packet = [0; PACKET_MAX];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let length = socket.recv(&mut packet)?;
        if let Some(found) = answer(asked, number, &packet[..length]) {
            return Ok(found);
        }
    }
}

fn question(asked: &str, number: u16) -> Result<Vec<u8>, simple_dns::SimpleDnsError> {
    let mut packet = Packet::new_query(number);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(Name::new(asked)?, QTYPE::TYPE(TYPE::SRV), CLASS::IN.into(), false));
    packet.build_bytes_vec()
}

/// The servers in an answer; none, when it is no answer to this question.
fn answer(asked: &str, number: u16, packet: &[u8]) -> Option<Vec<Found>> {
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
    Some(records.filter_map(|record| found(&name(&record.target), record.port)).collect())
}

/// A target of `.` says that there is decidedly no server (RFC 2782).
fn found(host: &str, port: u16) -> Option<Found> {
    if host.is_empty() || host.len() > HOST_NAME_MAX || port == 0 {
        return None;
    }
    let server: ServerAddress = format!("{host}:{port}").parse().ok()?;
    Some(Found { name: shown(host), server, addresses: Vec::new(), fingerprint: None, source: Source::Dns })
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

    #[test]
    fn the_nearest_domain_is_asked_first() {
        let resolver = "domain old.example\nsearch Example.org. example.net local .\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver 2001:db8::53\n";
        assert_eq!(
            domains(Some("web1.example.com"), resolver),
            ["example.com", "example.org", "example.net"]
        );
        assert!(domains(Some("web1"), "").is_empty());
        let servers = name_servers(resolver);
        assert_eq!(servers, ["192.0.2.53".parse::<IpAddr>().unwrap(), "2001:db8::53".parse().unwrap()]);
        assert_eq!(name_servers(""), [IpAddr::from([127, 0, 0, 1])]);
    }

    #[test]
    fn only_the_answer_to_the_question_counts() {
        let good = reply(7, ASKED, &[("monitor.example.org", 2929), ("other.example.org", 2930)]);
        let found = answer(ASKED, 7, &good).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].server.to_string(), "other.example.org:2930");
        assert_eq!(answer(ASKED, 8, &good), None, "another number");
        assert_eq!(answer("_auto-monitor._tcp.example.net", 7, &good), None, "another question");
        assert_eq!(answer(ASKED, 7, &question(ASKED, 7).unwrap()), None, "no answer at all");
        for cut in 0..good.len() {
            // Whatever becomes of it, it ends.
            drop(answer(ASKED, 7, &good[..cut]));
        }
        assert_eq!(answer(ASKED, 7, &reply(7, ASKED, &[(".", 2929), ("a.example", 0)])), Some(Vec::new()));
    }

    #[test]
    fn a_name_server_is_asked_and_the_next_one_where_it_is_silent() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let servers = [silent.local_addr().unwrap(), server.local_addr().unwrap()];
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
            let found = of_domain("example.org", &servers, Instant::now() + ALL);
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].server.to_string(), "monitor.example.org");
        });
    }
}
