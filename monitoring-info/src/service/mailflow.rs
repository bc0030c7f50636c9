//! `mailflow`: mails that were sent arrive in time.

use super::{Default, Key, Kind, Tls};
use crate::probe::Probe;
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
    probes: |_| vec![Probe::own("mailflow", "no mail is on its way for longer than it may take")],
};
