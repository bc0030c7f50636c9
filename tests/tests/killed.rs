//! `kill -9` of whatever runs, at random moments, while hosts change.
//!
//! What must hold: what was acknowledged is there; whatever Nagios would read at any moment, it accepts; and when the
//! killing is over, everything is as the hosts say, with nothing but the restarts that systemd does.
//!
//! Whenever something is tested, three hosts do that for half a minute. `make soak` has two hundred do it for an hour, and
//! then nothing may have grown either: memory, open files, processes, files. What is random has a seed, which is printed
//! (and taken from `AUTO_MONITOR_SEED`), so that a run can be had again as far as the kernel lets the same things happen at the
//! same moments.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail, ensure};
use auto_monitor_tests::expectation::Expectation;
use auto_monitor_tests::patience::wait_for;
use auto_monitor_tests::site::{Site, own_network};
use monitoring_info::published::STATE_DIR;

use self::growth::{Sample, nothing_has_grown, nothing_is_left};
use self::restless::Restless;
use self::role::kill_one;
use self::size::Size;
use self::tally::Tally;

#[path = "killed/growth.rs"]
mod growth;
#[path = "killed/restless.rs"]
mod restless;
#[path = "killed/role.rs"]
mod role;
#[path = "killed/size.rs"]
mod size;
#[path = "killed/tally.rs"]
mod tally;

/// How often it is looked whether something has ended that systemd would start again.
const LOOK: Duration = Duration::from_millis(50);
/// Between two samples of what there is.
const SAMPLE: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);
/// One in so many times, several hosts do something at once.
const SEVERAL: u8 = 20;
/// How long what was begun may take to end when nothing new is: a session that nobody listens to ends by itself.
const END: Duration = Duration::from_secs(120);

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

/// Says who does something next, and when.
struct Conductor {
    chance: fastrand::Rng,
    between: f64,
    hosts: usize,
    at_once: usize,
}

impl Conductor {
    fn next(&mut self) -> (usize, fastrand::Rng) {
        if self.at_once == 0 {
            // As among many who know nothing of each other.
            thread::sleep(Duration::from_secs_f64(-self.between * (1.0 - self.chance.f64()).ln()));
            let several = self.chance.u8(..SEVERAL) == 0;
            self.at_once = if several { 1 + self.chance.usize(..=self.hosts / 8) } else { 1 };
        }
        self.at_once -= 1;
        (self.chance.usize(..self.hosts), self.chance.fork())
    }
}

/// A number between these, small ones as often as large ones.
fn spread(chance: &mut fastrand::Rng, between: &std::ops::Range<f64>) -> f64 {
    let (low, high) = (between.start.ln(), between.end.ln());
    (low + chance.f64() * (high - low)).exp()
}

/// What all threads share.
struct Stage {
    size: Size,
    hosts: Vec<Mutex<Restless>>,
    tally: Tally,
    /// Set when nobody is to change any more, or something went wrong.
    over: AtomicBool,
}

impl Stage {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Runs until it is over, or ends everything if that fails.
    fn until_over(&self, mut once: impl FnMut() -> Result<()>) -> Result<()> {
        while !self.is_over() {
            once().inspect_err(|_| self.over.store(true, Ordering::Relaxed))?;
        }
        Ok(())
    }

    fn host(&self, number: usize) -> std::sync::MutexGuard<'_, Restless> {
        self.hosts[number].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was acknowledged of every host that is not just now doing something.
    fn is_held(&self) -> Result<()> {
        for host in &self.hosts {
            if let Ok(host) = host.try_lock() {
                host.is_held()?;
                self.tally.count("registry entry compared with what was acknowledged");
            }
        }
        Ok(())
    }
}

