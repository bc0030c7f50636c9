//! What Nagios finds becomes an alert: with a real Nagios, real notifications, and a plugin that prints whatever hurts.
//!
//! In place of `mauvesend` stands a program that keeps its arguments as they are, so that every byte can be compared.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use auto_monitor_tests::patience::wait_for;
use auto_monitor_tests::service::Greeter;
use auto_monitor_tests::site::{Site, own_network};
use auto_monitor_tests::station::Station;

const PATIENCE: Duration = Duration::from_secs(60);
const WEB: &str = "web1.example.org";

/// What a shell, a macro, a command line of Nagios or a browser would take for something else; and so much of it that it
/// does not all fit.
fn hostile(folder: &Path) -> String {
    let touch = |name: &str| format!("touch {}", folder.join(name).display());
    let first = format!(
        "it's \"bad\" `{}` $({}) && {} & {} \\ %41 $HOSTNAME$ $USER1$ <b>&amp; + -x --summary=no #{{x}} \u{e9}",
        touch("pwned1"),
        touch("pwned2"),
        touch("pwned3"),
        touch("pwned4")
    );
    let further = format!("second '; {}; '\n\\n is no line end, \\\\ are two\n-third\n", touch("pwned5"));
    first + "\n" + &further + &"'\"`$(".repeat(1500)
}

struct Stage {
    folder: tempfile::TempDir,
    site: Site,
}

impl Stage {
    /// A Nagios that notifies a station, and a service `trap` of the administrator's whose plugin prints what is in a file.
    fn set() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let site = Site::lay_out(folder.path(), own_network())?;
        let stage = Self { folder, site };
        stage.program(
            "mauvesend",
            &format!(
                "#!/usr/bin/python3\nimport os, sys, tempfile\nf, name = tempfile.mkstemp(dir='{}')\n\
             os.write(f, b'\\0'.join(map(os.fsencode, sys.argv[1:])))\nos.rename(name, name + '.said')\n",
                stage.said().display()
            ),
        )?;
        fs::create_dir(stage.said())?;
        stage.plugin("all is well\n", 0)?;
        let nagios = stage.site.nagios.configuration();
        // Nothing is stripped from what a plugin prints: no setting of the administrator's is what makes it safe.
        let text = fs::read_to_string(&nagios)?
            .replace("enable_notifications=0", "enable_notifications=1")
            .replace("illegal_macro_output_chars=`~$&|'\"<>", "illegal_macro_output_chars=~");
        fs::write(nagios, text)?;
        stage.site.configure(&format!(
            "[mauve]\nmauvesend = {}\ndestination = 192.0.2.1:9, [::1]:9\nsource = nagios.example.org\npeople = alice\n",
            stage.path().join("mauvesend").display()
        ))?;
        Ok(stage)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn said(&self) -> PathBuf {
        self.path().join("said")
    }

    fn program(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path().join(name);
        fs::write(&path, text)?;
        Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
    }

    /// What the plugin prints from now on, and with which status it ends. Nagios may be running it meanwhile.
    fn plugin(&self, output: &str, state: u8) -> Result<()> {
        let printed = tempfile::Builder::new().disable_cleanup(true).tempfile_in(self.path())?;
        fs::write(&printed, output)?;
        self.program(
            "plugin-new",
            &format!("#!/bin/sh\ncat '{}'\nexit {state}\n", printed.path().display()),
        )?;
        Ok(fs::rename(self.path().join("plugin-new"), self.path().join("plugin"))?)
    }

    /// The arguments of every call that was about this id and subject, oldest first.
    fn alerts(&self, subject: &str, id: &str) -> Result<Vec<Vec<String>>> {
        let (subject, id) = (format!("--subject={subject}"), format!("--id={id}@{subject}"));
        Ok(self.calls()?.into_iter().filter(|call| call.contains(&subject) && call.contains(&id)).collect())
    }

    /// Forgets what was said so far.
    fn forget(&self) -> Result<()> {
        for entry in fs::read_dir(self.said())? {
            fs::remove_file(entry?.path())?;
        }
        Ok(())
    }

