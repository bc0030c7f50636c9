//! What goes wrong beside a program: a slow disk, a clock that is set, a Nagios that dies, others who do the same at the
//! same time, an old backup.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use auto_monitor_tests::patience::wait_for;
use auto_monitor_tests::site::{Site, own_network};
use monitoring_info::published::STATE_DIR;
use monitoring_info::registration::{Reply, Verb};

use crate::client::{CLIENT_STATE, Counter};
use crate::peer::{Peer, counting};
use crate::scene::{copy, has, nothing_is_left, publish};
use crate::step;
use crate::table::{everything, row};

/// How much the clock jumps, in seconds: a day.
const JUMPS: [&str; 2] = ["+86400", "-86400"];
/// libfaketime(1), below the folder of libraries.
const FAKE_TIME: &str = "faketime/libfaketime.so.1";

/// A site with a host that Nagios watches.
fn watched(folder: &Path) -> Result<(Site, Peer)> {
    let mut site = Site::lay_out(folder, own_network())?;
    site.nagios.probe_nothing()?;
    site.start_endpoint()?;
    site.nagios.start()?;
    site.nagios.write_lock_file()?;
    let peer = Peer::approved(&site, "one.example.org")?;
    peer.register(&site, counting(1))?;
    publish(&site)?;
    Ok((site, peer))
}

/// More where everything is tried.
fn times(thinned: u64, all: u64) -> u64 {
    if everything() { all } else { thinned }
}

