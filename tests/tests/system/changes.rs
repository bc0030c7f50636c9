//! What happens to hosts, servers and their network in the course of years, on booted Debian machines.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use auto_monitor_tests::lab::packages::CLIENT;
use auto_monitor_tests::lab::{Link, Machine, Network, Site};
use auto_monitor_tests::patience::wait_for;
use monitoring_info::state::State;

/// Within which Nagios knows of what has changed on a host.
const MINUTE: Duration = Duration::from_secs(60);

fn status(host: &Machine) -> Result<String> {
    Ok(host.run(&["auto-monitor", "status"])?.to_string())
}

#[test]
fn a_host_is_renamed() -> Result<()> {
    let (site, b) = Site::enrolled(Network::Dual)?;
    let monitor = &site.monitor;
    b.install(&["dnsmasq"])?;
    monitor.watches("b.lab.example", &["dnsmasq"], MINUTE)?;

    b.expect(0, &["sed", "-i", "s/ b.lab.example b$/ web.lab.example web/", "/etc/hosts"])?;
    b.expect(0, &["hostnamectl", "set-hostname", "web"])?;
    b.install(&["memcached"])?;
    // The key is bound to the old name, so this may be somebody with a stolen key; a person decides.
    let said = b.expect(4, &["auto-monitor", "register"])?.to_string();
    assert!(said.contains("auto-monitor-server rename b.lab.example web.lab.example"), "{said}");
    assert_eq!(monitor.services("b.lab.example")?, ["dnsmasq"], "it is still watched by its old name");

    monitor.machine.expect(0, &["auto-monitor-server", "rename", "b.lab.example", "web.lab.example"])?;
    // Nobody touches the host again.
    monitor.watches("web.lab.example", &["dnsmasq"], MINUTE)?;
    monitor.watches("b.lab.example", &[], MINUTE)?;
    assert_eq!(monitor.check("web.lab.example", "dnsmasq")?.state, Some(State::Ok));
    assert_eq!(monitor.alarms()?, Vec::<String>::new());
    monitor.nagios_is_well()?;
    site.lab.end()
}

#[test]
fn a_host_is_installed_anew() -> Result<()> {
    let site = Site::start(Network::Dual)?;
    let monitor = &site.monitor;
    // Not from an image with our package, or its new disk would have it, too.
    let [b] = site.lab.boot(["b"])?;
    let name = b.full_name();
    site.packages.install(&b, &CLIENT)?;
    monitor.enrol(&b)?;
    b.install(&["dnsmasq"])?;
    monitor.watches(&name, &["dnsmasq"], MINUTE)?;

    b.restore(None)?;
    b.boot()?;
    site.packages.install(&b, &CLIENT)?;
    b.install(&["nginx"])?;
    let (server, print) = monitor.seen_by(&b)?;
    b.expect(4, &["auto-monitor", "enrol", &server, "--fingerprint", &print])?;
    let pending = monitor.machine.expect(0, &["auto-monitor-server", "pending"])?.output;
    assert!(pending.contains(&name) && pending.contains("--replace"), "{pending}");
    let refused = monitor.machine.run(&["auto-monitor-server", "approve", &name])?;
    assert_ne!(refused.status, Some(0), "an impostor is not let in by habit: {refused}");
    assert_eq!(monitor.services(&name)?, ["dnsmasq"]);

    monitor.machine.expect(0, &["auto-monitor-server", "approve", "--replace", &name])?;
    monitor.watches(&name, &["nginx"], MINUTE)?;
    assert_eq!(monitor.check(&name, "nginx")?.state, Some(State::Ok));
    site.lab.end()
}

#[test]
fn a_server_gets_yesterday_s_disk() -> Result<()> {
    let (site, b) = Site::enrolled(Network::Dual)?;
    let monitor = &site.monitor;
    let name = b.full_name();
    b.install(&["dnsmasq"])?;
    monitor.watches(&name, &["dnsmasq"], MINUTE)?;
    monitor.machine.shut_down()?;
    let yesterday = monitor.machine.back_up()?;
    monitor.machine.boot()?;

    b.install(&["nginx"])?;
    monitor.watches(&name, &["dnsmasq", "nginx"], MINUTE)?;
    let [late] = site.clients(["late"])?;
    late.install(&["dnsmasq"])?;
    monitor.enrol(&late)?;

    monitor.machine.restore(Some(&yesterday))?;
    monitor.machine.boot()?;
    assert_eq!(monitor.services(&name)?, ["dnsmasq"]);
    // What the timer does once a day.
    b.expect(0, &["systemctl", "start", "auto-monitor-register.service"])?;
    monitor.watches(&name, &["dnsmasq", "nginx"], MINUTE)?;
    // The server never heard of this one, which asks again, and is let in as at first.
    late.expect(0, &["systemctl", "start", "auto-monitor-register.service"])?;
    monitor.approve(&late.full_name(), MINUTE)?;
    // It tries again by its backoff, of which the first end is two minutes.
    monitor.watches(&late.full_name(), &["dnsmasq"], 4 * MINUTE)?;
    monitor.nagios_is_well()?;
    site.lab.end()
}

