//! `udp`: a port does not refuse a datagram.
//!
//! `check_udp` of monitoring-plugins demands an answer with a certain content, which no protocol-blind definition can
//! name; and it takes silence for a failure. So this is a probe of our own.

use super::{Default, Key, Kind, Tls};
use crate::probe::Probe;
use crate::value;

pub(super) static KIND: Kind = Kind {
    name: "udp",
    summary: "is not refused by an ICMP message",
    description: "Silence is OK and says that it proves little: most UDP services answer only what they understand.",
    keys: &[Key { name: "port", value: &value::PORT, default: Default::Mandatory, summary: "the UDP port" }],
    tls: Tls::Never,
    rules: &[],
    example: "type = udp\nport = 514\n",
    probes: |_| vec![Probe::own("udp", "a datagram is not refused by an ICMP message")],
};
