//! What `--help` and the manual page say besides the arguments.

use std::io;

use ::manual::Page;

use crate::command_line::command;
use crate::destination;

/// Command lines that are useful as they are, but for the names in them, and what each does.
static EXAMPLES: &[(&str, &str)] = &[
    (
        "mauvesend mauve.example.org -i mailqueue -u mx1.example.org -s 'mail queue too long'",
        "Raises an alert, now. Sent again, it is the same alert, and nobody is told twice.",
    ),
    ("mauvesend mauve.example.org -i mailqueue -c", "Clears it."),
    (
        "mauvesend -i heartbeat -s 'no heartbeat' -c now -r +10m",
        "From cron, every few minutes: it is well now, and raises by itself when this has not come for ten.",
    ),
    (
        "mauvesend 192.0.2.7 '[2001:db8::7]:32741' -i backup -s 'backup failed' -t - <backup.log",
        "Two stations. The log is the detail: as it stands, whatever is in it.",
    ),
    (
        "mauvesend -i upgrade -s 'being upgraded' -r +2h -e +3h",
        "Raises in two hours what nobody is to be notified of for three.",
    ),
    ("mauvesend -p -i disk -s 'disk is full'", "Raises this, and clears every other alert of this host."),
];

/// The forms of a time.
static TIMES: &[(&str, &str)] = &[
    ("now", "Now; so is a --raise or --clear with nothing behind it, at the end or before another option."),
    ("+10m", "In ten minutes. The units are s, m, h and d; seconds, where none is said."),
    ("-2h", "Two hours ago."),
    ("1800000000", "So many seconds after 1970-01-01 00:00 UTC. 0 is as if it had not been said."),
];

/// The exit statuses.
static STATUSES: &[(&str, &str)] = &[
    ("0", "A datagram left for at least one address. Nobody knows whether it arrived."),
    ("1", "Nothing was sent; standard error says why."),
];

/// Below the help.
pub fn examples() -> String {
    EXAMPLES.iter().fold("Examples:".to_owned(), |text, (example, _)| text + "\n  " + example)
}

/// The manual page.
///
/// # Errors
/// It cannot be written; no reason is known.
pub fn page() -> io::Result<Page> {
    let mut page = ::manual::page(&command(), 1)?;
    page.section("TIMES");
    for (form, meaning) in TIMES {
        page.item(&format!("`{form}`"), meaning);
    }
    page.section("TEXT");
    for (at, paragraph) in [
        "A value that may begin with a hyphen is joined to its option: --id=VALUE, or -iVALUE. An empty one is refused, since \
         it is a variable that was not set.",
        "What is no UTF-8, and control characters but tabs and line ends, are replaced by U+FFFD: databases, pagers and \
         terminals would choke on them or obey them.",
        "Of standard input, what comes within five seconds is sent, and of nothing, nothing: an alert is not kept back because \
         its text is missing. Nothing said on the command line or there meets a shell.",
        "An update that does not fit into a datagram (65,507 bytes) is refused. The original station also drops an alert whose \
         id has more than 256 characters, whose source or subject has more than 512, or whose summary has more than 1,024.",
    ]
    .into_iter()
    .enumerate()
    {
        if at == 0 {
            page.text(paragraph);
        } else {
            page.paragraph(paragraph);
        }
    }
    page.section("EXIT STATUS");
    for (status, meaning) in STATUSES {
        page.item(&format!("`{status}`"), meaning);
    }
    page.section("FILES");
    page.item(
        &format!("`{}`", destination::FILE),
        "Where alerts of this host go, where the command line does not say it: destinations, between blanks and line ends.",
    );
    page.item(
        &format!("`{}`", srv::CONFIGURATION),
        "The name servers that are asked for SRV records, and the domains in which a name without a dot is looked for.",
    );
    page.section("EXAMPLES");
    for (example, meaning) in EXAMPLES {
        page.item(&format!("`{example}`"), meaning);
    }
    page.see_also(["logger(1)", "auto-monitor-server(8)"]);
    Ok(page)
}