#[test]
fn a_server_moves_to_another_address() -> Result<()> {
    let (site, b) = Site::enrolled(Network::Dual)?;
    let monitor = &site.monitor;
    let file = "/etc/systemd/network/10-lab.network";
    monitor.machine.expect(
        0,
        &["sed", "-i", "s/192.0.2.1\\//192.0.2.77\\//; s/2001:db8::1\\//2001:db8::77\\//", file],
    )?;
    monitor.machine.expect(0, &["networkctl", "reload"])?;
    wait_for("the new address", MINUTE, || {
        let addresses = monitor.machine.expect(0, &["ip", "-brief", "address"])?.output;
        let moved = addresses.contains("192.0.2.77/") && !addresses.contains("192.0.2.1/");
        Ok(if moved { Ok(()) } else { Err(addresses) })
    })?;
    b.install(&["nginx"])?;
    monitor.watches(&b.full_name(), &["nginx"], MINUTE)?;
    assert_eq!(monitor.check(&b.full_name(), "nginx")?.state, Some(State::Ok));
    site.lab.end()
}

#[test]
fn two_servers_are_on_the_network() -> Result<()> {
    let site = Site::start(Network::Dual)?;
    let [b] = site.clients(["b"])?;
    let other = site.another_server("c")?;
    let name = b.full_name();
    let (first, second) = (site.monitor.fingerprint()?, other.fingerprint()?);
    let found = wait_for("both are found", MINUTE, || {
        let found = b.expect(0, &["auto-monitor", "discover", "--json"])?.output;
        Ok(if found.contains(&first) && found.contains(&second) { Ok(found) } else { Err(found) })
    })?;

    // Whoever would believe the first that answers believes neither.
    b.write("/etc/auto-monitor/client.conf", 0o644, b"trust-on-first-use = yes\n")?;
    b.expect(0, &["systemctl", "start", "auto-monitor-register.service"])?;
    for monitor in [&site.monitor, &other] {
        let pending = monitor.ask(&["pending"])?.to_string();
        assert!(!pending.contains(&name), "{pending}");
    }
    let shown = status(&b)?;
    assert!(shown.contains("auto-monitor enrol"), "{shown}");

    // Both, because somebody says so: each gets every registration, and one that is gone holds up no other.
    let found: serde_json::Value = serde_json::from_str(&found)?;
    let servers = found["servers"].as_array().context("a list")?;
    let of_each = |key: &str| servers.iter().filter_map(|one| one[key].as_str()).collect::<Vec<_>>();
    let names = of_each("server");
    let prints: Vec<String> =
        names.iter().zip(of_each("fingerprint")).map(|(name, print)| format!("{name}={print}")).collect();
    let configuration =
        format!("server = {}\nserver-fingerprint = {}\n", names.join(", "), prints.join(", "));
    b.write("/etc/auto-monitor/client.conf", 0o644, configuration.as_bytes())?;
    b.expect(4, &["auto-monitor", "enrol", "--unattended"])?;
    for monitor in [&site.monitor, &other] {
        monitor.approve(&name, MINUTE)?;
    }
    b.install(&["dnsmasq"])?;
    for monitor in [&site.monitor, &other] {
        monitor.watches(&name, &["dnsmasq"], MINUTE)?;
    }
    other.machine.connect(Link::Silent)?;
    b.install(&["nginx"])?;
    site.monitor.watches(&name, &["dnsmasq", "nginx"], MINUTE)?;
    other.machine.connect(Link::Up)?;
    other.watches(&name, &["dnsmasq", "nginx"], 2 * MINUTE)?;
    site.lab.end()
}

/// A DNS-SD record that avahi-daemon announces, in its own words (avahi.service(5)).
fn announcement(fingerprint: &str) -> String {
    format!(
        "<?xml version=\"1.0\" standalone='no'?>\n<!DOCTYPE service-group SYSTEM \"avahi-service.dtd\">\n\
         <service-group><name>monitor</name><service><type>_auto-monitor._tcp</type><port>2929</port>\
         <txt-record>txtvers=1</txt-record><txt-record>version=1</txt-record>\
         <txt-record>fingerprint={fingerprint}</txt-record></service></service-group>\n"
    )
}

