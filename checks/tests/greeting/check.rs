//! Runs of the program, each answer held to the form that every answer has.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use monitoring_info::state::State;

/// Peak memory of a check, in KiB.
const MEMORY_MAX: u32 = 12 << 10;

/// What came of a check.
#[derive(Debug)]
pub struct Ran {
    pub state: State,
    pub text: String,
    pub wall: Duration,
}

pub fn check(arguments: &[&str]) -> Ran {
    run(Command::new(env!("CARGO_BIN_EXE_check_greeting")).args(arguments))
}

fn run(command: &mut Command) -> Ran {
    let begun = Instant::now();
    let output = command.stdin(Stdio::null()).output().unwrap();
    let wall = begun.elapsed();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout).unwrap();
    let text = text.strip_suffix('\n').unwrap().to_owned();
    let states = [State::Ok, State::Critical, State::Unknown];
    let state = states.into_iter().find(|state| output.status.code() == Some(state.exit_status().into()));
    let state = state.unwrap_or_else(|| panic!("{}: {text}", output.status));
    assert!(text.starts_with(&format!("{state}: ")), "{text}");
    assert!(!text.contains(|c: char| c.is_control()) && text.matches('|').count() <= 1, "{text:?}");
    assert_eq!(text.contains('|'), state == State::Ok, "{text}");
    Ran { state, text, wall }
}

/// Fails where the program takes more memory. The kernel lets a process begin with the peak of the one that started it
/// (`ru_maxrss` of getrusage(2) survives `execve`), and this one has many threads; so a small one stands in between.
const WITHIN_MEMORY: &str = "
import os, sys
process = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(process, 0)
if usage.ru_maxrss > int(sys.argv[1]):
    sys.exit(f'{usage.ru_maxrss} KiB')
sys.exit(os.waitstatus_to_exitcode(status))
";

pub fn check_within_memory(protocol: &str, port: u16, more: &[&str]) -> Ran {
    let mut command = Command::new("python3");
    command.args(["-I", "-S", "-c", WITHIN_MEMORY, &MEMORY_MAX.to_string()]);
    command.arg(env!("CARGO_BIN_EXE_check_greeting"));
    run(command.args(["-H", "127.0.0.1", "-p", &port.to_string(), "--protocol", protocol]).args(more))
}

pub fn check_port(protocol: &str, port: u16, more: &[&str]) -> Ran {
    let port = port.to_string();
    check(&[&["-H", "127.0.0.1", "-p", &port, "--protocol", protocol], more].concat())
}
