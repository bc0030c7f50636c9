//! `kill -9` of whatever runs, at random moments, while three hosts register.
//!
//! What must hold: what was acknowledged is there; whatever Nagios would read at any moment, it accepts; and when the
//! killing is over, everything is as the hosts say, with nothing but the restarts that systemd does.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use auto_monitor_tests::expectation::Expectation;
use auto_monitor_tests::host::Host;
use auto_monitor_tests::patience::wait_for;
use auto_monitor_tests::process::descendants;
use auto_monitor_tests::service::Greeter;
use auto_monitor_tests::site::{Invocation, Site, own_network};
use monitoring_info::published::STATE_DIR;
use rustix::process::{Signal, kill_process};

const KILLS: usize = 200;
const BETWEEN: Duration = Duration::from_millis(120);
const VERDICT: Duration = Duration::from_secs(120);
/// Who may be killed: our programs, the sshd of the endpoint with its sessions, and Nagios with its workers.
const PREY: [&str; 4] = ["auto-monitor", "auto-monitor-se", "sshd", "nagios4"];

/// A host that changes all the time.
struct Restless {
    host: Host,
    greeter: u16,
    register: Invocation,
}

impl Restless {
    /// Two services: one that stays, and one whose name counts the changes.
    fn change(&self, count: u32) -> Result<()> {
        let port = self.greeter;
        let text =
            format!("[stays]\ntype = tcp\nport = {port}\n[count-{count}]\ntype = tcp\nport = {port}\n");
        self.host.define("restless.conf", &text)
    }

    /// Changes and registers until it is over, and gives the last count that the server acknowledged. After each
    /// acknowledgement, the registry is looked at.
    fn live(&self, server_root: &Path, over: &AtomicBool) -> Result<u32> {
        let record = server_root.join(STATE_DIR).join("registry").join(format!("{}.json", self.host.name));
        let mut acknowledged = 0;
        for count in 1.. {
            if over.load(Ordering::Relaxed) {
                break;
            }
            self.change(count)?;
            if self.register.run()?.status == Some(0) {
                let text = fs::read_to_string(&record)
                    .with_context(|| format!("cannot read {}", record.display()))?;
                ensure!(
                    text.contains(&format!("\"count-{count}\"")),
                    "count-{count} of {} was acknowledged and is not in the registry:\n{text}",
                    self.host.name
                );
                acknowledged = count;
            }
        }
        Ok(acknowledged)
    }
}

/// Nagios accepts what it would read now, whatever is swapped meanwhile.
fn verify(root: &Path) -> Result<()> {
    let configuration = root.join("etc/nagios4/nagios.cfg");
    // It is killed like everything else, and then says nothing.
    for _ in 0..20 {
        let output =
            Command::new("/usr/sbin/nagios4").arg("-v").arg(&configuration).stdin(Stdio::null()).output()?;
        if output.status.success() {
            return Ok(());
        }
        if output.status.code().is_some() {
            bail!("nagios4 -v refuses:\n{}", String::from_utf8_lossy(&output.stdout));
        }
    }
    bail!("20 verifications in turn were killed")
}

#[test]
fn nothing_is_lost_and_nothing_needs_a_hand() -> Result<()> {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    println!("seed {seed}");
    let mut chance = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir()?;
    let mut site = Site::lay_out(folder.path(), own_network())?;
    site.start_endpoint()?;
    site.nagios.start()?;
    site.start_publisher()?;

    let mut restless = Vec::new();
    let mut greeters = Vec::new();
    for number in 2..5 {
        let host = site.host(&format!("host{number}.example.org"), number)?;
        host.introduce(&site)?;
        host.client(&site, &["enrol", &site.endpoint()?]).expect(4)?;
        site.server(&["approve", &host.name]).expect(0)?;
        let socket = host.free_socket()?;
        greeters.push(Greeter::start(socket)?);
        let register = host.client(&site, &["register"]);
        restless.push(Restless { host, greeter: socket.port(), register });
    }

    let root = site.root();
    let over = AtomicBool::new(false);
    let mut killed: Vec<String> = Vec::new();
    let acknowledged: Vec<u32> = thread::scope(|scope| {
        let lives: Vec<_> = restless.iter().map(|one| scope.spawn(|| one.live(&root, &over))).collect();
        let verifier = scope.spawn(|| -> Result<usize> {
            let mut count = 0;
            while !over.load(Ordering::Relaxed) {
                verify(&root)?;
                count += 1;
            }
            Ok(count)
        });
        let hunt = (|| -> Result<()> {
            while killed.len() < KILLS {
                thread::sleep(BETWEEN);
                let mut prey = descendants(std::process::id());
                prey.retain(|running| PREY.contains(&running.name.as_str()));
                // First whom, then which: else Nagios's many workers would be most of the dead.
                let name = PREY[chance.usize(..PREY.len())];
                prey.retain(|running| running.name == name);
                if !prey.is_empty() {
                    let victim = prey.swap_remove(chance.usize(..prey.len()));
                    if kill_process(victim.id, Signal::KILL).is_ok() {
                        killed.push(victim.name);
                    }
                }
                site.restart_what_ended()?;
                if lives.iter().any(thread::ScopedJoinHandle::is_finished) || verifier.is_finished() {
                    break;
                }
            }
            Ok(())
        })();
        over.store(true, Ordering::Relaxed);
        let verifications = verifier.join().expect("the verifier does not panic")?;
        let counts = lives
            .into_iter()
            .map(|life| life.join().expect("a life does not panic"))
            .collect::<Result<_>>()?;
        hunt?;
        println!("{verifications} verifications");
        Ok::<_, anyhow::Error>(counts)
    })?;
    for name in PREY {
        println!("{} of {name} killed", killed.iter().filter(|dead| *dead == name).count());
    }
    println!("last acknowledged: {acknowledged:?}");
    assert_eq!(killed.len(), KILLS);
    assert!(acknowledged.iter().all(|count| *count > 0), "{acknowledged:?}");

    // The killing is over: one more change each, and everything is as the hosts say.
    site.restart_what_ended()?;
    let mut expected = Expectation::default().administrators_own();
    for one in &restless {
        one.change(1_000_000)?;
        wait_for("a registration is taken", Duration::from_secs(30), || {
            let said = one.register.run()?;
            Ok(if said.status == Some(0) { Ok(()) } else { Err(said.text) })
        })?;
        expected = expected.host(&one.host.name).service(&one.host.name, "stays", "OK").service(
            &one.host.name,
            "count-1000000",
            "OK",
        );
    }
    expected.wait(&mut site.nagios, VERDICT, |_| {})?;
    verify(&root)
}
