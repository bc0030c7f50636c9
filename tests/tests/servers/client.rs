//! Whom the servers are shown to: `openssl s_client`, which knows TLS and STARTTLS and believes no certificate unseen.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

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

/// Connects without TLS, sends the lines, and returns what comes until the server hangs up.
pub fn plain(address: SocketAddr, lines: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(lines.replace('\n', "\r\n").as_bytes())?;
    let mut said = Vec::new();
    stream.read_to_end(&mut said).with_context(|| {
        format!("{address} neither answered nor hung up; it had said {}", String::from_utf8_lossy(&said))
    })?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}
