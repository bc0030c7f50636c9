//! What `--help` and the manual page of each of our programs say besides its arguments.

use std::io::{self, Write};

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use monitoring_info::published;
use monitoring_info::reference::page::CHANGED;
use monitoring_info::state::State;

use crate::{mailflow, tls};

/// What a person needs to know of a program.
struct Page {
    program: &'static str,
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

/// One page a program.
static PAGES: &[Page] = &[
    Page {
        program: "check_certificate",
        examples: &[
            "check_certificate -H www.example.org -w 30 -c 14",
            "check_certificate -H 192.0.2.1 --hostname www.example.org -v",
            "check_certificate -H mail.example.org --starttls smtp",
        ],
        files: &[AUTHORITIES],
    },
    Page { program: "check_datagram", examples: &["check_datagram -H log.example.org -p 514"], files: &[] },
    Page {
        program: "check_greeting",
        examples: &[
            "check_greeting -H mail.example.org -p 25 --protocol smtp --starttls",
            "check_greeting -H mail.example.org -p 993 --protocol imap --tls",
            "check_greeting -H 2001:db8::1 -p 22 --protocol ssh",
        ],
        files: &[],
    },
    Page {
        program: "check_mailflow",
        examples: &[
            "check_mailflow --list mx.example.org/inbound -w 300 -c 900",
            "check_mailflow --list mx.example.org/inbound --forget",
        ],
        files: &[STORE],
    },
    Page {
        program: "check_mailflow_receive",
        examples: &[
            "check_mailflow_receive -H imap.example.org -p 993 --protocol imap --tls --username probe \
             --password-file probe.password --list mx.example.org/inbound",
        ],
        files: &[STORE, AUTHORITIES],
    },
    Page {
        program: "check_mailflow_send",
        examples: &[
            "check_mailflow_send -H mx.example.org -p 25 --to probe@example.org --list mx.example.org/inbound",
        ],
        files: &[STORE],
    },
    Page {
        program: "check_registered",
        examples: &[
            "check_registered www.example.org apache2",
            "check_registered www.example.org apache2 certificate",
            "check_registered --alive www.example.org",
            "check_registered --registration www.example.org",
        ],
        files: &[PUBLISHED],
    },
    Page {
        program: "check_request",
        examples: &[
            "check_request -H www.example.org --tls --uri /status",
            "check_request -H 192.0.2.1 --hostname www.example.org --refuse-redirection",
        ],
        files: &[],
    },
    Page {
        program: "notify_mauve",
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

fn page(command: &Command) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.program == command.get_name())
}

/// The command with its examples below its help.
pub fn with_examples(command: Command) -> Command {
    let examples = page(&command).map_or(&[][..], |page| page.examples);
    let text = examples.iter().fold("Examples:".to_owned(), |text, example| text + "\n  " + example);
    command.after_help(text)
}

/// The manual page.
///
/// # Errors
/// It cannot be written there.
pub fn write(command: Command, out: &mut impl Write) -> io::Result<()> {
    let page = page(&command);
    let manual = Man::new(command)
        .date(CHANGED)
        .source(concat!("auto-monitor ", env!("CARGO_PKG_VERSION")))
        .manual("auto-monitor");
    manual.render_title(out)?;
    manual.render_name_section(out)?;
    manual.render_synopsis_section(out)?;
    manual.render_description_section(out)?;
    manual.render_options_section(out)?;

    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for (state, meaning) in STATES {
        item(&mut roff, [bold(format!("{}", state.exit_status())), roman(format!("  {state}"))], meaning);
    }
    if let Some(page) = page {
        roff.control("SH", ["EXAMPLES"]);
        roff.control("nf", []);
        for example in page.examples {
            roff.text([roman(*example)]);
        }
        roff.control("fi", []);
        if !page.files.is_empty() {
            roff.control("SH", ["FILES"]);
        }
        for (path, what) in page.files {
            item(&mut roff, [italic(format!("/{path}"))], what);
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    let others = PAGES.iter().map(|other| other.program);
    let mut references: Vec<Inline> = others
        .filter(|other| page.is_none_or(|page| page.program != *other))
        .flat_map(|other| [bold(other), roman("(1), ")])
        .collect();
    references.extend([bold("auto-monitor-server"), roman("(8), "), bold("monitoring-info"), roman("(5)")]);
    roff.text(references);
    roff.to_writer(out)
}

fn item(roff: &mut Roff, term: impl Into<Vec<Inline>>, meaning: &str) {
    roff.control("TP", []);
    roff.text(term);
    roff.text([roman(meaning)]);
}
