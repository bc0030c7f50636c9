//! The command line. Help, man pages and completions are made from this one description.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use jiff::civil::Date;
use monitoring_info::host::NameError;
use monitoring_info::overrides::Pattern;
use ssh_key::Fingerprint;

use crate::completion;

/// What the exit status says: a line for each behind the first.
pub const EXIT_STATUS: &str = "\
Exit status:
  0  done, or nothing to do
  1  a definition was refused, or faults were found
  2  the command line is wrong, or the command could not run
  3  a server could not be reached
  4  the server's administrator has not (yet) approved this host
  5  the server's key is not the pinned one";

/// Tells the organisation's monitoring server what is to be watched on this host.
///
/// Packages say what is to be watched in definition files (monitoring-info(5)). This program collects them, applies the
/// administrator's overrides, and registers the result with each monitoring server.
#[derive(Debug, Parser)]
#[command(name = "auto-monitor", version, after_help = EXIT_STATUS, arg_required_else_help = true)]
pub struct Arguments {
    /// A folder that stands before every system path: an image, or a scratch folder
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath, default_value = "/")]
    pub root: PathBuf,
    /// Print JSON in place of text
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check definition files, and name every fault with its place
    ///
    /// Without FILE, everything that counts on this host is checked: the definition files of all layers with the
    /// administrator's overrides. With FILE, just those files as they stand.
    Check {
        /// Definition files; `-` is standard input
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
    },
    /// Show definitions as they are registered, which file set each key, and what the server will run
    Show {
        /// The service; without it, all of them
        #[arg(value_name = "NAME", add = ArgValueCompleter::new(completion::services))]
        name: Option<String>,
    },
    /// Explain the service types and their keys
    Types {
        /// The type; without it, a list of all
        #[arg(value_name = "TYPE", add = ArgValueCompleter::new(completion::types))]
        name: Option<String>,
    },
    /// Register this host's definitions with every monitoring server
    ///
    /// Runs never overlap: a call that finds one running makes sure that one more follows.
    Register {
        /// Show what would change at each server, and tell it nothing
        #[arg(long, conflicts_with_all = ["unattended", "if_changed", "discover", "wait"])]
        dry_run: bool,
        /// For timers and packaging: keep to the backoff, ask nobody, be quiet where nothing is to do
        ///
        /// The exit status is 3 or 4 also where the backoff left a server out, so that a supervisor tries again.
        #[arg(long)]
        unattended: bool,
        /// Say nothing to a server that has taken just this already
        #[arg(long)]
        if_changed: bool,
        /// Where no server is known, look for one first, as `enrol` does: for the daily timer
        #[arg(long)]
        discover: bool,
        /// Keep trying for so long, like 30s, 10m or 24h, until every server has taken it
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        wait: Option<Duration>,
    },
    /// Register whenever something that counts is edited, until it is stopped
    ///
    /// It sees the folders of definition files, /etc/auto-monitor and dpkg's database, also such as are made later.
    /// Events are hints: it looks at everything once an hour too, and at SIGHUP. It waits for the end of a run of apt or
    /// dpkg, and says nothing to a server that holds just what it would say.
    Watch,
    /// Make this host known to a monitoring server
    ///
    /// Without an argument, the servers of client.conf are meant, or those that this host enrolled with before. Where
    /// there is none, one is looked for as `discover` does, and a person at the terminal chooses. Unattended, one is
    /// taken only if it announces the key of a fingerprint in client.conf, or if trust-on-first-use is set and no other
    /// is announced.
    #[command(visible_alias = "enroll")]
    Enrol {
        /// A server as HOST, HOST:PORT or USER@HOST:PORT, or a token that a server has made; `-` reads it from standard
        /// input
        #[arg(value_name = "SERVER|TOKEN")]
        target: Option<String>,
        /// The fingerprint that the server's key must have; also takes the place of a key pinned before
        #[arg(long, value_name = "SHA256:…", value_parser = crate::configuration::fingerprint)]
        fingerprint: Option<Fingerprint>,
        /// Ask nobody
        #[arg(long)]
        unattended: bool,
    },
    /// Look for monitoring servers on the network, and show them
    ///
    /// The local network is asked by multicast DNS; where nobody answers, the name servers are asked for the SRV record
    /// _auto-monitor._tcp of this host's domains. Nothing is sent to what is found.
    Discover,
    /// Show servers, trust, definitions, overrides and faults on one screen, and what to do next
    Status,
    /// Say that a service is not to be watched
    ///
    /// This edits overrides.conf, and keeps the comments and the order of what stands there. It may name a service that
    /// does not exist yet.
    Disable {
        /// The service's name, or a pattern of names with `*` and `?`
        #[arg(value_name = "NAME", value_parser = pattern, add = ArgValueCompleter::new(completion::watched))]
        name: Pattern,
        /// Why; the server's administrator sees it too
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// The first day on which it is watched again, as YYYY-MM-DD
        #[arg(long, value_name = "DATE", value_parser = date)]
        until: Option<Date>,
    },
    /// Say that a service is to be watched again
    Enable {
        /// The service's name, or a pattern of names with `*` and `?`
        #[arg(value_name = "NAME", value_parser = pattern, add = ArgValueCompleter::new(completion::opted_out))]
        name: Pattern,
    },
    /// Say that what follows on this host is no fault, or that it is over
    ///
    /// The servers have their monitoring engine alarm nobody of this host and its services meanwhile. It ends by itself,
    /// so whoever says begin need not live to say end.
    Maintenance {
        /// Whether it begins or ends
        #[arg(value_name = "begin|end")]
        change: Change,
        /// How long it lasts at most, like 30m or 2h; up to 4h
        #[arg(long = "for", value_name = "DURATION", value_parser = duration, default_value = "30m")]
        duration: Duration,
        /// For packaging: keep to `maintenance` in client.conf, ask nobody, and let nothing of it be a failure
        #[arg(long)]
        unattended: bool,
    },
    /// Tell every monitoring server that this host is to be watched no longer
    Deregister,
    /// Write documentation and completions made from this program
    #[command(arg_required_else_help = true)]
    Generate {
        /// What to write.
        #[command(subcommand)]
        what: Generate,
    },
}

