//! slapd, the LDAP server of Debian, with a few entries: plain, with TLS and with STARTTLS.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::authority::Files;
use super::own_address;
use crate::process::Process;
use crate::service::{free_ports, wait_until_it_listens};

const PROGRAM: &str = "/usr/sbin/slapd";
/// The entry above all others.
pub const SUFFIX: &str = "dc=example,dc=org";

/// What the server offers.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Who may bind: common names, of which `cn=NAME,` before [`SUFFIX`] is the distinguished name, each with a password.
    pub users: Vec<(String, String)>,
    /// The certificate for TLS and STARTTLS; without one there is neither.
    pub tls: Option<Files>,
    /// Whether who has not bound is refused, both the anonymous bind and the search.
    pub refuse_anonymous: bool,
    /// More lines of `slapd.conf`, before the database.
    pub more: String,
}

/// A running slapd.
#[derive(Debug)]
pub struct Slapd {
    folder: PathBuf,
    process: Option<Process>,
    /// LDAP, plain and with STARTTLS.
    pub ldap: SocketAddr,
    /// LDAP over TLS; it listens only if there is a certificate.
    pub ldaps: SocketAddr,
    tls: bool,
}

impl Slapd {
    /// Configures, fills and starts one.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(folder: &Path, options: &Options) -> Result<Self> {
        let address = own_address();
        let [ldap, ldaps] = free_ports(address)?.map(|port| SocketAddr::new(address, port));
        let tls = options.tls.is_some();
        let mut slapd = Self { folder: folder.to_owned(), process: None, ldap, ldaps, tls };
        slapd.configure(options)?;
        slapd.fill(options)?;
        slapd.start_again()?;
        Ok(slapd)
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("slapd.conf")
    }

    fn configure(&self, options: &Options) -> Result<()> {
        let data = self.folder.join("data");
        fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
        let mut text =
            "include /etc/ldap/schema/core.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n"
                .to_owned();
        if let Some(files) = &options.tls {
            let (chain, key) = (files.chain.display(), files.key.display());
            writeln!(text, "TLSCertificateFile \"{chain}\"\nTLSCertificateKeyFile \"{key}\"")?;
        }
        if options.refuse_anonymous {
            writeln!(text, "disallow bind_anon")?;
        }
        writeln!(text, "{}", options.more)?;
        // `maxsize` in bytes: a file of that size is mapped.
        writeln!(
            text,
            "database mdb\nmaxsize 10485760\nsuffix \"{SUFFIX}\"\ndirectory \"{}\"",
            data.display()
        )?;
        let anonymous = if options.refuse_anonymous { "auth" } else { "read" };
        writeln!(text, "access to attrs=userPassword by anonymous auth")?;
        writeln!(text, "access to * by anonymous {anonymous} by users read")?;
        Ok(fs::write(self.configuration(), text)?)
    }

    /// `slapadd` writes the entries before the server runs; so nobody needs to be their administrator.
    fn fill(&self, options: &Options) -> Result<()> {
        let mut entries = format!(
            "dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n"
        );
        for (name, password) in &options.users {
            // In Base64, because LDIF has signs of its own.
            let password = openssl::base64::encode_block(password.as_bytes());
            writeln!(
                entries,
                "\ndn: cn={name},{SUFFIX}\nobjectClass: person\ncn: {name}\nsn: {name}\nuserPassword:: {password}"
            )?;
        }
        let file = self.folder.join("entries.ldif");
        fs::write(&file, entries)?;
        let output = Command::new("/usr/sbin/slapadd")
            .arg("-f")
            .arg(self.configuration())
            .arg("-l")
            .arg(&file)
            .output()
            .context("cannot start slapadd; tests/setup installs slapd")?;
        ensure!(output.status.success(), "slapadd failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Starts it after [`Slapd::stop`], on the same ports.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_again(&mut self) -> Result<()> {
        let configuration = self.configuration().display().to_string();
        let mut urls = format!("ldap://{}/", self.ldap);
        if self.tls {
            write!(urls, " ldaps://{}/", self.ldaps)?;
        }
        // Debugging means: in the foreground, with what is asked and answered on stderr.
        let arguments = ["-d", "stats", "-f", &configuration, "-h", &urls];
        let mut process = Process::start("slapd", Path::new(PROGRAM), &arguments, &self.log_file())?;
        wait_until_it_listens(&mut process, self.ldap).with_context(|| self.log())?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.process = None;
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("slapd.log")
    }

    /// What it has logged since it started last: every bind and search too.
    #[must_use]
    pub fn log(&self) -> String {
        super::text(&self.log_file())
    }
}
