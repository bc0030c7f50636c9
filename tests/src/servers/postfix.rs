//! Postfix with a configuration and a queue of its own, which hands everything on to Dovecot by LMTP. It needs root.
//!
//! Nothing leaves the machine: it takes mail for its domains alone, and knows no way to others.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};

use super::account::{Account, is_root, make_passable};
use super::authority::Files;
use super::{PATIENCE, own_address};
use crate::patience::wait_for;
use crate::process::Process;
use crate::service::{free_ports, wait_until_it_listens};

/// Postfix's first process.
const PROGRAM: &str = "/usr/lib/postfix/sbin/master";
/// A shell that ends Postfix when it is told to end, by us or by the kernel after our death. Postfix itself cannot be
/// told: it makes a session, which the leader of a process group may not, and becomes other users, at which the kernel
/// forgets whose death it should have been told of.
const KEEPER: &str = r#""$0" "$@" & trap 'kill $!' TERM; while kill -0 $! 2>/dev/null; do wait; done"#;
const MAIN: &str = include_str!("postfix/main.cf");
const MASTER: &str = include_str!("postfix/master.cf");

/// What the server does.
#[derive(Debug, Clone)]
pub struct Options {
    /// The name that it greets by.
    pub name: String,
    /// Whose mail it takes.
    pub domains: Vec<String>,
    /// Where it hands the mail on by LMTP.
    pub lmtp: SocketAddr,
    /// The certificate for STARTTLS and TLS; without one there is neither.
    pub tls: Option<Files>,
    /// More lines of `main.cf`.
    pub more: String,
}

impl Options {
    /// `mail.example.org`, which takes mail for `example.org` without TLS, and hands it on to Dovecot.
    #[must_use]
    pub fn delivering_to(lmtp: SocketAddr) -> Self {
        Self {
            name: "mail.example.org".to_owned(),
            domains: vec!["example.org".to_owned()],
            lmtp,
            tls: None,
            more: String::new(),
        }
    }
}

/// A running Postfix.
#[derive(Debug)]
pub struct Postfix {
    folder: PathBuf,
    process: Option<Process>,
    /// SMTP, plain and with STARTTLS.
    pub smtp: SocketAddr,
    /// SMTP over TLS; it listens only if there is a certificate.
    pub smtps: SocketAddr,
}

impl Postfix {
    /// Configures and starts one.
    ///
    /// # Errors
    /// This is not root, or it does not start.
    pub fn start(folder: &Path, options: &Options) -> Result<Self> {
        ensure!(
            is_root(),
            "Postfix needs root: its processes become several users; `make test` runs this as root"
        );
        make_passable(folder)?;
        // Postfix compares paths, and a folder may be reached by a link.
        let folder = folder.canonicalize()?;
        let address = own_address();
        let [smtp, smtps] = free_ports(address)?.map(|port| SocketAddr::new(address, port));
        let mut postfix = Self { folder, process: None, smtp, smtps };
        postfix.configure(options)?;
        postfix.command("postfix", &["check"])?;
        postfix.start_again()?;
        Ok(postfix)
    }

    fn configure(&self, options: &Options) -> Result<()> {
        let account = Account::of_package("postfix")?;
        account.make_folder(&self.folder.join("data"))?;
        fs::create_dir_all(self.folder.join("queue"))?;
        fs::create_dir_all(self.configuration())?;
        let mut main = MAIN
            .replace("{name}", &options.name)
            .replace("{domains}", &options.domains.join(" "))
            .replace("{lmtp}", &options.lmtp.to_string())
            .replace("{folder}", &self.folder.display().to_string());
        let mut master = MASTER.replace("{smtp}", &self.smtp.to_string());
        if let Some(files) = &options.tls {
            let (chain, key) = (files.chain.display(), files.key.display());
            writeln!(
                main,
                "smtpd_tls_security_level = may\nsmtpd_tls_cert_file = {chain}\nsmtpd_tls_key_file = {key}"
            )?;
            writeln!(
                master,
                "{} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes -o smtpd_tls_security_level=encrypt",
                self.smtps
            )?;
        }
        main.push_str(&options.more);
        self.write_main(&main)?;
        Ok(fs::write(self.configuration().join("master.cf"), master)?)
    }

