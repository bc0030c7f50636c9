//! The commands about publishing, as a person and as a program call them.

#[expect(dead_code, reason = "each test program uses its part of it")]
#[path = "publish/site.rs"]
mod site;

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use monitoring_info::probe::OURS;
use site::{NAGIOS, Site, host, record, wait};

fn command(site: &Site, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_auto-monitor-server"));
    command.arg("--root").arg(site.root()).args(arguments);
    command
}

/// Exit status, standard output, standard error.
fn run(site: &Site, arguments: &[&str]) -> (i32, String, String) {
    let output = command(site, arguments).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn json(site: &Site, arguments: &[&str]) -> (i32, serde_json::Value) {
    let (status, out, error) = run(site, arguments);
    (status, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out} {error}")))
}

fn site() -> Site {
    let site = Site::running();
    site.write(
        "etc/auto-monitor-server-nagios/server.conf",
        "check-program = /bin/true\nquiet = 1s\nquiet-at-most = 3s\ncontacts = root\n",
    );
    site
}

/// With the umask of a cautious person, root may publish: its group, which is Nagios's, reads what it makes, and nobody else
/// gains a right.
#[test]
fn the_umask_of_who_publishes_closes_nothing() {
    let site = site();
    fs::set_permissions(site.paths.state(), fs::Permissions::from_mode(0o2750)).unwrap();
    for host in ["web1.example.org", "web2.example.org"] {
        site.register(host, &["ssh"]);
        let mut publish = Command::new("sh");
        publish.args(["-c", "umask 077; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_auto-monitor-server")]);
        let status = publish.arg("--root").arg(site.root()).arg("publish").status().unwrap();
        assert!(status.success());
        for set in fs::read_dir(site.paths.generations()).unwrap() {
            let set = set.unwrap().path();
            let folders = ["", "nagios", "nagios/hosts", "entry", "published"].map(|folder| set.join(folder));
            for folder in folders.iter().filter(|_| !set.ends_with(".scratch")) {
                let mode = fs::metadata(folder).unwrap().permissions().mode() & 0o7777;
                assert_eq!(mode, 0o2750, "{}", folder.display());
            }
        }
    }
}

#[test]
fn who_waits_for_another_publish_is_told_so() {
    let site = site();
    site.register("web1.example.org", &["ssh"]);
    let other = durable::Lock::wait(&site.paths.state().join("publish.lock")).unwrap();
    let said = site.root().join("said");
    let mut publish = command(&site, &["publish"]);
    publish.stdout(Stdio::piped()).stderr(fs::File::create(&said).unwrap());
    let mut waits = publish.spawn().unwrap();
    wait("it says so", || fs::read_to_string(&said).unwrap() == "Waiting for another publish to end.\n");
    assert!(waits.try_wait().unwrap().is_none());
    drop(other);
    let output = waits.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Published generation 1: 1 host, 1 service.\n");
}

#[test]
fn publish_says_what_it_did() {
    let site = site();
    assert_eq!(
        run(&site, &["publish"]),
        (0, "Nothing to publish: no host is registered.\n".into(), String::new())
    );
    site.register("web1.example.org", &["ssh", "http"]);
    assert_eq!(run(&site, &["publish"]).1, "Published generation 1: 1 host, 2 services.\n");
    assert_eq!(
        run(&site, &["publish"]).1,
        "Nothing to publish: generation 1 is in force, 1 host, 2 services.\n"
    );
    site.stop();
    let (status, out, _) = run(&site, &["publish"]);
    assert_eq!(status, 0);
    assert!(out.contains("warning: Nagios does not run (its lock file "), "{out}");
    assert!(out.contains("so nothing is watched; start Nagios"), "{out}");
    site.start();
    site.register("web1.example.org", &[]);
    let (status, out, _) = run(&site, &["publish"]);
    assert_eq!(status, 1);
    assert!(out.contains("web1.example.org: held: all of its 2 services would go at once"), "{out}");
    assert!(out.contains("publish --confirm-removal"), "{out}");
    let (status, held) = json(&site, &["publish", "--json"]);
    assert_eq!((status, &held["notes"]["web1.example.org"]["standing"]), (1, &"held".into()));
    assert_eq!(run(&site, &["publish", "--confirm-removal"]).0, 0);
    assert_eq!(site.services("web1.example.org"), ["host registration"]);
    site.stop();
    site.register("web2.example.org", &["ssh"]);
    let (status, _, error) = run(&site, &["publish"]);
    assert_eq!(status, 1);
    assert!(
        error.starts_with("error: Nagios is not running") && error.contains("The last good set stays"),
        "{error}"
    );
    let (status, failed) = json(&site, &["publish", "--json"]);
    assert!(status == 1 && failed["error"].as_str().unwrap().starts_with("Nagios is not running"));
}

