//! The server of a large organisation: what publishing takes, beside Nagios's own verdict about the same set, and how long
//! its administrator waits for an answer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use auto_monitor_tests::fleet;
use auto_monitor_tests::installed::Installed;
use auto_monitor_tests::patience::wait_for;
use auto_monitor_tests::site::{Site, own_network};
use monitoring_info::published::STATE_DIR;

use crate::measure::{self, Run, median, most_memory, once};
use crate::outcome::{Bound, Outcome, Unit};
use crate::peer;

/// The hosts of a large organisation.
const LARGE: usize = 10_000;
/// From a small one to a very large one, for which the time is to grow in proportion.
const SMALL: usize = 1_000;
const HUGE: usize = 30_000;
/// How often it is looked whether a set was swapped in.
const LOOK: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(300);
/// A moment between two measurements, in which Nagios goes on.
const PAUSE: Duration = Duration::from_secs(1);
const VERDICT: &str = "nagios4 -v of the same set";
const VERDICT_AS_A_FOLDER: &str = "nagios4 -v of it as a folder";

/// A server with so many hosts in its registry, and its Nagios, which runs and probes nothing.
struct Server {
    site: Site,
    program: PathBuf,
}

/// How a publish went.
struct Published {
    /// Until the set was swapped in; Nagios reads it then.
    swapped: Duration,
    /// Until Nagios had read it.
    whole: Duration,
    /// The most memory that the publishing process has held, in MiB.
    memory: f64,
}

impl Server {
    fn of(folder: &Path, hosts: usize) -> Result<Self> {
        let mut site = Site::lay_out(&folder.join(hosts.to_string()), own_network())?;
        site.nagios.probe_nothing()?;
        site.nagios.keep_debians_pace()?;
        fleet::register(&site.root(), 0, hosts)?;
        site.nagios.start()?;
        let program = Installed::find()?.program("auto-monitor-server");
        Ok(Self { site, program })
    }

    fn current(&self) -> PathBuf {
        self.site.root().join(STATE_DIR).join("current")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(self.site.root()).args(arguments);
        command
    }

    /// Runs something, and says when another set was swapped in.
    fn swapping<T: Send>(
        &self,
        run: impl FnOnce() -> Result<T> + Send,
        seen: impl FnOnce() + Send,
    ) -> Result<(T, Duration)> {
        let current = self.current();
        let before = fs::read_link(&current).ok();
        let began = Instant::now();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                while !over.load(Ordering::Relaxed) && began.elapsed() < PATIENCE {
                    if fs::read_link(&current).ok() != before {
                        let swapped = began.elapsed();
                        seen();
                        return Some(swapped);
                    }
                    thread::sleep(LOOK);
                }
                None
            });
            let outcome = run();
            over.store(outcome.is_err(), Ordering::Relaxed);
            let swapped = watcher.join().expect("it does not panic");
            Ok((outcome?, swapped.context("nothing was swapped in")?))
        })
    }

    /// Publishes everything for the first time.
    fn publish(&self) -> Result<Published> {
        let log = tempfile::NamedTempFile::new()?;
        let mut publish = self.command(&["publish"]);
        let began = Instant::now();
        let mut child = publish.stdin(Stdio::null()).stdout(log.reopen()?).stderr(log.reopen()?).spawn()?;
        let id = child.id();
        let mut memory = None;
        let (status, swapped) = self.swapping(|| Ok(child.wait()?), || memory = most_memory(id).ok())?;
        let whole = began.elapsed();
        ensure!(status.success(), "publish ended with {status}: {}", fs::read_to_string(log.path())?);
        Ok(Published { swapped, whole, memory: memory.context("the memory was not seen")? })
    }

    /// As if nothing had ever been published. What was is only put aside: ext4 finds it hard to make files just after so
    /// many were removed.
    fn forget(&self) -> Result<()> {
        fs::remove_file(self.current())?;
        let state = self.site.root().join(STATE_DIR);
        let aside = tempfile::tempdir_in(state.parent().context("a folder above the state")?)?.keep();
        Ok(fs::rename(state.join("generations"), aside.join("generations"))?)
    }

    /// Nagios's verdict about its whole configuration.
    fn verdict(&self) -> Result<Run> {
        verdict(&self.site.nagios.configuration())
    }

    /// The same of a configuration that reads the set as anybody lays out what they have rendered: as a folder, in whose
    /// order Nagios takes several times as long as in ours.
    fn verdict_as_a_folder(&self) -> Result<Run> {
        let main = self.site.nagios.configuration();
        let text = fs::read_to_string(&main)?;
        let (plain, objects) = (main.with_extension("folder.cfg"), main.with_extension("objects"));
        fs::create_dir_all(&objects)?;
        let folder =
            text.lines().find_map(|line| line.strip_prefix("cfg_dir=")).context("a folder of objects")?;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == "cfg") {
                fs::copy(entry.path(), objects.join(entry.file_name()))?;
            }
        }
        let set = fs::canonicalize(self.current())?.join("nagios");
        let folders = format!("cfg_dir={}\ncfg_dir={}\n", objects.display(), set.display());
        fs::write(&plain, text.replace(&format!("cfg_dir={folder}\n"), &folders))?;
        verdict(&plain)
    }
}