    /// Postfix's commands wait until this file is older than two seconds, for fear that it is being written; so it is.
    fn write_main(&self, text: &str) -> Result<()> {
        let path = self.configuration().join("main.cf");
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        let long_ago = SystemTime::now() - Duration::from_secs(60);
        Ok(File::options().append(true).open(&path)?.set_modified(long_ago)?)
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("etc")
    }

    /// Runs one of Postfix's commands on this instance.
    fn command(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = Command::new(Path::new("/usr/sbin").join(program))
            .arg("-c")
            .arg(self.configuration())
            .args(arguments)
            .output()
            .with_context(|| format!("cannot start {program}; tests/setup installs postfix"))?;
        ensure!(
            output.status.success(),
            "{program} {} failed: {}\n{}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr),
            self.log()
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts it after [`Postfix::stop`], on the same ports, with the same queue.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_again(&mut self) -> Result<()> {
        // Its first process is gone before the others are, which have the ports still. The new one could not have them then,
        // and would end just after somebody was seen to listen.
        for address in [self.smtp, self.smtps] {
            wait_for(&format!("{address} is free"), PATIENCE, || {
                Ok(TcpListener::bind(address).map(drop).map_err(|error| error.to_string()))
            })?;
        }
        let arguments = ["-c", KEEPER, PROGRAM, "-s", "-c", &self.configuration().display().to_string()];
        let mut process =
            Process::start("postfix", Path::new("/bin/sh"), &arguments, &self.folder.join("master.log"))?;
        wait_until_it_listens(&mut process, self.smtp).with_context(|| self.log())?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends it, as an administrator does; what is in the queue stays there.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Holds deliveries: from now on it takes mails and keeps them in the queue. It is started anew for that, because
    /// after a reload its processes go on as before for a moment that nobody knows.
    ///
    /// # Errors
    /// It does not start again.
    pub fn hold_deliveries(&mut self) -> Result<()> {
        self.reconfigure("defer_transports", "lmtp")
    }

    /// Delivers again, and what was held too.
    ///
    /// # Errors
    /// It does not start again.
    pub fn release_deliveries(&mut self) -> Result<()> {
        self.reconfigure("defer_transports", "")?;
        self.flush()
    }

    /// Starts it anew with another value of a parameter of `main.cf`.
    ///
    /// # Errors
    /// It does not start again.
    pub fn reconfigure(&mut self, parameter: &str, value: &str) -> Result<()> {
        self.stop();
        let main = fs::read_to_string(self.configuration().join("main.cf"))?;
        let other = |line: &&str| line.split('=').next().is_some_and(|name| name.trim() != parameter);
        let mut lines: Vec<&str> = main.lines().filter(other).collect();
        let line = format!("{parameter} = {value}\n");
        lines.push(&line);
        self.write_main(&lines.join("\n"))?;
        self.start_again()
    }

    /// Tries to deliver all that is in the queue, now.
    ///
    /// # Errors
    /// It does not run.
    pub fn flush(&self) -> Result<()> {
        self.command("postqueue", &["-f"]).map(drop)
    }

    /// How many mails are in the queue.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub fn queued(&self) -> Result<usize> {
        Ok(self.command("postqueue", &["-j"])?.lines().count())
    }

    /// Waits until the queue is empty: everything is delivered, or returned, or refused.
    ///
    /// # Errors
    /// It is not in time, or cannot be read.
    pub fn wait_until_delivered(&self) -> Result<()> {
        wait_for("Postfix's queue is empty", PATIENCE, || {
            Ok(match self.queued()? {
                0 => Ok(()),
                queued => Err(format!("{queued} mails\n{}", self.log())),
            })
        })
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        super::text(&self.folder.join("mail.log")) + &super::text(&self.folder.join("master.log"))
    }
}
