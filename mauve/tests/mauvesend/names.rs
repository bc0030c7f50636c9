//! Stations that are found by their names: SRV from a name server of the test's own, which `--root` leads to; A and AAAA
//! from the C library, which root alone can lead there.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use mauve::AlertUpdate;
use simple_dns::rdata::{A, AAAA, RData, SRV};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord};
use tempfile::TempDir;

use crate::station::{Ran, Station, program, run};

type Record = (&'static str, RData<'static>);

fn srv(name: &'static str, target: &'static str, port: u16) -> Record {
    let target = Name::new(target).unwrap();
    (name, RData::SRV(SRV { priority: port, weight: 0, port, target }))
}

fn a(name: &'static str, address: &str) -> Record {
    (name, RData::A(A { address: address.parse::<Ipv4Addr>().unwrap().into() }))
}

fn aaaa(name: &'static str, address: &str) -> Record {
    (name, RData::AAAA(AAAA { address: address.parse::<Ipv6Addr>().unwrap().into() }))
}

/// A name server that knows these records, and says of other names that they are none; as long as the test runs.
fn serve(address: &str, records: Vec<Record>) -> String {
    let socket = UdpSocket::bind(address).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut packet = [0; 512];
        loop {
            let (length, from) = socket.recv_from(&mut packet).unwrap();
            socket.send_to(&answer(&packet[..length], &records), from).unwrap();
        }
    });
    address
}

fn answer(query: &[u8], records: &[Record]) -> Vec<u8> {
    let query = Packet::parse(query).unwrap();
    let question = query.questions[0].clone();
    let asked = question.qname.to_string().to_ascii_lowercase();
    let mut reply = Packet::new_reply(query.id());
    reply.set_flags(PacketFlag::RECURSION_AVAILABLE);
    let known: Vec<&Record> = records.iter().filter(|(name, _)| *name == asked).collect();
    if known.is_empty() {
        *reply.rcode_mut() = RCODE::NameError;
    }
    for (name, data) in known.into_iter().filter(|(_, data)| question.qtype == QTYPE::TYPE(data.type_code()))
    {
        let name = Name::new(name).unwrap();
        reply.answers.push(ResourceRecord::new(name, CLASS::IN, 60, data.clone()));
    }
    reply.questions.push(question);
    reply.build_bytes_vec_compressed().unwrap()
}

/// A folder as `--root`, with a resolver's configuration.
fn root(configuration: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/resolv.conf"), configuration).unwrap();
    root
}

fn send(root: &TempDir, destination: &str) -> Ran {
    run(program().arg("--root").arg(root.path()).args([destination, "-i", "a"]))
}

#[test]
fn every_target_of_a_name_gets_a_copy() {
    let stations = ["127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"].map(Station::at);
    let records = stations
        .iter()
        .map(|station| srv("_mauvealert._udp.mauve.example.org", "localhost", station.port()))
        .collect();
    let root = root(&format!("nameserver {}\n", serve("127.0.0.1:0", records)));
    let ran = send(&root, "Mauve.Example.org");
    assert_eq!((ran.status, &*ran.complained), (Some(0), ""));
    let first = stations[0].receive();
    AlertUpdate::decode(&first).unwrap();
    assert_eq!(stations[1].receive(), first);
    assert_eq!(stations[2].receive(), first);
}

#[test]
fn a_name_that_is_a_service_is_asked_for_as_it_is() {
    let station = Station::at("127.0.0.1:0");
    let records = vec![srv("_alerts._udp.example.org", "localhost", station.port())];
    let root = root(&format!("nameserver {}\n", serve("127.0.0.1:0", records)));
    assert_eq!(send(&root, "_alerts._udp.example.org").status, Some(0));
    AlertUpdate::decode(&station.receive()).unwrap();
}

#[test]
fn a_name_without_a_dot_is_looked_for_in_the_domains_of_this_host() {
    let station = Station::at("127.0.0.1:0");
    let records = vec![srv("_mauvealert._udp.mauve.example.net", "localhost", station.port())];
    let server = serve("127.0.0.1:0", records);
    let root = root(&format!("search example.org example.net\nnameserver {server}\n"));
    assert_eq!(send(&root, "mauve").status, Some(0));
    AlertUpdate::decode(&station.receive()).unwrap();
}

#[test]
fn a_name_server_that_is_silent_is_passed_over() {
    let station = Station::at("127.0.0.1:0");
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let records = vec![srv("_mauvealert._udp.mauve.example.org", "localhost", station.port())];
    let root = root(&format!(
        "nameserver {}\nnameserver {}\n",
        silent.local_addr().unwrap(),
        serve("127.0.0.1:0", records)
    ));
    let ran = send(&root, "mauve.example.org");
    assert_eq!((ran.status, &*ran.complained), (Some(0), ""));
    AlertUpdate::decode(&station.receive()).unwrap();
}

#[test]
fn dns_may_say_that_there_is_no_station() {
    let root = root(&format!(
        "nameserver {}\n",
        serve("127.0.0.1:0", vec![srv("_mauvealert._udp.mauve.example.org", ".", 0)])
    ));
    let ran = send(&root, "mauve.example.org");
    assert_eq!(ran.status, Some(1));
    assert_eq!(
        ran.complained,
        "mauvesend: cannot send to mauve.example.org: DNS says by SRV that it has no station\n\
         mauvesend: nothing was sent\n"
    );
}

