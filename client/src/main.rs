//! `auto-monitor`: maps what the library says to an exit status.

use std::process::ExitCode;

fn main() -> ExitCode {
    auto_monitor_client::run()
}
