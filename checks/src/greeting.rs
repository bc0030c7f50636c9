//! `check_greeting`: a mail server greets, upgrades where it shall, and says goodbye.
//!
//! `check_imap` and `check_pop` of monitoring-plugins send LOGOUT and QUIT without reading the answer, know no STARTTLS, and
//! take nothing but `* OK`; `check_smtp` has no TLS from the first byte before 2.4. The format promises a proper greeting and
//! that the farewell is handled, so this is a probe of our own.

use std::ffi::OsString;
use std::time::Instant;

use clap::Parser;
use monitoring_info::state::State;

use crate::answer::Answer;
use crate::command_line::{self, Target};
use crate::protocol::{Error, Protocol, Security};

/// Check that a mail server greets and says goodbye
///
/// Connects, waits for the greeting, upgrades the connection by STARTTLS if that is asked for, and says QUIT or LOGOUT. CRITICAL
/// where any of it does not happen as the protocol has it. The certificate is not judged: `check_certificate` does that.
#[derive(Debug, Parser)]
#[command(name = "check_greeting", version)]
struct Arguments {
    #[command(flatten)]
    target: Target,
    /// The protocol to speak
    #[arg(long)]
    protocol: Protocol,
    /// Expect TLS from the first byte
    #[arg(long, conflicts_with = "starttls")]
    tls: bool,
    /// Upgrade the connection to TLS
    #[arg(long)]
    starttls: bool,
    /// The name to ask for in the TLS handshake (SNI) [default: HOST]
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
}

/// Does what the command line says and gives the exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    command_line::run(arguments, |arguments: Arguments| answer(&arguments))
}

fn answer(arguments: &Arguments) -> Answer {
    let begun = Instant::now();
    match greet(arguments) {
        Ok(greeting) => Answer::new(State::Ok, &greeting)
            .with_performance(format!("time={:.6}s;;;0", begun.elapsed().as_secs_f64())),
        Err(error) => Answer::because(error.state(), &error),
    }
}

fn greet(arguments: &Arguments) -> Result<String, Error> {
    let target = &arguments.target;
    let security = Security::of(arguments.tls, arguments.starttls);
    let name = arguments.hostname.as_ref().unwrap_or(&target.host);
    let mut greeted =
        arguments.protocol.open(&target.endpoint(), security, name, &target.root, target.deadline())?;
    arguments.protocol.farewell(&mut greeted.dialogue)?;
    Ok(greeted.greeting)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
