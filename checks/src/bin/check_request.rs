//! `check_request`: see [`auto_monitor_checks::request`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(auto_monitor_checks::request::run(std::env::args_os()))
}
