//! What the probes of mail servers share: how they connect, log in, and name a token list.

use crate::probe::{Program, Subject};
use crate::service::Ssl;

/// The greeting and the farewell, each reply judged. The programs of monitoring-plugins cannot upgrade an IMAP or POP3
/// connection, and look at no reply to LOGOUT or QUIT (2.3.3).
pub(crate) fn greeting(subject: &Subject<'_>, protocol: &'static str) -> Program {
    Program::ours("check_greeting", subject.address_and_port())
        .with(["--protocol", protocol])
        .with(subject.encryption())
}

/// The greeting, and a mail with a token handed over.
pub(crate) fn send(subject: &Subject<'_>, email: &str) -> Program {
    Program::ours("check_mailflow_send", subject.address_and_port())
        .with(subject.encryption())
        .with([format!("--to={email}")])
        .with(subject.list("mailflowid"))
}

/// The greeting, a login, and what has arrived taken off.
pub(crate) fn receive(
    subject: &Subject<'_>,
    protocol: &'static str,
    username: &str,
    password: String,
) -> Program {
    let program = Program::ours("check_mailflow_receive", subject.address_and_port())
        .with(["--protocol", protocol])
        .with(subject.encryption());
    // A login over TLS is only for the server that its certificate proves, unless the definition asks for no proof.
    let program = match subject.ssl() {
        Ssl::Off => program,
        Ssl::Direct | Ssl::Starttls => program
            .with(subject.option("--hostname", "ssl_hostname"))
            .with(subject.flag("ignore_invalid_ssl").then_some("--any-certificate")),
    };
    program
        .with([format!("--username={username}")])
        .with(subject.list("mailflowid"))
        .with_secret("password", password)
}

impl Subject<'_> {
    /// How our programs for mail are told to connect.
    fn encryption(&self) -> Option<&'static str> {
        match self.ssl() {
            Ssl::Off => None,
            Ssl::Direct => Some("--tls"),
            Ssl::Starttls => Some("--starttls"),
        }
    }

    /// `--list OWNER/ID`, for the list that a key names; nothing where the key has no value.
    pub(crate) fn list(&self, key: &str) -> impl Iterator<Item = String> + use<> {
        let list = self.text(key).map(|id| ["--list".to_owned(), format!("{}/{id}", self.host)]);
        list.into_iter().flatten()
    }
}
