//! Running the probe, and a place with an authority that it trusts.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use auto_monitor_tests::servers::authority::{Authority, Certificate, Files, Request};
use auto_monitor_tests::servers::openssl_server::{OpensslServer, Options};
use tempfile::TempDir;

/// The name that is asked for unless a scenario asks for another.
pub const NAME: &str = "www.example.org";

/// What the probe said.
#[derive(Debug)]
pub struct Said {
    pub status: i32,
    /// The first line, without its performance data.
    pub line: String,
    pub performance: String,
    pub details: Vec<String>,
}

/// A folder with a system's root, an authority that this system trusts, and an intermediate below it.
pub struct Place {
    pub folder: TempDir,
    pub authority: Authority,
    pub between: Authority,
}

impl Place {
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let authority = Authority::new("Example root")?;
        authority.trust(folder.path())?;
        let between =
            authority.intermediate(&Request::named("Example intermediate").valid_days(-1000, 1000))?;
        Ok(Self { folder, authority, between })
    }

    pub fn files(&self, certificate: &Certificate) -> Result<Files> {
        certificate.write(self.folder.path(), "server")
    }

    /// A certificate below the intermediate, as files.
    pub fn issue(&self, request: &Request) -> Result<Files> {
        self.files(&self.between.issue(request)?)
    }

    /// What the probe says of a server of OpenSSL's.
    pub fn probe(&self, options: &Options, arguments: &[&str]) -> Result<Said> {
        let server = OpensslServer::start(self.folder.path(), options)?;
        self.check(server.address(), arguments)
    }

    /// What the probe says of this address; it is asked for [`NAME`] unless the arguments say otherwise.
    pub fn check(&self, address: SocketAddr, arguments: &[&str]) -> Result<Said> {
        let named = arguments.contains(&"--hostname");
        let arguments = if named { arguments.to_vec() } else { [arguments, &["--hostname", NAME]].concat() };
        check(self.folder.path(), address, &arguments)
    }
}

fn check(root: &Path, address: SocketAddr, arguments: &[&str]) -> Result<Said> {
    let output = Command::new(env!("CARGO_BIN_EXE_check_certificate"))
        .args(["-H", &address.ip().to_string(), "-p", &address.port().to_string()])
        .arg("--root")
        .arg(root)
        .args(arguments)
        .output()?;
    ensure!(output.stderr.is_empty(), "on stderr: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let mut lines = text.lines();
    let first = lines.next().context("the probe says nothing")?;
    let (line, performance) = first.split_once('|').unwrap_or((first, ""));
    let status = output.status.code().context("the probe was killed")?;
    let word = ["OK: ", "WARNING: ", "CRITICAL: ", "UNKNOWN: "]
        .get(usize::try_from(status)?)
        .context("no status of a probe")?;
    ensure!(line.starts_with(word), "status {status}: {line}");
    Ok(Said {
        status,
        line: line.to_owned(),
        performance: performance.to_owned(),
        details: lines.map(str::to_owned).collect(),
    })
}
