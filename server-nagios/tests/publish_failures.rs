//! Everything that can go wrong with a publish: one clear sentence each, and the last good set stays.

#[expect(dead_code, reason = "each test program uses its part of it")]
#[path = "publish/site.rs"]
mod site;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use auto_monitor_server::enrolment::Ledger;
use auto_monitor_server::publication;
use monitoring_info::registration::Standing;
use site::{NAGIOS, Site, host};

/// A site with one published host and one that waits.
fn site() -> Site {
    let site = Site::running();
    site.register("web1.example.org", &["ssh", "http"]);
    site.published();
    site.register("web2.example.org", &["ssh"]);
    site
}

/// What the last good set was is what Nagios still has.
fn unharmed(site: &Site) {
    assert_eq!(site.generation().unwrap().to_str(), Some("generations/1"));
    assert_eq!(site.services("web1.example.org"), ["host registration", "http", "ssh"]);
    assert!(site.process().is_some(), "Nagios has ended");
    assert!(!site.paths.generations().join(".staging").exists());
}

const TEMPLATES: &str = "etc/auto-monitor-server-nagios/templates/nagios";

#[test]
fn a_template_with_a_fault_of_syntax() {
    let site = site();
    site.write(&format!("{TEMPLATES}/host.cfg.hbs"), "define host {\n{{#if name}}\n}\n");
    let told = site.refused();
    assert_eq!(told.matches("templates/nagios/host.cfg.hbs, line ").count(), 1, "{told}");
    unharmed(&site);
    site.write(&format!("{TEMPLATES}/host.cfg.hbs"), "define host {\n host_name {{nam}}\n}\n");
    let told = site.refused();
    assert!(
        told.contains("host.cfg.hbs, line 2, does not work: there is no `nam` to be filled in"),
        "{told}"
    );
    unharmed(&site);
    site.remove(&format!("{TEMPLATES}/host.cfg.hbs"));
    assert_eq!(site.published().hosts, 2);
}

#[test]
fn a_template_that_gives_an_invalid_object() {
    let site = site();
    site.write(
        &format!("{TEMPLATES}/host.cfg.hbs"),
        "define host {\n use auto-monitor-host\n host_name {{name}}\n adress {{address}}\n}\n",
    );
    let told = site.refused();
    assert!(told.contains("refuses what") && told.contains("templates/nagios/host.cfg.hbs gives"), "{told}");
    assert!(told.contains("hosts/web2.example.org.cfg:4: Invalid host object directive 'adress'"), "{told}");
    unharmed(&site);
    site.remove(&format!("{TEMPLATES}/host.cfg.hbs"));
    site.write(&format!("{TEMPLATES}/base.cfg.hbs"), "# nothing\n");
    let told = site.refused();
    assert!(told.contains("templates/nagios/base.cfg.hbs gives"), "{told}");
    unharmed(&site);
}

#[test]
fn an_override_of_a_host_that_nagios_refuses() {
    let site = site();
    site.write("etc/auto-monitor-server-nagios/hosts/web2.example.org.conf", "contacts = nobody\n");
    let told = site.refused();
    assert!(told.contains("hosts/web2.example.org.conf gives"), "{told}");
    assert!(told.contains("nobody"), "{told}");
    unharmed(&site);
}

#[test]
fn the_administrators_own_configuration_is_broken() {
    let site = site();
    site.write("etc/nagios4/conf.d/mine.cfg", "define host {\n host_nam x\n}\n");
    let told = site.refused();
    assert!(told.contains("its own configuration, which is not ours"), "{told}");
    assert!(
        told.contains("etc/nagios4/conf.d/mine.cfg:2: Invalid host object directive 'host_nam'"),
        "{told}"
    );
    unharmed(&site);
    site.remove("etc/nagios4/conf.d/mine.cfg");
    let main = site.root().join("etc/nagios4/nagios.cfg");
    let sound = fs::read_to_string(&main).unwrap();
    fs::write(&main, format!("frobnicate=1\n{sound}")).unwrap();
    let told = site.refused();
    assert!(told.contains("its own configuration, which is not ours"), "{told}");
    assert!(
        told.contains("  `frobnicate=1` in ") && told.ends_with("nagios.cfg: UNKNOWN VARIABLE"),
        "{told}"
    );
    unharmed(&site);
    fs::write(&main, sound).unwrap();
    assert_eq!(site.published().hosts, 2);
}