#[test]
fn status_says_how_things_stand_and_what_to_do() {
    let site = site();
    let (status, out, error) = run(&site, &["status"]);
    assert_eq!((status, error.as_str()), (0, ""), "{out}");
    assert!(out.contains("nothing yet") && out.contains("runs, process"), "{out}");
    site.register("web1.example.org", &["ssh", "http"]);
    let (_, before) = json(&site, &["status", "--json"]);
    assert_eq!(before["waiting"], serde_json::json!(["web1.example.org"]));
    run(&site, &["publish"]);
    let (status, after) = json(&site, &["status", "--json"]);
    assert_eq!(status, 0);
    assert_eq!(
        (&after["hosts"], &after["services"], &after["generation"]),
        (&1.into(), &2.into(), &1.into())
    );
    assert_eq!(after["waiting"], serde_json::json!([]));
    site.write("etc/nagios4/conf.d/mine.cfg", "define hos {\n}\n");
    site.register("web2.example.org", &["ssh"]);
    run(&site, &["publish"]);
    let (status, out, _) = run(&site, &["status"]);
    assert_eq!(status, 1);
    assert!(out.contains("conf.d/mine.cfg:1") && out.contains("mend what the last publish says"), "{out}");
}

#[test]
fn diff_shows_what_a_publish_would_change() {
    let site = site();
    site.register("web1.example.org", &["ssh", "http"]);
    let (_, out, _) = run(&site, &["diff"]);
    assert!(
        out.contains("web1.example.org: new") && out.contains("+    service_description     http"),
        "{out}"
    );
    run(&site, &["publish"]);
    assert_eq!(run(&site, &["diff"]).1, "A publish would change nothing.\n");
    site.register("web1.example.org", &["ssh", "http:port=8080", "imap:username=u;password=geheim"]);
    let (_, out, _) = run(&site, &["diff"]);
    assert!(out.contains("web1.example.org: changed") && out.contains("+port = 8080"), "{out}");
    assert!(out.contains("+password = ********") && !out.contains("geheim"), "{out}");
    let (_, changes) = json(&site, &["diff", "--json"]);
    assert_eq!(changes["changes"][0]["what"], "web1.example.org");
}

#[test]
fn explain_shows_a_command_line_that_runs() {
    let site = site();
    let mut web1 = record("web1.example.org", &["http:ssl=True;uri=/a?b=$USER1$'", "gopher", "imap"]);
    web1.address = [127, 0, 0, 9].into();
    site.store(&web1);
    assert!(run(&site, &["explain", "web1.example.org"]).2.contains("not published yet"));
    run(&site, &["publish"]);
    let (status, out, error) = run(&site, &["explain", "web1.example.org"]);
    assert_eq!(status, 0, "{error}");
    assert!(
        out.contains("-H 127.0.0.9 -p 443 --hostname=web1.example.org '--uri=/a?b=$USER1$'\\''' --tls"),
        "{out}"
    );
    assert!(out.contains("http certificate") && out.contains("UNKNOWN: the type gopher"), "{out}");
    let (_, one) = json(&site, &["explain", "web1.example.org", "http", "certificate", "--json"]);
    let probes = &one["services"][0]["probes"];
    assert_eq!(probes.as_array().unwrap().len(), 1);
    let root = site.root().display();
    assert_eq!(probes[0]["runs"], format!("/bin/true --root {root} web1.example.org http certificate"));
    let (status, _, error) = run(&site, &["explain", "web1.example.org", "ftp"]);
    assert_eq!(status, 2);
    assert!(error.contains("has no service ftp; it has gopher, http, imap"), "{error}");
}

