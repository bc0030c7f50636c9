//! `tcp`: a port accepts a connection.

use super::{Default, Key, Kind, Ssl, Tls};
use crate::probe::{Probe, Program, Subject};
use crate::value;

pub(super) static KIND: Kind = Kind {
    name: "tcp",
    summary: "accepts a connection",
    description: "Nothing is sent and nothing is expected, except that with `ssl` the TLS handshake must succeed.",
    keys: &[Key { name: "port", value: &value::PORT, default: Default::Mandatory, summary: "the TCP port" }],
    tls: Tls::Direct,
    rules: &[],
    example: "type = tcp\nport = 5432\n",
    probes,
};

fn probes(subject: &Subject<'_>) -> Vec<Probe> {
    let plain = Program::plugin("check_tcp", subject.address_and_port());
    let program = match subject.ssl() {
        Ssl::Off | Ssl::Starttls => plain,
        Ssl::Direct => plain.with(["-S"]).with(subject.server_name("--sni")),
    };
    vec![program.into()]
}

#[cfg(test)]
mod tests {
    use crate::definition::tests::main_program;

    #[test]
    fn a_connection_and_with_ssl_a_handshake() {
        assert_eq!(main_program("type = tcp\nport = 5432"), "check_tcp -H 192.0.2.1 -p 5432");
        assert_eq!(
            main_program("type = tcp\nport = 5432\nssl = 1"),
            "check_tcp -H 192.0.2.1 -p 5432 -S --sni=web1.example.org"
        );
    }
}
