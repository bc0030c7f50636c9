//! `watch` with a real file system and a real sshd: what leads to a registration, and what does not.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

mod setting;
use setting::{Endpoint, Host};

/// After this time nothing more comes of an edit: half a second of quiet, and a registration.
const SETTLED: Duration = Duration::from_millis(1500);
const PATIENCE: Duration = Duration::from_secs(20);

struct Watch(Child);

impl Watch {
    fn start(host: &Host) -> Self {
        let log = File::create(host.path("watch.log")).unwrap();
        Self(host.command(&["watch"]).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    /// What it has resident, in KiB (proc(5)): all of it, and without what is mapped from files, of which a program with
    /// debug information has three times as much.
    fn memory(&self) -> [u64; 2] {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        ["VmHWM:", "RssAnon:"].map(|field| {
            let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        })
    }

    /// The processor time it has used, in ticks of 10 ms.
    fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").arg(signal).arg(self.0.id().to_string()).status().unwrap().success());
    }

    fn end(mut self) {
        self.signal("-TERM");
        let begin = Instant::now();
        assert!(self.0.wait().unwrap().success());
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Waits for a number of registrations. One too many is seen at the next that is waited for, at the latest by
/// [`stays_with`].
#[track_caller]
fn comes_to(endpoint: &Endpoint, calls: usize, why: &str) {
    let until = Instant::now() + PATIENCE;
    while endpoint.calls("register") < calls {
        assert!(Instant::now() < until, "no registration: {why}");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(endpoint.calls("register"), calls, "{why}");
}

#[track_caller]
fn stays_with(endpoint: &Endpoint, calls: usize, why: &str) {
    std::thread::sleep(SETTLED);
    assert_eq!(endpoint.calls("register"), calls, "{why}");
}

fn names(endpoint: &Endpoint, call: usize) -> Vec<String> {
    let request = endpoint.request(&format!("register.{call}"));
    let definitions = request["registration"]["definitions"].as_array().unwrap();
    definitions.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn edits_of_every_kind_lead_to_one_registration_each_and_the_same_content_to_none() {
    let endpoint = Endpoint::start();
    let host = Host::new(&[("etc/auto-monitor/client.conf", &endpoint.configuration())]);
    let watch = Watch::start(&host);
    comes_to(&endpoint, 1, "the first");

    // The folder is made only now, and so is the one above the other.
    host.write("etc/monitoring-info/a.conf", "[a]\ntype = ssh\n");
    comes_to(&endpoint, 2, "a folder that was not there");
    host.write("usr/share/monitoring-info.d/b.conf", "[b]\ntype = ssh\n");
    comes_to(&endpoint, 3, "folders that were not there");
    assert_eq!(names(&endpoint, 3), ["a", "b"]);

    // As editors do: a backup, a new file under the old name, the backup away; and over it in place.
    let folder = host.path("etc/monitoring-info");
    for step in ["[a]\ntype = ssh\nport = 1\n", "[a]\ntype = ssh\nport = 2\n"] {
        fs::write(folder.join("4913"), "").unwrap();
        fs::remove_file(folder.join("4913")).unwrap();
        fs::rename(folder.join("a.conf"), folder.join("a.conf~")).unwrap();
        host.write("etc/monitoring-info/a.conf", step);
        fs::remove_file(folder.join("a.conf~")).unwrap();
    }
    comes_to(&endpoint, 4, "an editor");
    stays_with(&endpoint, 4, "an editor, once");
    host.write("elsewhere", "[c]\ntype = ssh\n");
    fs::rename(host.path("elsewhere"), folder.join("c.conf")).unwrap();
    comes_to(&endpoint, 5, "mv into the folder");
    fs::rename(folder.join("c.conf"), host.path("elsewhere")).unwrap();
    comes_to(&endpoint, 6, "mv out of it");
    assert_eq!(names(&endpoint, 6), ["a", "b"]);

    // As a configuration tool does every half hour: in place, and by renaming; and as editors leave behind.
    host.write("etc/monitoring-info/a.conf", "[a]\ntype = ssh\nport = 2\n");
    host.write("etc/monitoring-info/.new", "[a]\ntype = ssh\nport = 2\n");
    fs::rename(folder.join(".new"), folder.join("a.conf")).unwrap();
    host.write("etc/monitoring-info/.a.conf.swp", "nonsense");
    watch.signal("-HUP");
    stays_with(&endpoint, 6, "the same content");

    // A folder that is another one now.
    fs::rename(&folder, host.path("etc/old")).unwrap();
    comes_to(&endpoint, 7, "the folder is gone");
    fs::rename(host.path("etc/old"), &folder).unwrap();
    comes_to(&endpoint, 8, "the folder is back");
    host.write("etc/monitoring-info/d.conf", "[d]\ntype = ssh\n");
    comes_to(&endpoint, 9, "in the folder that is back");

    host.write("etc/auto-monitor/overrides.conf", "[d]\nenabled = no\n");
    comes_to(&endpoint, 10, "overrides");
    host.run(0, &["disable", "a"]);
    comes_to(&endpoint, 11, "disable");
    stays_with(&endpoint, 11, "all of it, once");
    assert_eq!(names(&endpoint, 11), ["b"]);

    let ticks = watch.ticks();
    std::thread::sleep(Duration::from_secs(1));
    assert!(watch.ticks() <= ticks + 1, "it does nothing where nothing happens");
    let [all, own] = watch.memory();
    assert!(
        own < 2 * 1024 && (all < 10 * 1024 || cfg!(debug_assertions)),
        "{all} KiB, {own} of them its own"
    );
    assert_eq!(host.read("watch.log"), "", "nothing is said of what went well");
    watch.end();
}

#[test]
fn a_package_counts_when_the_package_manager_is_done() {
    let endpoint = Endpoint::start();
    let host = Host::new(&[
        ("etc/auto-monitor/client.conf", &endpoint.configuration()),
        ("usr/share/auto-monitor/monitoring-info.d/nginx.conf", "[nginx]\ntype = http\n"),
        ("var/lib/dpkg/status", "\n"),
        ("var/lib/dpkg/lock-frontend", ""),
    ]);
    let watch = Watch::start(&host);
    comes_to(&endpoint, 1, "the first");

    let mut apt = apt(&host);
    let installed = "Package: nginx\nStatus: install ok installed\nArchitecture: amd64\n";
    host.write("var/lib/dpkg/status-new", installed);
    fs::rename(host.path("var/lib/dpkg/status-new"), host.path("var/lib/dpkg/status")).unwrap();
    host.write("etc/monitoring-info/half.conf", "[half]\ntype = ssh\n");
    stays_with(&endpoint, 1, "it is not done");
    apt.kill().unwrap();
    apt.wait().unwrap();
    comes_to(&endpoint, 2, "it is done");
    assert_eq!(names(&endpoint, 2), ["half", "nginx"]);
    watch.end();
}

/// What locks the package manager's database until it is killed. As apt does it: a lock of fcntl(2), which a process has, so
/// another one must hold it.
fn apt(host: &Host) -> std::process::Child {
    let lock = File::options().write(true).open(host.path("var/lib/dpkg/lock-frontend")).unwrap();
    let mut apt = Command::new("python3")
        .args(["-c", "import fcntl, time; fcntl.lockf(0, fcntl.LOCK_EX); print(flush=True); time.sleep(60)"])
        .stdin(lock)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Read::read_exact(apt.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    apt
}

#[test]
fn what_packaging_calls_waits_for_the_package_manager_and_a_person_does_not() {
    let endpoint = Endpoint::start();
    let host = Host::new(&[
        ("etc/auto-monitor/client.conf", &endpoint.configuration()),
        ("var/lib/dpkg/lock-frontend", ""),
    ]);
    let mut apt = apt(&host);
    let mut called =
        host.command(&["register", "--unattended", "--if-changed", "--wait", "30s"]).spawn().unwrap();
    stays_with(&endpoint, 0, "apt is not done");
    assert!(called.try_wait().unwrap().is_none());
    host.run(0, &["register"]);
    assert_eq!(endpoint.calls("register"), 1);
    host.write("etc/monitoring-info/new.conf", "[new]\ntype = ssh\n");
    apt.kill().unwrap();
    apt.wait().unwrap();
    assert!(called.wait().unwrap().success());
    assert_eq!(names(&endpoint, 2), ["new"]);
}

#[test]
fn a_server_that_is_not_there_is_tried_again_and_one_line_says_so() {
    let endpoint = Endpoint::start();
    let host = Host::new(&[("etc/auto-monitor/client.conf", "server = 127.0.0.1:1\n")]);
    let watch = Watch::start(&host);
    let until = Instant::now() + PATIENCE;
    while host.read("watch.log").is_empty() {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(50));
    }
    host.write("etc/monitoring-info/a.conf", "[a]\ntype = ssh\n");
    std::thread::sleep(SETTLED);
    let said = host.read("watch.log");
    assert_eq!(said.matches("cannot connect").count(), 1, "not before its time: {said}");
    // Another server in the configuration is another matter.
    host.write("etc/auto-monitor/client.conf", &endpoint.configuration());
    comes_to(&endpoint, 1, "client.conf");
    watch.end();
}

#[test]
fn a_host_without_a_server_is_watched_in_silence() {
    let host = Host::new(&[]);
    let watch = Watch::start(&host);
    std::thread::sleep(Duration::from_millis(500));
    host.write("etc/monitoring-info/a.conf", "[a]\ntype = ssh\n");
    std::thread::sleep(SETTLED);
    watch.end();
    assert_eq!(host.read("watch.log"), "");
    assert!(!host.path("var/lib/auto-monitor").exists(), "nothing is left behind");
}

#[test]
fn an_end_comes_at_once_also_in_the_middle_of_a_registration() {
    let endpoint = Endpoint::start();
    let host = Host::new(&[("etc/auto-monitor/client.conf", &endpoint.configuration())]);
    endpoint.slow_down();
    let watch = Watch::start(&host);
    let until = Instant::now() + PATIENCE;
    while endpoint.calls("register") == 0 {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(20));
    }
    watch.end();
}
