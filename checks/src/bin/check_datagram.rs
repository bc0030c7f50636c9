//! `check_datagram`: see [`auto_monitor_checks::datagram`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(auto_monitor_checks::datagram::run(std::env::args_os()))
}
