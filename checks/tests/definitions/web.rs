//! `http` against Apache.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use auto_monitor_tests::servers::apache::{Apache, Options, Request};
use auto_monitor_tests::servers::authority;
use monitoring_info::state::State;

use crate::site::{HOST, Site, banner, closed};

fn server(site: &Site) -> Apache {
    let other = site.issue(&authority::Request::named("other.example.org"));
    let tls = vec![(HOST.to_owned(), site.certificate()), ("other.example.org".to_owned(), other)];
    Apache::start(&site.folder("apache"), &Options { tls, ..Options::default() }).unwrap()
}

/// The last request that was answered.
fn last(apache: &Apache, before: usize) -> Request {
    for _ in 0..500 {
        let requests = apache.requests().unwrap();
        if requests.len() > before {
            return requests.last().unwrap().clone();
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{}", apache.log());
}

#[test]
fn the_status_decides() {
    let site = Site::new();
    let mut apache = server(&site);
    let at = apache.http;
    site.is_ok(at, "type = http\nport = PORT");
    site.is_ok(at, "type = http\nport = PORT\nuri = /any/thing?and=query");
    for path in ["/moved", "/moved-away"] {
        site.is_ok(at, &format!("type = http\nport = PORT\nuri = {path}"));
        site.is_ok(at, &format!("type = http\nport = PORT\naccept_redirection = yes\nuri = {path}"));
        let refused = format!("type = http\nport = PORT\naccept_redirection = False\nuri = {path}");
        site.is_critical(at, &refused, "301 Moved Permanently");
    }
    for (path, status) in [
        ("/private", "401 Unauthorized"),
        ("/forbidden", "403 Forbidden"),
        ("/absent", "404 Not Found"),
        ("/broken", "500 Internal Server Error"),
        ("/unavailable", "503 Service Unavailable"),
    ] {
        for redirection in ["True", "False"] {
            let refused =
                format!("type = http\nport = PORT\naccept_redirection = {redirection}\nuri = {path}");
            site.is_critical(at, &refused, status);
        }
    }
    apache.stop();
    site.is_critical(at, "type = http\nport = PORT", "Connection refused");
    apache.start_again().unwrap();
    site.is_ok(at, "type = http\nport = PORT");
}

#[test]
fn the_request_is_what_the_definition_says() {
    let site = Site::new();
    let apache = server(&site);
    let printable: String = ('!'..='~').filter(|&c| c != '%').collect();
    for (uri, hostname) in [
        ("/", HOST.to_owned()),
        (&format!("/any/%25?{printable}"), "other.example.org".to_owned()),
        (&format!("/any/{}", "x".repeat(4000)), "192.0.2.1".to_owned()),
        ("/any/?a=b&c=d;e", "2001:db8::1".to_owned()),
    ] {
        let before = apache.requests().unwrap().len();
        site.is_ok(apache.http, &format!("type = http\nport = PORT\nuri = {uri}\nhostname = {hostname}"));
        let request = last(&apache, before);
        // RFC 9112 has no `#` in a request.
        let line = format!("GET {} HTTP/1.1", uri.replace('#', "%23"));
        assert_eq!((request.line.as_str(), request.status), (line.as_str(), 200));
        let host = if hostname.contains(':') { format!("[{hostname}]") } else { hostname };
        assert_eq!(request.host, format!("{host}:{}", apache.http.port()));
    }
}

/// What a server is sent.
fn request(site: &Site, definition: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut received = Vec::new();
        let mut buffer = [0; 8192];
        while !received.ends_with(b"\r\n\r\n") {
            let read = stream.read(&mut buffer).unwrap();
            received.extend_from_slice(&buffer[..read]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        String::from_utf8(received).unwrap()
    });
    site.is_ok(at, definition);
    server.join().unwrap()
}

#[test]
fn every_printable_character_arrives_as_it_is() {
    let site = Site::new();
    let printable: String = ('!'..='~').collect();
    for uri in [format!("/{printable}"), format!("/?{printable}"), "/%00%0d%0a%n%s".to_owned()] {
        let sent = request(&site, &format!("type = http\nport = PORT\nuri = {uri}"));
        let uri = uri.replace('#', "%23");
        assert!(sent.starts_with(&format!("GET {uri} HTTP/1.1\r\n")), "{sent}");
        assert!(sent.contains(&format!("\r\nHost: {HOST}:")), "{sent}");
    }
}

#[test]
fn over_tls_the_name_is_asked_for_and_the_certificate_judged() {
    let site = Site::new();
    let apache = server(&site);
    let at = apache.https;
    site.is_ok(at, "type = http\nport = PORT\nssl = True");
    site.certificate_is_ok(at, "type = http\nport = PORT\nssl = True");
    site.certificate_is_ok(at, "type = http\nport = PORT\nssl = True\nssl_hostname = other.example.org");
    site.is_ok(at, "type = http\nport = PORT\nssl = True\nhostname = other.example.org\nuri = /moved");
    site.is_ok(at, "type = http\nport = PORT\nssl = True\nhostname = 192.0.2.1");
    // The service works; what is wrong with the certificate, the other probe says.
    let unknown = "type = http\nport = PORT\nssl = True\nssl_hostname = unknown.example.org";
    site.is_ok(at, unknown);
    site.certificate_is_critical(at, unknown, "unknown.example.org");
    site.is_critical(at, "type = http\nport = PORT\nssl = True\nuri = /absent", "404 Not Found");
    // TLS where there is none, and none where there is.
    site.is_critical(
        apache.http,
        "type = http\nport = PORT\nssl = True",
        "in plain text where TLS was expected",
    );
    site.is_critical(at, "type = http\nport = PORT", "400 Bad Request");
}

#[test]
fn it_works_over_ipv6() {
    let site = Site::new();
    let apache = server(&site);
    let (Some(http), Some(https)) = (apache.http_v6, apache.https_v6) else {
        panic!("this machine has no IPv6");
    };
    site.is_ok(http, "type = http\nport = PORT");
    site.is_critical(http, "type = http\nport = PORT\nuri = /absent", "404 Not Found");
    site.is_ok(https, "type = http\nport = PORT\nssl = on");
    site.certificate_is_ok(https, "type = http\nport = PORT\nssl = on");
}

/// Answers every request so, then goes on with it for ever: keeps the connection, or sends again and again.
fn endless(answer: &str, again: &'static [u8]) -> SocketAddr {
    let answer = answer.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let answer = answer.clone();
            thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer.as_bytes());
                while stream.write_all(again).is_ok() {
                    if again.is_empty() {
                        thread::sleep(Duration::from_secs(30));
                    }
                }
            });
        }
    });
    address
}

