//! debconf: what was answered beforehand, what a person is asked, and that the file wins over both.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use auto_monitor_tests::lab::packages::CLIENT;
use auto_monitor_tests::lab::{Machine, PATIENCE, Site};
use auto_monitor_tests::patience::wait_for;
use serde_json::Value;

const CONFIGURATION: &str = "/etc/auto-monitor/client.conf";

/// A person at a terminal of 100 columns, who reads what is on the screen and types.
struct Terminal<'a> {
    machine: &'a Machine,
}

impl<'a> Terminal<'a> {
    /// Has a command run there, with these settings of the environment.
    fn open(machine: &'a Machine, command: &str) -> Result<Self> {
        let whole = format!("{command}; echo ended with $?; sleep 600");
        let tmux = ["tmux", "new-session", "-d", "-s", "person", "-x", "100", "-y", "40", &whole];
        machine.expect(0, &tmux)?;
        Ok(Self { machine })
    }

    fn screen(&self) -> Result<String> {
        Ok(self.machine.expect(0, &["tmux", "capture-pane", "-p", "-t", "person"])?.output)
    }

    /// Waits for all of these words.
    fn reads(&self, words: &[&str]) -> Result<()> {
        wait_for(&format!("{words:?} on the screen"), PATIENCE, || {
            let screen = self.screen()?;
            // A dialog breaks lines where it likes, and draws its frame between them.
            let text = screen.replace(['│', '║', '\n'], " ");
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            Ok(if words.iter().all(|word| text.contains(word)) { Ok(()) } else { Err(screen) })
        })
    }

    fn types(&self, keys: &[&str]) -> Result<()> {
        // A dialog that has just been drawn throws away what was typed before.
        thread::sleep(Duration::from_millis(300));
        self.machine.expect(0, &[&["tmux", "send-keys", "-t", "person"], keys].concat())?;
        Ok(())
    }

    /// Waits until the command has ended well.
    fn close(self) -> Result<()> {
        self.reads(&["ended with 0"])?;
        self.machine.expect(0, &["tmux", "kill-session", "-t", "person"])?;
        Ok(())
    }
}

/// Answers questions of the client's package before they are asked: name, type and value.
pub fn preseed(host: &Machine, answers: &[(&str, &str, &str)]) -> Result<()> {
    let line = |(name, kind, value): &(&str, &str, &str)| {
        format!("auto-monitor-client auto-monitor-client/{name} {kind} {value}\n")
    };
    let lines: String = answers.iter().map(line).collect();
    host.expect_with_input(0, &["debconf-set-selections"], lines.as_bytes())?;
    Ok(())
}

/// Installs the client with the server preseeded, and waits until the server watches the host.
pub fn watch(site: &Site, host: &Machine) -> Result<()> {
    let fingerprint = site.monitor.fingerprint()?;
    preseed(host, &[("server", "string", "a.lab.example"), ("server-fingerprint", "string", &fingerprint)])?;
    site.packages.install(host, &CLIENT)?;
    site.monitor.wait_until(host, "watched")
}

/// The lines of `client.conf` that say something.
pub fn settings(host: &Machine) -> Result<Vec<String>> {
    let text = host.expect(0, &["cat", "/etc/auto-monitor/client.conf"])?.output;
    let active = |line: &&str| !line.is_empty() && !line.starts_with('#');
    Ok(text.lines().filter(active).map(str::to_owned).collect())
}

/// What `auto-monitor status` says.
pub fn status(host: &Machine) -> Result<Value> {
    let said = host.run(&["auto-monitor", "status", "--json"])?;
    serde_json::from_str(&said.output).with_context(|| format!("no JSON: {said}"))
}

/// What was answered beforehand, and what comes of it.
struct Preseeded<'a> {
    what: &'a str,
    answers: Vec<(&'a str, &'a str, &'a str)>,
    /// The lines of `client.conf`.
    settings: Vec<String>,
    /// The state that the server then says; none where the host is idle.
    state: Option<&'a str>,
}

