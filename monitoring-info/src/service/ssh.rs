//! `ssh`: a server gives its banner.

use super::{Default, Key, Kind, Tls};
use crate::probe::{Plugin, Probe, Subject};
use crate::value;

pub(super) static KIND: Kind = Kind {
    name: "ssh",
    summary: "gives an SSH banner",
    description: "The identification string of RFC 4253, section 4.2; nobody logs in.",
    keys: &[Key { name: "port", value: &value::PORT, default: Default::Is("22"), summary: "the TCP port" }],
    tls: Tls::Never,
    rules: &[],
    example: "type = ssh\n",
    probes,
};

fn probes(subject: &Subject<'_>) -> Vec<Probe> {
    vec![Probe::plugin(Plugin::new("check_ssh", subject.address_and_port()))]
}

#[cfg(test)]
mod tests {
    use crate::definition::tests::main_plugin;

    #[test]
    fn port_is_22_unless_said_otherwise() {
        assert_eq!(main_plugin("type = ssh"), "check_ssh -H 192.0.2.1 -p 22");
        assert_eq!(main_plugin("type = ssh\nport = 2222"), "check_ssh -H 192.0.2.1 -p 2222");
    }
}