fn started(command: &mut Command) -> Result<Child> {
    Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

/// A program ended well.
fn well(output: &Output) -> Result<()> {
    ensure!(
        output.status.success(),
        "it ended with {}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// The disk takes its time for everything: what is slow succeeds, and who waits for it too.
pub fn slow_disk() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (site, peer) = watched(folder.path())?;
    let other = Peer::approved(&site, "other.example.org")?;
    let (slow, input) = peer.session(&site, Verb::Register, Some(counting(2)))?;
    let (session, waiting) = thread::scope(|scope| {
        let slow = scope.spawn(|| step::slowly(&site.root(), &slow, &input));
        // While the first one holds what it must.
        thread::sleep(Duration::from_millis(500));
        let waiting = other.register(&site, counting(1));
        (slow.join().expect("it does not panic"), waiting)
    });
    waiting?;
    let (run, delayed) = session?;
    let reply: Reply = serde_json::from_slice(&run.output).with_context(|| run.text.clone())?;
    ensure!(reply.refusal.is_none() && peer.held(&site)? == Some(counting(2)), "{reply:?}");
    row(
        "a session on a slow disk, beside another",
        "a second for every sync, 20 ms for every write",
        delayed,
    );

    let (run, delayed) = step::slowly(&site.root(), &site.server(&["publish"]).command(), &[])?;
    ensure!(run.status.success(), "{}", run.text);
    has(&site, &peer.name, Some(2))?;
    has(&site, &other.name, Some(1))?;
    row("publish on a slow disk", "a second for every sync, 20 ms for every write", delayed);
    Ok(())
}

/// The clock is set, before a program runs or while it does.
pub fn clock() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (site, peer) = watched(folder.path())?;
    let mut counter = Counter::approved(&site, &site.endpoint()?, 2)?;
    let clock = folder.path().join("clock");
    let library = fake_time()?;
    let fake = |command: &mut Command| {
        command
            .env("LD_PRELOAD", &library)
            .env("FAKETIME_TIMESTAMP_FILE", &clock)
            .env("FAKETIME_NO_CACHE", "1")
            // The clock that is set is never the one that only counts.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1");
    };
    let set = |to: &str| -> Result<()> {
        let new = clock.with_extension("new");
        fs::write(&new, to)?;
        Ok(fs::rename(new, &clock)?)
    };
    set(JUMPS[0])?;
    let mut date = Command::new("date");
    date.arg("+%s");
    fake(&mut date);
    let (then, now) = (date.output()?, Command::new("date").arg("+%s").output()?);
    let seconds =
        |output: &Output| String::from_utf8_lossy(&output.stdout).trim().parse::<i64>().context("no date");
    ensure!((86_000..87_000).contains(&(seconds(&then)? - seconds(&now)?)), "the clock is not set");

    let mut generation = 1;
    let mut round = |jumps: &[&str]| -> Result<()> {
        generation += 1;
        counter.change()?;
        let over = AtomicBool::new(false);
        thread::scope(|scope| -> Result<()> {
            let setter = scope.spawn(|| -> Result<()> {
                for to in jumps.iter().cycle().take_while(|_| !over.load(Ordering::Relaxed)) {
                    set(to)?;
                    thread::sleep(Duration::from_millis(10));
                }
                Ok(())
            });
            let done = (|| {
                let mut register = counter.host.client(&site, &["register"]).command();
                fake(&mut register);
                well(&started(&mut register)?.wait_with_output()?)?;
                ensure!(counter.is_heard(&site)?, "the server has not got what it took");
                let (mut session, input) = peer.session(&site, Verb::Register, Some(counting(generation)))?;
                fake(&mut session);
                let given = folder.path().join("input");
                fs::write(&given, input)?;
                let output = session.stdin(fs::File::open(given)?).output()?;
                well(&output)?;
                ensure!(peer.held(&site)? == Some(counting(generation)), "it is not held");
                let mut publish = site.server(&["publish"]).command();
                fake(&mut publish);
                well(&started(&mut publish)?.wait_with_output()?)
            })();
            over.store(true, Ordering::Relaxed);
            setter.join().expect("it does not panic")?;
            done
        })?;
        has(&site, &peer.name, Some(generation))?;
        has(&site, &counter.host.name, Some(counter.count))?;
        site.nagios.verify()?;
        // And all of it again, with the clock as it is.
        counter.change()?;
        counter.host.client(&site, &["register"]).expect(0)?;
        generation += 1;
        peer.register(&site, counting(generation))?;
        publish(&site)?;
        has(&site, &peer.name, Some(generation))?;
        has(&site, &counter.host.name, Some(counter.count))
    };
    for jump in JUMPS {
        round(&[jump])?;
    }
    row("the client, a session and publish, and again in the right time", "the clock a day off", 2);
    let during = times(1, 20);
    for _ in 0..during {
        round(&["+0", JUMPS[0], "+0", JUMPS[1]])?;
    }
    let during = usize::try_from(during)?;
    row("the client, a session and publish", "the clock set by a day every 10 ms meanwhile", during);
    Ok(())
}

fn fake_time() -> Result<PathBuf> {
    let libraries = fs::read_dir("/usr/lib").context("cannot read /usr/lib")?.flatten();
    libraries
        .map(|folder| folder.path().join(FAKE_TIME))
        .find(|library| library.exists())
        .context("there is no libfaketime; apt install faketime")
}

/// Nagios is killed while it reads a new set.
pub fn nagios_dies() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut site, peer) = watched(folder.path())?;
    let link = site.root().join(STATE_DIR).join("current");
    let moments: &[u64] =
        if everything() { &[0, 1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300] } else { &[5, 100] };
    for (generation, moment) in (2..).zip(moments) {
        peer.register(&site, counting(generation))?;
        let before = fs::read_link(&link)?;
        let publish_now = started(&mut site.server(&["publish"]).command())?;
        wait_for("the new set is swapped in", Duration::from_secs(60), || {
            Ok(if fs::read_link(&link)? == before { Err("it is not".to_owned()) } else { Ok(()) })
        })?;
        thread::sleep(Duration::from_millis(*moment));
        site.nagios.kill()?;
        let output = publish_now.wait_with_output()?;
        // Confirmed before it died, or taken back.
        ensure!(output.status.code().is_some(), "publish ended with {}", output.status);
        site.nagios.verify()?;
        site.nagios.start()?;
        site.nagios.write_lock_file()?;
        publish(&site)?;
        has(&site, &peer.name, Some(generation))?;
        nothing_is_left(&site)?;
    }
    row("publish", "Nagios killed so many ms after the swap", moments.len());
    Ok(())
}