impl Command {
    /// Whether a timer, a unit or packaging runs it, so that what it says goes to a journal.
    #[must_use]
    pub fn is_unattended(&self) -> bool {
        match self {
            Self::Register { unattended, .. }
            | Self::Enrol { unattended, .. }
            | Self::Maintenance { unattended, .. } => *unattended,
            Self::Watch => true,
            _ => false,
        }
    }
}

/// What is said of maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Change {
    /// It begins.
    Begin,
    /// It is over.
    End,
}

/// What can be generated.
#[derive(Debug, Subcommand)]
pub enum Generate {
    /// Write man pages: one for each command, and one for each kind of file that people write
    Man {
        /// The page to print, like auto-monitor-check or monitoring-info
        #[arg(value_name = "PAGE", default_value = "auto-monitor", add = ArgValueCompleter::new(completion::pages))]
        page: String,
        /// Write every page into this folder
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "page")]
        directory: Option<PathBuf>,
    },
    /// Print the completions for a shell
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
}

/// Reads `30s`, `10m`, `24h` or `3d`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write one like 30s, 10m, 24h or 3d");
    let text = text.strip_suffix("in").filter(|rest| rest.ends_with('m')).unwrap_or(text);
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86400,
        _ => return Err(wrong()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

fn pattern(text: &str) -> Result<Pattern, String> {
    text.parse().map_err(|error: NameError| format!("{error}; {}", error.help))
}

fn date(text: &str) -> Result<Date, String> {
    monitoring_info::overrides::date(text)
        .ok_or_else(|| format!("`{text}` is no date; write one as YYYY-MM-DD"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_description_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn durations_are_a_number_and_a_unit() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("30min"), Ok(Duration::from_secs(1800)));
        assert_eq!(duration("3d"), Ok(Duration::from_secs(259_200)));
        for bad in ["", "s", "30", "-1s", "1 h", "1w", "3in", "min", "ä", "99999999999s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
