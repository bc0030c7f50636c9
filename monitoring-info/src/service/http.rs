//! `http`: a web server answers a request.

use super::{Default, Key, Kind, Ssl, Tls};
use crate::probe::{Probe, Program, Subject};
use crate::value;

pub(super) static KIND: Kind = Kind {
    name: "http",
    summary: "succeeds when GET gives a successful response",
    description: "A 3xx answer counts as a success (unless `accept_redirection` is False) and is never followed: what it \
        points to may be on another host.",
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

fn probes(subject: &Subject<'_>) -> Vec<Probe> {
    let redirect = if subject.flag("accept_redirection") { "ok" } else { "critical" };
    let plain = Program::plugin("check_http", ["-I".to_owned(), subject.address.to_string()]).with([
        "-H".to_owned(),
        subject.text("hostname").unwrap_or_default(),
        "-p".to_owned(),
        subject.port(),
        "-u".to_owned(),
        subject.text("uri").unwrap_or_default(),
        "-f".to_owned(),
        redirect.to_owned(),
    ]);
    let program = if subject.ssl() == Ssl::Direct { plain.with(["-S", "--sni"]) } else { plain };
    vec![program.into()]
}

#[cfg(test)]
mod tests {
    use crate::definition::tests::main_program;

    #[test]
    fn request_is_what_the_definition_says() {
        assert_eq!(
            main_program("type = http"),
            "check_http -I 192.0.2.1 -H web1.example.org -p 80 -u / -f ok"
        );
        assert_eq!(
            main_program(
                "type = http\nssl = yes\nuri = /a?b=$USER5$`x`'\"!;c\naccept_redirection = no\nhostname = WWW.example.org"
            ),
            "check_http -I 192.0.2.1 -H www.example.org -p 443 -u /a?b=$USER5$`x`'\"!;c -f critical -S --sni"
        );
    }
}
