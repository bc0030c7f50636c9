//! Writes the generated part of `docs/format.md` anew: `make docs`.

use std::fs;
use std::process::ExitCode;

use monitoring_info::reference::in_markdown;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/format.md");

fn main() -> ExitCode {
    match write() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write the types into {DOCUMENT}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write() -> Result<(), Box<dyn std::error::Error>> {
    let old = fs::read_to_string(DOCUMENT)?;
    let new = in_markdown(&old).ok_or("it has lost the marks of its generated part")?;
    if new != old {
        fs::write(DOCUMENT, new)?;
        println!("{DOCUMENT} is written anew; commit it with the types");
    }
    Ok(())
}
