//! A command that is run somewhere else, and what came of it.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// A command, and what brings it to where it runs.
#[derive(Debug, Clone)]
pub(super) struct Order {
    way: Vec<String>,
    words: Vec<String>,
    input: Vec<u8>,
}

/// How a command ended and what it said.
#[derive(Debug, Clone)]
pub struct Said {
    /// The exit status; none when a signal ended it.
    pub status: Option<i32>,
    /// What it wrote to standard output.
    pub output: String,
    /// What it wrote to standard error.
    pub errors: String,
}

impl Order {
    pub(super) fn new(way: &[&str], words: &[&str]) -> Self {
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Self { way: owned(way), words: owned(words), input: Vec::new() }
    }

    /// With this on standard input, where otherwise nothing is.
    pub(super) fn with_input(mut self, input: &[u8]) -> Self {
        input.clone_into(&mut self.input);
        self
    }

    /// Runs it to its end.
    ///
    /// Input and output are files, not pipes: a server that a command leaves behind would keep a pipe open, and nobody
    /// would ever see its end.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn run(&self) -> Result<Said> {
        let mut input = tempfile::tempfile()?;
        input.write_all(&self.input)?;
        input.rewind()?;
        let (output, errors) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let mut words = self.way.iter().chain(&self.words);
        let program = words.next().context("no program was given")?;
        let status = Command::new(program)
            .args(words)
            .stdin(Stdio::from(input))
            .stdout(output.try_clone()?)
            .stderr(errors.try_clone()?)
            .process_group(0)
            .status()
            .with_context(|| format!("cannot run {program}"))?;
        Ok(Said { status: status.code(), output: text(output)?, errors: text(errors)? })
    }

    /// Runs it; it must end with this status.
    ///
    /// # Errors
    /// It ends otherwise.
    pub(super) fn expect(&self, status: i32) -> Result<Said> {
        let said = self.run()?;
        ensure!(
            said.status == Some(status),
            "{}\nended with status {:?} instead of {status}, and said:\n{said}",
            self.words.join(" "),
            said.status
        );
        Ok(said)
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.output, self.errors)
    }
}

fn text(mut file: File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
