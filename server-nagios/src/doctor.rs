//! The command `doctor`: looks for faults of the installation, and says what to do about each.
//!
//! Each examination is a sentence about what was looked at; a fault has the next step beside it. They look at what is
//! there and change nothing.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anstyle::AnsiColor;
use monitoring_info::probe::OURS;
use serde::Serialize;

use crate::configuration::Configuration;
use crate::paths::Paths;
use crate::publish;
use crate::publish::manifest::Manifest;
use crate::target::nagios::Nagios;
use crate::target::{self, Engine, Running, Target};
use crate::{BAD_NEWS, Context, administrator, cli, registry, with_causes};

mod stations;

/// Less free space than this cannot hold a few generations.
const FREE_MIN: u64 = 64 * 1024 * 1024;

/// What was found.
#[derive(Debug, Serialize)]
struct Finding {
    /// What was looked at.
    about: &'static str,
    /// Whether it is well.
    well: bool,
    /// What was found.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// The result cannot be printed.
pub fn doctor(context: &Context, output: &cli::Output) -> anyhow::Result<ExitCode> {
    let findings = examine(context);
    if output.json {
        crate::print(format_args!("{}\n", serde_json::to_string(&findings)?))?;
    } else {
        for finding in &findings {
            let (word, style) = if finding.well {
                ("well ", AnsiColor::Green.on_default())
            } else {
                ("FAULT", AnsiColor::Red.on_default().bold())
            };
            crate::print(format_args!("{style}{word}{style:#}  {:<14} {}\n", finding.about, finding.found))?;
            if let Some(next) = &finding.next {
                crate::print(format_args!("       {:<14} {next}\n", "next:"))?;
            }
        }
    }
    Ok(ExitCode::from(if findings.iter().all(|finding| finding.well) { 0 } else { BAD_NEWS }))
}

fn well(about: &'static str, found: impl Display) -> Finding {
    Finding { about, well: true, found: found.to_string(), next: None }
}

fn fault(about: &'static str, found: impl Display, next: impl Display) -> Finding {
    Finding { about, well: false, found: found.to_string(), next: Some(next.to_string()) }
}

fn examine(context: &Context) -> Vec<Finding> {
    let paths = &context.paths;
    let configuration = match context.configuration() {
        Ok(configuration) => configuration,
        Err(error) => {
            return vec![fault(
                "server.conf",
                with_causes(&error),
                "mend the file; nothing else can be judged without it",
            )];
        }
    };
    let mut findings = vec![well("server.conf", paths.configuration().display())];
    findings.push(match administrator::load(paths) {
        Ok(overrides) => well(
            "hosts/*.conf",
            match overrides.len() {
                1 => "1 host has overrides".to_owned(),
                hosts => format!("{hosts} hosts have overrides"),
            },
        ),
        Err(error) => {
            fault("hosts/*.conf", with_causes(&error), "mend the files; nothing is published until then")
        }
    });
    findings.push(state(paths));
    findings.push(space(paths));
    findings.extend(endpoint(paths, &configuration));
    findings.extend(programs(&configuration));
    findings.extend(shared_mailflows(paths, &configuration));
    match Nagios::new(paths, &configuration) {
        Ok(target) => {
            findings.push(well("templates", "all can be read"));
            findings.extend(engine(paths, &configuration, &target));
            findings.extend(configuration.mauve.is_some().then(|| stations::heartbeat(&target)));
        }
        Err(error) => findings.push(fault("templates", error, "mend it, or remove it for the shipped one")),
    }
    findings.extend(stations::examine(paths, &configuration));
    findings
}

/// Can the state folder be written, and does nobody read it who should not?
fn state(paths: &Paths) -> Finding {
    const ABOUT: &str = "state folder";
    let state = paths.state();
    let metadata = match fs::metadata(&state) {
        Ok(metadata) => metadata,
        Err(error) => {
            let next = "start the endpoint once as the server's user, or install the package again";
            return fault(ABOUT, format!("{}: {error}", state.display()), next);
        }
    };
    if let Err(error) = tempfile::tempfile_in(&state) {
        return fault(
            ABOUT,
            format!("cannot write to {}: {error}", state.display()),
            format!("run this as the user {}, who owns it, or make the file system writable", metadata.uid()),
        );
    }
    let open = [paths.registry(), paths.enrolment()].into_iter().find_map(|folder| {
        let entries = fs::read_dir(folder).ok()?;
        entries
            .flatten()
            .find(|entry| entry.metadata().is_ok_and(|data| data.is_file() && data.mode() & 0o007 != 0))
    });
    match open {
        Some(entry) => fault(
            ABOUT,
            format!("{} can be read by everybody, and may hold passwords", entry.path().display()),
            format!("chmod o= {}", entry.path().display()),
        ),
        None => well(ABOUT, format!("{} can be written", state.display())),
    }
}

fn space(paths: &Paths) -> Finding {
    const ABOUT: &str = "disk space";
    match rustix::fs::statvfs(paths.state()) {
        Ok(data) => {
            let free = data.f_bavail * data.f_frsize;
            let found = format!("{} MiB free, {} inodes free", free / 1024 / 1024, data.f_favail);
            // Some file systems have no fixed number of inodes, and say 0 of 0.
            if free < FREE_MIN || (data.f_files > 0 && data.f_favail < 1000) {
                fault(ABOUT, found, format!("make room on the file system of {}", paths.state().display()))
            } else {
                well(ABOUT, found)
            }
        }
        Err(error) => fault(ABOUT, format!("cannot be told: {error}"), "see about the state folder first"),
    }
}

/// Does the endpoint answer, and is it ours?
fn endpoint(paths: &Paths, configuration: &Configuration) -> Vec<Finding> {
    const ABOUT: &str = "endpoint";
    let key = paths.host_key().with_extension("pub");
    let ours = match fs::read_to_string(&key) {
        Ok(text) => text.split_whitespace().nth(1).unwrap_or_default().to_owned(),
        Err(error) => {
            return vec![fault(
                ABOUT,
                format!("{}: {error}", key.display()),
                "start it: auto-monitor-server endpoint",
            )];
        }
    };
    let mut findings = Vec::new();
    for listen in &configuration.listen {
        let address = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        let address = SocketAddr::new(address, listen.port());
        if let Err(error) = TcpStream::connect_timeout(&address, Duration::from_secs(3)) {
            if error.kind() == io::ErrorKind::AddrNotAvailable {
                // A machine without IPv6 is not at fault for the default that listens on both.
                continue;
            }
            findings.push(fault(
                ABOUT,
                format!("nobody answers at {address}: {error}"),
                "start it: systemctl start auto-monitor-server, or by hand: auto-monitor-server endpoint",
            ));
            continue;
        }
        let scan = Command::new("ssh-keyscan")
            .args(["-T", "3", "-t", "ed25519", "-p", &address.port().to_string(), &address.ip().to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        findings.push(match scan {
            Ok(output)
                if String::from_utf8_lossy(&output.stdout).split_whitespace().any(|word| word == ours) =>
            {
                well(ABOUT, format!("answers at {address} with our host key"))
            }
            Ok(_) => fault(
                ABOUT,
                format!("what answers at {address} has not our host key"),
                format!(
                    "end what holds the port (ss -tlnp), or set `listen` in {}",
                    paths.configuration().display()
                ),
            ),
            Err(error) => fault(
                ABOUT,
                format!("cannot run ssh-keyscan: {error}"),
                "install openssh-client, to see whose key it is",
            ),
        });
    }
    findings
}

fn executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Are the programs there, and ours of one version?
fn programs(configuration: &Configuration) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (about, path, key, package) in [
        ("nagios", &configuration.nagios, "nagios", "nagios4-core"),
        ("sshd", &configuration.sshd, "sshd", "openssh-server"),
        ("check-program", &configuration.check_program, "check-program", "auto-monitor-checks"),
        ("plugins", &configuration.plugins.join("check_tcp"), "plugins", "monitoring-plugins"),
    ] {
        findings.push(if executable(path) {
            well(about, path.display())
        } else {
            fault(
                about,
                format!("{} is not there, or not executable", path.display()),
                format!("install {package}, or set `{key}` in server.conf"),
            )
        });
    }
    let missing: Vec<String> = OURS
        .iter()
        .map(|name| configuration.program_of_ours(name))
        .filter(|path| !executable(path))
        .map(|path| path.display().to_string())
        .collect();
    findings.push(if missing.is_empty() {
        well("our probes", format!("all {} are beside the check-program", OURS.len()))
    } else {
        fault(
            "our probes",
            format!("not there, or not executable: {}", missing.join(", ")),
            "install auto-monitor-checks; they belong beside the check-program",
        )
    });
    let version = executable(&configuration.check_program)
        .then(|| Command::new(&configuration.check_program).arg("--version").stdin(Stdio::null()).output());
    if let Some(Ok(output)) = version {
        let said = String::from_utf8_lossy(&output.stdout);
        let said = said.lines().next().unwrap_or_default().trim();
        let own = env!("CARGO_PKG_VERSION");
        findings.push(if said.split_whitespace().any(|word| word == own) {
            well("versions", format!("server and checking program are {own}"))
        } else {
            fault(
                "versions",
                format!("the server is {own}, and {} says `{said}`", configuration.check_program.display()),
                "install both of one version",
            )
        });
    }
    findings
}

/// Do the mailflows that hosts share name hosts that there are?
fn shared_mailflows(paths: &Paths, configuration: &Configuration) -> Option<Finding> {
    const ABOUT: &str = "mailflows";
    let shared = &configuration.shared_mailflows;
    if shared.is_empty() {
        return None;
    }
    let registered = match registry::names(paths) {
        Ok(names) => names,
        Err(error) => return Some(fault(ABOUT, with_causes(&error), "see about the state folder first")),
    };
    let named: BTreeSet<_> = shared.iter().flat_map(|one| one.hosts.iter().chain([&one.owner])).collect();
    let unknown: Vec<_> = named.iter().filter(|host| !registered.contains(host)).collect();
    Some(if unknown.is_empty() {
        well(ABOUT, format!("shared by {}", publish::few(&named)))
    } else {
        fault(
            ABOUT,
            format!("shared-mailflows names hosts that are not registered: {}", publish::few(unknown)),
            "mend the name in server.conf (auto-monitor-server list shows what there is), or register the host",
        )
    })
}

/// Does Nagios run, and read us?
fn engine(paths: &Paths, configuration: &Configuration, target: &Nagios) -> Vec<Finding> {
    let mut findings = Vec::new();
    let link = paths.rooted(&configuration.nagios_link);
    // A package lets `current` name an empty folder before the first publish.
    let manifest = match Manifest::current(paths) {
        Ok(manifest) => manifest,
        Err(error) => {
            findings.push(fault(
                "published",
                with_causes(&error),
                "run this as root; if that finds it too, mend or restore what it names",
            ));
            None
        }
    };
    let linked = fs::symlink_metadata(&link).is_ok();
    findings.push(match (linked, link.exists()) {
        (true, false) => fault(
            "link",
            format!("{} leads nowhere, and Nagios does not start so", link.display()),
            format!("publish, or remove it: rm {}", link.display()),
        ),
        (false, _) if manifest.is_some() => fault(
            "link",
            format!("{} is not there, so Nagios does not read what is published", link.display()),
            format!("ln -sfn {} {}", target.published().display(), link.display()),
        ),
        (false, _) => well("link", "none yet; the first publish makes it"),
        (true, true) => well("link", link.display()),
    });
    match tempfile::tempdir() {
        Ok(scratch) => {
            let set = manifest.as_ref().map(|_| paths.current().join(target.name()));
            findings.push(match target.verify(set.as_deref(), scratch.path()) {
                Ok(verdict) if verdict.good => well("configuration", "Nagios accepts it as it is now"),
                Ok(verdict) => {
                    let said: Vec<String> = verdict.faults.iter().take(3).map(ToString::to_string).collect();
                    fault(
                        "configuration",
                        format!("Nagios refuses it: {}", said.join("; ")),
                        "mend it; a restart would fail",
                    )
                }
                Err(error) => {
                    let main = paths.rooted(&configuration.nagios_configuration);
                    let next = if main.exists() {
                        "see about that first; Nagios runs with what it has read"
                    } else {
                        "install nagios4-core, or set `nagios-configuration` in server.conf"
                    };
                    fault("configuration", with_causes(&error), next)
                }
            });
        }
        Err(error) => findings.push(fault(
            "configuration",
            format!("no folder for scratch work: {error}"),
            "see about /tmp",
        )),
    }
    match target.running() {
        Running::Yes { process } => {
            findings.push(well("Nagios", format!("runs, process {process}")));
            findings.push(match target::deaf(paths, configuration) {
                None => well("maintenance", "Nagios can be told of it"),
                // An administrator may want it so; hosts under maintenance then cause alarms.
                Some(reason) => Finding {
                    next: Some(
                        "until then, an upgrade that restarts a service may raise an alarm".to_owned(),
                    ),
                    ..well("maintenance", reason)
                },
            });
            if let Some(manifest) = &manifest {
                let warnings = publish::warnings(target, manifest);
                if warnings.is_empty() {
                    findings.push(well("alarms", "every service is watched, and somebody is told"));
                }
                for warning in warnings {
                    findings.push(fault("alarms", warning, "then: auto-monitor-server publish"));
                }
                findings.push(match target.reads_us() {
                    Ok(true) => well("reads us", "our command is among its objects"),
                    Ok(false) => fault(
                        "reads us",
                        "nothing of ours is among its objects",
                        "auto-monitor-server publish",
                    ),
                    Err(sentence) => fault("reads us", sentence, "run this as a user who may read it"),
                });
                findings.push(readable(paths, process));
            }
        }
        Running::No { reason } => {
            findings.push(fault("Nagios", format!("does not run: {reason}"), "systemctl start nagios4"));
        }
        Running::Unknown { reason } => {
            let found = format!("unknown whether it runs: {reason}");
            findings.push(fault("Nagios", found, "see about that, or run this as root"));
        }
    }
    findings
}

/// May the user that Nagios runs as read what is published?
fn readable(paths: &Paths, process: u32) -> Finding {
    const ABOUT: &str = "permissions";
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let numbers = |field: &str| -> Vec<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
        line.split_whitespace().filter_map(|number| number.parse().ok()).collect()
    };
    // Of real, effective, saved and file system id, the effective one.
    let user = numbers("Uid:").get(1).copied();
    let mut groups = numbers("Groups:");
    groups.extend(numbers("Gid:").get(1));
    let may = |path: &Path, bit: u32| {
        fs::metadata(path).is_ok_and(|data| {
            let shift = if user == Some(data.uid()) {
                6
            } else if groups.contains(&data.gid()) {
                3
            } else {
                0
            };
            user == Some(0) || data.mode() >> shift & bit == bit
        })
    };
    let folder = fs::canonicalize(paths.documents()).unwrap_or_default();
    let closed = folder.ancestors().find(|folder| !may(folder, 0o1)).map(Path::to_owned);
    let document =
        fs::read_dir(&folder).ok().and_then(|mut entries| entries.next()?.ok()).map(|entry| entry.path());
    let closed = closed.or_else(|| document.filter(|document| !may(document, 0o4)));
    match closed {
        Some(path) => fault(
            ABOUT,
            format!("the user of Nagios ({}) may not read {}", user.unwrap_or_default(), path.display()),
            format!("give {} to Nagios's group: chgrp -R nagios, chmod g+rX,g+s", paths.state().display()),
        ),
        None => well(ABOUT, "the user of Nagios may read what is published"),
    }
}
