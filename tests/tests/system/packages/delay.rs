//! That `apt` waits for nobody: measured beside the same where nothing of ours runs.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use auto_monitor_tests::lab::Machine;
use auto_monitor_tests::lab::packages::CLIENT;

use super::questions::preseed;

/// The promise.
const DELAY_MAX: Duration = Duration::from_secs(1);
/// Of so many runs the median counts.
const RUNS: usize = 3;
/// A package that somebody installs.
const OTHER: &str = "rsync";
/// Throws away what is sent to the endpoint, which answers nothing then.
const SILENCE: &str =
    "table inet lab { chain input { type filter hook input priority 0; tcp dport 2929 drop; }; }\n";

/// How the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    /// None is there, and the host knows of none.
    Absent,
    There,
    /// It takes the connection and says nothing.
    Slow,
    /// Whatever is sent to it is thrown away.
    Silent,
}

impl Server {
    /// Makes it so, whatever it was before.
    fn set(self, machine: &Machine) -> Result<()> {
        machine.run(&["systemctl", "kill", "--signal=CONT", "auto-monitor-server"])?;
        machine.run(&["nft", "delete", "table", "inet", "lab"])?;
        let units = ["auto-monitor-server", "auto-monitor-server-announce"];
        let order: &[&str] = match self {
            Self::Absent => &["systemctl", "stop", units[0], units[1]],
            Self::There => &["systemctl", "start", units[0], units[1]],
            Self::Slow => &["systemctl", "kill", "--signal=STOP", units[0]],
            Self::Silent => &["nft", "-f", "/root/silence.nft"],
        };
        machine.expect(0, order).map(drop)
    }
}

/// What apt is called for, in this order. Between the first and the others, the host has been let in and the server has
/// become what it is to be.
const OCCASIONS: [(&str, &[&str]); 6] = [
    ("ours is installed", &["install", "/root/client.deb"]),
    ("another package is installed", &["install", OTHER]),
    ("another package is purged", &["purge", OTHER]),
    ("ours is removed", &["remove", CLIENT[0]]),
    ("ours is installed again", &["install", "/root/client.deb"]),
    ("ours is purged", &["purge", CLIENT[0]]),
];

fn took(host: &Machine, arguments: &[&str]) -> Result<Duration> {
    let began = Instant::now();
    host.apt(arguments)?;
    Ok(began.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[test]
#[ignore = "measures, so nothing else is to run meanwhile: make bench-apt runs it by itself"]
fn two_hundred_packages_beside_the_same_without_us() -> Result<()> {
    super::triggers::upgrade_many(true)
}

/// Another package is compared with the same on a machine without anything of ours, at the same time; ours with itself
/// where there is no server, as what dpkg and debconf need for a package with units and questions is no waiting.
#[test]
#[ignore = "measures, so nothing else is to run meanwhile: make bench-apt runs it by itself"]
fn apt_waits_for_nobody() -> Result<()> {
    let site = super::site()?;
    let [b, plain] = site.lab.boot(["b", "plain"])?;
    let monitor = &site.monitor.machine;
    b.copy_in(&site.packages.file(CLIENT[0])?, "/root/client.deb")?;
    monitor.write("/root/silence.nft", 0o644, SILENCE.as_bytes())?;
    let fingerprint = site.monitor.fingerprint()?;
    let answers = [("server", "string", "a.lab.example"), ("server-fingerprint", "string", &*fingerprint)];
    let mut alone: Vec<Duration> = Vec::new();
    let mut faults = Vec::new();
    for server in [Server::Absent, Server::There, Server::Slow, Server::Silent] {
        let mut ours: Vec<Vec<Duration>> = vec![Vec::new(); OCCASIONS.len()];
        let mut theirs = ours.clone();
        for _ in 0..RUNS {
            if server == Server::Absent {
                server.set(monitor)?;
            } else {
                Server::There.set(monitor)?;
                monitor.run(&["auto-monitor-server", "remove", &b.full_name()])?;
                preseed(&b, &answers)?;
            }
            for (at, (_, arguments)) in OCCASIONS.iter().enumerate() {
                if arguments.contains(&OTHER) {
                    theirs[at].push(took(&plain, arguments)?);
                }
                ours[at].push(took(&b, arguments)?);
                if at == 0 && server != Server::Absent {
                    // Who was never let in would have nothing to say.
                    site.monitor.wait_until(&b, "watched")?;
                    server.set(monitor)?;
                }
            }
        }
        let ours: Vec<Duration> = ours.into_iter().map(median).collect();
        if server == Server::Absent {
            alone.clone_from(&ours);
        }
        for (at, (what, _)) in OCCASIONS.iter().enumerate() {
            let (than, compared) = match theirs[at].as_slice() {
                [] => (alone[at], "without a server"),
                times => (median(times.to_vec()), "without us"),
            };
            println!("server {server:?}: {what}: {:.2?}, {compared} {than:.2?}", ours[at]);
            if ours[at] > than + DELAY_MAX {
                faults.push(format!("server {server:?}: {what}: {:?} instead of {than:?}", ours[at]));
            }
        }
    }
    ensure!(faults.is_empty(), "{faults:#?}");
    site.lab.end()
}
