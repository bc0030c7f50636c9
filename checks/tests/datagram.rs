//! `check_datagram` against what can become of a datagram.

use std::net::{IpAddr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, sendto, socket,
};

fn check(target: SocketAddr, more: &[&str]) -> (String, i32) {
    check_host(&target.ip().to_string(), target.port(), more)
}

fn check_host(host: &str, port: u16, more: &[&str]) -> (String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_check_datagram"));
    answer(command.args(["-H", host, "-p", &port.to_string()]).args(more))
}

fn answer(command: &mut Command) -> (String, i32) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout).unwrap();
    (text.strip_suffix('\n').unwrap().to_owned(), output.status.code().unwrap())
}

fn bound(address: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((address.parse::<IpAddr>().unwrap(), 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[test]
fn where_nobody_listens_is_critical() {
    for address in ["127.0.0.1", "::1"] {
        let (socket, target) = bound(address);
        drop(socket);
        let begun = Instant::now();
        let said = check(target, &[]);
        assert_eq!(
            said,
            (format!("CRITICAL: no datagram arrives at {target}: refused, nobody listens there"), 2)
        );
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    }
}

#[test]
fn silence_is_ok_and_proves_little() {
    for address in ["127.0.0.1", "::1"] {
        let (socket, target) = bound(address);
        let said = check(target, &[]);
        assert_eq!(
            said,
            (format!("OK: {target} did not refuse 3 datagrams; nothing answered, so this proves little"), 0)
        );
        for _ in 0..3 {
            assert_eq!(socket.recv_from(&mut [0; 10]).unwrap().0, 0, "they are empty");
        }
    }
    let (_socket, target) = bound("127.0.0.1");
    let begun = Instant::now();
    let (said, _) = check(target, &["-t", "1"]);
    assert!(said.contains(" did not refuse "), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[test]
fn any_answer_is_ok_and_repeated_nowhere() {
    let flood = vec![b'|'; 60_000];
    for (address, answer) in
        [("127.0.0.1", &b""[..]), ("::1", b"x"), ("127.0.0.1", b"|a=1\n\x1b[2J\0"), ("127.0.0.1", &flood)]
    {
        let (socket, target) = bound(address);
        let answer = answer.to_vec();
        let length = answer.len().min(2048);
        thread::spawn(move || {
            let (_, from) = socket.recv_from(&mut [0; 10]).unwrap();
            // Several, of which the first tells enough. Who has had it listens no more.
            for _ in 0..100 {
                let _ = socket.send_to(&answer, from);
            }
        });
        assert_eq!(check(target, &[]), (format!("OK: {target} answered with {length} bytes"), 0));
    }
}

#[test]
fn who_refuses_late_refuses() {
    let (socket, target) = bound("127.0.0.1");
    thread::spawn(move || socket.recv_from(&mut [0; 10]).map(drop));
    let (said, status) = check(target, &[]);
    assert_eq!((said.ends_with("refused, nobody listens there"), status), (true, 2), "{said}");
}

#[test]
fn every_address_of_a_name_is_tried() {
    let (socket, target) = bound("127.0.0.1");
    drop(socket);
    // Where `localhost` is ::1 too, neither listens.
    let (said, status) = check_host("localhost", target.port(), &[]);
    assert!(said.contains(&format!("127.0.0.1:{}: refused", target.port())), "{said}");
    assert_eq!(status, 2);
    let (_socket, target) = bound("127.0.0.1");
    let (said, status) = check_host("localhost", target.port(), &["-t", "1"]);
    assert!(said.starts_with(&format!("OK: {target}")), "{said}");
    assert_eq!(status, 0);
}

#[test]
fn no_name_is_unknown() {
    let (said, status) = check_host("nowhere.invalid", 9, &["-t", "5"]);
    assert!(said.starts_with("UNKNOWN: cannot resolve nowhere.invalid: "), "{said}");
    assert_eq!(status, 3);
}

/// The checksum of RFC 1071 over an ICMP message; that of `ICMPv6` is the kernel's to make (RFC 3542, section 3.1).
fn checksum(message: &[u8]) -> u16 {
    let sum: u32 = message
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap()
}

/// "Destination unreachable" with the beginning of what did not arrive: an IPv4 header (RFC 791, section 3.1) and UDP's.
fn unreachable_v4(code: u8, from: SocketAddrV4, to: SocketAddrV4) -> Vec<u8> {
    let mut message = vec![3, code, 0, 0, 0, 0, 0, 0];
    message.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0]);
    message.extend(from.ip().octets());
    message.extend(to.ip().octets());
    message.extend([from.port().to_be_bytes(), to.port().to_be_bytes(), [0, 8], [0, 0]].concat());
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// Answers each datagram with an ICMP message, as a router or a firewall on the way would.
fn answer_unreachable(server: &UdpSocket, code: u8) {
    let raw = socket(AddressFamily::Inet, SockType::Raw, SockFlag::empty(), SockProtocol::Icmp).unwrap();
    let SocketAddr::V4(to) = server.local_addr().unwrap() else { panic!("IPv4") };
    while let Ok((_, SocketAddr::V4(from))) = server.recv_from(&mut [0; 10]) {
        let message = unreachable_v4(code, from, to);
        sendto(raw.as_raw_fd(), &message, &SockaddrIn::from(from), MsgFlags::empty()).unwrap();
    }
}

#[test]
#[ignore = "needs root: ICMP messages are made"]
fn unreachable_for_any_other_reason_is_critical_too() {
    // RFC 1122, section 3.2.2.1, and RFC 1812, section 5.2.7.1. Both kinds: those that end a connection and those that may pass.
    thread::scope(|scope| {
        for (code, expected) in [
            (0, "Network is unreachable"),
            (1, "No route to host"),
            (2, "Protocol not available"),
            (9, "Network is unreachable"),
            (10, "No route to host"),
            (13, "No route to host"),
        ] {
            scope.spawn(move || {
                let (server, target) = bound("127.0.0.1");
                thread::spawn(move || answer_unreachable(&server, code));
                assert_eq!(
                    check(target, &["-t", "1"]),
                    (format!("CRITICAL: no datagram arrives at {target}: {expected}"), 2),
                    "code {code}"
                );
            });
        }
    });
}

#[test]
#[ignore = "needs root: ICMP messages are made"]
fn unreachable_is_critical_over_ipv6_too() {
    // RFC 4443, section 3.1: no route, administratively prohibited, address unreachable.
    for (code, expected) in [(0, "Network is unreachable"), (1, "Permission denied"), (3, "No route to host")]
    {
        let (server, target) = bound("::1");
        thread::spawn(move || {
            let raw =
                socket(AddressFamily::Inet6, SockType::Raw, SockFlag::empty(), SockProtocol::IcmpV6).unwrap();
            while let Ok((_, SocketAddr::V6(from))) = server.recv_from(&mut [0; 10]) {
                let mut message = vec![1, code, 0, 0, 0, 0, 0, 0];
                // An IPv6 header (RFC 8200, section 3) of a packet with UDP.
                message.extend([0x60, 0, 0, 0, 0, 8, 17, 64]);
                message.extend(from.ip().octets());
                message.extend(from.ip().octets());
                message.extend(
                    [from.port().to_be_bytes(), target.port().to_be_bytes(), [0, 8], [0, 0]].concat(),
                );
                let mut to = from;
                to.set_port(0);
                sendto(raw.as_raw_fd(), &message, &SockaddrIn6::from(to), MsgFlags::empty()).unwrap();
            }
        });
        assert_eq!(
            check(target, &["-t", "1"]),
            (format!("CRITICAL: no datagram arrives at {target}: {expected}"), 2),
            "code {code}"
        );
    }
}

#[test]
#[ignore = "needs root: the check runs without a network"]
fn where_no_way_leads_is_critical() {
    let mut command = Command::new("unshare");
    command.args(["--net", env!("CARGO_BIN_EXE_check_datagram"), "-H", "192.0.2.1", "-p", "9"]);
    let (said, status) = answer(&mut command);
    assert_eq!(said, "CRITICAL: no datagram arrives at 192.0.2.1:9: Network is unreachable");
    assert_eq!(status, 2);
}