#[test]
fn what_the_administrator_says_of_mails_reaches_the_probes() {
    let site = site();
    let flow = ["mailflow:id=inbound;seconds=900", "imap:username=u;password=geheim;mailflowid=inbound"];
    for host in ["mx.example.org", "imap.example.org", "other.example.org"] {
        site.register(host, &flow);
    }
    let sender = ["smtp:email=a@example.org;mailflowid=inbound"];
    site.register("web1.example.org", &sender);
    run(&site, &["publish"]);
    let list = |host: &str| {
        let (status, out, error) = run(&site, &["explain", host]);
        assert_eq!(status, 0, "{error}");
        assert!(!out.contains("geheim"), "{out}");
        out
    };
    for host in ["mx.example.org", "imap.example.org", "other.example.org"] {
        let out = list(host);
        assert!(out.contains(&format!("--username=u --list {host}/inbound --password-file=")), "{out}");
        assert!(
            out.contains(&format!(
                "/bin/check_mailflow --root={} --list {host}/inbound -c 900\n",
                site.root().display()
            )),
            "{out}"
        );
    }
    let sent = list("web1.example.org");
    assert!(sent.contains("-p 25 --to=a@example.org --list web1.example.org/inbound\n"), "{sent}");

    let path = "etc/auto-monitor-server-nagios/server.conf";
    let before = fs::read_to_string(site.root().join(path)).unwrap();
    site.write(
        path,
        &format!(
            "{before}mail-domains = example.org\nmail-from = monitor@example.org\nplain-text-logins = yes\n\
             shared-mailflows = mx.example.org/inbound imap.example.org web1.example.org\n"
        ),
    );
    let (_, out, _) = run(&site, &["publish"]);
    assert!(out.starts_with("Published generation 2"), "{out}");
    let sent = list("web1.example.org");
    assert!(
        sent.contains(
            "--to=a@example.org --list mx.example.org/inbound --from=monitor@example.org --only-to=example.org\n"
        ),
        "{sent}"
    );
    assert!(
        list("imap.example.org").contains("--allow-plain-text --username=u --list mx.example.org/inbound")
    );
    let other = list("other.example.org");
    assert!(!other.contains("--list mx.example.org"), "nobody shared it with that host: {other}");
}

#[test]
fn doctor_names_each_fault_with_the_next_step() {
    let site = site();
    site.register("web1.example.org", &["ssh", "http"]);
    run(&site, &["publish"]);
    let (status, findings) = json(&site, &["doctor", "--json"]);
    let well = |about: &str, findings: &serde_json::Value| {
        findings.as_array().unwrap().iter().find(|finding| finding["about"] == about).unwrap()["well"]
            .as_bool()
    };
    for about in
        ["state folder", "templates", "link", "configuration", "Nagios", "alarms", "reads us", "permissions"]
    {
        assert_eq!(well(about, &findings), Some(true), "{about}: {findings}");
    }
    assert_eq!((status, well("endpoint", &findings)), (1, Some(false)), "there is none");
    let (_, out, _) = run(&site, &["doctor"]);
    assert!(out.contains("not there, or not executable: /usr/bin/check_certificate, "), "{out}");
    assert!(!out.contains("mailflows"), "nobody shares any: {out}");

    let programs = site.root().join("programs");
    fs::create_dir(&programs).unwrap();
    for name in OURS.iter().chain(&["check_registered"]) {
        fs::copy("/bin/true", programs.join(name)).unwrap();
    }
    site.write(
        "etc/auto-monitor-server-nagios/server.conf",
        &format!(
            "check-program = {}/check_registered\n\
             shared-mailflows = web1.example.org/inbound mx.example.org\n",
            programs.display()
        ),
    );
    let (_, out, _) = run(&site, &["doctor"]);
    assert!(out.contains(&format!("all {} are beside the check-program", OURS.len())), "{out}");
    assert!(out.contains("shared-mailflows names hosts that are not registered: mx.example.org\n"), "{out}");
    site.register("mx.example.org", &["ssh"]);
    let (_, out, _) = run(&site, &["doctor"]);
    assert!(out.contains("shared by mx.example.org, web1.example.org\n"), "{out}");
    site.stop();
    fs::remove_file(site.paths.current()).unwrap();
    let (_, out, _) = run(&site, &["doctor"]);
    assert!(out.contains("leads nowhere") && out.contains("systemctl start nagios4"), "{out}");
}

/// `publish --watch`, ended with this value.
struct Watch(Child);

