//! `check_mailflow`: see [`auto_monitor_checks::mailflow::delay`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(auto_monitor_checks::mailflow::delay::run(std::env::args_os()))
}
