//! `check_registered`: see [`auto_monitor_checks`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(auto_monitor_checks::run(std::env::args_os()))
}
