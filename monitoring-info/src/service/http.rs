//! `http`: a web server answers a request.

use super::{Default, Key, Kind, Ssl, Tls};
use crate::probe::{Probe, Program, Subject};
use crate::value;

pub(super) static KIND: Kind = Kind {
    name: "http",
    summary: "succeeds when GET gives a successful response",
    description: "A 2xx answer is a success. A 3xx answer counts as one (unless `accept_redirection` is False) and is never \
        followed: what it points to may be on another host. All else fails. The answer's body is not read. A `#` in \
        `uri` is sent as `%23`, since a request has none. A virtual host with a certificate of its own needs both `hostname` \
        and `ssl_hostname`.",
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
    let mut program = Program::ours("check_request", subject.address_and_port()).with([
        format!("--hostname={}", subject.text("hostname").unwrap_or_default()),
        format!("--uri={}", subject.text("uri").unwrap_or_default()),
    ]);
    if subject.ssl() == Ssl::Direct {
        program = program.with(["--tls"]);
    }
    if !subject.flag("accept_redirection") {
        program = program.with(["--refuse-redirection"]);
    }
    vec![program.into()]
}

#[cfg(test)]
mod tests {
    use crate::definition::tests::main_program;

    #[test]
    fn request_is_what_the_definition_says() {
        assert_eq!(
            main_program("type = http"),
            "check_request -H 192.0.2.1 -p 80 --hostname=web1.example.org --uri=/"
        );
        assert_eq!(
            main_program(
                "type = http\nssl = yes\nuri = /a?b=$USER5$`x`'\"!;c\naccept_redirection = no\nhostname = WWW.example.org"
            ),
            "check_request -H 192.0.2.1 -p 443 --hostname=www.example.org --uri=/a?b=$USER5$`x`'\"!;c --tls \
             --refuse-redirection"
        );
    }
}
