//! `pop3`: a mailbox server greets, and the mails of ours that have arrived are taken where it is given a login.

use super::{Default, Key, Kind, Rule, Ssl, Tls};
use crate::probe::{Plugin, Probe, Subject};
use crate::value;

pub(super) static KIND: Kind = Kind {
    name: "pop3",
    summary: "gives a proper POP3 greeting and handles QUIT",
    description: "With `username` and `password`, every check logs in and looks in the mailbox for mails that an smtp \
        definition has sent, removes them, and with `mailflowid` takes their tokens off that list. No other mail is \
        touched.",
    keys: &[
        Key {
            name: "port",
            value: &value::PORT,
            default: Default::BySsl { plain: "110", ssl: "995" },
            summary: "the TCP port",
        },
        Key {
            name: "username",
            value: &value::TEXT,
            default: Default::Absent,
            summary: "log in with it; needs `password`",
        },
        Key {
            name: "password",
            value: &value::TEXT,
            default: Default::Absent,
            summary: "log in with it; needs `username`",
        },
        Key {
            name: "mailflowid",
            value: &value::ID,
            default: Default::Absent,
            summary: "take tokens that have arrived off this list; needs `username` and `password`",
        },
    ],
    tls: Tls::Upgradable,
    rules: &[Rule::Together("username", "password"), Rule::Needs("mailflowid", "username")],
    example: "type = pop3\nssl = True\nusername = probe\npassword_file = /etc/auto-monitor/probe.password\nmailflowid = inbound\n",
    probes,
};

fn probes(subject: &Subject<'_>) -> Vec<Probe> {
    if subject.value("username").is_some() {
        return vec![Probe::own("mail-receive", "the server lets the user in, and our mails are looked for")];
    }
    // The programs of monitoring-plugins cannot upgrade a connection (2.3.3).
    vec![match subject.ssl() {
        Ssl::Off => Probe::plugin(Plugin::new("check_pop", subject.address_and_port())),
        Ssl::Direct => Probe::plugin(Plugin::new("check_spop", subject.address_and_port())),
        Ssl::Starttls => Probe::own("pop3-starttls", "the server greets, upgrades to TLS and handles QUIT"),
    }]
}

#[cfg(test)]
mod tests {
    use crate::definition::tests::main_plugin;

    #[test]
    fn each_way_to_connect_has_its_program() {
        assert_eq!(main_plugin("type = pop3"), "check_pop -H 192.0.2.1 -p 110");
        assert_eq!(main_plugin("type = pop3\nssl = True"), "check_spop -H 192.0.2.1 -p 995");
        assert_eq!(main_plugin("type = pop3\nssl = starttls"), "own pop3-starttls");
        assert_eq!(main_plugin("type = pop3\nusername = u\npassword = p"), "own mail-receive");
    }
}