impl Watch {
    fn start(site: &Site) -> Self {
        Self(
            command(site, &["publish", "--watch"])
                .stdin(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        )
    }

    /// Asks it to end; its exit status and its journal.
    fn end(mut self) -> (Option<i32>, String) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let mut journal = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut journal).unwrap();
        (self.0.wait().unwrap().code(), journal)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn watch_publishes_by_itself_and_survives_what_passes() {
    let site = site();
    let watch = Watch::start(&site);
    // Ten at once are one publish.
    for n in 0..10 {
        site.register(&format!("web{n}.example.org"), &["ssh"]);
    }
    wait("all are watched", || (0..10).all(|n| !site.services(&format!("web{n}.example.org")).is_empty()));
    // Nagios has read them a moment before the publish believes that it stays.
    wait("the publish has ended", || site.paths.state().join("taken").exists());
    site.stop();
    site.register("late.example.org", &["ssh"]);
    std::thread::sleep(Duration::from_secs(3));
    site.start();
    wait("the late one is watched", || !site.services("late.example.org").is_empty());
    let folder = "etc/auto-monitor-server-nagios/hosts/late.example.org.conf";
    site.write(folder, "address = 192.0.2.5\n");
    wait("the override holds", || site.objects().contains("\taddress\t192.0.2.5\n"));
    let (status, journal) = watch.end();
    assert_eq!(status, Some(0));
    assert!(journal.contains("event=publish-failed reason=\"Nagios is not running"), "{journal}");
    assert!(journal.ends_with("event=stopped\n"), "{journal}");
    assert!(journal.matches("event=published").count() <= 5, "{journal}");
}

#[test]
fn a_publish_that_is_killed_at_any_moment_harms_nothing() {
    let site = site();
    site.register("web0.example.org", &["ssh"]);
    site.published();
    let main = site.root().join("etc/nagios4/nagios.cfg");
    for round in 0..25_u64 {
        site.register(&format!("web{}.example.org", round % 5), &["ssh", "http", "imap"]);
        let mut child =
            command(&site, &["publish"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(round * 7));
        child.kill().unwrap();
        child.wait().unwrap();
        let current = fs::canonicalize(site.paths.current()).unwrap();
        for part in [
            "nagios/base.cfg",
            "nagios/hosts/web0.example.org.cfg",
            "published/web0.example.org.json",
            "hosts.json",
            "sources.json",
            "manifest.json",
        ] {
            assert!(fs::metadata(current.join(part)).unwrap().len() > 0, "{part} after {round}");
        }
        let verified = Command::new(NAGIOS).arg("-v").arg(&main).stdout(Stdio::null()).status().unwrap();
        assert!(verified.success(), "round {round}");
    }
    site.published();
    for n in 0..5 {
        assert_eq!(site.services(&format!("web{n}.example.org")).len(), 4);
    }
    let state: Vec<_> =
        fs::read_dir(site.paths.generations()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let next = format!(".next-{}", site.generation().unwrap().file_name().unwrap().to_string_lossy());
    let is_meant = |name: &str| name == next || name.parse::<u64>().is_ok();
    assert!(state.iter().all(|name| is_meant(name.to_str().unwrap())), "{state:?}");
    assert!(auto_monitor_server::publication::of(&site.paths, &host("web0.example.org")).is_some());
}

/// What is below a folder and not of this user and group.
fn strangers(folder: &Path, user: u32, group: u32) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let data = entry.metadata().unwrap();
        if (data.uid(), data.gid()) != (user, group) {
            found.push(entry.path());
        }
        if data.is_dir() {
            found.extend(strangers(&entry.path(), user, group));
        }
    }
    found
}

#[test]
fn root_publishes_with_the_rights_of_the_account_that_the_state_belongs_to() {
    if !rustix::process::geteuid().is_root() {
        println!("nobody but root can give a folder away, so this says nothing");
        return;
    }
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let (user, group) = (nobody.uid.as_raw(), nobody.gid.as_raw());
    let site = site();
    site.register("web1.example.org", &["ssh", "http"]);
    let state = site.paths.state();
    let give = || {
        let whose = format!("{user}:{group}");
        assert!(Command::new("chown").arg("-hR").arg(whose).arg(&state).status().unwrap().success());
    };
    give();
    // Nagios's own files are root's business alone.
    let own = site.root().join("etc/nagios4/own.cfg");
    fs::set_permissions(&own, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(run(&site, &["publish"]).1, "Published generation 1: 1 host, 2 services.\n");
    assert_eq!(site.services("web1.example.org").len(), 3);
    assert_eq!(strangers(&state, user, group), Vec::<PathBuf>::new());

    // The account lays a link to where only root may write.
    let treasure = tempfile::tempdir().unwrap();
    fs::rename(state.join("generations"), state.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(treasure.path(), state.join("generations")).unwrap();
    site.register("web2.example.org", &["ssh"]);
    give();
    let (status, _, complaint) = run(&site, &["publish"]);
    assert_eq!(status, 2, "{complaint}");
    assert!(complaint.contains("Permission denied"), "{complaint}");
    assert_eq!(fs::read_dir(treasure.path()).unwrap().count(), 0);
}
