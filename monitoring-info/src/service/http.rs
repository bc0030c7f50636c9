//! `http`: a web server answers a request.

use std::net::IpAddr;

use super::{Default, Key, Kind, Ssl, Tls};
use crate::probe::{Probe, Program, Subject};
use crate::value;

pub(super) static KIND: Kind = Kind {
    name: "http",
    summary: "succeeds when GET gives a successful response",
    description: "A 2xx answer is a success. A 3xx answer counts as one (unless `accept_redirection` is False) and is never \
        followed: what it points to may be on another host. All else fails. The answer's body is not read. A virtual host \
        with a certificate of its own needs both `hostname` and `ssl_hostname`.",
    keys: &[
        Key {
            name: "port",
            value: &value::PORT,
            default: Default::BySsl { plain: "80", ssl: "443" },
            summary: "the TCP port",
        },
        Key {
            name: "uri",
            value: &value::URI,
            default: Default::Is("/"),
            summary: "path (and query) to request",
        },
        Key {
            name: "accept_redirection",
            value: &value::BOOLEAN,
            default: Default::Is("True"),
            summary: "a 3xx answer is a success; it is never followed",
        },
        Key {
            name: "hostname",
            value: &value::NAME,
            default: Default::HostName,
            summary: "the HTTP Host header, and the name asked for in the TLS handshake (SNI)",
        },
    ],
    tls: Tls::Direct,
    rules: &[],
    example: "type = http\nssl = True\nexpire_before_days = 14\n",
    probes,
};

/// What a status line (RFC 9112, section 4) of an answer of the class 2xx holds; `check_http` looks for any of them in it.
/// Left to itself, it calls a 4xx a WARNING.
const SUCCESS: &str = "HTTP/1.1 2,HTTP/1.0 2";
/// The same, and of the class 3xx.
const SUCCESS_OR_REDIRECTION: &str = "HTTP/1.1 2,HTTP/1.0 2,HTTP/1.1 3,HTTP/1.0 3";

fn probes(subject: &Subject<'_>) -> Vec<Probe> {
    let hostname = subject.text("hostname").unwrap_or_default();
    let address = hostname.parse::<IpAddr>().ok();
    let expected = if subject.flag("accept_redirection") { SUCCESS_OR_REDIRECTION } else { SUCCESS };
    let plain = Program::plugin("check_http", ["-I".to_owned(), subject.address.to_string()]).with([
        "-H".to_owned(),
        // RFC 3986, section 3.2.2.
        if address.is_some_and(|address| address.is_ipv6()) { format!("[{hostname}]") } else { hostname },
        "-p".to_owned(),
        subject.port(),
        "-u".to_owned(),
        subject.text("uri").unwrap_or_default(),
        "-e".to_owned(),
        expected.to_owned(),
        // The status line says all. With the body, a server that sends without end takes a gigabyte of memory here until the
        // time is over, and one that keeps the connection open is taken for one that is down.
        "-N".to_owned(),
    ]);
    let program = match subject.ssl() {
        Ssl::Off | Ssl::Starttls => plain,
        // RFC 6066, section 3: an address is no name to ask for.
        Ssl::Direct if address.is_some() => plain.with(["-S"]),
        Ssl::Direct => plain.with(["-S", "--sni"]),
    };
    vec![program.into()]
}

#[cfg(test)]
mod tests {
    use crate::definition::tests::main_program;

    #[test]
    fn request_is_what_the_definition_says() {
        assert_eq!(
            main_program("type = http"),
            "check_http -I 192.0.2.1 -H web1.example.org -p 80 -u / -e HTTP/1.1 2,HTTP/1.0 2,HTTP/1.1 3,HTTP/1.0 3 -N"
        );
        assert_eq!(
            main_program(
                "type = http\nssl = yes\nuri = /a?b=$USER5$`x`'\"!;c\naccept_redirection = no\nhostname = WWW.example.org"
            ),
            "check_http -I 192.0.2.1 -H www.example.org -p 443 -u /a?b=$USER5$`x`'\"!;c -e HTTP/1.1 2,HTTP/1.0 2 -N -S --sni"
        );
    }

    #[test]
    fn an_address_is_a_host_but_no_name_to_ask_for() {
        let expected = "-p 443 -u / -e HTTP/1.1 2,HTTP/1.0 2,HTTP/1.1 3,HTTP/1.0 3 -N -S";
        for (hostname, host) in [("2001:db8::1", "[2001:db8::1]"), ("192.0.2.7", "192.0.2.7")] {
            assert_eq!(
                main_program(&format!("type = http\nssl = yes\nhostname = {hostname}")),
                format!("check_http -I 192.0.2.1 -H {host} {expected}")
            );
        }
    }
}