#[test]
fn answers_given_beforehand_reach_the_configuration_and_the_server() -> Result<()> {
    let site = super::site()?;
    let [b] = site.lab.boot(["b"])?;
    let (fingerprint, token) = (site.monitor.fingerprint()?, site.monitor.token(1)?);
    let (server, first) = (("server", "string", "a.lab.example"), ("trust-on-first-use", "boolean", "true"));
    let says_server = || "server = a.lab.example".to_owned();
    let says_fingerprint = || format!("server-fingerprint = {fingerprint}");
    let cases = [
        Preseeded { what: "nothing", answers: vec![], settings: vec![], state: None },
        Preseeded { what: "a server", answers: vec![server], settings: vec![says_server()], state: None },
        Preseeded {
            what: "a server and its fingerprint",
            answers: vec![server, ("server-fingerprint", "string", &fingerprint)],
            settings: vec![says_server(), says_fingerprint()],
            state: Some("watched"),
        },
        Preseeded {
            what: "a server and trust",
            answers: vec![server, first],
            settings: vec![says_server(), "trust-on-first-use = yes".to_owned()],
            state: Some("watched"),
        },
        Preseeded {
            what: "trust alone: the one server of the network is found",
            answers: vec![first],
            settings: vec!["trust-on-first-use = yes".to_owned()],
            state: Some("watched"),
        },
        Preseeded {
            what: "a fingerprint alone: the server that has it is found",
            answers: vec![("server-fingerprint", "string", &fingerprint)],
            settings: vec![says_fingerprint()],
            state: Some("watched"),
        },
        Preseeded {
            what: "a token",
            answers: vec![("token", "password", &token)],
            settings: vec![],
            state: Some("watched"),
        },
    ];
    for case in cases {
        println!("{}", case.what);
        preseed(&b, &case.answers)?;
        site.packages.install(&b, &CLIENT)?;
        assert_eq!(settings(&b)?, case.settings, "{}", case.what);
        let databases = b.expect(0, &["sh", "-c", "cat /var/cache/debconf/*.dat"])?.output;
        ensure!(!databases.contains(&token), "the token is kept");
        wait_for("the first run is over", PATIENCE, || {
            let there = b.run(&["test", "-e", "/var/lib/auto-monitor/enrol"])?.status == Some(0);
            Ok(if there { Err("it is not".to_owned()) } else { Ok(()) })
        })?;
        if let Some(state) = case.state {
            site.monitor.wait_until(&b, state)?;
        } else {
            // It has looked around, and that was all.
            ensure!(site.monitor.host(&b)?.is_null(), "the server was told of this host");
            let said = status(&b)?;
            ensure!(!said.to_string().contains("\"trusted_key\":\"SHA256"), "a key is trusted: {said}");
        }
        b.apt(&["purge", "auto-monitor-client"])?;
        if case.state.is_some() {
            site.monitor.machine.expect(0, &["auto-monitor-server", "remove", &b.full_name()])?;
        }
    }
    // A file that a tool for configurations has put there wins over answers, and keeps its owner's words.
    let file = format!("# by a tool\n{}\n{}\n", says_server(), says_fingerprint());
    b.write(CONFIGURATION, 0o644, file.as_bytes())?;
    preseed(&b, &[("server", "string", "other.example.org")])?;
    site.packages.install(&b, &CLIENT)?;
    assert_eq!(b.expect(0, &["cat", CONFIGURATION])?.output, file);
    site.monitor.wait_until(&b, "watched")?;
    site.lab.end()
}

#[test]
fn a_person_is_shown_the_server_that_was_found_and_chooses_it() -> Result<()> {
    let site = super::site()?;
    let [b, c] = site.lab.boot(["b", "c"])?;
    let fingerprint = site.monitor.fingerprint()?;
    for machine in [&b, &c] {
        machine.install(&["tmux"])?;
        machine.copy_in(&site.packages.file(CLIENT[0])?, "/root/client.deb")?;
    }
    // In the language of whoever asks, on the first installation, when the program is not there yet while packages are
    // preconfigured.
    b.install(&["locales"])?;
    b.expect(0, &["localedef", "--inputfile=de_DE", "--charmap=UTF-8", "de_DE.UTF-8"])?;
    let person = Terminal::open(&b, "LANG=de_DE.UTF-8 apt-get --quiet --yes install /root/client.deb")?;
    person.reads(&["Gefundener Überwachungsserver", &fingerprint, "keiner davon"])?;
    // The servers stand before `none of them`, which is the answer that is chosen when the dialog appears.
    person.types(&["Up"])?;
    person.types(&["Enter"])?;
    person.close()?;
    let said = settings(&b)?;
    ensure!(said.len() == 2 && said[1] == format!("server-fingerprint = {fingerprint}"), "{said:?}");
    ensure!(said[0].starts_with("server = ") && said[0].contains(".local"), "{said:?}");
    site.monitor.wait_until(&b, "watched")?;

    // Who chooses none is left alone.
    let person = Terminal::open(&c, "apt-get --quiet --yes install /root/client.deb")?;
    person.reads(&["Monitoring server that was found", &fingerprint, "none of them"])?;
    person.types(&["Enter"])?;
    person.close()?;
    ensure!(settings(&c)?.is_empty(), "{:?}", settings(&c)?);
    ensure!(site.monitor.host(&c)?.is_null(), "the server was told of a host whose administrator said no");

    // Without a terminal there is nobody to be shown anything, even where nobody has said so.
    c.apt(&["purge", "auto-monitor-client"])?;
    c.expect(
        0,
        &["setsid", "--wait", "timeout", "60", "apt-get", "--quiet", "--yes", "install", "/root/client.deb"],
    )?;
    ensure!(settings(&c)?.is_empty(), "{:?}", settings(&c)?);
    site.lab.end()
}