    /// The arguments of every call, oldest first.
    fn calls(&self) -> Result<Vec<Vec<String>>> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.said())?
            .map(|entry| Ok(entry?.path()))
            .filter(|path: &Result<PathBuf>| {
                path.as_ref().is_ok_and(|path| path.extension().is_some_and(|said| said == "said"))
            })
            .collect::<Result<_>>()?;
        files.sort_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
        let read = |path: &PathBuf| -> Result<Vec<String>> {
            Ok(String::from_utf8(fs::read(path)?)?.split('\0').map(str::to_owned).collect())
        };
        files.iter().map(read).collect()
    }

    /// Waits for an alert with this argument, and gives the newest such.
    fn alert(&self, subject: &str, id: &str, argument: &str) -> Result<Vec<String>> {
        wait_for(&format!("an alert {id} of {subject} with {argument}"), PATIENCE, || {
            let alerts = self.alerts(subject, id)?;
            let found = alerts.iter().rev().find(|alert| alert.iter().any(|one| one.starts_with(argument)));
            Ok(found.cloned().ok_or_else(|| format!("{alerts:?}")))
        })
    }

    /// Sends heartbeats until one tells of an alert of the host's with this argument; the arguments of that call.
    fn heard(&self, id: &str, argument: &str) -> Result<Vec<String>> {
        wait_for(&format!("the heartbeat tells of {id} with {argument}"), PATIENCE, || {
            std::thread::sleep(Duration::from_secs(1));
            self.site.server(&["heartbeat"]).run()?;
            let alerts = self.alerts(WEB, id)?;
            let of_id = format!("--id={id}@{WEB}");
            let tells = |call: &&Vec<String>| {
                let own = call.iter().skip_while(|one| **one != of_id).skip(1);
                own.take_while(|one| !one.starts_with("--id")).any(|one| one == argument)
            };
            Ok(alerts.iter().find(tells).cloned().ok_or_else(|| format!("{alerts:?}")))
        })
    }

    /// Has Nagios do something.
    fn command(&self, command: &str) -> Result<()> {
        let pipe = self.site.root().join("var/lib/nagios4/rw/nagios.cmd");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
        fs::write(&pipe, format!("[{now}] {command}\n"))
            .with_context(|| format!("cannot write to {}", pipe.display()))
    }
}

