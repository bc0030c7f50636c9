//! A server in a scratch root with a real Nagios beside it, run by whoever runs the tests.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use auto_monitor_server::configuration::Configuration;
use auto_monitor_server::paths::Paths;
use auto_monitor_server::publish::{self, Error, Published};
use auto_monitor_server::registry::{self, Record, Withdrawn};
use monitoring_info::host::HostName;
use monitoring_info::registration::{OptedOut, Registration, Sent};

/// The program; a test without it would judge nothing.
pub const NAGIOS: &str = "/usr/sbin/nagios4";

pub struct Site {
    pub paths: Paths,
    pub configuration: Configuration,
    folder: tempfile::TempDir,
}

impl Site {
    /// A site whose Nagios does not run yet.
    pub fn new() -> Self {
        assert!(Path::new(NAGIOS).exists(), "install nagios4-core: these tests are judged by it");
        let folder = tempfile::Builder::new().prefix("publish-").tempdir().unwrap();
        Self::below(folder, Path::new("var/lib/auto-monitor-server-nagios"))
    }

    fn below(folder: tempfile::TempDir, state: &Path) -> Self {
        let root = folder.path().to_owned();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        let var = root.join("var/lib/nagios4");
        for folder in ["etc/nagios4/conf.d", "etc/auto-monitor-server-nagios/hosts", "var/lib/nagios4/spool"]
        {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for folder in ["registry", "enrolment"] {
            fs::create_dir_all(root.join(state).join(folder)).unwrap();
        }
        let var = var.display();
        let user = rustix::process::geteuid().as_raw();
        let group = rustix::process::getegid().as_raw();
        fs::write(
            root.join("etc/nagios4/nagios.cfg"),
            format!(
                "log_file={var}/nagios.log\ncfg_file=own.cfg\ncfg_dir=conf.d\nobject_cache_file={var}/objects.cache\n\
                 precached_object_file={var}/objects.precache\nstatus_file={var}/status.dat\nnagios_user={user}\n\
                 nagios_group={group}\ncommand_file={var}/nagios.cmd\nlock_file={var}/nagios.pid\n\
                 temp_file={var}/nagios.tmp\ntemp_path={var}\ncheck_result_path={var}/spool\nquery_socket={var}/nagios.qh\n\
                 state_retention_file={var}/retention.dat\nuse_syslog=0\ncheck_for_updates=0\nexecute_service_checks=0\n\
                 execute_host_checks=0\nillegal_object_name_chars=`~!$%^&*|'\"<>?,()=\n"
            ),
        )
        .unwrap();
        fs::write(
            root.join("etc/nagios4/own.cfg"),
            "define command {\n command_name true\n command_line /bin/true\n}\n\
             define contact {\n contact_name root\n host_notification_commands true\n \
             service_notification_commands true\n}\n\
             define host {\n host_name printer.example.org\n address 127.0.0.1\n max_check_attempts 1\n}\n\
             define service {\n host_name printer.example.org\n service_description paper\n check_command true\n \
             max_check_attempts 1\n}\n",
        )
        .unwrap();
        let configuration = Configuration { check_program: "/bin/true".into(), ..Configuration::default() };
        Self { paths: Paths::below(&root).unwrap(), configuration, folder }
    }

    /// A site whose Nagios runs.
    pub fn running() -> Self {
        let site = Self::new();
        site.start();
        site
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn start(&self) {
        let started = Command::new(NAGIOS)
            .arg("-d")
            .arg(self.root().join("etc/nagios4/nagios.cfg"))
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(started.success());
        wait("Nagios runs", || self.process().is_some() && self.objects().contains("define command"));
    }

    pub fn stop(&self) {
        if let Some(process) = self.process() {
            // Workers end with their parent.
            let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
            wait("Nagios has ended", || {
                fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()))
                    .map_or(true, |stat| stat.contains(") Z"))
            });
            let _ = fs::remove_file(self.root().join("var/lib/nagios4/nagios.pid"));
        }
    }

