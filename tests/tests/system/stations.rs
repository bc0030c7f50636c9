//! An alert station hears what becomes of a service, over the network, from booted Debian machines: Nagios and our server
//! on A, a service on B, and on C what receives in place of Mauve.
//!
//! `make system-test` runs this, as root.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use auto_monitor_tests::lab::{Machine, Monitor, Network, Site};
use auto_monitor_tests::patience::wait_for;
use auto_monitor_tests::station::{Alert, Table};
use monitoring_info::state::State;

const MINUTE: Duration = Duration::from_secs(60);
/// How long a busy computer may take for what has no promise.
const PATIENCE: Duration = Duration::from_secs(180);
const SOURCE: &str = "nagios.lab.example";
/// In server.conf, behind what the package has there.
const ROUTING: &str = "\n[mauve]\ndestination = c.lab.example\nsource = nagios.lab.example\npeople = alice, bob\n\n\
                       [notify web]\ntypes = http\nlevel = urgent\npeople = alice\nevery = 15m\n\n\
                       [notify rest]\nlevel = low\npeople = bob\n";

/// A line for each datagram: when it came, and its bytes. Perl's core is on every Debian. Both of C's addresses lead here.
const RECEIVER: &str = "use strict; use Socket qw(:DEFAULT IN6ADDR_ANY pack_sockaddr_in6);
socket(my $socket, PF_INET6, SOCK_DGRAM, 0) or die $!;
bind($socket, pack_sockaddr_in6(32741, IN6ADDR_ANY)) or die $!;
open(my $file, '>>', '/var/lib/received') or die $!;
while (defined recv($socket, my $datagram, 65536, 0)) {
    syswrite($file, time . ' ' . unpack('H*', $datagram) . \"\\n\") or die $!;
}
";

fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// What has arrived at C, a line for each datagram.
fn received(c: &Machine) -> Result<String> {
    Ok(c.expect(0, &["cat", "/var/lib/received"])?.output)
}

/// What a station at C knows at this time.
fn table(c: &Machine, at: u64) -> Result<Table> {
    let mut table = Table::default();
    for line in received(c)?.lines() {
        let (then, digits) = line.split_once(' ').context("no time")?;
        let byte = |pair: &[u8]| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
        let datagram: Vec<u8> = digits.as_bytes().chunks(2).map(byte).collect::<Result<_>>()?;
        table.receive(&datagram, then.parse()?)?;
    }
    table.pass(at);
    Ok(table)
}

/// Waits until an alert is raised at C, or is not.
fn alert(c: &Machine, id: &str, raised: bool) -> Result<Alert> {
    wait_for(&format!("{id} is {}", if raised { "raised" } else { "cleared" }), PATIENCE, || {
        let table = table(c, now()?)?;
        Ok(match table.alert(SOURCE, id) {
            Some(alert) if alert.raised.is_some() == raised => Ok(alert),
            _ => Err(format!("{table:?}")),
        })
    })
}

/// What the routing that A has published says of an alert, by a real Ruby: the group, its level, and who is told.
fn routed(monitor: &Monitor, subject: &str, id: &str) -> Result<serde_json::Value> {
    let folder = tempfile::tempdir()?;
    for file in ["20-hosts.conf", "30-groups.conf"] {
        let path = format!("/var/lib/auto-monitor-server-nagios/mauve/{file}");
        let text = monitor.machine.expect(0, &["cat", &path])?.output;
        std::fs::write(folder.path().join(file), text)?;
    }
    let harness = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server-nagios/tests/routing/station.rb");
    let mut ruby = Command::new("ruby")
        .arg("-W:no-experimental")
        .arg(harness)
        .arg(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("install ruby (tests/lab-setup)")?;
    let alert = serde_json::json!({
        "subject": subject, "source": SOURCE, "id": id, "time": now()?, "unacknowledged_for": 0
    });
    writeln!(ruby.stdin.take().context("no input")?, "{alert}")?;
    let output = ruby.wait_with_output()?;
    ensure!(output.status.success(), "{:?}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[test]
fn a_station_hears_what_becomes_of_a_service_and_that_nobody_watches_any_more() -> Result<()> {
    let (site, b) = Site::enrolled(Network::Dual)?;
    let monitor = &site.monitor;
    let name = b.full_name();
    let [c] = site.lab.boot(["c"])?;
    c.write("/usr/local/lib/receive.pl", 0o644, RECEIVER.as_bytes())?;
    c.write("/var/lib/received", 0o644, b"")?;
    c.expect(0, &["systemd-run", "--unit=receive", "perl", "/usr/local/lib/receive.pl"])?;
    wait_for("the receiver listens", MINUTE, || {
        let listens = c.expect(0, &["cat", "/proc/net/udp6"])?.output;
        Ok(if listens.contains(":7FE5 ") { Ok(()) } else { Err(c.journal(&["-u", "receive"])?) })
    })?;
    b.install(&["apache2"])?;
    monitor.watches(&name, &["apache2"], MINUTE)?;

    site.packages.install(&monitor.machine, &["mauvesend"])?;
    monitor.configure(ROUTING)?;
    wait_for("the routing is published, and Nagios tells the station", PATIENCE, || {
        let objects = monitor.machine.expect(0, &["cat", "/var/lib/nagios4/objects.cache"])?.output;
        let status = monitor.machine.run(&["auto-monitor-server", "status"])?.output;
        let there =
            objects.contains("auto-monitor-mauve-service") && status.contains("routing 1 is published");
        Ok(if there { Ok(()) } else { Err(status) })
    })?;
    let beat = alert(&c, "heartbeat", false)?;
    ensure!(beat.will_raise.is_some() && beat.subject == SOURCE, "{beat:?}");

    // Three bad checks make it certain; until then nobody is told.
    let id = format!("svc:apache2@{name}");
    monitor.check_until(&name, "apache2", State::Ok, PATIENCE)?;
    b.expect(0, &["systemctl", "stop", "apache2"])?;
    for _ in 0..3 {
        ensure!(monitor.check(&name, "apache2")?.state == Some(State::Critical), "it is stopped");
    }
    let raised = alert(&c, &id, true)?;
    ensure!(raised.subject == name && raised.summary == "apache2 is CRITICAL", "{raised:?}");
    ensure!(raised.detail.contains("Connection refused"), "{raised:?}");
    let routed = routed(monitor, &raised.subject, &id)?;
    assert_eq!(routed, serde_json::json!({ "group": "web", "level": "urgent", "told": [["alice", 900]] }));

    b.expect(0, &["systemctl", "start", "apache2"])?;
    ensure!(monitor.check(&name, "apache2")?.state == Some(State::Ok), "it is started");
    alert(&c, &id, false)?;

    // Nobody says anything any more. The station waits ten minutes for a heartbeat, which is by its clock, and not ours.
    monitor.machine.switch_off();
    std::thread::sleep(Duration::from_secs(2));
    let last = received(&c)?;
    std::thread::sleep(Duration::from_secs(75));
    assert_eq!(received(&c)?, last, "a machine that is off says nothing");
    let raised_at = |seconds: u64| -> Result<bool> {
        let beat = table(&c, now()? + seconds)?.alert(SOURCE, "heartbeat").context("no heartbeat")?;
        Ok(beat.raised.is_some())
    };
    ensure!(!raised_at(0)? && !raised_at(5 * 60)?, "it waits");
    ensure!(raised_at(10 * 60)?, "the silence is an alert");
    ensure!(
        table(&c, now()? + 600)?.alert(SOURCE, &id).is_some_and(|alert| alert.raised.is_none()),
        "and that alone"
    );
    site.lab.end()
}
