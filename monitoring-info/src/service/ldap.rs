//! `ldap`: a directory server answers a search.

use super::{Default, Key, Kind, Rule, Ssl, Tls};
use crate::probe::{Probe, Program, Subject};
use crate::value;

pub(super) static KIND: Kind = Kind {
    name: "ldap",
    summary: "does valid LDAP",
    description: "The entry `base` is searched for, anonymously or after a bind with `username` (a DN) and `password`.",
    keys: &[
        Key {
            name: "port",
            value: &value::PORT,
            default: Default::BySsl { plain: "389", ssl: "636" },
            summary: "the TCP port",
        },
        Key {
            name: "base",
            value: &value::DN,
            default: Default::Is(""),
            summary: "the entry to search for; nothing is the root DSE",
        },
        Key {
            name: "username",
            value: &value::TEXT,
            default: Default::Absent,
            summary: "the DN to bind with; needs `password`",
        },
        Key {
            name: "password",
            value: &value::TEXT,
            default: Default::Absent,
            summary: "the password to bind with; needs `username`",
        },
    ],
    tls: Tls::Upgradable { protocol: "ldap" },
    rules: &[Rule::Together("username", "password")],
    example: "type = ldap\nbase = dc=example,dc=org\n",
    probes,
};

fn probes(subject: &Subject<'_>) -> Vec<Probe> {
    let base = subject.text("base").unwrap_or_default();
    // The values stand in the options' own arguments: monitoring-plugins (2.3.3) reads an argument that begins with
    // `--extra-opts` as the option that has it read any file, even where it is another option's value.
    let plain = Program::plugin("check_ldap", subject.address_and_port())
        .with(["-3".to_owned(), format!("--base={base}")]);
    // The certificate is judged by a probe of its own: expired and down are different things.
    let unjudged = |program: Program| program.with_variable("LDAPTLS_REQCERT", "never");
    let program = match subject.ssl() {
        Ssl::Off => plain,
        Ssl::Direct => unjudged(plain.with(["-S"])),
        Ssl::Starttls => unjudged(plain.with(["-T"])),
    };
    let program = match (subject.text("username"), subject.text("password")) {
        (Some(username), Some(password)) => {
            program.with([format!("--bind={username}")]).with_secret("pass", password)
        }
        _ => program,
    };
    vec![program.into()]
}

#[cfg(test)]
mod tests {
    use crate::definition::tests::main_program;

    #[test]
    fn the_password_is_no_argument() {
        assert_eq!(main_program("type = ldap"), "check_ldap -H 192.0.2.1 -p 389 -3 --base=");
        assert_eq!(
            main_program("type = ldap\nssl = True\nbase = dc=a\nusername = cn=x\npassword = s3cret"),
            "LDAPTLS_REQCERT=never check_ldap -H 192.0.2.1 -p 636 -3 --base=dc=a -S --bind=cn=x (pass)"
        );
        assert_eq!(
            main_program("type = ldap\nssl = starttls"),
            "LDAPTLS_REQCERT=never check_ldap -H 192.0.2.1 -p 389 -3 --base= -T"
        );
    }
}
