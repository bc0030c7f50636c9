//! What the probes of mail servers share: how they send, log in, and name a token list; and what the administrator of
//! the monitoring server has to say in it.
//!
//! A token list belongs to the host whose definitions name it, so its full name is `OWNER/ID`. A host never says the owner:
//! it is the host itself, unless the server's administrator has said that it shares the list of another. So no host can
//! add to, take from or look at a list that is not its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::host::{HostName, ListId};
use crate::probe::{Program, Subject};
use crate::service::Ssl;

/// What the server's administrator says of the probes that send and fetch mails: where a host may have them sent, in whose
/// name, and whether it may have its own password read on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The domains of the addresses that mails may be sent to; none: every domain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<HostName>,
    /// The envelope sender of the mails; none: the empty one (`<>`), to which nobody answers (RFC 3834, section 4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Whether a password may be sent over a connection without TLS, where the definition asks for none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plain_text_logins: bool,
}

impl Policy {
    /// Whether it is what holds where the administrator has said nothing.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The lists of other hosts that a host uses, by the id that its definitions give: the owner of each.
pub type SharedLists = BTreeMap<ListId, HostName>;

/// The greeting, and a mail with a token handed over.
pub(crate) fn send(subject: &Subject<'_>, email: &str) -> Program {
    let Policy { from, domains, plain_text_logins: _ } = subject.mail;
    let domains: Vec<&str> = domains.iter().map(HostName::as_str).collect();
    Program::ours("check_mailflow_send", subject.address_and_port())
        .with(subject.encryption())
        .with([format!("--to={email}")])
        .with(subject.list("mailflowid"))
        .with(from.iter().map(|address| format!("--from={address}")))
        .with((!domains.is_empty()).then(|| format!("--only-to={}", domains.join(","))))
}

/// The greeting, a login, and what has arrived taken off.
pub(crate) fn receive(
    subject: &Subject<'_>,
    protocol: &'static str,
    username: &str,
    password: String,
) -> Program {
    // A login over TLS is only for the server that its certificate proves, unless the definition asks for no proof.
    let trust = match subject.ssl() {
        Ssl::Off => subject.mail.plain_text_logins.then_some("--allow-plain-text"),
        Ssl::Direct | Ssl::Starttls => subject.flag("ignore_invalid_ssl").then_some("--any-certificate"),
    };
    Program::ours("check_mailflow_receive", subject.address_and_port())
        .with(["--protocol", protocol])
        .with(subject.encryption())
        .with(trust)
        .with([format!("--username={username}")])
        .with(subject.list("mailflowid"))
        .with_secret("password", password)
}

impl Subject<'_> {
    /// `--list OWNER/ID`, for the list that a key names; nothing where the key has no value.
    pub(crate) fn list(&self, key: &str) -> impl Iterator<Item = String> + use<> {
        let list = self.text(key).map(|id| {
            let owner = self.lists.get(id.as_str()).unwrap_or(self.host);
            ["--list".to_owned(), format!("{owner}/{id}")]
        });
        list.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::tests::program_under;

    const SEND: &str = "type = smtp\nemail = a@example.org\nmailflowid = inbound";
    const RECEIVE: &str = "type = imap\nusername = u\npassword = p\nmailflowid = inbound";
    const WATCH: &str = "type = mailflow\nid = inbound\nseconds = 900";

    fn shared(id: &str) -> SharedLists {
        SharedLists::from([(id.parse().unwrap(), "mx.example.org".parse().unwrap())])
    }

    #[test]
    fn a_list_is_the_host_s_own_unless_the_administrator_shares_it() {
        for body in [SEND, RECEIVE, WATCH] {
            let own = "--list web1.example.org/inbound";
            assert!(program_under(&Policy::default(), &SharedLists::new(), body).contains(own), "{body}");
            assert!(program_under(&Policy::default(), &shared("outbound"), body).contains(own), "{body}");
            let theirs = program_under(&Policy::default(), &shared("inbound"), body);
            assert!(theirs.contains("--list mx.example.org/inbound"), "{theirs}");
        }
    }

    #[test]
    fn a_host_cannot_name_the_list_of_another() {
        for id in ["mx.example.org/inbound", "../mx.example.org/inbound", "/inbound", "a b", ".."] {
            assert!(id.parse::<ListId>().is_err(), "{id}");
        }
    }

    #[test]
    fn the_policy_reaches_the_programs() {
        let policy = Policy {
            domains: vec!["example.org".parse().unwrap(), "example.net".parse().unwrap()],
            from: Some("monitor@example.org".into()),
            plain_text_logins: true,
        };
        let none = SharedLists::new();
        assert_eq!(
            program_under(&policy, &none, SEND),
            "check_mailflow_send -H 192.0.2.1 -p 25 --to=a@example.org --list web1.example.org/inbound \
             --from=monitor@example.org --only-to=example.org,example.net"
        );
        assert_eq!(
            program_under(&policy, &none, "type = pop3\nusername = u\npassword = p"),
            "check_mailflow_receive -H 192.0.2.1 -p 110 --protocol pop3 --allow-plain-text --username=u (password)"
        );
        let encrypted = program_under(&policy, &none, "type = pop3\nssl = yes\nusername = u\npassword = p");
        assert!(!encrypted.contains("--allow-plain-text"), "{encrypted}");
    }
}
