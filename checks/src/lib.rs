//! What the monitoring engine executes: `check_registered HOST SERVICE [PROBE]`.
//!
//! Every generated object of the engine runs this one program with three names from a safe alphabet, so nothing that a
//! host says ever reaches an object file, a macro or a shell. What to probe is read from the published registration, a
//! file that only the server and the engine's group can read; then the program of monitoring-plugins that does the job
//! takes this process's place (`execve`), and its exit status and output are the answer.
//!
//! Where there is nothing to execute, the answer is one line in the form of the monitoring-plugins guidelines. It is
//! never OK by accident: every way not to know is UNKNOWN, with a sentence that says what to do next.

pub mod answer;
mod command_line;
mod freshness;
mod plugin;
mod published;

use std::ffi::OsString;
use std::io::Write;

use monitoring_info::probe::{self, Own, Run};

use crate::answer::Answer;
use crate::command_line::{CommandLine, Question};
use crate::published::Server;

/// Does what the command line says and gives the exit status. Where a plugin takes over, this never returns.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let answer = match command_line::parse(arguments) {
        Ok(command_line) => answer(&command_line),
        Err(command_line::Ended::Served) => return 0,
        Err(command_line::Ended::Misused(sentence)) => Answer::unknown(&sentence),
    };
    // When nobody reads the answer (a closed pipe), the exit status still says it.
    let _ = writeln!(std::io::stdout(), "{answer}");
    answer.state.exit_status()
}

/// The answer, unless a plugin takes over.
fn answer(command_line: &CommandLine) -> Answer {
    let server = Server::below(&command_line.root);
    match &command_line.question {
        Question::Alive { host } => match server.published(host, None) {
            Ok(published) => plugin::become_it(&command_line.plugins, &probe::host_alive(published.address)),
            Err(error) => Answer::failed(&error),
        },
        Question::Registration { host } => match server.published(host, None) {
            Ok(published) => freshness::judge(&server, &published),
            Err(error) => Answer::failed(&error),
        },
        Question::Service { host, service, probe } => {
            let published = match server.published(host, Some(service)) {
                Ok(published) => published,
                Err(error) => return Answer::failed(&error),
            };
            match published.probe(service, probe.as_ref().map(AsRef::as_ref)).map(|probe| probe.run) {
                Ok(Run::Plugin(plugin)) => plugin::become_it(&command_line.plugins, &plugin),
                // The places of our own probes. Until one is here, nobody may take its silence for a success.
                Ok(Run::Own(Own { name, summary })) => Answer::unknown(&format!(
                    "the probe \"{name}\" is not part of this version, so nobody knows whether {summary}"
                )),
                Err(error) => Answer::failed(&error),
            }
        }
    }
}