#[test]
fn a_problem_arrives_as_it_was_printed_and_nothing_is_run() -> Result<()> {
    let mut stage = Stage::set()?;
    stage.site.start_endpoint()?;
    stage.site.nagios.start()?;
    let web = stage.site.host(WEB, 2)?;
    web.introduce(&stage.site)?;
    web.client(&stage.site, &["enrol", &stage.site.endpoint()?]).expect(4)?;
    stage.site.server(&["approve", WEB]).expect(0)?;
    let page = web.free_socket()?;
    let greeter = Greeter::start(page)?;
    web.define("page.conf", &format!("[page]\ntype = tcp\nport = {}\n", page.port()))?;
    web.client(&stage.site, &["register"]).expect(0)?;
    let said = stage.site.server(&["publish"]).expect(0)?;
    ensure!(said.text.contains("Mauve: published routing 1."), "{}", said.text);

    // The administrator's own service tells the station too, in the same way.
    let printed = hostile(stage.path());
    fs::write(
        stage.site.root().join("etc/nagios4/conf.d/trap.cfg"),
        format!(
            "define command {{\n command_name trap\n command_line {}/plugin\n}}\ndefine service {{\n host_name \
             printer.example.org\n service_description trap\n check_command trap\n check_interval 2\n retry_interval 1\n \
             max_check_attempts 1\n notification_interval 60\n contacts auto-monitor-mauve\n}}\n",
            stage.path().display()
        ),
    )?;
    stage.command("RESTART_PROGRAM")?;
    wait_for("Nagios knows the trap", PATIENCE, || {
        let known =
            stage.site.nagios.verdicts()?.iter().any(|verdict| verdict.service.as_deref() == Some("trap"));
        Ok(if known { Ok(()) } else { Err("it does not".to_owned()) })
    })?;
    stage.plugin(&printed, 2)?;
    let alert = stage.alert("printer.example.org", "svc:trap", "--raise")?;
    assert_eq!(
        alert[..5],
        [
            "192.0.2.1:9",
            "[::1]:9",
            "--source=nagios.example.org",
            "--id=svc:trap@printer.example.org",
            "--subject=printer.example.org"
        ]
    );
    assert_eq!(alert[5], "--summary=trap is CRITICAL");
    let text = alert[6].strip_prefix("--text=CRITICAL: ").context("no text")?;
    // Nagios itself puts a colon for a semicolon into the first line, and reads at most 8 KiB.
    ensure!(text.len() > 7500, "{} bytes", text.len());
    let (first, further) = printed.split_once('\n').context("one line")?;
    let expected = format!("{}\n{further}", first.replace(';', ":"));
    ensure!(expected.starts_with(text), "{text:?}\ninstead of\n{expected:?}");
    assert_eq!(alert[7..], ["--raise=now"]);

    // What a person says is as safe, and mentioned.
    stage.command(
        "ACKNOWLEDGE_SVC_PROBLEM;printer.example.org;trap;2;1;0;O'Neill;it's `known` $(touch x) & \"so\"",
    )?;
    let alert = stage.alert("printer.example.org", "svc:trap", "--text=CRITICAL: it's \"bad\"")?;
    ensure!(alert.len() == 8, "{alert:?}");
    wait_for("the acknowledgement", PATIENCE, || {
        let wanted = "\nAcknowledged in Nagios by O'Neill: it's `known` $(touch x) & \"so\"";
        let alerts = stage.alerts("printer.example.org", "svc:trap")?;
        let mentioned = alerts.iter().flatten().any(|argument| argument.ends_with(wanted));
        Ok(if mentioned { Ok(()) } else { Err(format!("{alerts:?}")) })
    })?;
    stage.plugin("all is well again\n", 0)?;
    let alert = stage.alert("printer.example.org", "svc:trap", "--clear")?;
    assert_eq!(alert[5..], ["--summary=trap is OK", "--text=OK: all is well again", "--clear=now"]);
    let ran: Vec<_> = fs::read_dir(stage.path())?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("pwned"))
        .collect();
    assert!(ran.is_empty(), "{ran:?}");

    // A host that registered itself.
    drop(greeter);
    let alert = stage.alert(WEB, "svc:page", "--raise")?;
    assert_eq!(alert[5], "--summary=page is CRITICAL");
    let greeter = Greeter::start(page)?;
    stage.alert(WEB, "svc:page", "--clear")?;

    // In a downtime nobody is told of what breaks.
    stage.command(&format!("SCHEDULE_SVC_DOWNTIME;{WEB};page;0;9999999999;1;0;0;a;b"))?;
    std::thread::sleep(Duration::from_secs(2));
    let before = stage.alerts(WEB, "svc:page")?.len();
    drop(greeter);
    wait_for("Nagios sees the page gone", PATIENCE, || {
        let verdicts = stage.site.nagios.verdicts()?;
        let gone = verdicts
            .iter()
            .any(|verdict| verdict.service.as_deref() == Some("page") && verdict.state_name() == "CRITICAL");
        Ok(if gone { Ok(()) } else { Err("it does not".to_owned()) })
    })?;
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(stage.alerts(WEB, "svc:page")?.len(), before);
    // Nagios tells of an acknowledgement all the same, which would raise it.
    stage.command(&format!("ACKNOWLEDGE_SVC_PROBLEM;{WEB};page;2;1;0;a;b"))?;
    let log = stage.site.root().join("var/lib/nagios4/nagios.log");
    wait_for("Nagios tells of the acknowledgement", PATIENCE, || {
        let told = format!("SERVICE NOTIFICATION: auto-monitor-mauve;{WEB};page;ACKNOWLEDGEMENT");
        let text = fs::read_to_string(&log)?;
        Ok(if text.contains(&told) { Ok(()) } else { Err(text) })
    })?;
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(stage.alerts(WEB, "svc:page")?.len(), before);
    Ok(())
}

