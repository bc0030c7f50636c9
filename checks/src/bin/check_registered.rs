//! `check_registered`: see [`auto_monitor_checks::registered`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(auto_monitor_checks::registered::run(std::env::args_os()))
}