#[test]
fn nothing_is_lost_and_nothing_needs_a_hand() -> Result<()> {
    let much = Size::asked_for()?;
    let seed = match std::env::var("AUTO_MONITOR_SEED") {
        Ok(seed) => seed.parse()?,
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    println!("seed {seed}: {much:?}");
    let mut chance = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir()?;
    let mut site = Site::lay_out(folder.path(), own_network())?;
    if much.is_soak() {
        site.nagios.take_your_time()?;
    }
    site.start_endpoint()?;
    site.nagios.start()?;
    site.start_publisher()?;
    let hosts = let_in(&site, much.hosts)?;
    let stage = Stage { size: much, hosts, tally: Tally::default(), over: AtomicBool::new(false) };
    let mut at_rest = Sample::take(&site.root().join(STATE_DIR))?;
    println!("at rest: {}", at_rest.shown());
    // The last connection may just be ending.
    at_rest.processes.retain(|role, _| !role.passes());

    let samples = kill(&mut site, &stage, &mut chance)?;
    println!("{}", stage.tally.table());
    settled(&mut site, &stage, &at_rest)?;
    if stage.size.is_soak() {
        let spared = samples.len() * 2 / 3 + 1;
        nothing_has_grown(&samples[spared..])?;
    }
    Ok(())
}

/// Lets so many hosts in, some at the same time.
fn let_in(site: &Site, count: u8) -> Result<Vec<Mutex<Restless>>> {
    const AT_ONCE: u8 = 4;
    thread::scope(|scope| {
        let some = |first: u8| {
            let numbers = (2 + first..2 + count).step_by(AT_ONCE.into());
            numbers.map(|number| Restless::let_in(site, number)).collect::<Result<Vec<_>>>()
        };
        let threads: Vec<_> = (0..AT_ONCE).map(|first| scope.spawn(move || some(first))).collect();
        let mut hosts = Vec::new();
        for thread in threads {
            hosts.extend(thread.join().expect("nobody panics")?.into_iter().map(Mutex::new));
        }
        Ok(hosts)
    })
}

/// Kills for as long as it is to last, while hosts change; what there was meanwhile.
fn kill(site: &mut Site, stage: &Stage, chance: &mut fastrand::Rng) -> Result<Vec<Sample>> {
    let Stage { size, hosts, tally, .. } = stage;
    let root = site.root();
    let files = root.join(STATE_DIR);
    let conductor = Mutex::new(Conductor {
        chance: chance.fork(),
        between: size.between_changes,
        hosts: hosts.len(),
        at_once: 0,
    });
    let began = Instant::now();
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for _ in 0..size.at_once {
            threads.push(scope.spawn(|| {
                stage.until_over(|| {
                    let (number, mut chance) =
                        conductor.lock().unwrap_or_else(PoisonError::into_inner).next();
                    stage.host(number).act(&mut chance, tally)
                })
            }));
        }
        threads.push(scope.spawn(|| {
            stage.until_over(|| {
                verify(&root)?;
                tally.count("verification: nagios4 -v accepts");
                thread::sleep(size.between_verifications);
                Ok(())
            })
        }));
        let mut samples = Vec::new();
        let mut next_kill = began;
        let hunt = stage.until_over(|| {
            let now = began.elapsed();
            // The last changes come when the killing is over: a Nagios has no more checks run whose workers were killed
            // since it last read its configuration.
            if now < size.lasts && Instant::now() >= next_kill {
                next_kill += Duration::from_secs_f64(spread(chance, &size.between_kills));
                let spared = now + size.spared > size.lasts;
                if let Some(role) = kill_one(chance, |role| !(spared && role.stays())) {
                    tally.count(format!("killed: {role:?}"));
                }
            }
            for restarted in site.restart_what_ended()? {
                tally.count(format!("started again: {restarted}"));
            }
            if now > SAMPLE * u32::try_from(samples.len() + 1)? {
                let sample = Sample::take(&files)?;
                sample.is_within(hosts.len())?;
                stage.is_held()?;
                if samples.len() % 6 == 5 {
                    println!("{}", progress(now, tally, &files, &sample));
                    std::io::stdout().flush()?;
                }
                samples.push(sample);
            }
            if now > size.lasts + (size.lasts / 10).min(MINUTE) {
                stage.over.store(true, Ordering::Relaxed);
            }
            thread::sleep(LOOK);
            Ok(())
        });
        // What went wrong first ended the others.
        for thread in threads {
            thread.join().expect("nobody panics")?;
        }
        hunt?;
        let fewest = size.lasts.div_f64(size.between_kills.end).as_secs();
        ensure!(
            tally.of("killed") >= usize::try_from(fewest)?,
            "hardly anything was killed:\n{}",
            tally.table()
        );
        ensure!(tally.of("acknowledged") > 0, "nothing was acknowledged:\n{}", tally.table());
        Ok(samples)
    })
}

fn progress(now: Duration, tally: &Tally, state: &Path, sample: &Sample) -> String {
    format!(
        "minute {:2}: {} changes, {} acknowledged, {} said again, {} killed, {} verifications, generation {}; {}",
        now.as_secs() / MINUTE.as_secs(),
        tally.of("change"),
        tally.of("acknowledged"),
        tally.of("said again"),
        tally.of("killed"),
        tally.of("verification"),
        generation(state),
        sample.shown()
    )
}

/// The newest set, which is how often one was published.
fn generation(state: &Path) -> String {
    let link = std::fs::read_link(state.join("current")).unwrap_or_default();
    link.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The killing is over, and nobody does anything: everything is as the hosts say, and what is there is what was there.
fn settled(site: &mut Site, stage: &Stage, at_rest: &Sample) -> Result<()> {
    let root = site.root();
    let files = root.join(STATE_DIR);
    let mut expected = Expectation::default().administrators_own();
    for number in 0..stage.hosts.len() {
        let host = stage.host(number);
        host.is_held()?;
        expected = host.expected(expected);
    }
    expected.wait(&mut site.nagios, stage.size.verdict, |_| {})?;
    verify(&root)?;
    println!("| published | {} |", generation(&files));
    println!("| objects of Nagios, all as the hosts say | {} |", expected.count());
    wait_for("only those run who ran at first", END, || {
        let now = Sample::take(&files)?;
        Ok(if now.processes == at_rest.processes {
            Ok(())
        } else {
            Err(format!("{:?} instead of {:?}", now.processes, at_rest.processes))
        })
    })?;
    // The timer of each host, and a start of the endpoint: nothing unfinished outlives them.
    for number in 0..stage.hosts.len() {
        let host = stage.host(number);
        host.register(&stage.tally)?;
        nothing_is_left(host.root())?;
    }
    site.stop_endpoint();
    site.start_endpoint()?;
    site.server(&["publish"]).expect(0)?;
    let last = Sample::take(&files)?;
    println!("in the end: {}", last.shown());
    nothing_is_left(&files)
}
