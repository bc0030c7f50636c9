//! The command line of `check_registered`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use monitoring_info::host::{HostName, ServiceName};

use crate::command_line::{self, Ended};

/// Become the probe that a host's registration asks for
///
/// Looks a service of a registered host up in what the monitoring server has published, and becomes the program of
/// monitoring-plugins that probes it. Exit status and output are that program's: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
/// Where there is nothing to run, the answer is UNKNOWN and a sentence that says why and what to do.
///
/// `auto-monitor-server explain HOST SERVICE` prints the command line that this program becomes.
#[derive(Debug, Parser)]
#[command(name = "check_registered", version, disable_help_subcommand = true)]
struct Arguments {
    /// The host, by its registered name
    #[arg(required_unless_present_any = ["alive", "registration"])]
    host: Option<HostName>,
    /// The service, by the name of its definition
    #[arg(required_unless_present_any = ["alive", "registration"])]
    service: Option<ServiceName>,
    /// One of its further probes, like `certificate`; without it, the main one
    probe: Option<ServiceName>,
    /// Probe the host itself: is it reachable?
    #[arg(long, value_name = "HOST", conflicts_with_all = ["host", "registration"])]
    alive: Option<HostName>,
    /// Judge how long ago the host was last heard from
    #[arg(long, value_name = "HOST", conflicts_with = "host")]
    registration: Option<HostName>,
    /// Look for the server's files below this folder
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Look for the programs of monitoring-plugins in this folder
    #[arg(long, value_name = "DIR", default_value = "/usr/lib/nagios/plugins")]
    plugins: PathBuf,
}

/// A command line that asks something.
#[derive(Debug)]
pub struct CommandLine {
    /// What stands before every path of the server.
    pub root: PathBuf,
    /// Where the plugins are; not below the root, programs are the machine's.
    pub plugins: PathBuf,
    /// What is asked.
    pub question: Question,
}

/// What is asked.
#[derive(Debug)]
pub enum Question {
    /// Does a service work?
    Service {
        /// The host.
        host: HostName,
        /// The service.
        service: ServiceName,
        /// The probe, if not the main one.
        probe: Option<ServiceName>,
    },
    /// Is the host reachable?
    Alive {
        /// The host.
        host: HostName,
    },
    /// Was the host heard from lately?
    Registration {
        /// The host.
        host: HostName,
    },
}

/// Reads the command line.
///
/// # Errors
/// There is nothing to answer, because something was printed or because it was misused.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<CommandLine, Ended> {
    let arguments: Arguments = command_line::parse(arguments)?;
    let question = match arguments {
        Arguments { alive: Some(host), .. } => Question::Alive { host },
        Arguments { registration: Some(host), .. } => Question::Registration { host },
        Arguments { host: Some(host), service: Some(service), probe, .. } => {
            Question::Service { host, service, probe }
        }
        // clap demands them; this is the same sentence, so that no path panics.
        _ => return Err(Ended::Misused("give a HOST and a SERVICE; `--help` says more".to_owned())),
    };
    Ok(CommandLine { root: arguments.root, plugins: arguments.plugins, question })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misuse(arguments: &[&str]) -> String {
        let arguments = ["check_registered"].iter().chain(arguments).map(OsString::from);
        match parse(arguments) {
            Err(Ended::Misused(sentence)) => sentence,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_misuse_is_one_sentence() {
        assert_eq!(
            misuse(&["web1.example.org"]),
            "the following required arguments were not provided: <SERVICE>; `check_registered --help` says more"
        );
        let invalid = misuse(&["../etc", "passwd"]);
        assert!(invalid.starts_with("invalid value '../etc' for '[HOST]': "), "{invalid}");
        assert_eq!(invalid.matches("--help").count(), 1, "{invalid}");
        assert!(
            misuse(&["--alive", "a.example", "--registration", "a.example"]).contains("cannot be used with")
        );
        assert!(!misuse(&["a.example", "x\ny"]).contains('\n'));
    }
}
