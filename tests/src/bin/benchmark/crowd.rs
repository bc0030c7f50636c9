//! Sessions: what one costs the server, and a thousand at once. Beside them, the same client's sessions at an sshd of the
//! same settings, whose forced command is `true`; or, where the client comes again until it has an answer, `cat` of one.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use auto_monitor_tests::fleet;
use auto_monitor_tests::host::Host;
use auto_monitor_tests::installed::Installed;
use auto_monitor_tests::patience::wait_for;
use auto_monitor_tests::process::Process;
use auto_monitor_tests::service::{free_port, wait_until_it_listens};
use auto_monitor_tests::site::Site;
use monitoring_info::published::STATE_DIR;

use crate::outcome::{Bound, Outcome, Unit};
use crate::scale::middle;

/// How many come at once.
const CROWD: usize = 1_000;
/// How many sessions are measured one after the other, and how many times.
const SESSIONS: usize = 100;
const ROUNDS: usize = 3;
/// How long a host of a crowd comes again until it has got in.
const WAIT: &[&str] = &["--wait", "600s"];

/// What satisfies a client.
const REPLY: &str = r#"{"version":1,"enrolment":"approved"}"#;

/// An sshd that lets the same keys in as the endpoint and does next to nothing for them.
struct Bare {
    process: Process,
    address: SocketAddr,
}

impl Bare {
    /// With the endpoint's settings and host key, and a file of keys in place of our command.
    fn start(site: &Site, hosts: &[Host], name: &str, forced: &str) -> Result<Self> {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let address = SocketAddr::new(address, free_port(address)?);
        let mut keys = String::new();
        for host in hosts {
            let key = host.root().join("var/lib/auto-monitor/id_ed25519");
            let key = Command::new("ssh-keygen").arg("-yf").arg(key).stdin(Stdio::null()).output()?;
            let key = String::from_utf8(key.stdout)?;
            let _ = writeln!(keys, "restrict,command=\"{forced}\" {}", key.trim());
        }
        let folder = site.folder();
        let (keys_file, file) =
            (folder.join(format!("{name}_keys")), folder.join(format!("{name}_sshd_config")));
        fs::write(&keys_file, keys)?;
        let ours = fs::read_to_string(site.root().join(STATE_DIR).join("endpoint/sshd_config"))?;
        let mut text =
            format!("ListenAddress {address}\nAuthorizedKeysFile {}\nStrictModes no\n", keys_file.display());
        for line in ours.lines() {
            if !["ListenAddress ", "AuthorizedKeys"].iter().any(|begin| line.starts_with(begin)) {
                let _ = writeln!(text, "{line}");
            }
        }
        fs::write(&file, text)?;
        let arguments = ["-D", "-e", "-f", &file.display().to_string()];
        let mut process = Process::start(
            "sshd",
            Path::new("/usr/sbin/sshd"),
            &arguments,
            &folder.join(format!("{name}.log")),
        )?;
        wait_until_it_listens(&mut process, address)?;
        Ok(Self { process, address })
    }
}

/// What a process and all that it has waited for have used of a processor.
fn processor(id: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // proc_pid_stat(5): from the third field on, behind the name in parentheses; the 14th to 17th are wanted.
    let (_, fields) = stat.rsplit_once(") ").context("no name")?;
    let fields: Vec<u64> = fields.split(' ').skip(11).take(4).map(str::parse).collect::<Result<_, _>>()?;
    Ok(Duration::from_secs(fields.iter().sum()) / u32::try_from(rustix::param::clock_ticks_per_second())?)
}

/// A host's client, which tries again where it has to wait.
fn register(program: &Path, root: &Path, wait: &[&str]) -> Result<Child> {
    let mut command = Command::new(program);
    command.arg("--root").arg(root).arg("register").args(wait);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().context("cannot run auto-monitor")
}

/// The same host once more, for whom the other sshd is the server.
fn twin(host: &Host, endpoint: &str, fingerprint: &str) -> Result<PathBuf> {
    let root = host.root().with_extension("bare");
    let state = "var/lib/auto-monitor";
    for folder in ["etc/auto-monitor", "etc/monitoring-info", "var/lib/dpkg", state] {
        fs::create_dir_all(root.join(folder))?;
    }
    for file in ["etc/monitoring-info/all.conf", "var/lib/dpkg/status", "var/lib/auto-monitor/id_ed25519"] {
        fs::copy(host.root().join(file), root.join(file))?;
    }
    let text = format!(
        "name = {}\nbind-address = {}\nserver = {endpoint}\nserver-fingerprint = {fingerprint}\n",
        host.name, host.address
    );
    fs::write(root.join("etc/auto-monitor/client.conf"), text)?;
    Ok(root)
}

/// Hosts that the server has let in and watches.
fn crowd(site: &Site, count: usize) -> Result<Vec<Host>> {
    let program = Installed::find()?.program("auto-monitor");
    let endpoint = site.endpoint()?;
    let fingerprint = site.fingerprint()?;
    let mut hosts = Vec::new();
    for number in 0..count {
        let [_, _, b, c] = u32::try_from(number)?.to_be_bytes();
        let host = site.host_at(&fleet::name(number), Ipv4Addr::new(127, 9, b, c).into())?;
        let text = format!(
            "name = {}\nbind-address = {}\nserver = {endpoint}\nserver-fingerprint = {fingerprint}\n",
            host.name, host.address
        );
        fs::write(host.root().join("etc/auto-monitor/client.conf"), text)?;
        host.define("all.conf", &fleet::definition_file(number))?;
        hosts.push(host);
    }
    for some in hosts.chunks(20) {
        let running: Vec<Child> =
            some.iter().map(|host| register(&program, host.root(), WAIT)).collect::<Result<_>>()?;
        for mut one in running {
            let status = one.wait()?;
            ensure!(status.success(), "a host of the crowd was not let in: {status}");
        }
    }
    Ok(hosts)
}