#[test]
fn the_heartbeat_says_again_what_was_lost_or_never_said() -> Result<()> {
    let mut stage = Stage::set()?;
    stage.site.start_endpoint()?;
    let heartbeat = || stage.site.server(&["heartbeat"]);
    let silent = heartbeat().expect(1)?;
    ensure!(silent.text.contains("Nagios does not run"), "{}", silent.text);
    stage.site.nagios.start()?;
    let web = stage.site.host(WEB, 2)?;
    web.introduce(&stage.site)?;
    web.client(&stage.site, &["enrol", &stage.site.endpoint()?]).expect(4)?;
    stage.site.server(&["approve", WEB]).expect(0)?;
    let (page, gone) = (web.free_socket()?, web.free_socket()?);
    let (kept, other) = (
        format!("[page]\ntype = tcp\nport = {}\n", page.port()),
        format!("[gone]\ntype = tcp\nport = {}\n", gone.port()),
    );
    web.define("page.conf", &format!("{kept}{other}"))?;
    web.client(&stage.site, &["register"]).expect(0)?;
    stage.site.server(&["publish"]).expect(0)?;
    let raised = stage.alert(WEB, "svc:page", "--raise")?;
    stage.alert(WEB, "svc:gone", "--raise")?;

    // Nagios's datagrams are lost; the heartbeat raises the same, in the same words.
    stage.forget()?;
    let again = stage.heard("svc:page", "--raise=now")?;
    let alert = raised.iter().position(|one| one.starts_with("--id")).context("no id")?;
    ensure!(again.windows(5).any(|part| part == &raised[alert..]), "{again:?}\ninstead of\n{raised:?}");
    let alert = stage.calls()?.into_iter().find(|call| call.iter().any(|one| one == "--id=heartbeat"));
    let alert = alert.context("no heartbeat")?;
    assert_eq!(
        alert[..6],
        [
            "192.0.2.1:9",
            "[::1]:9",
            "--source=nagios.example.org",
            "--id=heartbeat",
            "--subject=nagios.example.org",
            "--summary=Nagios is not heard from",
        ]
    );
    assert_eq!(alert[7..], ["--clear=now", "--raise=+10m"]);

    // A Nagios that hangs is not vouched for. Its file is made older, because nobody waits two minutes here.
    stage.site.nagios.hang(true)?;
    let status = stage.site.nagios.status_file();
    let text = fs::read_to_string(&status)?;
    let created = text.lines().find(|line| line.starts_with("\tcreated=")).context("no time")?;
    fs::write(&status, text.replacen(created, "\tcreated=1000000000", 1))?;
    stage.forget()?;
    let silent = stage.site.server(&["heartbeat"]).expect(1)?;
    ensure!(
        silent.text.contains("cannot tell whether Nagios gets on (it has not written "),
        "{}",
        silent.text
    );
    assert_eq!(stage.calls()?, [] as [Vec<String>; 0]);
    stage.site.nagios.hang(false)?;

    // What is mended while Nagios tells nobody.
    stage.command(&format!("SCHEDULE_HOST_DOWNTIME;{WEB};0;9999999999;1;0;0;a;b"))?;
    std::thread::sleep(Duration::from_secs(2));
    stage.forget()?;
    let _greeter = Greeter::start(page)?;
    let cleared = stage.heard("svc:page", "--clear=now")?;
    assert!(!cleared.iter().any(|argument| argument.starts_with("--summary")), "not by Nagios: {cleared:?}");
    assert!(
        !stage.alerts(WEB, "svc:gone")?.iter().flatten().any(|argument| argument == "--raise=now"),
        "nor is what is ill"
    );

    // What is withdrawn, and the administrator's own from then on, is not over.
    stage.plugin("still gone\n", 2)?;
    let own = stage.site.root().join("etc/nagios4/conf.d/gone.cfg");
    fs::write(
        &own,
        format!(
            "define command {{\n command_name gone\n command_line {}/plugin\n}}\ndefine service {{\n host_name {WEB}\n \
             service_description gone\n check_command gone\n check_interval 2\n max_check_attempts 1\n contacts \
             administrator\n}}\n",
            stage.path().display()
        ),
    )?;
    web.define("page.conf", &kept)?;
    web.client(&stage.site, &["register"]).expect(0)?;
    stage.site.server(&["publish"]).expect(0)?;
    wait_for("Nagios watches the administrator's", PATIENCE, || {
        let verdicts = stage.site.nagios.verdicts()?;
        let own = verdicts.iter().any(|verdict| verdict.output == "still gone");
        Ok(if own { Ok(()) } else { Err(format!("{verdicts:?}")) })
    })?;
    stage.forget()?;
    stage.site.server(&["heartbeat"]).expect(0)?;
    assert_eq!(stage.alerts(WEB, "svc:gone")?, [] as [Vec<String>; 0]);

    // What is watched no longer is over.
    fs::remove_file(&own)?;
    stage.command("RESTART_PROGRAM")?;
    stage.heard("svc:gone", "--clear=now")?;
    Ok(())
}

