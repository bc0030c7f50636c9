//! `check_mailflow_receive`: see [`auto_monitor_checks::mailflow::receive`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(auto_monitor_checks::mailflow::receive::run(std::env::args_os()))
}
