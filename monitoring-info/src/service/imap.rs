//! `imap`: a mailbox server greets, and the mails of ours that have arrived are taken where it is given a login.

use super::{Default, Key, Kind, Rule, Tls};
use crate::probe::{Probe, Subject};
use crate::{mail, value};

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
    tls: Tls::Upgradable { protocol: "imap" },
    rules: &[Rule::Together("username", "password"), Rule::Needs("mailflowid", "username")],
    example: "type = imap\nssl = True\nusername = probe\npassword_file = /etc/auto-monitor/probe.password\nmailflowid = inbound\n",
    probes,
};

fn probes(subject: &Subject<'_>) -> Vec<Probe> {
    let program = match (subject.text("username"), subject.text("password")) {
        (Some(username), Some(password)) => mail::receive(subject, "imap", &username, password),
        _ => super::greeting(subject, "imap"),
    };
    vec![program.into()]
}

#[cfg(test)]
mod tests {
    use crate::definition::tests::main_program;

    #[test]
    fn each_way_to_connect_has_its_option() {
        assert_eq!(main_program("type = imap"), "check_greeting -H 192.0.2.1 -p 143 --protocol imap");
        assert_eq!(
            main_program("type = imap\nssl = True"),
            "check_greeting -H 192.0.2.1 -p 993 --protocol imap --tls --hostname=web1.example.org"
        );
        assert_eq!(
            main_program("type = imap\nssl = starttls"),
            "check_greeting -H 192.0.2.1 -p 143 --protocol imap --starttls --hostname=web1.example.org"
        );
    }

    #[test]
    fn a_user_looks_for_our_mails() {
        assert_eq!(
            main_program("type = imap\nusername = u v\npassword = s3cret"),
            "check_mailflow_receive -H 192.0.2.1 -p 143 --protocol imap --username=u v (password)"
        );
        assert_eq!(
            main_program(
                "type = imap\nssl = True\nssl_hostname = mx\nusername = u\npassword = p\nmailflowid = in"
            ),
            "check_mailflow_receive -H 192.0.2.1 -p 993 --protocol imap --tls --hostname=mx --username=u \
             --list web1.example.org/in (password)"
        );
        assert_eq!(
            main_program("type = imap\nssl = starttls\nignore_invalid_ssl = yes\nusername = u\npassword = p"),
            "check_mailflow_receive -H 192.0.2.1 -p 143 --protocol imap --starttls --hostname=web1.example.org \
             --any-certificate --username=u (password)"
        );
    }
}