#[test]
fn servers_of_other_ages_and_manners() {
    let site = Site::new();
    let quick = Duration::from_secs(8);
    for (answer, again) in [
        ("HTTP/1.0 200 OK\r\n\r\nx", &b""[..]),
        ("HTTP/1.1 200\r\n\r\n", b""),
        ("HTTP/1.1 204 No Content\r\n\r\n", b""),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi", b""),
        ("HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 8192]),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", b""),
        ("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", b""),
        (&format!("HTTP/1.1 200 OK\r\nSet-Cookie: {}\r\nX: y\r\n\r\n", "x".repeat(30_000)), b""),
    ] {
        let verdict = site.probe(endless(answer, again), "type = http\nport = PORT", None);
        assert_eq!(verdict.state, State::Ok, "{answer}: {}", verdict.text);
        assert!(verdict.wall < quick, "{answer}: {:?}", verdict.wall);
    }
    for answer in [
        "HTTP/1.1 999 x\r\n\r\n",
        "HTTP/1.1\r\n\r\n",
        "<html>\r\n\r\n",
        "HTTP/1.1 404 HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        site.is_critical(endless(answer, b""), "type = http\nport = PORT", "");
    }
    site.is_critical(closed(), "type = http\nport = PORT", "Connection refused");
    site.is_critical(
        banner(b"SSH-2.0-x\r\n\r\n"),
        "type = http\nport = PORT",
        "the server said \"SSH-2.0-x\"",
    );
}