#[test]
fn a_rogue_announces_itself_with_the_server_s_fingerprint() -> Result<()> {
    let site = Site::start(Network::Dual)?;
    let [b] = site.clients(["b"])?;
    // It has an endpoint that would take everything, and announces it by other means, with a key that is not its own.
    let rogue = site.another_server("rogue")?;
    rogue.machine.expect(0, &["systemctl", "stop", "auto-monitor-server-announce"])?;
    rogue.machine.install(&["avahi-daemon"])?;
    let print = site.monitor.fingerprint()?;
    rogue.machine.write("/etc/avahi/services/rogue.service", 0o644, announcement(&print).as_bytes())?;
    wait_for("the rogue is seen", MINUTE, || {
        let found = b.expect(0, &["auto-monitor", "discover", "--json"])?.output;
        Ok(if found.contains("rogue.local") { Ok(()) } else { Err(found) })
    })?;

    // Unattended, by the fingerprint that somebody has written down.
    let configuration = format!("server-fingerprint = {print}\n");
    b.write("/etc/auto-monitor/client.conf", 0o644, configuration.as_bytes())?;
    wait_for("the host finds the right one", MINUTE, || {
        b.run(&["systemctl", "start", "auto-monitor-register.service"])?;
        let pending = site.monitor.ask(&["pending"])?.to_string();
        Ok(if pending.contains("b.lab.example") { Ok(()) } else { Err(status(&b)?) })
    })?;
    let pending = rogue.ask(&["pending"])?.to_string();
    assert!(!pending.contains("b.lab.example"), "{pending}");
    let journal = rogue.machine.journal(&["--unit=auto-monitor-server"])?;
    assert!(!journal.contains("b.lab.example"), "the rogue was told something: {journal}");

    // By a person, who is shown what really answers.
    let said = b.run(&["auto-monitor", "enrol", "rogue.local:2929", "--fingerprint", &print])?;
    assert_eq!(said.status, Some(5), "{said}");
    site.monitor.approve("b.lab.example", MINUTE)?;
    site.monitor.knows("b.lab.example", MINUTE)?;
    site.lab.end()
}

#[test]
fn the_network_is_cut_while_apt_works() -> Result<()> {
    let (site, b) = Site::enrolled(Network::Dual)?;
    let monitor = &site.monitor;
    let name = b.full_name();
    for (link, package) in [(Link::Silent, "nginx"), (Link::Unplugged, "dnsmasq")] {
        b.connect(link)?;
        let began = Instant::now();
        b.install(&[package])?;
        println!("{package} was installed in {:.1} s, {link:?}", began.elapsed().as_secs_f64());
        assert!(!monitor.services(&name)?.contains(&package.to_owned()));
        // Long enough for attempts that fail, and for pauses that grow.
        std::thread::sleep(Duration::from_secs(20));
        b.connect(Link::Up)?;
        wait_for("Nagios watches it", 2 * MINUTE, || {
            let seen = monitor.services(&name)?;
            Ok(if seen.contains(&package.to_owned()) { Ok(()) } else { Err(status(&b)?) })
        })?;
    }
    assert_eq!(monitor.check(&name, "nginx")?.state, Some(State::Ok));
    site.lab.end()
}

#[test]
fn maintenance_that_begins_while_nagios_is_down_is_said_when_it_is_up() -> Result<()> {
    let (site, b) = Site::enrolled(Network::Dual)?;
    let monitor = &site.monitor;
    monitor.machine.expect(0, &["systemctl", "stop", "nagios4"])?;
    b.expect(0, &["auto-monitor", "maintenance", "begin"])?;
    std::thread::sleep(Duration::from_secs(10));
    monitor.machine.expect(0, &["systemctl", "is-active", "auto-monitor-server-command.socket"])?;
    monitor.machine.expect(0, &["systemctl", "start", "nagios4"])?;
    wait_for("Nagios has a downtime", MINUTE, || {
        let status = monitor.machine.run(&["cat", "/var/lib/nagios4/status.dat"])?.output;
        Ok(if status.contains("hostdowntime {") { Ok(()) } else { Err(status) })
    })?;
    site.lab.end()
}

