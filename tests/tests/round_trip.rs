//! The mail round trip across hosts, the whole way: definitions on two hosts, registered, published, and probed by what was
//! published, through a real Postfix on the one and a real Dovecot on the other.
//!
//! Nagios runs, and probes nothing: the test does that when it is time, as Nagios would.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use auto_monitor_tests::servers::authority::{Authority, Request};
use auto_monitor_tests::servers::dovecot::{self, Dovecot};
use auto_monitor_tests::servers::postfix::{self, Postfix};
use auto_monitor_tests::site::{Site, own_network};

const MX: &str = "mx.example.org";
const IMAP: &str = "imap.example.org";
const USER: &str = "probe@example.org";
const PASSWORD: &str = "se cret";
const OK: i32 = 0;
const CRITICAL: i32 = 2;
const UNKNOWN: i32 = 3;

/// Where mails come in, and where they are read.
struct MailServers {
    authority: Authority,
    postfix: Postfix,
    dovecot: Dovecot,
}

impl MailServers {
    fn start(folder: &Path) -> Result<Self> {
        let authority = Authority::new("Test root")?;
        let files = authority.issue(&Request::named(IMAP))?.write(&folder.join("tls"), "imap")?;
        let options = dovecot::Options {
            users: vec![(USER.to_owned(), PASSWORD.to_owned())],
            tls: Some(files),
            ..dovecot::Options::default()
        };
        let dovecot = Dovecot::start(&folder.join("dovecot"), &options)?;
        let options = postfix::Options::delivering_to(dovecot.lmtp);
        let postfix = Postfix::start(&folder.join("postfix"), &options)?;
        Ok(Self { authority, postfix, dovecot })
    }

    fn mails(&self) -> Result<usize> {
        Ok(self.dovecot.mailbox(USER).mails()?.len())
    }
}

/// A monitoring server that knows both hosts.
fn watching(servers: &MailServers, folder: &Path) -> Result<Site> {
    let mut site = Site::lay_out(folder, own_network())?;
    servers.authority.trust(&site.root())?;
    site.start_endpoint()?;
    site.nagios.probe_nothing()?;
    site.nagios.start()?;
    for (name, address, definitions) in [
        (
            MX,
            servers.postfix.smtp.ip(),
            format!(
                "[mail]\ntype = smtp\nport = {}\nemail = {USER}\nmailflowid = inbound\n",
                servers.postfix.smtp.port()
            ),
        ),
        (
            IMAP,
            servers.dovecot.imap.ip(),
            format!(
                "[mailbox]\ntype = imap\nport = {}\nssl = True\nusername = {USER}\npassword = {PASSWORD}\n\
                 mailflowid = inbound\n[round-trip]\ntype = mailflow\nid = inbound\nseconds = 2\n",
                servers.dovecot.imaps.port()
            ),
        ),
    ] {
        let host = site.host_at(name, address)?;
        host.introduce(&site)?;
        host.client(&site, &["enrol", &site.endpoint()?]).expect(4)?;
        site.server(&["approve", name]).expect(0)?;
        host.define("mail.conf", &definitions)?;
        host.client(&site, &["register"]).run()?;
    }
    site.server(&["publish"]).expect(0)?;
    Ok(site)
}

/// What the administrator adds to `server.conf`, published.
fn administer(site: &Site, lines: &str) -> Result<()> {
    let path = site.root().join("etc/auto-monitor-server-nagios/server.conf");
    let before = fs::read_to_string(&path)?;
    fs::write(&path, before + lines)?;
    site.server(&["publish"]).expect(0)?;
    Ok(())
}

#[track_caller]
fn probe(site: &Site, (host, service): (&str, &str), status: i32, words: &str) -> Result<()> {
    let said = site.probe(host, service).expect(status)?;
    ensure!(said.text.contains(words), "{host} {service}: {words:?} is not in {}", said.text);
    Ok(())
}

/// As if a minute had gone by since the last mail.
fn wait_a_minute(site: &Site) -> Result<()> {
    let folder = site.root().join("var/lib/auto-monitor-checks/recipients");
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
}

const SEND: (&str, &str) = (MX, "mail");
const READ: (&str, &str) = (IMAP, "mailbox");
const TRIP: (&str, &str) = (IMAP, "round-trip");

#[test]
#[ignore = "needs root: Postfix does"]
fn a_list_is_shared_by_the_administrator_and_by_nobody_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut servers = MailServers::start(folder.path())?;
    let site = watching(&servers, &folder.path().join("site"))?;

    // Each host has a list of its own, though both say `inbound`.
    probe(&site, SEND, OK, "a mail was taken: 250 2.0.0 Ok")?;
    servers.postfix.wait_until_delivered()?;
    probe(&site, READ, OK, "no mail that is waited for")?;
    probe(&site, READ, OK, "1 mail of this server's other lists")?;
    probe(&site, TRIP, UNKNOWN, "nothing has been sent yet")?;
    assert_eq!(servers.mails()?, 1, "another host's list is not ours to take from");

    // Shared, the mail that lies there has arrived.
    administer(&site, &format!("shared-mailflows = {MX}/inbound {IMAP}\n"))?;
    sleep(Duration::from_millis(3100));
    probe(&site, TRIP, CRITICAL, "1 mail on its way for more than 2 s")?;
    probe(&site, READ, OK, "1 mail has arrived")?;
    probe(&site, TRIP, OK, "every mail has arrived")?;
    assert_eq!(servers.mails()?, 0);
    probe(&site, SEND, OK, "no mail was sent, because probe@example.org gets one in 60 s at most")?;

    // What is held on the one host is told on the other.
    wait_a_minute(&site)?;
    servers.postfix.hold_deliveries()?;
    probe(&site, SEND, OK, "a mail was taken")?;
    sleep(Duration::from_millis(3100));
    probe(&site, READ, OK, "no mail that is waited for")?;
    probe(&site, TRIP, CRITICAL, "1 mail on its way for more than 2 s")?;
    servers.postfix.release_deliveries()?;
    servers.postfix.wait_until_delivered()?;
    probe(&site, READ, OK, "1 mail has arrived")?;
    probe(&site, TRIP, OK, "every mail has arrived")
}

#[test]
#[ignore = "needs root: Postfix does"]
fn two_monitoring_servers_share_a_mailbox() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let servers = MailServers::start(folder.path())?;
    let sites =
        [watching(&servers, &folder.path().join("one"))?, watching(&servers, &folder.path().join("two"))?];
    for site in &sites {
        administer(site, &format!("shared-mailflows = {MX}/inbound {IMAP}\n"))?;
        probe(site, SEND, OK, "a mail was taken")?;
    }
    servers.postfix.wait_until_delivered()?;
    assert_eq!(servers.mails()?, 2);
    // Each takes its own, whoever comes first.
    probe(&sites[1], READ, OK, "1 mail has arrived")?;
    probe(&sites[1], READ, OK, "no mail that is waited for")?;
    assert_eq!(servers.mails()?, 1);
    probe(&sites[0], READ, OK, "1 mail has arrived")?;
    for site in &sites {
        probe(site, TRIP, OK, "every mail has arrived")?;
    }
    assert_eq!(servers.mails()?, 0);
    Ok(())
}