fn verdict(configuration: &Path) -> Result<Run> {
    once(Command::new("/usr/sbin/nagios4").arg("-v").arg(configuration), &[0])
}

/// Everything, from nothing; and how that grows with the number of hosts.
pub fn publish(folder: &Path) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    let (mut each, mut memory) = (Vec::new(), 0.0_f64);
    for (hosts, rounds) in [(SMALL, 5), (LARGE, 3), (HUGE, 1)] {
        let server = Server::of(folder, hosts)?;
        let (mut ours, mut theirs, mut wholes) = (Vec::new(), Vec::new(), Vec::new());
        let mut as_folders = Vec::new();
        for round in 0..rounds {
            if round > 0 {
                server.forget()?;
            }
            let published = server.publish()?;
            ours.push(published.swapped.as_secs_f64());
            wholes.push(published.whole.as_secs_f64());
            theirs.push(server.verdict()?.wall.as_secs_f64());
            as_folders.push(server.verdict_as_a_folder()?.wall.as_secs_f64());
            if hosts <= LARGE {
                memory = memory.max(published.memory);
            }
        }
        let (ours, theirs, whole) = (middle(ours), middle(theirs), middle(wholes));
        // Nagios's own part does not grow in proportion.
        #[expect(clippy::cast_precision_loss, reason = "a few thousand hosts")]
        each.push((ours - theirs) / hosts as f64);
        outcomes.push(Outcome {
            what: match hosts {
                SMALL => "publish 1,000 hosts, 10 definitions each",
                LARGE => "publish 10,000 hosts",
                _ => "publish 30,000 hosts",
            },
            unit: Unit::Seconds,
            ours,
            peer: Some((VERDICT_AS_A_FOLDER, middle(as_folders))),
            // Of a few hosts, Nagios's part is small.
            bound: if hosts >= LARGE { Bound::Ratio(1.5) } else { Bound::None },
        });
        outcomes.push(Outcome {
            what: "the same",
            unit: Unit::Seconds,
            ours,
            peer: Some((VERDICT, theirs)),
            bound: Bound::None,
        });
        if hosts == SMALL {
            let peers: Vec<Run> = (0..3).map(|_| peer::render(folder, SMALL)).collect::<Result<_>>()?;
            outcomes.push(Outcome {
                what: "the same",
                unit: Unit::Seconds,
                ours,
                peer: Some((
                    "Ansible writes it, which nobody judges",
                    median(&peers, |run| run.wall) / 1000.0,
                )),
                bound: Bound::None,
            });
            outcomes.push(Outcome {
                what: "the same, memory",
                unit: Unit::Mebibytes,
                ours: memory,
                peer: Some(("Ansible", measure::peak(&peers))),
                bound: Bound::None,
            });
            memory = 0.0;
        }
        if hosts == LARGE {
            outcomes.push(Outcome {
                what: "the same, until Nagios has read it",
                unit: Unit::Seconds,
                ours: whole,
                peer: Some((VERDICT, theirs)),
                bound: Bound::None,
            });
        }
    }
    outcomes.push(Outcome {
        what: "publish without Nagios's part, of 30,000 a host",
        unit: Unit::Milliseconds,
        ours: each[2] * 1000.0,
        peer: Some(("of 1,000 a host", each[0] * 1000.0)),
        bound: Bound::Ratio(1.5),
    });
    outcomes.push(Outcome {
        what: "publish 10,000 hosts, memory",
        unit: Unit::Mebibytes,
        ours: memory,
        peer: None,
        bound: Bound::AtMost(200.0),
    });
    Ok(outcomes)
}

