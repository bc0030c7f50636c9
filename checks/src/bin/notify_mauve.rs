//! `notify_mauve`: see [`auto_monitor_checks::notification`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(auto_monitor_checks::notification::run(std::env::args_os()))
}
