//! `mailflow`: mails that were sent arrive in time.

use super::{Default, Key, Kind, Tls};
use crate::probe::{Probe, Program, Subject};
use crate::value;

pub(super) static KIND: Kind = Kind {
    name: "mailflow",
    summary: "fails when the list `id` holds a token older than `seconds`",
    description: "An smtp definition puts tokens on the list, an imap or pop3 definition takes those off that have \
        arrived. What stays is a mail that did not come through.",
    keys: &[
        Key {
            name: "seconds",
            value: &value::SECONDS,
            default: Default::Mandatory,
            summary: "how long a mail may take, in seconds",
        },
        Key { name: "id", value: &value::ID, default: Default::Mandatory, summary: "the token list" },
    ],
    tls: Tls::Never,
    rules: &[],
    example: "type = mailflow\nseconds = 900\nid = inbound\n",
    probes,
};

fn probes(subject: &Subject<'_>) -> Vec<Probe> {
    let seconds = subject.text("seconds").unwrap_or_default();
    let program = Program::ours("check_mailflow", subject.list("id")).with(["-c".to_owned(), seconds]);
    vec![program.into()]
}

#[cfg(test)]
mod tests {
    use crate::definition::tests::main_program;

    #[test]
    fn the_list_is_the_host_s_own() {
        assert_eq!(
            main_program("type = mailflow\nseconds = 900\nid = inbound"),
            "check_mailflow --list web1.example.org/inbound -c 900"
        );
    }
}
