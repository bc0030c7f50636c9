//! `check_certificate`: see [`auto_monitor_checks::certificate`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(auto_monitor_checks::certificate::run(std::env::args_os()))
}
