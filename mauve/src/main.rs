//! `mauvesend`: see [`mauve`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(mauve::run(std::env::args_os()))
}
