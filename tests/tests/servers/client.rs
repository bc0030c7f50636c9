//! Whom the servers are shown to: `openssl s_client`, which knows TLS and STARTTLS and believes no certificate unseen.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// The seconds after which a server is taken to hang.
const PATIENCE: &str = "20";

/// Connects, verifies the certificate for this name by a folder of trusted ones, sends the lines, and returns what comes
/// until the server hangs up, with the complaints.
pub fn tls(address: SocketAddr, name: &str, trusted: &Path, options: &[&str], lines: &str) -> Result<String> {
    let mut client = Command::new("timeout")
        .args([PATIENCE, "openssl", "s_client", "-quiet", "-crlf", "-connect", &address.to_string()])
        .args([
            "-servername",
            name,
            "-verify_hostname",
            name,
            "-verify_return_error",
            "-no-CAfile",
            "-CApath",
        ])
        .arg(trusted)
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start openssl s_client")?;
    // One that was refused no longer reads.
    let _ = client.stdin.take().context("stdin is piped")?.write_all(lines.as_bytes());
    let output = client.wait_with_output()?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}
