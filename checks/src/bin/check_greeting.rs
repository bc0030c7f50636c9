//! `check_greeting`: see [`auto_monitor_checks::greeting`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(auto_monitor_checks::greeting::run(std::env::args_os()))
}
