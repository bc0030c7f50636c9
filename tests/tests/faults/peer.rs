//! A host without a client: it says to the endpoint's forced command what a client would, and sshd is not in between.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use auto_monitor_tests::site::Site;
use monitoring_info::published::STATE_DIR;
use monitoring_info::registration::{Enrolment, Registration, Reply, Request, Sent, Verb};

/// A host.
#[derive(Debug, Clone)]
pub struct Peer {
    pub name: String,
    fingerprint: String,
}

impl Peer {
    /// A host that has not been heard from.
    pub fn new(name: &str) -> Self {
        // 43 digits of base64, which are a SHA-256; another for each name.
        let digits: String = name.chars().filter(char::is_ascii_alphanumeric).cycle().take(42).collect();
        Self { name: name.to_owned(), fingerprint: format!("SHA256:{digits}A") }
    }

    /// A host that is approved.
    pub fn approved(site: &Site, name: &str) -> Result<Self> {
        let peer = Self::new(name);
        let reply = peer.say(site, Verb::Enrol, None)?;
        ensure!(reply.enrolment == Enrolment::Pending, "{reply:?}");
        site.server(&["approve", name]).expect(0)?;
        Ok(peer)
    }

    /// The session that sshd would run, and what it would be given.
    pub fn session(
        &self,
        site: &Site,
        verb: Verb,
        registration: Option<Registration>,
    ) -> Result<(Command, Vec<u8>)> {
        let mut command = site.server(&["session", &self.fingerprint]).command();
        command
            .env("SSH_CONNECTION", "127.0.0.1 40000 127.0.0.1 2929")
            .env("SSH_ORIGINAL_COMMAND", verb.word());
        let request = Request { registration, ..Request::new(self.name.parse()?) };
        Ok((command, serde_json::to_vec(&request)?))
    }

    /// Says something, and gives the answer.
    pub fn say(&self, site: &Site, verb: Verb, registration: Option<Registration>) -> Result<Reply> {
        let (mut command, input) = self.session(site, verb, registration)?;
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        child.stdin.take().context("no standard input")?.write_all(&input)?;
        let output = child.wait_with_output()?;
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("no reply: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Registers; it must be taken.
    pub fn register(&self, site: &Site, registration: Registration) -> Result<()> {
        let reply = self.say(site, Verb::Register, Some(registration))?;
        ensure!(reply.enrolment == Enrolment::Approved && reply.refusal.is_none(), "refused: {reply:?}");
        Ok(())
    }

    /// What the registry holds of it.
    pub fn held(&self, site: &Site) -> Result<Option<Registration>> {
        held(site, &self.name)
    }
}

/// What the registry holds of a host: always something whole.
pub fn held(site: &Site, name: &str) -> Result<Option<Registration>> {
    let path = site.root().join(STATE_DIR).join("registry").join(format!("{name}.json"));
    if !path.exists() {
        return Ok(None);
    }
    let record: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)
        .with_context(|| format!("{} is damaged", path.display()))?;
    Ok(Some(serde_json::from_value(record["registration"].clone())?))
}

/// A registration: a service that stays, and one whose name counts the changes.
pub fn counting(count: u64) -> Registration {
    let definition = |name: String| Sent {
        name,
        kind: "tcp".into(),
        settings: [("port".into(), "1".into())].into(),
        file: "/etc/monitoring-info/counting.conf".into(),
    };
    Registration {
        generation: count,
        tags: vec![],
        definitions: vec![definition("stays".into()), definition(format!("count-{count}"))],
        opted_out: vec![],
    }
}
