//! `tcp`, `udp` and `ssh`: a port that somebody listens on, and an sshd.

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::thread;

use auto_monitor_tests::process::Process;
use auto_monitor_tests::servers::authority::Request;
use auto_monitor_tests::servers::openssl_server::{OpensslServer, Options};
use auto_monitor_tests::servers::own_address;
use auto_monitor_tests::service::{free_port, wait_until_it_listens};

use crate::site::{Site, banner, closed, over_ipv6, readable};

#[test]
fn tcp_is_a_connection() {
    let site = Site::new();
    let at = banner(b"");
    site.is_ok(at, "type = tcp\nport = PORT");
    site.is_ok(over_ipv6(at), "type = tcp\nport = PORT");
    site.is_critical(closed(), "type = tcp\nport = PORT", "Connection refused");
}

#[test]
fn tcp_over_tls_is_a_handshake() {
    let site = Site::new();
    let other = site.issue(&Request::named("other.example.org").valid_days(-10, 20));
    let options = Options::new(&site.certificate()).other("other.example.org", &other);
    let server = OpensslServer::start(&site.folder("s_server"), &options).unwrap();
    for at in [server.address(), over_ipv6(server.address())] {
        site.is_ok(at, "type = tcp\nport = PORT\nssl = True");
        site.certificate_is_ok(at, "type = tcp\nport = PORT\nssl = True");
    }
    let at = server.address();
    site.certificate_is_ok(at, "type = tcp\nport = PORT\nssl = True\nssl_hostname = other.example.org");
    site.certificate_is_critical(
        at,
        "type = tcp\nport = PORT\nssl = True\nssl_hostname = other.example.org\nexpire_before_days = 21",
        "expire",
    );
    site.is_critical(banner(b"hello\r\n"), "type = tcp\nport = PORT\nssl = True", "Cannot make SSL");
    site.is_critical(closed(), "type = tcp\nport = PORT\nssl = True", "Connection refused");
    // Whoever writes after that gets SIGPIPE, mostly.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().for_each(drop));
    for _ in 0..10 {
        site.is_critical(at, "type = tcp\nport = PORT\nssl = True", "Cannot make SSL");
    }
}

#[test]
fn udp_is_not_refused() {
    let site = Site::new();
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let socket = UdpSocket::bind(address).unwrap();
        let at = socket.local_addr().unwrap();
        site.is_ok(at, "type = udp\nport = PORT");
        drop(socket);
        site.is_critical(at, "type = udp\nport = PORT", "refused, nobody listens there");
    }
}

/// OpenSSH's server. As root it would want a folder that only its package's unit makes; anybody else needs none.
fn ssh_server(site: &Site, address: IpAddr) -> (Process, SocketAddr) {
    let at = SocketAddr::new(address, free_port(address).unwrap());
    let folder = site.folder(&format!("sshd{}", at.port()));
    fs::create_dir_all(&folder).unwrap();
    let key = folder.join("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(made.unwrap().success());
    let configuration = folder.join("sshd_config");
    fs::write(&configuration, format!("ListenAddress {at}\nHostKey {}\nPidFile none\n", key.display()))
        .unwrap();
    let arguments = ["-D", "-e", "-f", &configuration.display().to_string()];
    let (program, log) = (Path::new("/usr/sbin/sshd"), folder.join("log"));
    let mut process = if rustix::process::geteuid().is_root() {
        readable(&key);
        Process::start_as("daemon", "sshd", program, &arguments, &log).unwrap()
    } else {
        Process::start("sshd", program, &arguments, &log).unwrap()
    };
    wait_until_it_listens(&mut process, at).unwrap();
    (process, at)
}

#[test]
fn ssh_is_a_banner() {
    let site = Site::new();
    for address in [own_address(), "::1".parse().unwrap()] {
        let (process, at) = ssh_server(&site, address);
        site.is_ok(at, "type = ssh\nport = PORT");
        drop(process);
        site.is_critical(at, "type = ssh\nport = PORT", "Connection refused");
    }
    site.is_critical(banner(b"SSH-1.5-old\r\n"), "type = ssh\nport = PORT", "SSH-1.5-old");
}