/// What an unchanged registration costs the server, and what a thousand hosts that come at once notice.
pub fn sessions(site: &mut Site) -> Result<Vec<Outcome>> {
    site.configure("auto-approve = 127.9.0.0/16\n")?;
    site.set_quiet("")?;
    site.nagios.probe_nothing()?;
    site.nagios.keep_debians_pace()?;
    site.nagios.start()?;
    site.start_endpoint()?;
    let hosts = crowd(site, CROWD)?;
    site.start_publisher()?;
    watched(site, "\"openssh-server\":")?;
    let bare = Bare::start(site, &hosts, "true", "true")?;
    let reply = site.folder().join("reply.json");
    fs::write(&reply, REPLY)?;
    let answering = Bare::start(site, &hosts, "cat", &format!("cat {}", reply.display()))?;
    let endpoint = site.endpoint()?;
    let user = endpoint.split('@').next().context("an endpoint has a user")?;
    let fingerprint = site.fingerprint()?;
    let twins = |bare: &Bare| {
        let endpoint = format!("{user}@{}", bare.address);
        hosts.iter().map(|host| twin(host, &endpoint, &fingerprint)).collect::<Result<Vec<PathBuf>>>()
    };
    let twins_of_bare = twins(&bare)?;
    let program = Installed::find()?.program("auto-monitor");
    let roots: Vec<&Path> = hosts.iter().map(Host::root).collect();
    let bare_roots: Vec<&Path> = twins_of_bare.iter().map(PathBuf::as_path).collect();

    let mut outcomes = vec![unchanged(site, &bare, &program, &roots, &bare_roots)?];
    twins(&answering)?;
    for (number, host) in hosts.iter().enumerate() {
        host.define("more.conf", &format!("[more]\ntype = tcp\nport = {}\n", 2000 + number))?;
    }
    let before = generation(site)?;
    let first = all_at_once(&program, &bare_roots)?;
    let ours = all_at_once(&program, &roots)?;
    let then = all_at_once(&program, &bare_roots)?;
    watched(site, "\"more\":")?;
    let publishes = generation(site)? - before;
    let theirs = (first + then) / 2;
    outcomes.push(Outcome {
        what: "1,000 hosts register a change at once",
        unit: Unit::Seconds,
        ours: ours.as_secs_f64(),
        peer: Some(("the same at an sshd that runs `cat`", theirs.as_secs_f64())),
        // A throughput of 0.8.
        bound: Bound::Ratio(1.0 / 0.8),
    });
    outcomes.push(Outcome {
        what: "the same, how often it is published",
        unit: Unit::Times,
        ours: f64::from(publishes),
        peer: None,
        bound: Bound::AtMost(6.0),
    });
    Ok(outcomes)
}

/// One after the other, and nothing has changed: the processor's time of the server, by turns with the other sshd.
fn unchanged(
    site: &Site,
    bare: &Bare,
    program: &Path,
    roots: &[&Path],
    bare_roots: &[&Path],
) -> Result<Outcome> {
    let endpoint = site.ids().0.context("the endpoint runs")?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let before = (processor(endpoint)?, processor(bare.process.id())?);
        for at in round * SESSIONS..(round + 1) * SESSIONS {
            let status = register(program, roots[at], &[])?.wait()?;
            ensure!(status.success(), "an unchanged registration ended with {status}");
            // Told nothing by that server, it ends otherwise.
            register(program, bare_roots[at], &[])?.wait()?;
        }
        let each = |from: Duration, to: Duration| {
            to.saturating_sub(from).as_secs_f64() * 1000.0 / f64::from(u32::try_from(SESSIONS).unwrap_or(1))
        };
        ours.push(each(before.0, processor(endpoint)?));
        theirs.push(each(before.1, processor(bare.process.id())?));
    }
    let (ours, theirs) = (middle(ours), middle(theirs));
    Ok(Outcome {
        what: "an unchanged registration, server's processor",
        unit: Unit::Milliseconds,
        ours,
        peer: Some(("the same at an sshd that runs `true`", theirs)),
        bound: Bound::Ratio(1.3),
    })
}

/// All of them start at once; each must be told that it is registered.
fn all_at_once(program: &Path, roots: &[&Path]) -> Result<Duration> {
    let began = Instant::now();
    let running: Vec<Child> =
        roots.iter().map(|root| register(program, root, WAIT)).collect::<Result<_>>()?;
    for mut one in running {
        let status = one.wait()?;
        ensure!(status.success(), "a host of the crowd ended with {status}");
    }
    Ok(began.elapsed())
}

fn current(site: &Site) -> PathBuf {
    site.root().join(STATE_DIR).join("current")
}

fn generation(site: &Site) -> Result<u32> {
    let current = fs::read_link(current(site))?;
    let number = current.file_name().and_then(|name| name.to_str()).context("a generation has a number")?;
    Ok(number.parse()?)
}

/// Waits until something stands once for each host of the crowd in what is published.
fn watched(site: &Site, what: &str) -> Result<()> {
    wait_for(&format!("{what} of {CROWD} hosts is published"), Duration::from_secs(120), || {
        let text = fs::read_to_string(current(site).join("hosts.json")).unwrap_or_default();
        let there = text.matches(what).count();
        Ok(if there == CROWD { Ok(()) } else { Err(there.to_string()) })
    })
}
