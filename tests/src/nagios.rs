//! A Nagios of its own, below the server's root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, geteuid, kill_process_group};

use crate::patience::wait_for;
use crate::process::Process;
use crate::status::{self, Verdict};

/// Debian's program.
const PROGRAM: &str = "/usr/sbin/nagios4";
/// Everything that Nagios has a compiled-in path for, put below the root; and as fast as it gets, because a person
/// waits. With `interval_length=1` the intervals of the shipped templates are seconds, not minutes. It asks nobody for
/// updates, tells nobody anything, and hands no results to brokers.
const CONFIGURATION: &str = "\
cfg_dir={root}/etc/nagios4/conf.d
resource_file={root}/etc/nagios4/resource.cfg
log_file={state}/nagios.log
log_archive_path={state}
object_cache_file={state}/objects.cache
precached_object_file={state}/objects.precache
status_file={state}/status.dat
state_retention_file={state}/retention.dat
temp_file={state}/nagios.tmp
temp_path={state}
check_result_path={state}/checkresults
lock_file={state}/nagios4.pid
debug_file={state}/nagios.debug
command_file={state}/rw/nagios.cmd
query_socket={state}/rw/nagios.qh
check_external_commands=1
check_for_updates=0
use_syslog=0
log_rotation_method=n
enable_notifications=0
enable_flap_detection=0
illegal_object_name_chars=`~!$%^&*|'\"<>?,()=
illegal_macro_output_chars=`~$&|'\"<>
date_format=iso8601
interval_length=1
status_update_interval=1
check_result_reaper_frequency=1
service_inter_check_delay_method=n
host_inter_check_delay_method=n
max_service_check_spread=1
max_host_check_spread=1
service_check_timeout=60
host_check_timeout=30
retain_state_information=1
use_retained_scheduling_info=0
cached_host_check_horizon=0
cached_service_check_horizon=0
";
/// What the administrator watches already, without us. It must go on as if we were not there.
const OWN_OBJECTS: &str = "\
define contact {
    contact_name            administrator
    host_notification_commands    always-well
    service_notification_commands always-well
}

define contactgroup {
    contactgroup_name       administrators
    members                 administrator
}

define command {
    command_name            always-well
    command_line            /bin/echo there is paper
}

define host {
    host_name               printer.example.org
    address                 127.0.0.1
    check_command           always-well
    check_interval          5
    max_check_attempts      1
    contacts                administrator
}

define service {
    host_name               printer.example.org
    service_description     paper
    check_command           always-well
    check_interval          5
    max_check_attempts      1
    contacts                administrator
}
";
/// How long Nagios may take to start.
const START: Duration = Duration::from_secs(20);

/// A Nagios that ends with this value.
#[derive(Debug)]
pub struct Nagios {
    root: PathBuf,
    process: Option<Process>,
}

impl Nagios {
    /// Writes the configuration of a Nagios that does not know of us yet.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn configure(root: &Path) -> Result<Self> {
        let nagios = Self { root: root.to_owned(), process: None };
        let own = root.join("etc/nagios4/conf.d");
        for folder in [&own, &nagios.state().join("rw"), &nagios.state().join("checkresults")] {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        // Root's would become the user of the package, who cannot read the site.
        let user = if geteuid().is_root() { "nagios_user=root\nnagios_group=root\n" } else { "" };
        let text = (CONFIGURATION.to_owned() + user)
            .replace("{root}", &root.display().to_string())
            .replace("{state}", &nagios.state().display().to_string());
        fs::write(nagios.configuration(), text)?;
        fs::write(root.join("etc/nagios4/resource.cfg"), "$USER1$=/usr/lib/nagios/plugins\n")?;
        fs::write(own.join("own.cfg"), OWN_OBJECTS)?;
        Ok(nagios)
    }

    /// Has it run no probe, so that a test can do so when it wants.
    ///
    /// # Errors
    /// The configuration cannot be written.
    pub fn probe_nothing(&self) -> Result<()> {
        self.set("execute_service_checks=0\nexecute_host_checks=0\n")
    }

