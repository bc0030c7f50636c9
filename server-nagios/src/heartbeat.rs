//! The command `heartbeat`: the alert station hears that the engine is alive.
//!
//! Each time an alert is cleared now and raised in ten minutes: so the station raises it by itself once it has heard nothing
//! for so long, whatever the reason: the engine is dead, or the machine, or the network. While the engine does not run,
//! nothing is sent. A timer calls it every minute, since datagrams are lost.

use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use crate::target::nagios::Nagios;
use crate::target::{Engine as _, Running, Target as _, mauve};
use crate::{BAD_NEWS, Context};

/// Runs the command. Where it is the last thing that can fail, it becomes `mauvesend`.
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
    let mut command = mauve::heartbeat(said, title);
    let error = command.exec();
    anyhow::bail!(
        "cannot run {}: {error}; install it, or set `mauvesend` in [mauve]",
        said.mauvesend.display()
    )
}