#[test]
fn nagios_is_not_running() {
    let site = site();
    site.stop();
    let told = site.refused();
    assert!(told.contains("Nagios is not running (its lock file"), "{told}");
    assert_eq!(site.generation().unwrap().to_str(), Some("generations/1"));
    site.start();
    assert_eq!(site.published().hosts, 2);
    assert_eq!(site.services("web2.example.org"), ["host registration", "ssh"]);
}

#[test]
fn nagios_is_not_installed() {
    let mut site = site();
    site.configuration.nagios = "/nonexistent/nagios4".into();
    let told = site.refused();
    assert!(
        told.contains("cannot run /nonexistent/nagios4; install the engine, or set `nagios` in server.conf")
    );
    unharmed(&site);
}

#[test]
fn a_process_id_that_is_another_programs_gets_no_signal() {
    let site = site();
    let mut other = Command::new("sleep").arg("60").spawn().unwrap();
    let lock = site.root().join("var/lib/nagios4/nagios.pid");
    let right = fs::read_to_string(&lock).unwrap();
    fs::write(&lock, format!("{}\n", other.id())).unwrap();
    let told = site.refused();
    assert!(told.contains("is not Nagios but `sleep`"), "{told}");
    assert!(other.try_wait().unwrap().is_none());
    other.kill().unwrap();
    other.wait().unwrap();
    fs::write(&lock, right).unwrap();
    unharmed(&site);
}

#[test]
fn no_folder_that_nagios_reads_holds_our_link() {
    let mut site = site();
    site.configuration.nagios_link = "/srv/auto-monitor".into();
    let told = site.refused();
    assert!(told.contains("add `cfg_dir=") && told.contains("or set `nagios-link`"), "{told}");
    unharmed(&site);
}

#[test]
fn nagios_does_not_take_the_set_and_gets_the_old_one_back() {
    let mut site = site();
    // A reload that does nothing: the set is verified, and never read.
    site.configuration.reload_command = Some("exit 3".into());
    let told = site.refused();
    assert!(told.contains("the reload-command `exit 3` failed"), "{told}");
    assert!(told.contains("went back to generation 1"), "{told}");
    unharmed_but_numbered(&site);
    let process = site.process().unwrap().as_raw_nonzero();
    let marker = site.root().join("reloads");
    site.configuration.reload_command = Some(format!("echo >> {}; kill -HUP {process}", marker.display()));
    assert_eq!(site.published().hosts, 2);
    assert_eq!(fs::read_to_string(marker).unwrap(), "\n");
}

fn unharmed_but_numbered(site: &Site) {
    assert_eq!(site.generation().unwrap().to_str(), Some("generations/1"));
    assert_eq!(site.services("web1.example.org"), ["host registration", "http", "ssh"]);
    assert!(site.process().is_some());
}

#[test]
fn nagios_ends_instead_of_reloading() {
    let mut site = site();
    let process = site.process().unwrap().as_raw_nonzero();
    site.configuration.reload_command = Some(format!("kill -KILL {process}; exit 1"));
    let told = site.refused();
    assert!(told.contains("went back to generation 1, but then:") && told.contains("Start Nagios"), "{told}");
    assert_eq!(site.generation().unwrap().to_str(), Some("generations/1"));
}

