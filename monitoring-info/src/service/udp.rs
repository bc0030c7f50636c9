//! `udp`: a port does not refuse a datagram.
//!
//! `check_udp` of monitoring-plugins demands an answer with a certain content, which no protocol-blind definition can
//! name; and it takes silence for a failure. So this is a probe of our own.

use super::{Default, Key, Kind, Tls};
use crate::probe::{Probe, Program, Subject};
use crate::value;

pub(super) static KIND: Kind = Kind {
    name: "udp",
    summary: "is not refused by an ICMP message",
    description: "Silence is OK and says that it proves little: most UDP services answer only what they understand.",
    keys: &[Key { name: "port", value: &value::PORT, default: Default::Mandatory, summary: "the UDP port" }],
    tls: Tls::Never,
    rules: &[],
    example: "type = udp\nport = 514\n",
    probes,
};

fn probes(subject: &Subject<'_>) -> Vec<Probe> {
    vec![Program::ours("check_datagram", subject.address_and_port()).into()]
}

#[cfg(test)]
mod tests {
    use crate::definition::tests::main_program;

    #[test]
    fn a_datagram_is_sent_to_the_port() {
        assert_eq!(main_program("type = udp\nport = 514"), "check_datagram -H 192.0.2.1 -p 514");
    }
}
