//! `smtp`: a mail server greets, and takes a mail where the definition names an address.

use super::{Default, Key, Kind, Rule, Ssl, Tls};
use crate::probe::{Plugin, Probe, Subject};
use crate::value;

pub(super) static KIND: Kind = Kind {
    name: "smtp",
    summary: "gives an SMTP greeting; with `email`, accepts a mail",
    description: "With `email`, every check sends a mail with a token to that address. With `mailflowid`, the token is \
        kept in that list until an imap or pop3 definition finds the mail, and a mailflow definition watches how long \
        that takes.",
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
    tls: Tls::Upgradable,
    rules: &[Rule::Needs("mailflowid", "email")],
    example: "type = smtp\nssl = starttls\nemail = probe@example.org\nmailflowid = inbound\n",
    probes,
};

fn probes(subject: &Subject<'_>) -> Vec<Probe> {
    if subject.value("email").is_some() {
        return vec![Probe::own("mail-send", "the server greets and takes a mail with a token")];
    }
    // check_smtp has no TLS from the first byte (2.3.3); check_ssmtp is check_tcp with TLS, the greeting and QUIT.
    vec![Probe::plugin(match subject.ssl() {
        Ssl::Off => Plugin::new("check_smtp", subject.address_and_port()),
        Ssl::Starttls => Plugin::new("check_smtp", subject.address_and_port()).with(["-S"]),
        Ssl::Direct => Plugin::new("check_ssmtp", subject.address_and_port()),
    })]
}

#[cfg(test)]
mod tests {
    use crate::definition::tests::main_plugin;

    #[test]
    fn each_way_to_connect_has_its_program() {
        assert_eq!(main_plugin("type = smtp"), "check_smtp -H 192.0.2.1 -p 25");
        assert_eq!(main_plugin("type = smtp\nssl = starttls"), "check_smtp -H 192.0.2.1 -p 25 -S");
        assert_eq!(main_plugin("type = smtp\nssl = True"), "check_ssmtp -H 192.0.2.1 -p 465");
        assert_eq!(main_plugin("type = smtp\nemail = a@example.org"), "own mail-send");
    }
}