/// One host changes among many, with no pause before a publish; and what an administrator asks then.
pub fn change(folder: &Path) -> Result<Vec<Outcome>> {
    let mut server = Server::of(&folder.join("change"), LARGE)?;
    server.site.set_quiet("quiet = 0s\nquiet-at-most = 0s\n")?;
    server.site.start_endpoint()?;
    let host = server.site.host("changing.example.org", 2)?;
    host.introduce(&server.site)?;
    host.define("all.conf", &fleet::definition_file(0))?;
    host.client(&server.site, &["enrol", &server.site.endpoint()?]).expect(4)?;
    server.site.server(&["approve", &host.name]).expect(0)?;
    host.client(&server.site, &["register"]).expect(0)?;
    server.publish()?;
    server.site.start_publisher()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // Every ten seconds, Nagios writes down what it knows, which takes it more than a second; and a round takes about ten.
    // Without a pause of another length each time, all of them would meet with that, or none.
    let pause = |round: u32| thread::sleep(PAUSE * 3 * (round % 4));
    for round in 0..8 {
        settled(&server)?;
        pause(round);
        host.define("more.conf", &format!("[more]\ntype = tcp\nport = {}\n", 2000 + round))?;
        let register = host.client(&server.site, &["register"]);
        let (_, swapped) = server.swapping(|| register.expect(0), || ())?;
        ours.push(swapped.as_secs_f64());
        settled(&server)?;
        pause(round);
        theirs.push(server.verdict()?.wall.as_secs_f64());
    }
    settled(&server)?;
    let (ours, theirs) = (middle(ours), middle(theirs));
    let mut outcomes = vec![Outcome {
        what: "one host of 10,000 changes, until swapped in",
        unit: Unit::Seconds,
        ours,
        peer: Some((VERDICT, theirs)),
        bound: Bound::Adds(0.5),
    }];
    for (what, question) in [("list, 10,000 hosts", "list"), ("status, 10,000 hosts", "status")] {
        // At any time, and not all of them while Nagios happens to write down what it knows, which it does every ten seconds.
        let ask = |_| {
            thread::sleep(PAUSE);
            once(&mut server.command(&[question]), &[0, 1])
        };
        let runs = (0..15).map(ask).collect::<Result<Vec<_>>>()?;
        outcomes.push(Outcome {
            what,
            unit: Unit::Milliseconds,
            ours: median(&runs, |run| run.wall),
            peer: None,
            bound: Bound::AtMost(300.0),
        });
    }
    Ok(outcomes)
}

/// Waits until Nagios has taken what is current, and the publisher has nothing more to do: the last is the beginning of the
/// next set.
fn settled(server: &Server) -> Result<()> {
    let state = server.site.root().join(STATE_DIR);
    wait_for("Nagios has taken the set, and the next one is begun", PATIENCE, || {
        let current = fs::read_link(server.current())?;
        let current = current.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let taken = fs::read_to_string(state.join("taken")).unwrap_or_default();
        let is_begun = state.join("generations").join(format!(".next-{current}")).exists();
        Ok(if taken.trim() == current && is_begun { Ok(()) } else { Err(format!("{taken} of {current}")) })
    })?;
    thread::sleep(PAUSE);
    Ok(())
}

/// The median.
pub fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