#[test]
fn avahi_runs_beside_us_and_then_no_longer() -> Result<()> {
    let site = Site::start(Network::Dual)?;
    let [b] = site.clients(["b"])?;
    let monitor = &site.monitor;
    for machine in [&monitor.machine, &b] {
        machine.install(&["avahi-daemon", "avahi-utils", "libnss-mdns"])?;
    }
    let seen = wait_for("avahi sees our announcement", MINUTE, || {
        let browsed =
            b.run(&["avahi-browse", "--parsable", "--resolve", "--terminate", "_auto-monitor._tcp"])?;
        Ok(if browsed.output.contains(";2929;") { Ok(browsed.output) } else { Err(browsed.to_string()) })
    })?;
    assert!(seen.contains(&monitor.fingerprint()?), "{seen}");
    monitor.enrol(&b)?;
    // Neither took the name or the port from the other.
    for machine in [&monitor.machine, &b] {
        let log = machine.journal(&["--unit=avahi-daemon"])?;
        assert!(!log.contains("conflict"), "{log}");
    }
    for machine in [&monitor.machine, &b] {
        machine.apt(&["purge", "avahi-daemon", "libnss-mdns"])?;
    }
    b.install(&["nginx"])?;
    monitor.watches(&b.full_name(), &["nginx"], MINUTE)?;
    site.lab.end()
}

#[test]
fn ipv6_alone_is_enough() -> Result<()> {
    let (site, b) = Site::enrolled(Network::Ipv6)?;
    let monitor = &site.monitor;
    b.install(&["dnsmasq", "nginx"])?;
    monitor.watches(&b.full_name(), &["dnsmasq", "nginx"], MINUTE)?;
    for service in ["dnsmasq", "nginx"] {
        assert_eq!(monitor.check(&b.full_name(), service)?.state, Some(State::Ok), "{service}");
    }
    let address = monitor.ask(&["show", &b.full_name()])?["address"].to_string();
    assert!(address.contains("2001:db8::2"), "{address}");
    site.lab.end()
}

#[test]
fn files_are_edited_by_hand_and_by_tools() -> Result<()> {
    let (site, b) = Site::enrolled(Network::Dual)?;
    let monitor = &site.monitor;
    let name = b.full_name();
    let file = "/etc/monitoring-info/local.conf";
    let vi = |commands: &str| {
        let script = format!("vi -es {file} <<'END'\n{commands}\nwq\nEND\n");
        b.expect(0, &["sh", "-c", &script])
    };
    vi("a\n[one]\ntype = tcp\nport = 22\n.")?;
    monitor.watches(&name, &["one"], MINUTE)?;
    vi("%s/one/two/")?;
    monitor.watches(&name, &["two"], MINUTE)?;

    b.write("/root/new.conf", 0o644, b"[three]\ntype = tcp\nport = 22\n")?;
    b.expect(0, &["mv", "/root/new.conf", file])?;
    monitor.watches(&name, &["three"], MINUTE)?;
    b.expect(0, &["mv", file, "/etc/monitoring-info/other.conf"])?;
    b.expect(0, &["cp", "/etc/monitoring-info/other.conf", "/root/new.conf"])?;
    std::thread::sleep(Duration::from_secs(5));
    monitor.watches(&name, &["three"], Duration::ZERO)?;

    // A tool that writes what stands there already is no news, however it writes it.
    let before = monitor.registrations(&name)?.len();
    assert!(before > 0, "the journal does not tell of registrations");
    for _ in 0..5 {
        b.expect(0, &["cp", "/root/new.conf", "/etc/monitoring-info/other.conf"])?;
        b.expect(0, &["cp", "/root/new.conf", "/etc/monitoring-info/.other.conf.tmp"])?;
        b.expect(0, &["mv", "/etc/monitoring-info/.other.conf.tmp", "/etc/monitoring-info/other.conf"])?;
        std::thread::sleep(Duration::from_secs(3));
    }
    assert_eq!(monitor.registrations(&name)?.len(), before);

    // What is wrong with a file is said, and keeps nothing else from being watched.
    b.write("/etc/monitoring-info/broken.conf", 0o644, b"[four]\ntype = tcp\nprot = 22\n")?;
    b.write("/etc/monitoring-info/sound.conf", 0o644, b"[five]\ntype = tcp\nport = 22\n")?;
    monitor.watches(&name, &["five", "three"], MINUTE)?;
    let shown = status(&b)?;
    assert!(shown.contains("broken.conf") && shown.contains("prot"), "{shown}");
    let journal = b.journal(&["--unit=auto-monitor-watch"])?;
    assert!(journal.contains("broken.conf"), "{journal}");
    site.lab.end()
}