/// Somebody calls `dpkg-reconfigure`, is shown the server that the file names, and names another one.
fn rename_server(host: &Machine, shown: &str, server: &str) -> Result<()> {
    let person = Terminal::open(host, "dpkg-reconfigure --priority=low auto-monitor-client")?;
    person.reads(&["Monitoring server of this host", shown])?;
    person.types(&["C-u", server, "Enter"])?;
    for question in ["Token for the enrolment", "Fingerprint of the server", "Trust whoever first answers"] {
        person.reads(&[question])?;
        person.types(&["Enter"])?;
    }
    person.close()
}

/// The same, who takes the server away, and does not want the one that is then found.
fn forget_server(host: &Machine, shown: &str) -> Result<()> {
    let person = Terminal::open(host, "dpkg-reconfigure --priority=low auto-monitor-client")?;
    person.reads(&["Monitoring server of this host", shown])?;
    person.types(&["C-u", "Enter"])?;
    person.reads(&["Monitoring server that was found", "none of them"])?;
    person.types(&["Enter"])?;
    person.close()
}

#[test]
fn the_file_wins_over_answers_and_reconfiguring_changes_one_line() -> Result<()> {
    let site = super::site()?;
    let [b] = site.lab.boot(["b"])?;
    b.install(&["tmux"])?;
    watch(&site, &b)?;
    let said = format!("server-fingerprint = {}", site.monitor.fingerprint()?);
    // An administrator's own hand: another server, a comment, a setting that no question is about.
    let edit = "sed -i 's/^server = .*/server = other.example.org/; s/^#tags.*/tags = mine/' /etc/auto-monitor/client.conf; \
                echo '# for the auditors' >>/etc/auto-monitor/client.conf";
    b.expect(0, &["sh", "-c", edit])?;
    let edited = b.expect(0, &["cat", CONFIGURATION])?.output;
    let scratch = tempfile::tempdir()?;
    let next = site.packages.next(&CLIENT, scratch.path())?;
    // Whatever debconf remembers: by an upgrade, by another one, by a removal and a new installation, by reconfiguring.
    next.install(&b, &CLIENT)?;
    assert_eq!(b.expect(0, &["cat", CONFIGURATION])?.output, edited);
    preseed(&b, &[("server", "string", "preseeded.example.org")])?;
    b.apt(&["install", "--reinstall", &format!("/root/{}", file_name(&next)?)])?;
    assert_eq!(b.expect(0, &["cat", CONFIGURATION])?.output, edited);
    b.apt(&["remove", "auto-monitor-client"])?;
    next.install(&b, &CLIENT)?;
    assert_eq!(b.expect(0, &["cat", CONFIGURATION])?.output, edited);
    b.expect(0, &["dpkg-reconfigure", "--frontend=noninteractive", "auto-monitor-client"])?;
    assert_eq!(b.expect(0, &["cat", CONFIGURATION])?.output, edited);

    // Before a long run of apt, and once more in it, between the asking and the configuring.
    let file = format!("/root/{}", file_name(&next)?);
    let edit = |server: &str| {
        b.expect(0, &["sed", "-i", &format!("s/^server = .*/server = {server}.example.org/"), CONFIGURATION])
    };
    edit("early")?;
    b.expect(0, &["dpkg-preconfigure", "--frontend=noninteractive", &file])?;
    edit("late")?;
    let edited = b.expect(0, &["cat", CONFIGURATION])?.output;
    // Nor is anybody asked which version of the file to take.
    Terminal::open(&b, &format!("dpkg --install {file}"))?.close()?;
    assert_eq!(b.expect(0, &["cat", CONFIGURATION])?.output, edited);

    rename_server(&b, "late.example.org", "a.lab.example")?;
    let expected = edited.replace("server = late.example.org", "server = a.lab.example");
    assert_eq!(b.expect(0, &["cat", CONFIGURATION])?.output, expected);
    assert_eq!(settings(&b)?, ["server = a.lab.example", &said, "tags = mine"]);
    site.monitor.wait_until(&b, "watched")?;
    // And an answer that is empty takes the line away.
    forget_server(&b, "a.lab.example")?;
    assert_eq!(settings(&b)?, [&said, "tags = mine"]);
    b.expect(0, &["grep", "^# for the auditors", CONFIGURATION])?;
    site.lab.end()
}

fn file_name(packages: &auto_monitor_tests::lab::Packages) -> Result<String> {
    Ok(packages.file(CLIENT[0])?.file_name().unwrap_or_default().to_string_lossy().into_owned())
}