#[test]
fn a_host_that_nagios_refuses_is_left_at_its_last_good_set() {
    let site = Site::running();
    site.register("good1.example.org", &["ssh"]);
    site.register("bad.example.org", &["ssh"]);
    site.published();
    // From now on, a service name with an `_` is refused, and Nagios names no file then.
    let main = site.root().join("etc/nagios4/nagios.cfg");
    let text = fs::read_to_string(&main).unwrap();
    fs::write(&main, text.replace("illegal_object_name_chars=", "illegal_object_name_chars=_")).unwrap();
    let mut bad = site::record("bad.example.org", &["ssh"]);
    bad.registration.definitions[0].name = "ssh_2".into();
    site.store(&bad);
    let mut worse = site::record("worse.example.org", &["ssh"]);
    worse.registration.definitions[0].name = "ssh_2".into();
    site.store(&worse);
    for n in 2..=9 {
        site.register(&format!("good{n}.example.org"), &["ssh"]);
    }
    let published = site.published();
    assert_eq!((published.hosts, published.notes.len()), (10, 2));
    assert_eq!(site.services("bad.example.org"), ["host registration", "ssh"], "the last good state");
    assert_eq!(site.services("good9.example.org"), ["host registration", "ssh"]);
    assert_eq!(site.services("worse.example.org"), [""; 0]);
    let told = publication::of(&site.paths, &host("bad.example.org")).unwrap();
    assert_eq!((told.standing, told.generation.is_some()), (Standing::Quarantined, true));
    assert!(told.reason.unwrap().contains("contains one or more illegal characters"));
    let told = publication::of(&site.paths, &host("worse.example.org")).unwrap();
    assert_eq!((told.standing, told.generation), (Standing::Quarantined, None));
    assert!(!site.published().changed, "what is known is not tried again");
    site.register("bad.example.org", &["ssh", "http"]);
    assert_eq!(publication::of(&site.paths, &host("bad.example.org")).unwrap().standing, Standing::Waiting);
    assert_eq!(site.published().notes.len(), 1);
}

#[test]
fn a_host_that_the_administrators_objects_need_is_not_removed() {
    let site = Site::running();
    site.register("web1.example.org", &["ssh"]);
    site.register("web2.example.org", &["ssh"]);
    site.published();
    site.write(
        "etc/nagios4/conf.d/mine.cfg",
        "define service {\n host_name web1.example.org\n service_description mine\n check_command true\n max_check_attempts 1\n}\n",
    );
    site.withdraw("web1.example.org", auto_monitor_server::registry::Withdrawn::ByHost);
    site.register("web2.example.org", &["ssh", "http"]);
    let published = site.published();
    assert_eq!(published.hosts, 2);
    assert_eq!(site.services("web1.example.org"), ["host registration", "mine", "ssh"]);
    let note = &published.notes[&host("web1.example.org")].publication;
    assert!(note.reason.as_ref().unwrap().contains("without this host"), "{note:?}");
}

#[test]
fn leftovers_of_a_killed_publish_are_no_obstacle() {
    let site = site();
    for leftover in [
        "generations/.staging/nagios/hosts/x.cfg",
        "generations/.scratch/mirror-1/x",
        "generations/.next/nagios/hosts/x.cfg",
        "generations/.next-7/published/x.json",
        "generations/.old-7/published/x.json",
    ] {
        site.write(&format!("var/lib/auto-monitor-server-nagios/{leftover}"), "half");
    }
    std::os::unix::fs::symlink("generations/7", site.paths.state().join(".current-new")).unwrap();
    drop(Ledger::lock(&site.paths).unwrap());
    let state = site.paths.state();
    // Of a publish, and of a session.
    let files = [".new-sXq31u", "registry/.new-a", "enrolment/keys/.new-b"].map(|file| state.join(file));
    for file in &files {
        fs::write(file, "1").unwrap();
    }
    assert_eq!(site.published().hosts, 2);
    assert!(!site.paths.generations().join(".staging").exists());
    assert!(!site.paths.generations().join(".scratch").exists());
    assert!(files.iter().all(|file| !file.exists()));
    for n in 3..=9 {
        site.register(&format!("web{n}.example.org"), &["ssh"]);
        site.published();
    }
    // Five, and as what the next begins.
    assert_eq!(fs::read_dir(site.paths.generations()).unwrap().count(), 6);
}

