//! `smtp`: a mail server greets, and takes a mail where the definition names an address.

use super::{Default, Key, Kind, Rule, Tls};
use crate::probe::{Probe, Subject};
use crate::{mail, value};

pub(super) static KIND: Kind = Kind {
    name: "smtp",
    summary: "gives an SMTP greeting; with `email`, accepts a mail",
    description: "With `email`, every check sends a mail with a token to that address, one a minute at most. With \
        `mailflowid`, the token is kept in that list until an imap or pop3 definition finds the mail, and a mailflow \
        definition watches how long that takes.",
    keys: &[
        Key {
            name: "port",
            value: &value::PORT,
            default: Default::BySsl { plain: "25", ssl: "465" },
            summary: "the TCP port",
        },
        Key {
            name: "email",
            value: &value::EMAIL,
            default: Default::Absent,
            summary: "send a mail with a token to it at every check",
        },
        Key {
            name: "mailflowid",
            value: &value::ID,
            default: Default::Absent,
            summary: "the token list that the token is stored in; needs `email`",
        },
    ],
    tls: Tls::Upgradable { protocol: "smtp" },
    rules: &[Rule::Needs("mailflowid", "email")],
    example: "type = smtp\nssl = starttls\nemail = probe@example.org\nmailflowid = inbound\n",
    probes,
};

fn probes(subject: &Subject<'_>) -> Vec<Probe> {
    let program = match subject.text("email") {
        Some(email) => mail::send(subject, &email),
        // To check_smtp (2.3.3), a server that greets with 554, or closes, is a WARNING, and one that refuses STARTTLS is
        // UNKNOWN; it has no TLS from the first byte.
        None => super::greeting(subject, "smtp"),
    };
    vec![program.into()]
}

#[cfg(test)]
mod tests {
    use crate::definition::tests::main_program;

    #[test]
    fn each_way_to_connect_has_its_option() {
        assert_eq!(main_program("type = smtp"), "check_greeting -H 192.0.2.1 -p 25 --protocol smtp");
        assert_eq!(
            main_program("type = smtp\nssl = starttls"),
            "check_greeting -H 192.0.2.1 -p 25 --protocol smtp --starttls --hostname=web1.example.org"
        );
        assert_eq!(
            main_program("type = smtp\nssl = True"),
            "check_greeting -H 192.0.2.1 -p 465 --protocol smtp --tls --hostname=web1.example.org"
        );
    }

    #[test]
    fn an_address_is_sent_a_mail() {
        assert_eq!(
            main_program("type = smtp\nemail = a@example.org"),
            "check_mailflow_send -H 192.0.2.1 -p 25 --to=a@example.org"
        );
        assert_eq!(
            main_program("type = smtp\nssl = starttls\nemail = a@example.org\nmailflowid = inbound"),
            "check_mailflow_send -H 192.0.2.1 -p 25 --starttls --hostname=web1.example.org --to=a@example.org \
             --list web1.example.org/inbound"
        );
    }
}
