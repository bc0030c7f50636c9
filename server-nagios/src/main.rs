//! The program `auto-monitor-server`: everything it does is the library's.

use std::process::ExitCode;

fn main() -> ExitCode {
    auto_monitor_server::run()
}