#[test]
fn a_verification_that_is_killed_blames_nobody() {
    let mut site = site();
    let well = site.configuration.nagios.clone();
    let killed = site.root().join("nagios-killed");
    fs::write(&killed, "#!/bin/sh\nkill -KILL $$\n").unwrap();
    fs::set_permissions(&killed, fs::Permissions::from_mode(0o755)).unwrap();
    site.configuration.nagios = killed;
    let error = site.publish().unwrap_err();
    assert!(error.may_pass(), "{error}");
    assert!(error.to_string().contains("was killed while it checked the configuration"), "{error}");
    site.configuration.nagios = well;
    assert_eq!(site.published().hosts, 2);
}

#[test]
fn a_fault_that_is_not_named_blames_no_file_and_is_tried_again() {
    let mut site = site();
    site.configuration.contacts = vec!["root".to_owned()];
    site.configuration.nagios = site.root().join("nagios");
    let (hosts, starved) =
        (site.paths.generations().join(".staging/nagios/hosts"), site.root().join("starved"));
    // As Nagios ends where there is too little memory for a third host.
    site.write(
        "nagios",
        &format!(
            "#!/bin/sh\nfor main; do :; done\nif [ -e {} ] && grep -Rqs /.staging/ \"${{main%/*}}\"/mirror-* && \
             [ \"$(ls {} | wc -l)\" -gt 2 ]; then\n echo 'Nagios Core 4.4.6'\n exit 1\nfi\n\
             exec {NAGIOS} \"$@\"\n",
            starved.display(),
            hosts.display()
        ),
    );
    fs::set_permissions(&site.configuration.nagios, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(site.published().hosts, 2);
    fs::write(&starved, "").unwrap();
    site.register("web3.example.org", &["ssh"]);
    let published = site.published();
    assert_eq!(published.hosts, 2);
    let reason = published.notes[&host("web3.example.org")].publication.reason.clone().unwrap();
    let told =
        "Nagios refuses it: Nagios ended with exit status: 1, no fault named; is there too little memory?";
    assert_eq!(reason, told);
    let again = site.published();
    assert_eq!((again.changed, again.generation), (false, published.generation));
    fs::remove_file(&starved).unwrap();
    let published = site.published();
    assert_eq!((published.hosts, published.notes.len()), (3, 0));
    assert!(!site.published().changed);
}

#[test]
fn sets_that_nagios_does_not_take_do_not_pile_up() {
    let mut site = site();
    site.configuration.reload_command = Some("false".to_owned());
    for _ in 0..8 {
        site.refused();
    }
    // The newest five, one that is in force, and the last one.
    let mut kept: Vec<_> =
        fs::read_dir(site.paths.generations()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    // In which Nagios wrote while it judged, and will again.
    kept.retain(|name| name != ".scratch");
    assert!(kept.len() <= 7, "{kept:?}");
}

#[test]
fn a_publish_that_was_killed_between_swap_and_reload_is_finished() {
    let site = Site::running();
    site.register("web1.example.org", &["ssh"]);
    site.published();
    // As after a kill, before anybody has seen that Nagios has taken it.
    fs::write(site.paths.state().join("taken"), "0\n").unwrap();
    let cache = site.root().join("var/lib/nagios4/objects.cache");
    let read = || fs::metadata(&cache).unwrap().modified().unwrap();
    let before = read();
    assert!(!site.published().changed);
    let caught_up = read();
    assert!(caught_up > before);
    site.published();
    assert_eq!(read(), caught_up);
}

#[test]
fn a_clock_that_is_set_back_changes_nothing() {
    let site = site();
    let cache = site.root().join("var/lib/nagios4/objects.cache");
    let future = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
    // What was written before the clock was set back.
    for file in [&cache, &site.paths.state().join("taken")] {
        fs::File::options().write(true).open(file).unwrap().set_modified(future).unwrap();
    }
    site.published();
    assert_eq!(site.services("web2.example.org"), ["host registration", "ssh"]);
    let link = site.paths.current();
    let touched = Command::new("touch").args(["-h", "-d", "+1 hour"]).arg(&link).status().unwrap();
    assert!(touched.success());
    let read = || fs::metadata(&cache).unwrap().modified().unwrap();
    let before = read();
    assert!(!site.published().changed);
    assert_eq!(read(), before, "no reload for nothing");
}

#[test]
fn a_state_folder_that_cannot_be_written() {
    let site = site();
    let generations = site.paths.generations();
    if rustix::process::geteuid().is_root() {
        // Permissions mean nothing to root; a file where a folder should be does.
        fs::write(generations.join(".staging"), "").unwrap();
    } else {
        fs::set_permissions(&generations, fs::Permissions::from_mode(0o555)).unwrap();
    }
    let told = site.refused();
    assert!(told.starts_with("cannot ") && told.contains("generations/.staging"), "{told}");
    fs::set_permissions(&generations, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(site.generation().unwrap().to_str(), Some("generations/1"));
}

/// A file system of its own on the state's generations.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn tmpfs(path: std::path::PathBuf, size: &str) -> Self {
        fs::create_dir_all(&path).unwrap();
        let options = format!("size={size},mode=755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(&path).status();
        assert!(mounted.unwrap().success(), "cannot mount a small file system");
        Self(path)
    }
}

/// Runs a test again as the root of a user namespace, who may mount, where this user is not root already.
fn done_as_root(test: &str) -> bool {
    if rustix::process::geteuid().is_root() {
        return false;
    }
    let done = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount"])
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact"])
        .status()
        .unwrap();
    assert!(done.success(), "run this test as root where users may not make namespaces");
    true
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_and_a_read_only_one() {
    if done_as_root("a_full_disk_and_a_read_only_one") {
        return;
    }
    let site = Site::running();
    let mounted = Mounted::tmpfs(site.paths.state(), "256k");
    fs::create_dir_all(site.paths.registry()).unwrap();
    site.register("web1.example.org", &["ssh", "http"]);
    site.published();
    site.register("web2.example.org", &["ssh"]);
    let filler = site.paths.state().join("filler");
    while fs::File::options()
        .create(true)
        .append(true)
        .open(&filler)
        .and_then(|mut file| std::io::Write::write_all(&mut file, &[0; 4096]))
        .is_ok()
    {}
    let error = site.publish().unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        error.to_string().starts_with("cannot ") && source.contains("No space left"),
        "{error}: {source}"
    );
    unharmed(&site);
    fs::remove_file(filler).unwrap();
    // Busy for as long as a process that another test is just starting still holds its parent's files.
    let remount = |how| {
        site::wait("it is mounted anew", || {
            Command::new("mount").args(["-o", how]).arg(&mounted.0).output().unwrap().status.success()
        });
    };
    remount("remount,bind,ro");
    let error = site.publish().unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("Read-only file system"), "{error}: {source}");
    remount("remount,bind,rw");
    assert_eq!(site.published().hosts, 2);
}

#[test]
fn what_nagios_says_is_not_cut_by_a_full_disk() {
    if done_as_root("what_nagios_says_is_not_cut_by_a_full_disk") {
        return;
    }
    let mut site = Site::running();
    let _mounted = Mounted::tmpfs(site.paths.state(), "256k");
    fs::create_dir_all(site.paths.registry()).unwrap();
    site.register("web1.example.org", &["ssh"]);
    site.published();
    // It is full for as long as Nagios judges.
    let filler = site.paths.state().join("filler");
    site.write(
        "nagios",
        &format!(
            "#!/bin/sh\ncat /dev/zero >{0} 2>/dev/null\n{NAGIOS} \"$@\"\nstatus=$?\nrm {0}\nexit $status\n",
            filler.display()
        ),
    );
    site.configuration.nagios = site.root().join("nagios");
    fs::set_permissions(&site.configuration.nagios, fs::Permissions::from_mode(0o755)).unwrap();
    site.write("etc/nagios4/conf.d/mine.cfg", "define hos {\n}\n");
    let told = site.refused();
    assert!(told.contains("refuses its own configuration") && told.contains("conf.d/mine.cfg:1"), "{told}");
}
