//! An implementation of protobuf that is none of ours, to judge what we write and read: Python's, with protoc to make its
//! classes of `mauve.proto`.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// Debian's, which python3-protobuf is for, whatever else comes first in the PATH.
const PYTHON: &str = "/usr/bin/python3";

/// A running Python that reads datagrams.
pub struct Python {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Python {
    /// Starts it.
    pub fn start() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new(PYTHON)
            .arg(here.join("tests/python/reader.py"))
            .arg(here.join("mauve.proto"))
            // Of its implementations the one that refuses text that is no UTF-8, instead of lamenting.
            .env("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "python")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 judges the datagrams; tests/setup installs it");
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut python = Self { child, input, output: BufReader::new(output) };
        assert_eq!(
            python.line(),
            "ready\n",
            "python3-protobuf and protobuf-compiler judge the datagrams; tests/setup installs them"
        );
        python
    }

    /// What it reads in a datagram: `update` with the fields that are set, and whether it would write the same bytes
    /// (`canonical`); or an `error`.
    pub fn read(&mut self, datagram: &[u8]) -> Value {
        let mut line = String::new();
        for byte in datagram {
            let _ = write!(line, "{byte:02x}");
        }
        writeln!(self.input, "{line}").unwrap();
        serde_json::from_str(&self.line()).unwrap()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