#[test]
fn a_station_hears_of_it_over_the_network() -> Result<()> {
    const SOURCE: &str = "nagios.example.org";
    let mut station = Station::start()?;
    let mut stage = Stage::set()?;
    let server_conf = stage.site.root().join("etc/auto-monitor-server-nagios/server.conf");
    let text = fs::read_to_string(&server_conf)?
        .replace("192.0.2.1:9, [::1]:9", &station.address()?.to_string())
        .replace(
            &stage.path().join("mauvesend").display().to_string(),
            &stage.site.program("mauvesend").display().to_string(),
        );
    fs::write(server_conf, text)?;
    stage.site.start_endpoint()?;
    stage.site.nagios.start()?;
    let [web, database] = ["web1.example.org", "db1.example.org"];
    let mut sockets = Vec::new();
    for (number, name) in (2..).zip([web, database]) {
        let host = stage.site.host(name, number)?;
        host.introduce(&stage.site)?;
        host.client(&stage.site, &["enrol", &stage.site.endpoint()?]).expect(4)?;
        stage.site.server(&["approve", name]).expect(0)?;
        let socket = host.free_socket()?;
        host.define("page.conf", &format!("[page]\ntype = tcp\nport = {}\n", socket.port()))?;
        host.client(&stage.site, &["register"]).expect(0)?;
        sockets.push(socket);
    }
    let greeter = Greeter::start(sockets[1])?;
    stage.site.server(&["publish"]).expect(0)?;

    let alert = station.wait(SOURCE, "svc:page@web1.example.org", true, PATIENCE)?;
    assert_eq!((alert.subject.as_str(), alert.summary.as_str()), (web, "page is CRITICAL"));
    ensure!(alert.detail.contains("Connection refused"), "{}", alert.detail);
    assert_eq!(station.alert(SOURCE, "svc:page@db1.example.org")?, None, "another host's is another");
    drop(greeter);
    station.wait(SOURCE, "svc:page@db1.example.org", true, PATIENCE)?;
    let _greeter = Greeter::start(sockets[1])?;
    station.wait(SOURCE, "svc:page@db1.example.org", false, PATIENCE)?;
    station.wait(SOURCE, "svc:page@web1.example.org", true, PATIENCE)?;

    // Silence is an alert: it waits to be raised.
    stage.site.server(&["heartbeat"]).expect(0)?;
    let beat = station.wait(SOURCE, "heartbeat", false, PATIENCE)?;
    let due = beat.will_raise.context("it is never raised")?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    ensure!((now + 590..=now + 600).contains(&due), "in {} s", due.saturating_sub(now));
    Ok(())
}

#[test]
fn a_station_that_cannot_be_told_does_not_slow_nagios() -> Result<()> {
    let mut stage = Stage::set()?;
    // Worse than any: it does not come back at all.
    stage.program("mauvesend", "#!/bin/sh\nexec sleep 25\n")?;
    stage.site.nagios.start()?;
    stage.site.start_endpoint()?;
    let web = stage.site.host(WEB, 2)?;
    web.introduce(&stage.site)?;
    web.client(&stage.site, &["enrol", &stage.site.endpoint()?]).expect(4)?;
    stage.site.server(&["approve", WEB]).expect(0)?;
    let gone = web.free_socket()?;
    let section = |n: u32| format!("[page{n}]\ntype = tcp\nport = {}\n", gone.port());
    let sections = (0..40).map(section).collect::<Vec<_>>().concat();
    web.define("page.conf", &sections)?;
    web.client(&stage.site, &["register"]).expect(0)?;
    stage.site.server(&["publish"]).expect(0)?;
    let log = stage.site.root().join("var/lib/nagios4/nagios.log");
    wait_for("forty notifications", PATIENCE, || {
        let told = fs::read_to_string(&log)?.matches("SERVICE NOTIFICATION: auto-monitor-mauve;").count();
        Ok(if told >= 40 { Ok(()) } else { Err(format!("{told}")) })
    })?;
    // Forty that hang, and Nagios still answers at once.
    let asked = Instant::now();
    stage.command(&format!("ADD_HOST_COMMENT;{WEB};1;a;still there"))?;
    wait_for("Nagios takes a command", PATIENCE, || {
        let taken = fs::read_to_string(&log)?.contains("EXTERNAL COMMAND: ADD_HOST_COMMENT");
        Ok(if taken { Ok(()) } else { Err("not yet".to_owned()) })
    })?;
    ensure!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    Ok(())
}
