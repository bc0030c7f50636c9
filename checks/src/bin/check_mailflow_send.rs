//! `check_mailflow_send`: see [`auto_monitor_checks::mailflow::send`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(auto_monitor_checks::mailflow::send::run(std::env::args_os()))
}