    /// Has it do everything as seldom as Debian's `nagios.cfg` has it do that. A test's Nagios has minutes of a second, and
    /// writes all that it knows each second: of a hundred thousand services, that is all the work of one processor, and
    /// what is measured beside it is measured on half a machine.
    ///
    /// # Errors
    /// The configuration cannot be written.
    pub fn keep_debians_pace(&self) -> Result<()> {
        const PACE: &str = "interval_length=60\n\
                            status_update_interval=10\n\
                            check_result_reaper_frequency=10\n\
                            service_inter_check_delay_method=s\n\
                            host_inter_check_delay_method=s\n\
                            max_service_check_spread=30\n\
                            max_host_check_spread=30\n\
                            cached_host_check_horizon=15\n\
                            cached_service_check_horizon=15\n\
                            use_retained_scheduling_info=1\n";
        self.set(PACE)
    }

    /// Has it take its time, as it does where hundreds of hosts are watched: a minute of it is 20 s, and the checks are
    /// spread over a minute.
    ///
    /// # Errors
    /// The configuration cannot be written.
    pub fn take_your_time(&self) -> Result<()> {
        const SLOWER: &str =
            "interval_length=20\nservice_inter_check_delay_method=s\nhost_inter_check_delay_method=s\n";
        self.set(SLOWER)
    }

    /// Of a setting that is there twice, Nagios takes the last.
    fn set(&self, settings: &str) -> Result<()> {
        let path = self.configuration();
        let text = fs::read_to_string(&path)? + settings;
        Ok(fs::write(&path, text)?)
    }

    fn state(&self) -> PathBuf {
        self.root.join("var/lib/nagios4")
    }

    /// Its main configuration file.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.root.join("etc/nagios4/nagios.cfg")
    }

    /// Its `status.dat`.
    #[must_use]
    pub fn status_file(&self) -> PathBuf {
        self.state().join("status.dat")
    }

    /// Starts it and waits until it has read its configuration.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(&mut self) -> Result<()> {
        let configuration = self.configuration().display().to_string();
        let log = self.state().join("nagios.out");
        let mut process = Process::start("nagios4", Path::new(PROGRAM), &[&configuration], &log)?;
        wait_for("Nagios runs", START, || {
            process.assert_running()?;
            // It makes its command pipe last.
            let pipe = self.state().join("rw/nagios.cmd");
            Ok(if pipe.exists() { Ok(()) } else { Err(format!("no {}", pipe.display())) })
        })?;
        self.process = Some(process);
        Ok(())
    }

    /// Passes if Nagios accepts the configuration that it would read now.
    ///
    /// # Errors
    /// It does not; with what it says.
    pub fn verify(&self) -> Result<()> {
        let verdict =
            Command::new(PROGRAM).arg("-v").arg(self.configuration()).stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&verdict.stdout);
        ensure!(verdict.status.success(), "nagios4 -v refuses:\n{said}");
        Ok(())
    }

    /// Says in its lock file which process it is, as one that runs in the background does. Without that, who looks for it
    /// looks at every process of the machine.
    ///
    /// # Errors
    /// It does not run, or the file cannot be written.
    pub fn write_lock_file(&self) -> Result<()> {
        let process = self.process.as_ref().context("Nagios does not run")?;
        Ok(fs::write(self.state().join("nagios4.pid"), format!("{}\n", process.id()))?)
    }

    /// Ends it as a crash does: at once.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&self) -> Result<()> {
        let process = self.process.as_ref().context("Nagios does not run")?;
        process.kill()
    }

    /// Whether it was started and has ended.
    pub fn has_ended(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::has_ended)
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Has it hang, or go on.
    ///
    /// # Errors
    /// It does not run.
    pub fn hang(&self, whether: bool) -> Result<()> {
        let process = self.process.as_ref().context("Nagios was not started")?;
        let group = i32::try_from(process.id()).ok().and_then(Pid::from_raw).context("no process")?;
        Ok(kill_process_group(group, if whether { Signal::STOP } else { Signal::CONT })?)
    }

    /// What it holds of every host and service.
    ///
    /// # Errors
    /// It has ended, or its file cannot be read.
    pub fn verdicts(&mut self) -> Result<Vec<Verdict>> {
        if let Some(process) = &mut self.process {
            process.assert_running()?;
        }
        status::read(&self.status_file())
    }
}