/// Runs the program with other `/etc/hosts` and `/etc/resolv.conf`, in a mount namespace of its own.
fn with_names(hosts: &str, resolver: &str, arguments: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("hosts", hosts), ("resolv.conf", resolver)] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    run(Command::new("unshare")
        .args(["--mount", "sh", "-ec"])
        .arg("mount --bind \"$1/hosts\" /etc/hosts; mount --bind \"$1/resolv.conf\" /etc/resolv.conf; shift; exec \"$@\"")
        .arg("sh")
        .arg(folder.path())
        .arg(env!("CARGO_BIN_EXE_mauvesend"))
        .args(arguments))
}

#[test]
#[ignore = "needs root: /etc/hosts and /etc/resolv.conf are others for the program"]
fn every_address_of_a_name_gets_a_copy() {
    let (ipv4, other) = (Station::at("127.85.33.2:32741"), Station::at("127.85.33.3:32741"));
    let ipv6 = Station::at("[::1]:0");
    let port = ipv6.port();
    let station = Station::at(&format!("127.85.33.2:{port}"));
    serve(
        "127.85.33.1:53",
        vec![
            a("plain.example.org", "127.85.33.2"),
            a("plain.example.org", "127.85.33.3"),
            srv("_mauvealert._udp.records.example.org", "both.example.org", port),
            srv("_mauvealert._udp.records.example.org", "gone.example.org", 9),
            a("both.example.org", "127.85.33.2"),
            aaaa("both.example.org", "::1"),
            a("partly.example.org", "127.85.33.2"),
            // Which the kernel sends to nobody who has not asked for it.
            a("partly.example.org", "255.255.255.255"),
        ],
    );
    let send = |arguments: &[&str]| {
        let ran = with_names("127.85.33.3 hosts.example.org\n", "nameserver 127.85.33.1\n", arguments);
        assert_eq!((ran.status, &*ran.complained), (Some(0), ""), "{arguments:?}");
        assert!(ran.took < Duration::from_secs(4), "{:?}", ran.took);
    };
    // Without SRV, A and AAAA; with a port, these alone.
    send(&["plain.example.org", "-i", "a"]);
    let first = ipv4.receive();
    AlertUpdate::decode(&first).unwrap();
    assert_eq!(other.receive(), first);
    send(&[&format!("both.example.org:{port}"), "-i", "a"]);
    assert_eq!(ipv6.receive(), station.receive());
    // Of two targets one is no name any more.
    send(&["records.example.org", "-i", "a"]);
    assert_eq!(ipv6.receive(), station.receive());
    // Of two addresses one is refused: nothing to complain of, unless it is asked for.
    let partly = format!("partly.example.org:{port}");
    send(&[&partly, "-i", "a"]);
    AlertUpdate::decode(&station.receive()).unwrap();
    let ran = with_names("", "nameserver 127.85.33.1\n", &[&partly, "-v", "-i", "a"]);
    assert!(ran.complained.ends_with("Permission denied (os error 13)\n"), "{}", ran.complained);
    assert_eq!(ran.status, Some(0));
    AlertUpdate::decode(&station.receive()).unwrap();
    send(&["hosts.example.org", "-i", "a"]);
    AlertUpdate::decode(&other.receive()).unwrap();
    let ran = with_names("", "nameserver 127.85.33.1\n", &["nobody.example.org", "-i", "a"]);
    assert_eq!(ran.status, Some(1));
    assert_eq!(
        ran.complained,
        "mauvesend: cannot send to nobody.example.org: failed to lookup address information: Name or service not known\n\
         mauvesend: nothing was sent\n"
    );
}

#[test]
#[ignore = "needs root: /etc/hosts and /etc/resolv.conf are others for the program"]
fn where_no_name_server_answers_it_ends_within_seconds_and_holds_no_other_station_up() {
    let _silent = UdpSocket::bind("127.85.34.1:53").unwrap();
    let station = Station::at("127.0.0.1:0");
    let address = station.address().to_string();
    let complaint = "mauvesend: cannot send to mauve.example.org: no name server answered within 5 s\n";
    let arguments = ["mauve.example.org", "other.example.org:99", &address, "-i", "a"];
    let ran = std::thread::scope(|scope| {
        let ran = scope.spawn(|| with_names("", "nameserver 127.85.34.1\n", &arguments));
        let began = Instant::now();
        AlertUpdate::decode(&station.receive()).unwrap();
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        ran.join().unwrap()
    });
    assert_eq!(ran.status, Some(0));
    assert!(ran.complained.starts_with(complaint), "{}", ran.complained);
    assert!((Duration::from_secs(4)..Duration::from_secs(9)).contains(&ran.took), "{:?}", ran.took);
    let ran = with_names("", "nameserver 127.85.34.1\n", &["mauve.example.org", "-i", "a"]);
    assert_eq!((ran.status, ran.complained), (Some(1), format!("{complaint}mauvesend: nothing was sent\n")));
}
