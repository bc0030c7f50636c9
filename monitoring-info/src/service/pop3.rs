//! `pop3`: a mailbox server greets, and the mails of ours that have arrived are taken where it is given a login.

use super::{Default, Key, Kind, Rule, Tls};
use crate::probe::{Probe, Subject};
use crate::{mail, value};

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
    tls: Tls::Upgradable { protocol: "pop3" },
    rules: &[Rule::Together("username", "password"), Rule::Needs("mailflowid", "username")],
    example: "type = pop3\nssl = True\nusername = probe\npassword_file = /etc/auto-monitor/probe.password\nmailflowid = inbound\n",
    probes,
};

fn probes(subject: &Subject<'_>) -> Vec<Probe> {
    let program = match (subject.text("username"), subject.text("password")) {
        (Some(username), Some(password)) => mail::receive(subject, "pop3", &username, password),
        _ => super::greeting(subject, "pop3"),
    };
    vec![program.into()]
}

#[cfg(test)]
mod tests {
    use crate::definition::tests::main_program;

    #[test]
    fn each_way_to_connect_has_its_option() {
        assert_eq!(main_program("type = pop3"), "check_greeting -H 192.0.2.1 -p 110 --protocol pop3");
        assert_eq!(
            main_program("type = pop3\nssl = True"),
            "check_greeting -H 192.0.2.1 -p 995 --protocol pop3 --tls --hostname=web1.example.org"
        );
        assert_eq!(
            main_program("type = pop3\nssl = starttls"),
            "check_greeting -H 192.0.2.1 -p 110 --protocol pop3 --starttls --hostname=web1.example.org"
        );
    }

    #[test]
    fn a_user_looks_for_our_mails() {
        assert_eq!(
            main_program("type = pop3\nusername = u v\npassword = s3cret"),
            "check_mailflow_receive -H 192.0.2.1 -p 110 --protocol pop3 --username=u v (password)"
        );
    }
}