/// A publish is killed after its swap, and the next one has something else to publish, while Nagios still reads for the
/// first.
pub fn publisher_dies() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (site, peer) = watched(folder.path())?;
    let link = site.root().join(STATE_DIR).join("current");
    let moments: Vec<u64> = if everything() { (0..=1200).step_by(50).collect() } else { vec![300, 700] };
    for (generation, moment) in (2..).step_by(2).zip(&moments) {
        peer.register(&site, counting(generation))?;
        let before = fs::read_link(&link)?;
        let mut killed = started(&mut site.server(&["publish"]).command())?;
        wait_for("the new set is swapped in", Duration::from_secs(60), || {
            Ok(if fs::read_link(&link)? == before { Err("it is not".to_owned()) } else { Ok(()) })
        })?;
        thread::sleep(Duration::from_millis(*moment));
        killed.kill()?;
        killed.wait()?;
        peer.register(&site, counting(generation + 1))?;
        publish(&site)?;
        has(&site, &peer.name, Some(generation + 1)).with_context(|| format!("killed after {moment} ms"))?;
        nothing_is_left(&site)?;
    }
    row("publish, and at once another change", "killed so many ms after the swap", moments.len());
    Ok(())
}

/// Several publish at once.
pub fn publishers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (site, peer) = watched(folder.path())?;
    let rounds = times(2, 20);
    for generation in 2..2 + rounds {
        peer.register(&site, counting(generation))?;
        let publishers: Vec<Child> =
            (0..3).map(|_| started(&mut site.server(&["publish"]).command())).collect::<Result<_>>()?;
        for publisher in publishers {
            well(&publisher.wait_with_output()?)?;
        }
        has(&site, &peer.name, Some(generation))?;
        site.nagios.verify()?;
        nothing_is_left(&site)?;
    }
    row("three publishers", "at once", usize::try_from(rounds)?);
    Ok(())
}

/// Several clients of one host register at once, while it changes.
pub fn clients() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut site = Site::lay_out(folder.path(), own_network())?;
    site.start_endpoint()?;
    let mut counter = Counter::approved(&site, &site.endpoint()?, 2)?;
    let rounds = times(2, 30);
    for _ in 0..rounds {
        let mut running = Vec::new();
        for _ in 0..3 {
            counter.change()?;
            running.push(started(&mut counter.host.client(&site, &["register"]).command())?);
        }
        for client in running {
            well(&client.wait_with_output()?)?;
        }
        // What was there when the last one was called was said, by whomever.
        ensure!(counter.is_heard(&site)?, "the last change was not said");
        counter.recovers(&site, Some(0))?;
    }
    row("three clients of a host that changes", "at once", usize::try_from(rounds)?);
    Ok(())
}

/// The server's state is restored from a backup that is so many changes old.
pub fn old_server() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (site, _) = watched(folder.path())?;
    let mut counter = Counter::approved(&site, &site.endpoint()?, 2)?;
    let (state, backup) = (site.root().join(STATE_DIR), folder.path().join("backup"));
    let ages = times(2, 7);
    for age in 1..=ages {
        let mut say = || -> Result<()> {
            counter.change()?;
            counter.host.client(&site, &["register"]).expect(0)?;
            publish(&site)
        };
        say()?;
        copy(&state, &backup)?;
        (0..age).try_for_each(|_| say())?;
        copy(&backup, &state)?;
        site.nagios.verify()?;
        // Nobody tells the host; its next registration, the timer's, has nothing new in it.
        counter.recovers(&site, None)?;
        publish(&site)?;
        has(&site, &counter.host.name, Some(counter.count))?;
        nothing_is_left(&site)?;
    }
    row("the server's state", "restored from a backup of 1, 2, … changes ago", usize::try_from(ages)?);
    Ok(())
}

/// A host's state is restored from a backup that is so many changes old.
pub fn old_client() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut site = Site::lay_out(folder.path(), own_network())?;
    site.start_endpoint()?;
    let mut counter = Counter::approved(&site, &site.endpoint()?, 2)?;
    let (state, backup) = (counter.host.root().join(CLIENT_STATE), folder.path().join("backup"));
    let ages = times(2, 7);
    for age in 1..=ages {
        let mut say = || -> Result<()> {
            counter.change()?;
            counter.host.client(&site, &["register"]).expect(0).map(drop)
        };
        say()?;
        copy(&state, &backup)?;
        (0..age).try_for_each(|_| say())?;
        copy(&backup, &state)?;
        counter.recovers(&site, None)?;
        counter.change()?;
        counter.recovers(&site, None)?;
    }
    row("a host's state", "restored from a backup of 1, 2, … changes ago", usize::try_from(ages)?);
    Ok(())
}
