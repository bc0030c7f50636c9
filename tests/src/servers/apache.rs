//! Apache: HTTP, and HTTPS with a certificate a name, each over IPv4 and IPv6; a path says what it answers.
//!
//! | path | answer |
//! |---|---|
//! | `/`, `/any/` and all below it | 200 and a page, whatever characters the rest has, as long as a `%` begins an escape |
//! | `/moved` | 301 to `/` |
//! | `/moved-away` | 301 to another host |
//! | `/private` | 401, which demands a login that nobody has |
//! | `/forbidden` | 403 |
//! | `/broken` | 500 |
//! | `/unavailable` | 503 |
//! | everything else | 404 |

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::account::{is_root, make_passable};
use super::authority::Files;
use super::own_address;
use crate::process::Process;
use crate::service::{free_ports, wait_until_it_listens};

const PROGRAM: &str = "/usr/sbin/apache2";
/// Written by the server, one request a line, see [`Request`].
const LOG_FORMAT: &str = r"%>s\t%{Host}i\t%r";
const CONFIGURATION: &str = include_str!("apache/apache2.conf");

/// What the server offers.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// A certificate a name; who asks for none of them is shown the first. Without any there is no HTTPS.
    pub tls: Vec<(String, Files)>,
    /// More lines of the configuration.
    pub more: String,
}

/// A request that the server has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The answer's status code.
    pub status: u16,
    /// The header `Host`, `-` without one.
    pub host: String,
    /// The request line. In it and in the header, what is not printable ASCII is `\xHH`.
    pub line: String,
}

/// A running Apache.
#[derive(Debug)]
pub struct Apache {
    folder: PathBuf,
    process: Option<Process>,
    /// HTTP over IPv4.
    pub http: SocketAddr,
    /// HTTPS over IPv4; it listens only if there is a certificate.
    pub https: SocketAddr,
    /// HTTP over IPv6, where the machine has that.
    pub http_v6: Option<SocketAddr>,
    /// HTTPS over IPv6, where the machine has that; it listens only if there is a certificate.
    pub https_v6: Option<SocketAddr>,
}

impl Apache {
    /// Configures and starts one.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(folder: &Path, options: &Options) -> Result<Self> {
        make_passable(folder)?;
        let address = own_address();
        let [http, https] = free_ports(address)?.map(|port| SocketAddr::new(address, port));
        let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
        let sockets_v6 = free_ports(v6).map(|ports| ports.map(|port| SocketAddr::new(v6, port))).ok();
        let mut apache = Self {
            folder: folder.to_owned(),
            process: None,
            http,
            https,
            http_v6: sockets_v6.map(|[http, _]| http),
            https_v6: sockets_v6.map(|[_, https]| https),
        };
        apache.configure(options)?;
        apache.start_again()?;
        Ok(apache)
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("apache2.conf")
    }

    fn configure(&self, options: &Options) -> Result<()> {
        fs::create_dir_all(self.folder.join("pages"))?;
        fs::write(
            self.folder.join("pages/index.html"),
            "<!DOCTYPE html><title>It works</title><p>It works.\n",
        )?;
        fs::write(self.folder.join("nobody"), "")?;
        let mut text = CONFIGURATION
            .replace("{format}", LOG_FORMAT)
            .replace("{folder}", &self.folder.display().to_string());
        for socket in [Some(self.http), self.http_v6].into_iter().flatten() {
            writeln!(text, "Listen {socket}")?;
        }
        if is_root() {
            writeln!(text, "User www-data\nGroup www-data")?;
        }
        for socket in [Some(self.https), self.https_v6].into_iter().flatten() {
            if !options.tls.is_empty() {
                writeln!(text, "Listen {socket} https")?;
            }
            for (name, files) in &options.tls {
                let (chain, key) = (files.chain.display(), files.key.display());
                writeln!(text, "<VirtualHost {socket}>\nServerName {name}\nSSLEngine on")?;
                writeln!(text, "SSLCertificateFile \"{chain}\"\nSSLCertificateKeyFile \"{key}\"")?;
                writeln!(text, "</VirtualHost>")?;
            }
        }
        text.push_str(&options.more);
        Ok(fs::write(self.configuration(), text)?)
    }

    /// Starts it after [`Apache::stop`], on the same ports.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_again(&mut self) -> Result<()> {
        let configuration = self.configuration().display().to_string();
        let log = self.folder.join("apache2.log");
        let arguments = ["-D", "FOREGROUND", "-f", &configuration];
        let mut process = Process::start("apache2", Path::new(PROGRAM), &arguments, &log)?;
        wait_until_it_listens(&mut process, self.http).with_context(|| self.log())?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// What it was asked so far. Apache notes a request after its answer: who has just been answered looks again.
    ///
    /// # Errors
    /// The log cannot be read, or has a line that is no request.
    pub fn requests(&self) -> Result<Vec<Request>> {
        super::text(&self.folder.join("requests.log")).lines().map(parse).collect()
    }

    /// What it complains of.
    #[must_use]
    pub fn log(&self) -> String {
        super::text(&self.folder.join("error.log")) + &super::text(&self.folder.join("apache2.log"))
    }
}

/// A line of the log.
fn parse(line: &str) -> Result<Request> {
    let mut fields = line.splitn(3, '\t');
    let mut field = || fields.next().with_context(|| format!("no request in Apache's log: {line}"));
    // What it puts a backslash before as well, it did not get so.
    let unquoted = |text: &str| text.replace(r#"\""#, "\"").replace(r"\\", r"\");
    Ok(Request { status: field()?.parse()?, host: unquoted(field()?), line: unquoted(field()?) })
}
