//! `check_registered`: becomes the probe that a host's registration asks for.

use std::ffi::OsString;

use monitoring_info::probe;

use crate::answer::Answer;
use crate::program::{self, Places};
use crate::published::Server;
use crate::question::{self, CommandLine, Question};
use crate::{command_line, freshness};

/// Does what the command line says and gives the exit status. Where a program takes over, this never returns.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    command_line::respond(question::parse(arguments).map(|question| answer(&question)))
}

/// The answer, unless a program takes over.
fn answer(command_line: &CommandLine) -> Answer {
    let server = Server::below(&command_line.root);
    let places = Places { plugins: &command_line.plugins, root: &command_line.root };
    match &command_line.question {
        Question::Alive { host } => match server.published(host, None) {
            Ok(published) => program::become_it(places, &probe::host_alive(published.address)),
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
            match published.probe(service, probe.as_ref().map(AsRef::as_ref)) {
                Ok(probe) => program::become_it(places, &probe.program),
                Err(error) => Answer::failed(&error),
            }
        }
    }
}
