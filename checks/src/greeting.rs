//! `check_greeting`: a server greets as its protocol has it, upgrades to TLS where it shall, and says goodbye.
//!
//! The format promises a proper greeting, and that the farewell is handled. The programs of monitoring-plugins (2.3.3) do not
//! see to it, so this is a probe of our own:
//! - `check_imap` and `check_pop` send LOGOUT and QUIT and read no answer, know no STARTTLS, and take nothing but `* OK`.
//! - `check_smtp` has no TLS from the first byte and judges neither EHLO nor QUIT. A server that closes, or says something else
//!   than a greeting, is a WARNING; one that refuses STARTTLS is UNKNOWN.
//! - `check_ssh` judges what the first packet happens to hold: a banner that comes in two is none, and so is one with lines
//!   before it (RFC 4253, section 4.2). It repeats the banner as it is, with the `|` that begins performance data.

use std::ffi::OsString;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use monitoring_info::state::State;

use crate::answer::Answer;
use crate::command_line::{self, Securing, Target};
use crate::connection::Connection;
use crate::dialogue::Dialogue;
use crate::protocol::{Error, Protocol, Security, ssh};
use crate::tls::{Purpose, Stream};

/// Check that a mail or SSH server greets and says goodbye
///
/// Connects, waits for the greeting, upgrades the connection by STARTTLS if that is asked for, and says QUIT or LOGOUT. CRITICAL
/// where any of it does not happen as the protocol has it. The certificate is not judged: `check_certificate` does that. SSH has
/// a greeting alone, and neither kind of TLS.
#[derive(Debug, Parser)]
#[command(name = "check_greeting", version)]
struct Arguments {
    #[command(flatten)]
    target: Target,
    /// The protocol to speak
    #[arg(long)]
    protocol: Spoken,
    #[command(flatten)]
    securing: Securing,
}

/// What the server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Spoken {
    /// SMTP (RFC 5321), usually on port 25, with --tls on 465
    Smtp,
    /// IMAP (RFC 9051), usually on port 143, with --tls on 993
    Imap,
    /// POP3 (RFC 1939), usually on port 110, with --tls on 995
    Pop3,
    /// SSH (RFC 4253), usually on port 22
    Ssh,
}

/// Does what the command line says and gives the exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    command_line::run(arguments, |arguments: Arguments| answer(&arguments))
}

fn answer(arguments: &Arguments) -> Answer {
    let begun = Instant::now();
    let security = arguments.securing.security();
    let greeting = match arguments.protocol {
        Spoken::Smtp => greet(arguments, Protocol::Smtp, security),
        Spoken::Imap => greet(arguments, Protocol::Imap, security),
        Spoken::Pop3 => greet(arguments, Protocol::Pop3, security),
        Spoken::Ssh if security == Security::Plain => identify(&arguments.target),
        Spoken::Ssh => return Answer::unknown("SSH has no TLS: leave `--tls` and `--starttls` out"),
    };
    match greeting {
        Ok(greeting) => Answer::new(State::Ok, &greeting)
            .with_performance(format!("time={:.6}s;;;0", begun.elapsed().as_secs_f64())),
        Err(error) => Answer::because(error.state(), &error),
    }
}

fn greet(arguments: &Arguments, protocol: Protocol, security: Security) -> Result<String, Error> {
    let target = &arguments.target;
    let name = arguments.securing.name(target);
    let purpose = Purpose::Look(&target.root);
    let mut greeted = protocol.open(&target.endpoint(), security, name, purpose, target.deadline())?;
    protocol.farewell(&mut greeted.dialogue)?;
    Ok(greeted.greeting)
}

fn identify(target: &Target) -> Result<String, Error> {
    let connection = Connection::open(&target.endpoint(), target.deadline())?;
    Ok(ssh::identify(&mut Dialogue::over(Stream::Plain(connection)))?)
}