    /// The process of the lock file, while it lives.
    pub fn process(&self) -> Option<rustix::process::Pid> {
        let text = fs::read_to_string(self.root().join("var/lib/nagios4/nagios.pid")).ok()?;
        let pid = rustix::process::Pid::from_raw(text.trim().parse().ok()?)?;
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        (!stat.contains(") Z")).then_some(pid)
    }

    /// What the running Nagios has read.
    pub fn objects(&self) -> String {
        fs::read_to_string(self.root().join("var/lib/nagios4/objects.cache")).unwrap_or_default()
    }

    /// The services that the running Nagios has of a host.
    pub fn services(&self, host: &str) -> Vec<String> {
        let mut services: Vec<String> = self
            .objects()
            .split("define ")
            .filter(|object| object.starts_with("service {"))
            .filter(|object| object.contains(&format!("\thost_name\t{host}\n")))
            .filter_map(|object| {
                let line = object.lines().find_map(|line| line.strip_prefix("\tservice_description\t"))?;
                Some(line.to_owned())
            })
            .collect();
        services.sort();
        services
    }

    pub fn publish(&self) -> Result<Published, Error> {
        publish::once(&self.paths, &self.configuration, false)
    }

    /// Publishes, and expects that it is done.
    pub fn published(&self) -> Published {
        self.publish().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Publishes, and expects that it is refused: the sentence.
    pub fn refused(&self) -> String {
        match self.publish() {
            Ok(published) => panic!("was published: {published:?}"),
            Err(error) => auto_monitor_server::with_causes(&error),
        }
    }

    pub fn generation(&self) -> Option<PathBuf> {
        fs::read_link(self.paths.current()).ok()
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn remove(&self, path: &str) {
        fs::remove_file(self.root().join(path)).unwrap();
    }

    /// Puts a host with these services (`type` or `type:key=value`) into the registry.
    pub fn register(&self, name: &str, services: &[&str]) {
        self.store(&record(name, services));
    }

    pub fn store(&self, record: &Record) {
        registry::store(&self.paths, record).unwrap();
    }

    pub fn withdraw(&self, name: &str, by: Withdrawn) {
        let mut record = registry::load(&self.paths, &host(name)).unwrap().unwrap();
        record.withdrawn = Some(by);
        self.store(&record);
    }

    pub fn opt_out(&self, name: &str, services: &[&str]) {
        let mut record = registry::load(&self.paths, &host(name)).unwrap().unwrap();
        record.registration.generation += 1;
        record.registration.definitions.retain(|sent| !services.contains(&sent.name.as_str()));
        record.registration.opted_out = services
            .iter()
            .map(|name| OptedOut { name: (*name).to_owned(), reason: None, until: None })
            .collect();
        self.store(&record);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop();
    }
}

pub fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

/// A record whose services are named for their types.
pub fn record(name: &str, services: &[&str]) -> Record {
    static GENERATION: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let definitions = services.iter().map(|service| {
        let (kind, settings) = service.split_once(':').unwrap_or((service, ""));
        Sent {
            name: kind.to_owned(),
            kind: kind.to_owned(),
            settings: settings
                .split(';')
                .filter_map(|pair| pair.split_once('='))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            file: format!("/usr/share/monitoring-info/{kind}.conf"),
        }
    });
    Record {
        version: 1,
        name: host(name),
        fingerprint: "SHA256:AAAA".into(),
        received: "2026-11-20T12:00:00Z".parse().unwrap(),
        peer: [127, 0, 0, 1].into(),
        address: [127, 0, 0, 1].into(),
        registration: Registration {
            generation: GENERATION.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
            tags: Vec::new(),
            definitions: definitions.collect(),
            opted_out: Vec::new(),
        },
        withdrawn: None,
    }
}

pub fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
