//! OpenSSL's own `s_server`: whatever TLS can do to a client, one option says it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::authority::Files;
use super::{PATIENCE, own_address};
use crate::patience::wait_for;
use crate::process::Process;

/// What the server does.
#[derive(Debug, Clone)]
pub struct Options {
    arguments: Vec<String>,
}

impl Options {
    /// Shows a certificate with its intermediates.
    #[must_use]
    pub fn new(files: &Files) -> Self {
        let (certificate, key) = (files.certificate.display().to_string(), files.key.display().to_string());
        let options = Self { arguments: Vec::new() }.arguments(&["-cert", &certificate, "-key", &key]);
        match &files.intermediates {
            Some(above) => options.arguments(&["-cert_chain", &above.display().to_string()]),
            None => options,
        }
    }

    /// Shows another certificate to who asks for this name (SNI).
    #[must_use]
    pub fn other(self, name: &str, files: &Files) -> Self {
        let (certificate, key) = (files.certificate.display().to_string(), files.key.display().to_string());
        self.arguments(&["-servername", name, "-cert2", &certificate, "-key2", &key])
    }

    /// Speaks TLS 1.0 alone (RFC 2246), which today's OpenSSL does at its lowest security level.
    #[must_use]
    pub fn only_tls_1_0(self) -> Self {
        self.arguments(&["-tls1"]).any_strength()
    }

    /// Loads certificates with weak keys and digests too.
    #[must_use]
    pub fn any_strength(self) -> Self {
        self.arguments(&["-cipher", "DEFAULT@SECLEVEL=0"])
    }

    /// Demands a client's certificate, and refuses who has none.
    #[must_use]
    pub fn demand_client_certificate(self) -> Self {
        self.arguments(&["-Verify", "1", "-verify_return_error"])
    }

    /// Any other options of `s_server(1ssl)`, such as `-naccept 1`.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }
}

/// A running server. It answers a request of HTTP with a page about the session.
#[derive(Debug)]
pub struct OpensslServer {
    _process: Process,
    address: SocketAddr,
    log: PathBuf,
}

impl OpensslServer {
    /// Starts it.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(folder: &Path, options: &Options) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let ip = own_address();
        // A port that the kernel chooses names the log too.
        let address = SocketAddr::new(ip, crate::service::free_port(ip)?);
        let log = folder.join(format!("s_server.{}.log", address.port()));
        let listen = address.to_string();
        let mut arguments = vec!["s_server", "-accept", &listen, "-www"];
        arguments.extend(options.arguments.iter().map(String::as_str));
        let mut process = Process::start("s_server", Path::new("/usr/bin/openssl"), &arguments, &log)?;
        // Not by a connection: `-naccept` would count it.
        wait_for(&format!("s_server listens on {address}"), PATIENCE, || {
            process.assert_running()?;
            let said = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
            Ok(if said.lines().any(|line| line.starts_with("ACCEPT")) { Ok(()) } else { Err(said) })
        })?;
        Ok(Self { _process: process, address, log })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has said.
    #[must_use]
    pub fn log(&self) -> String {
        super::text(&self.log)
    }
}
