//! What `--help` and the manual page of each of our programs say besides its arguments.

use std::io;

use ::manual::Page;
use clap::Command;
use monitoring_info::published;
use monitoring_info::state::State;

use crate::{mailflow, tls};

/// What a person needs to know of a program.
struct Program {
    name: &'static str,
    /// Command lines that are useful as they are, but for the names in them.
    examples: &'static [&'static str],
    files: &'static [File],
}

/// A file or folder, below `--root`, and what it is to the program.
type File = (&'static str, &'static str);

const AUTHORITIES: File =
    (tls::AUTHORITIES, "The authorities that are trusted, one file each, by the hashes that c_rehash makes.");
const STORE: File = (
    mailflow::store::FOLDER,
    "The lists of tokens, the key that proves a token to be of this machine, and when each address got its last mail. It \
     belongs to the user that the monitoring engine runs as, and nobody else can read it.",
);
const PUBLISHED: File = (
    published::STATE_DIR,
    "What the monitoring server has published of each host, and when it was last heard from.",
);

static PROGRAMS: &[Program] = &[
    Program {
        name: "check_certificate",
        examples: &[
            "check_certificate -H www.example.org -w 30 -c 14",
            "check_certificate -H 192.0.2.1 --hostname www.example.org -v",
            "check_certificate -H mail.example.org --starttls smtp",
        ],
        files: &[AUTHORITIES],
    },
    Program { name: "check_datagram", examples: &["check_datagram -H log.example.org -p 514"], files: &[] },
    Program {
        name: "check_greeting",
        examples: &[
            "check_greeting -H mail.example.org -p 25 --protocol smtp --starttls",
            "check_greeting -H mail.example.org -p 993 --protocol imap --tls",
            "check_greeting -H 2001:db8::1 -p 22 --protocol ssh",
        ],
        files: &[],
    },
    Program {
        name: "check_mailflow",
        examples: &[
            "check_mailflow --list mx.example.org/inbound -w 300 -c 900",
            "check_mailflow --list mx.example.org/inbound --forget",
        ],
        files: &[STORE],
    },
    Program {
        name: "check_mailflow_receive",
        examples: &[
            "check_mailflow_receive -H imap.example.org -p 993 --protocol imap --tls --username probe \
             --password-file probe.password --list mx.example.org/inbound",
        ],
        files: &[STORE, AUTHORITIES],
    },
    Program {
        name: "check_mailflow_send",
        examples: &[
            "check_mailflow_send -H mx.example.org -p 25 --to probe@example.org --list mx.example.org/inbound",
        ],
        files: &[STORE],
    },
    Program {
        name: "check_registered",
        examples: &[
            "check_registered www.example.org apache2",
            "check_registered www.example.org apache2 certificate",
            "check_registered --alive www.example.org",
            "check_registered --registration www.example.org",
        ],
        files: &[PUBLISHED],
    },
    Program {
        name: "check_request",
        examples: &[
            "check_request -H www.example.org --tls --uri /status",
            "check_request -H 192.0.2.1 --hostname www.example.org --refuse-redirection",
        ],
        files: &[],
    },
    Program {
        name: "notify_mauve",
        examples: &["notify_mauve --to alert.example.org --source nagios.example.org \
             PROBLEM,www.example.org,apache2,CRITICAL,0,refused,,,"],
        files: &[],
    },
];

/// The exit statuses, which are the states of the monitoring-plugins guidelines, and what they say of what was looked at.
static STATES: &[(State, &str)] = &[
    (State::Ok, "It is as it should be."),
    (State::Warning, "It works, and somebody should look at it soon."),
    (State::Critical, "It does not do what it should."),
    (State::Unknown, "Nothing is known of it: the command line, this machine or its configuration is why."),
];

fn more(command: &Command) -> Option<&'static Program> {
    PROGRAMS.iter().find(|program| program.name == command.get_name())
}

/// The command with its examples below its help.
pub fn with_examples(command: Command) -> Command {
    let examples = more(&command).map_or(&[][..], |program| program.examples);
    let text = examples.iter().fold("Examples:".to_owned(), |text, example| text + "\n  " + example);
    command.after_help(text)
}

/// The manual page.
///
/// # Errors
/// It cannot be written; no reason is known.
pub fn page(command: &Command) -> io::Result<Page> {
    let more = more(command);
    let mut page = ::manual::page(command, 1)?;
    page.section("EXIT STATUS");
    for (state, meaning) in STATES {
        page.item(&format!("`{}`  {state}", state.exit_status()), meaning);
    }
    if let Some(more) = more {
        page.section("EXAMPLES");
        page.text("Useful as they are, but for the names in them:");
        page.literal(&more.examples.join("\n"));
        if !more.files.is_empty() {
            page.section("FILES");
        }
        for (path, what) in more.files {
            page.item(&format!("`/{path}`"), what);
        }
    }
    let others = PROGRAMS.iter().map(|other| other.name).filter(|other| *other != command.get_name());
    let others: Vec<String> = others.map(|other| format!("{other}(1)")).collect();
    page.see_also(others.iter().map(String::as_str).chain(["auto-monitor-server(8)", "monitoring-info(5)"]));
    Ok(page)
}
