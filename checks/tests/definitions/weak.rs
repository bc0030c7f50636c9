//! Servers whose TLS works and is weaker than Debian's own clients accept: the certificate's probe says so, and the service is
//! not called down for it.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use auto_monitor_tests::servers::authority::{Files, Request, rsa_key};
use auto_monitor_tests::servers::slapd::{self, Slapd};
use monitoring_info::state::State;
use openssl::hash::MessageDigest;
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod, SslVersion};

use crate::site::{HOST, Site};

/// What is weak about a server.
struct Weakness {
    /// What the certificate's probe says of it.
    said: &'static str,
    files: Files,
    newest: Option<SslVersion>,
}

fn weaknesses(site: &Site) -> [Weakness; 3] {
    let short = Request::named(HOST).key(&rsa_key(1024).unwrap());
    let sha_1 = Request::named(HOST).digest(MessageDigest::sha1());
    [
        Weakness { said: "RSA key of 1024 bits", files: site.issue(&short), newest: None },
        Weakness { said: "signed with SHA-1", files: site.issue(&sha_1), newest: None },
        Weakness { said: "TLS 1.0", files: site.certificate(), newest: Some(SslVersion::TLS1) },
    ]
}

/// What a line is waited for that holds, and what is said then.
type Answers = &'static [(&'static str, &'static str)];

/// Greets over TLS from the first byte, answers the lines that are expected with what is given, in order, and hangs up.
fn serve(weakness: &Weakness, greeting: &'static str, answers: Answers) -> SocketAddr {
    let mut acceptor = SslAcceptor::mozilla_intermediate(SslMethod::tls_server()).unwrap();
    acceptor.set_security_level(0);
    acceptor.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
    acceptor.clear_options(openssl::ssl::SslOptions::NO_TLSV1);
    acceptor.set_max_proto_version(weakness.newest).unwrap();
    acceptor.set_certificate_chain_file(&weakness.files.chain).unwrap();
    acceptor.set_private_key_file(&weakness.files.key, SslFiletype::PEM).unwrap();
    let acceptor = Arc::new(acceptor.build());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, acceptor) = (stream.unwrap(), Arc::clone(&acceptor));
            thread::spawn(move || play(stream, &acceptor, greeting, answers));
        }
    });
    address
}

fn play(stream: TcpStream, acceptor: &SslAcceptor, greeting: &str, answers: Answers) {
    // Who finds it too weak hangs up.
    let Ok(stream) = acceptor.accept(stream) else { return };
    let mut stream = BufReader::new(stream);
    let _ = stream.get_mut().write_all(greeting.as_bytes());
    let mut line = String::new();
    for (command, answer) in answers {
        while !line.contains(command) {
            line.clear();
            if !stream.read_line(&mut line).is_ok_and(|read| read > 0) {
                return;
            }
        }
        let _ = stream.get_mut().write_all(answer.as_bytes());
    }
}

/// A definition, the server's greeting, and its answers.
type Service = (&'static str, &'static str, Answers);

/// Definitions of services that no password is sent to.
const SERVICES: &[Service] = &[
    ("type = http\nport = PORT\nssl = True", "", &[("Connection:", "HTTP/1.1 200 OK\r\n\r\n")]),
    ("type = imap\nport = PORT\nssl = True", "* OK\r\n", &[("LOGOUT", "* BYE\r\nl OK\r\n")]),
    ("type = pop3\nport = PORT\nssl = True", "+OK\r\n", &[("QUIT", "+OK\r\n")]),
    ("type = smtp\nport = PORT\nssl = True", "220 x\r\n", &[("QUIT", "221 x\r\n")]),
    (
        "type = smtp\nport = PORT\nssl = True\nemail = probe@example.org",
        "220 x\r\n",
        &[
            ("EHLO", "250 x\r\n"),
            ("MAIL", "250 x\r\n"),
            ("RCPT", "250 x\r\n"),
            ("DATA", "354 x\r\n"),
            (".\r\n", "250 x\r\n"),
            ("QUIT", "221 x\r\n"),
        ],
    ),
];

#[test]
fn what_is_weak_is_not_down() {
    let site = Site::new();
    for weakness in weaknesses(&site) {
        for (definition, greeting, answers) in SERVICES {
            let site = site.again();
            let at = serve(&weakness, greeting, answers);
            site.is_ok(at, definition);
            site.certificate_is_critical(at, definition, weakness.said);
            // Another, because of the one mail a minute to an address.
            site.again().is_ok(at, &format!("{definition}\nignore_invalid_ssl = True"));
        }
    }
}

#[test]
fn a_password_is_not_said_where_it_is_weak_unless_the_definition_says_so() {
    const LOGIN: &str = "type = imap\nport = PORT\nssl = True\nusername = probe\npassword = secret";
    const ANSWERS: Answers = &[("\r\n", "* BYE\r\n")];
    let site = Site::new();
    for weakness in weaknesses(&site) {
        let at = serve(&weakness, "* OK\r\n", ANSWERS);
        let verdict = site.probe(at, LOGIN, None);
        assert_eq!(verdict.state, State::Critical, "{}", verdict.text);
        // The server says goodbye to whatever is said next; but TLS was no obstacle.
        let verdict = site.probe(at, &format!("{LOGIN}\nignore_invalid_ssl = True"), None);
        assert!(!verdict.text.contains("TLS handshake"), "{}: {}", weakness.said, verdict.text);
    }
}

/// `check_tcp` and `check_ldap` make the handshake themselves: the one with OpenSSL, for which the old versions are no TLS any
/// more, the other with `GnuTLS`, for which they are.
#[test]
fn the_plugins_take_weak_certificates() {
    let site = Site::new();
    for weakness in weaknesses(&site) {
        let site = site.again();
        let at = serve(&weakness, "", &[("never", "")]);
        match weakness.newest {
            None => site.is_ok(at, "type = tcp\nport = PORT\nssl = True"),
            Some(_) => site.is_critical(at, "type = tcp\nport = PORT\nssl = True", "Cannot make SSL"),
        }
        let old = "TLSCipherSuite NORMAL:-VERS-ALL:+VERS-TLS1.0\n";
        let options = slapd::Options {
            tls: Some(weakness.files.clone()),
            more: weakness.newest.map_or_else(String::new, |_| old.to_owned()),
            ..slapd::Options::default()
        };
        let slapd = Slapd::start(&site.folder("slapd"), &options).unwrap();
        site.is_ok(slapd.ldaps, "type = ldap\nport = PORT\nssl = True");
        site.is_ok(slapd.ldap, "type = ldap\nport = PORT\nssl = starttls");
    }
}
