//! `ssh`: a server gives its banner.

use super::{Default, Key, Kind, Tls};
use crate::probe::{Probe, Subject};
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
    // check_ssh (2.3.3) judges what the first packet holds, though a banner may come in several, or after other lines; and it
    // repeats the banner as it is, with a `|` that begins performance data.
    vec![super::greeting(subject, "ssh").into()]
}

#[cfg(test)]
mod tests {
    use crate::definition::tests::main_program;

    #[test]
    fn port_is_22_unless_said_otherwise() {
        assert_eq!(main_program("type = ssh"), "check_greeting -H 192.0.2.1 -p 22 --protocol ssh");
        assert_eq!(
            main_program("type = ssh\nport = 2222"),
            "check_greeting -H 192.0.2.1 -p 2222 --protocol ssh"
        );
    }
}
