//! The three use cases that must always work, on booted Debian machines, with the packages as their users install them.

use std::time::{Duration, Instant};

use anyhow::Result;
use auto_monitor_tests::lab::packages::CLIENT;
use auto_monitor_tests::lab::{Base, Lab, Machine, Monitor, Network, Packages, Recipe, Site};
use monitoring_info::state::State;

/// Within which Nagios knows of what was installed or removed on a host: the promise.
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn what_is_installed_is_watched_and_what_is_removed_is_not() -> Result<()> {
    let base = Base::prepare(&Recipe::default())?;
    let packages = Packages::built()?;
    let lab = Lab::start(&base, Network::Dual)?;
    let [a] = lab.boot_on(&Monitor::engine(&base)?, ["a"])?;
    let monitor = &Monitor::install(a, &packages)?;
    let [b] = lab.boot(["b"])?;
    packages.install(&b, &CLIENT)?;
    monitor.enrol(&b)?;
    monitor.watches(&b.full_name(), &[], Duration::ZERO)?;
    let name = b.full_name();

    b.install(&["apache2"])?;
    let installed = Instant::now();
    monitor.watches(&name, &["apache2"], MINUTE)?;
    println!("apache2 is watched {:.1} s after apt is done", installed.elapsed().as_secs_f64());
    let verdict = monitor.check(&name, "apache2")?;
    assert_eq!((verdict.state, verdict.output.contains("200 OK")), (Some(State::Ok), true), "{verdict:?}");

    // An upgrade is no news, and neither is a second installation.
    b.apt(&["install", "--reinstall", "apache2", "apache2-bin"])?;
    monitor.watches(&name, &["apache2"], Duration::ZERO)?;
    assert_eq!(monitor.check(&name, "apache2")?.state, Some(State::Ok));

    for away in ["remove", "purge"] {
        b.apt(&[away, "apache2"])?;
        monitor.watches(&name, &[], MINUTE)?;
        b.install(&["apache2"])?;
        monitor.watches(&name, &["apache2"], MINUTE)?;
        assert_eq!(monitor.check(&name, "apache2")?.state, Some(State::Ok));
    }
    assert_eq!(monitor.alarms()?, Vec::<String>::new());
    monitor.nagios_is_well()?;
    lab.end()
}

#[test]
fn what_the_administrator_opts_out_before_it_is_installed_is_not_watched_and_the_rest_is() -> Result<()> {
    let (site, b) = Site::enrolled(Network::Dual)?;
    let monitor = &site.monitor;
    let name = b.full_name();

    b.expect(0, &["auto-monitor", "disable", "apache2", "--reason", "development"])?;
    b.install(&["apache2", "vsftpd"])?;
    // The rest is the sign that what apt did has arrived.
    monitor.watches(&name, &["vsftpd"], MINUTE)?;
    // Why, for the one who asks at the server.
    let shown = monitor.machine.expect(0, &["auto-monitor-server", "show", &name])?.output;
    assert!(shown.contains("apache2") && shown.contains("development"), "{shown}");

    b.expect(0, &["auto-monitor", "enable", "apache2"])?;
    monitor.watches(&name, &["apache2", "vsftpd"], MINUTE)?;
    assert_eq!(monitor.check(&name, "apache2")?.state, Some(State::Ok));
    assert_eq!(monitor.alarms()?, Vec::<String>::new());
    site.lab.end()
}

#[test]
fn what_the_administrator_opts_out_after_it_was_installed_is_watched_no_longer() -> Result<()> {
    let site = Site::start(Network::Dual)?;
    let [b] = site.clients(["b"])?;
    let monitor = &site.monitor;
    let name = b.full_name();
    // Before anybody was asked, and so in the first registration.
    b.install(&["apache2", "vsftpd"])?;
    monitor.enrol(&b)?;
    monitor.watches(&name, &["apache2", "vsftpd"], MINUTE)?;

    // With an editor, or by the command: the file is the same.
    b.write("/etc/auto-monitor/overrides.conf", 0o644, b"[apache2]\nenabled = no\n")?;
    monitor.watches(&name, &["vsftpd"], MINUTE)?;
    b.expect(0, &["systemctl", "stop", "apache2"])?;
    b.expect(0, &["auto-monitor", "disable", "vs*"])?;
    monitor.watches(&name, &[], MINUTE)?;
    assert_eq!(monitor.alarms()?, Vec::<String>::new());

    // It holds over upgrades and boots.
    b.apt(&["install", "--reinstall", "apache2"])?;
    b.reboot()?;
    b.expect(0, &["auto-monitor", "register"])?;
    assert_eq!(monitor.services(&name)?, Vec::<String>::new());
    site.lab.end()
}

/// Servers and others, as a laptop gets them.
const TWENTY: [&str; 20] = [
    "apache2",
    "openssh-server",
    "postfix",
    "dovecot-imapd",
    "redis-server",
    "memcached",
    "vsftpd",
    "haproxy",
    "chrony",
    "avahi-daemon",
    "avahi-utils",
    "libnss-mdns",
    "curl",
    "expect",
    "rsync",
    "tmux",
    "bind9",
    "monitoring-plugins-basic",
    "lighttpd",
    "unbound",
];

#[test]
fn a_laptop_without_a_server_never_notices() -> Result<()> {
    let base = Base::prepare(&Recipe::default())?;
    let lab = Lab::start(&base, Network::Dual)?;
    let [laptop] = lab.boot(["laptop"])?;
    let before = listening(&laptop)?;
    Packages::built()?.install(&laptop, &CLIENT)?;
    assert_eq!(listening(&laptop)?, before, "the client listens");
    // By now the units have started, and looked for a server.
    std::thread::sleep(Duration::from_secs(15));
    let installed = laptop.journal(&["--unit=auto-monitor*"])?;
    let own = installed.lines().filter(|line| !line.contains(" systemd[1]: ")).count();
    assert!(own <= 1, "{installed}");
    for four in TWENTY.chunks(4) {
        laptop.install(four)?;
    }
    // By now the last of them is long looked at, and would have been tried again.
    std::thread::sleep(Duration::from_secs(40));
    assert_eq!(laptop.journal(&["--unit=auto-monitor*"])?, installed, "twenty packages are no news");
    let programs = laptop.journal(&["_COMM=auto-monitor"])?;
    assert!(programs.lines().count() <= 1, "{programs}");
    let failed = laptop.expect(0, &["systemctl", "--failed", "--no-legend", "--plain"])?.output;
    assert!(!failed.contains("auto-monitor"), "{failed}");
    let ours = laptop.expect(0, &["ss", "--listening", "--tcp", "--udp", "--processes"])?.output;
    assert!(!ours.contains("auto-monitor"), "{ours}");
    let status = laptop.expect(0, &["auto-monitor", "status"])?.output;
    assert!(status.contains("auto-monitor enrol"), "what to do when there is one: {status}");
    lab.end()
}

fn listening(machine: &Machine) -> Result<Vec<String>> {
    let said = machine.expect(0, &["ss", "--listening", "--tcp", "--udp", "--numeric", "--no-header"])?;
    let mut lines: Vec<String> = said.output.lines().map(str::to_owned).collect();
    lines.sort();
    Ok(lines)
}
