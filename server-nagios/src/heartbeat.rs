//! The command `heartbeat`: the alert station hears that the engine is alive, and what the engine tells nobody.
//!
//! Each time an alert is cleared now and raised in ten minutes: so the station raises it by itself once it has heard nothing
//! for so long, whatever the reason: the engine is dead, or the machine, or the network. While the engine does not run,
//! nothing is sent. A timer calls it every minute, since datagrams are lost.
//!
//! An alert that the engine had raised would stay raised for ever, if what it is about becomes well during maintenance, of
//! which the engine tells nobody, or is watched no longer. So these are cleared here, for a while.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use crate::publish::generation;
use crate::target::nagios::Nagios;
use crate::target::{Engine as _, Running, Subject, Target as _, mauve};
use crate::{BAD_NEWS, Context};

/// For how long what is watched no longer is told of, since datagrams are lost.
const WITHDRAWN: Duration = Duration::from_secs(10 * 60);
/// How much is told at a time: a datagram takes some hundreds.
const AT_ONCE: usize = 100;

/// Runs the command.
///
/// # Errors
/// It could not be run.
pub fn heartbeat(context: &Context) -> anyhow::Result<ExitCode> {
    let configuration = context.configuration()?;
    let Some(said) = &configuration.mauve else {
        anstream::eprintln!("There is no [mauve] in server.conf, so nobody waits for a heartbeat.");
        return Ok(ExitCode::SUCCESS);
    };
    let engine = Nagios::new(&context.paths, &configuration)?;
    let title = engine.title();
    match engine.running() {
        Running::Yes { .. } => {}
        Running::No { reason } => {
            anstream::eprintln!("{title} does not run ({reason}), so no heartbeat is sent; start it");
            return Ok(ExitCode::from(BAD_NEWS));
        }
        Running::Unknown { reason } => {
            anstream::eprintln!("cannot tell whether {title} runs ({reason}), so no heartbeat is sent");
            return Ok(ExitCode::from(BAD_NEWS));
        }
    }
    let mut good = sent(mauve::heartbeat(said, title))?;
    let mut over: Vec<Subject> = generation::withdrawn(&context.paths, WITHDRAWN)?.into_iter().collect();
    match engine.untold_recoveries() {
        Ok(recoveries) => over.extend(recoveries),
        Err(reason) => {
            anstream::eprintln!("what recovers under maintenance stays raised at the station: {reason}");
            good = false;
        }
    }
    for subjects in over.chunks(AT_ONCE) {
        good &= sent(mauve::over(said, subjects))?;
    }
    Ok(ExitCode::from(if good { 0 } else { BAD_NEWS }))
}

/// Runs what sends; whether it did.
fn sent(mut command: Command) -> anyhow::Result<bool> {
    let status = command.status().map_err(|error| {
        let program = Path::new(command.get_program()).display();
        anyhow::anyhow!("cannot run {program}: {error}; install it, or set `mauvesend` in [mauve]")
    })?;
    Ok(status.success())
}
