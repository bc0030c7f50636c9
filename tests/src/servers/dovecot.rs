//! Dovecot: IMAP and POP3, plain, with TLS and with STARTTLS, and LMTP for Postfix to deliver by.

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::account::{Account, CHAIN, KEY, make_passable};
use super::authority::Files;
use super::maildir::Maildir;
use super::{PATIENCE, own_address};
use crate::patience::wait_for;
use crate::process::Process;
use crate::service::free_ports;

const PROGRAM: &str = "/usr/sbin/dovecot";
const CONFIGURATION: &str = include_str!("dovecot/dovecot.conf");

/// What the server offers.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Who may log in, each with a password.
    pub users: Vec<(String, String)>,
    /// The certificate for TLS and STARTTLS; without one there is neither.
    pub tls: Option<Files>,
    /// Whether passwords may come without TLS.
    pub plain_text_logins: bool,
    /// How many mails each mailbox may hold; LMTP refuses the next one.
    pub quota: Option<u32>,
    /// More lines of `dovecot.conf`.
    pub more: String,
}

/// A running Dovecot.
#[derive(Debug)]
pub struct Dovecot {
    folder: PathBuf,
    account: Account,
    process: Option<Process>,
    /// IMAP, plain and with STARTTLS.
    pub imap: SocketAddr,
    /// IMAP over TLS.
    pub imaps: SocketAddr,
    /// POP3, plain and with STLS.
    pub pop3: SocketAddr,
    /// POP3 over TLS.
    pub pop3s: SocketAddr,
    /// LMTP.
    pub lmtp: SocketAddr,
}

impl Dovecot {
    /// Configures and starts one.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(folder: &Path, options: &Options) -> Result<Self> {
        make_passable(folder)?;
        let account = Account::of_package("dovecot")?;
        let address = own_address();
        let [imap, imaps, pop3, pop3s, lmtp] =
            free_ports(address)?.map(|port| SocketAddr::new(address, port));
        let mut dovecot =
            Self { folder: folder.to_owned(), account, process: None, imap, imaps, pop3, pop3s, lmtp };
        dovecot.configure(options)?;
        dovecot.start_again()?;
        Ok(dovecot)
    }

    fn configure(&self, options: &Options) -> Result<()> {
        for folder in ["run", "state", "home"] {
            self.account.make_folder(&self.folder.join(folder))?;
        }
        let mut users = String::new();
        for (name, password) in &options.users {
            // In Base64, because a password may have a colon. Without the empty fields, it is nobody who has mail.
            let password = openssl::base64::encode_block(password.as_bytes());
            writeln!(users, "{name}:{{PLAIN.b64}}{password}::::::")?;
        }
        self.account.write_secret(&self.folder.join("users"), users.as_bytes())?;
        let mut text = CONFIGURATION.to_owned();
        for (name, socket) in [
            ("{imap}", self.imap),
            ("{imaps}", self.imaps),
            ("{pop3}", self.pop3),
            ("{pop3s}", self.pop3s),
            ("{lmtp}", self.lmtp),
        ] {
            text = text.replace(name, &socket.port().to_string());
        }
        let mut text = text
            .replace("{ip}", &self.imap.ip().to_string())
            .replace("{user}", &self.account.name)
            .replace("{group}", &self.account.group)
            .replace("{folder}", &self.folder.display().to_string());
        if let Some(files) = &options.tls {
            self.account.copy(files, &self.folder)?;
            let folder = self.folder.display();
            writeln!(text, "ssl = yes\nssl_cert = <{folder}/{CHAIN}\nssl_key = <{folder}/{KEY}")?;
        } else {
            writeln!(text, "ssl = no")?;
        }
        if options.plain_text_logins {
            writeln!(text, "disable_plaintext_auth = no")?;
        }
        if let Some(mails) = options.quota {
            writeln!(
                text,
                "mail_plugins = quota\nplugin {{\n  quota = maildir:User quota\n  quota_rule = *:messages={mails}\n}}"
            )?;
        }
        text.push_str(&options.more);
        Ok(fs::write(self.folder.join("dovecot.conf"), text)?)
    }

    /// Starts it after [`Dovecot::stop`], on the same ports.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_again(&mut self) -> Result<()> {
        let configuration = self.folder.join("dovecot.conf").display().to_string();
        let arguments = ["-F", "-c", &configuration];
        let mut process = self.account.start("dovecot", Path::new(PROGRAM), &arguments, &self.log_file())?;
        // The master listens at once, but who greets is a process that it has yet to start.
        wait_for(&format!("Dovecot greets on {}", self.imap), PATIENCE, || {
            process.assert_running()?;
            Ok(greets(self.imap).then_some(()).ok_or_else(|| self.log()))
        })?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends it, as an administrator does.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// A user's mailbox.
    #[must_use]
    pub fn mailbox(&self, user: &str) -> Maildir {
        Maildir::new(&self.folder.join("home").join(user).join("Maildir"), &self.account)
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("dovecot.log")
    }

    /// What it has logged since it started last.
    #[must_use]
    pub fn log(&self) -> String {
        super::text(&self.log_file())
    }
}

fn greets(address: SocketAddr) -> bool {
    let greeting = TcpStream::connect(address).context("no connection").and_then(|mut stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting)?;
        Ok(greeting)
    });
    greeting.is_ok_and(|greeting| greeting == *b"* OK")
}
