//! `imap`: a mailbox server greets, and the mails of ours that have arrived are taken where it is given a login.

use super::{Default, Key, Kind, Rule, Ssl, Tls};
use crate::probe::{Plugin, Probe, Subject};
use crate::value;

pub(super) static KIND: Kind = Kind {
    name: "imap",
    summary: "gives a proper IMAP greeting and handles LOGOUT",
    description: "With `username` and `password`, every check logs in and looks in INBOX for mails that an smtp \
        definition has sent, removes them, and with `mailflowid` takes their tokens off that list. No other mail is \
        touched.",
    keys: &[
        Key {
            name: "port",
            value: &value::PORT,
            default: Default::BySsl { plain: "143", ssl: "993" },
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
    example: "type = imap\nssl = True\nusername = probe\npassword_file = /etc/auto-monitor/probe.password\nmailflowid = inbound\n",
    probes,
};

fn probes(subject: &Subject<'_>) -> Vec<Probe> {
    if subject.value("username").is_some() {
        return vec![Probe::own("mail-receive", "the server lets the user in, and our mails are looked for")];
    }
    // The programs of monitoring-plugins cannot upgrade a connection (2.3.3).
    vec![match subject.ssl() {
        Ssl::Off => Probe::plugin(Plugin::new("check_imap", subject.address_and_port())),
        Ssl::Direct => Probe::plugin(Plugin::new("check_simap", subject.address_and_port())),
        Ssl::Starttls => Probe::own("imap-starttls", "the server greets, upgrades to TLS and handles LOGOUT"),
    }]
}

#[cfg(test)]
mod tests {
    use crate::definition::tests::main_plugin;

    #[test]
    fn each_way_to_connect_has_its_program() {
        assert_eq!(main_plugin("type = imap"), "check_imap -H 192.0.2.1 -p 143");
        assert_eq!(main_plugin("type = imap\nssl = True"), "check_simap -H 192.0.2.1 -p 993");
        assert_eq!(main_plugin("type = imap\nssl = starttls"), "own imap-starttls");
        assert_eq!(main_plugin("type = imap\nusername = u\npassword = p"), "own mail-receive");
    }
}
