//! `make lab`: Debian machines with a network of their own, and a shell in each, for a person who wants to look around.
//!
//! ```text
//! lab                        boots a server with Nagios and a client, with the packages of this checkout, until Ctrl-C
//! lab NAME [FILE.deb…]…      boots machines with these names, and installs these packages in them
//! lab shell NAME             a shell in a machine of the lab that runs
//! ```

use std::env;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anstream::{eprintln, println};
use anyhow::{Context, Result, bail};
use auto_monitor_tests::lab::packages::CLIENT;
use auto_monitor_tests::lab::{self, Base, Lab, Monitor, Network, Packages, Recipe};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// A machine that a person wants.
struct Wish<'a> {
    name: &'a str,
    /// What it begins with.
    base: Base,
    /// What is installed then.
    packages: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["shell", name] => shell(name),
        ["shell", ..] => Err(anyhow::anyhow!("usage: lab shell NAME")),
        _ => look_around(&words),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn look_around(words: &[&str]) -> Result<()> {
    let base = Base::prepare(&Recipe::default())?;
    if !words.is_empty() {
        return run(&base, &wishes(&base, words)?, "");
    }
    let packages = Packages::built()?;
    let (server, client) =
        (Monitor::base(&base, &packages)?, base.with_files(&packages.files(&CLIENT)?, "")?);
    let both = [("server", server), ("client", client)];
    run(&base, &both.map(|(name, base)| Wish { name, base, packages: Vec::new() }), TOUR)
}

/// A word is the name of a machine, or a package for the machine named before.
fn wishes<'a>(base: &Base, words: &[&'a str]) -> Result<Vec<Wish<'a>>> {
    let mut wishes: Vec<Wish<'_>> = Vec::new();
    for word in words {
        let is_package = Path::new(word).extension().is_some_and(|extension| extension == "deb");
        match wishes.last_mut() {
            Some(wish) if is_package => wish.packages.push(word.into()),
            _ if is_package || word.starts_with('-') => {
                bail!("usage: lab [NAME [FILE.deb…]]… | lab shell NAME; {word} is no name of a machine")
            }
            _ => wishes.push(Wish { name: word, base: base.clone(), packages: Vec::new() }),
        }
    }
    Ok(wishes)
}

/// Boots them, says what there is to see, and waits until the person has seen enough.
fn run(base: &Base, wishes: &[Wish<'_>], tour: &str) -> Result<()> {
    // Not before: to make a base takes a minute, and who interrupts it wants it to end at once.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let began = Instant::now();
    let lab = Lab::start(base, Network::Dual)?;
    let wanted: Vec<_> = wishes.iter().map(|wish| (wish.name, &wish.base)).collect();
    let machines = lab.boot_all(&wanted)?;
    for (machine, wish) in machines.iter().zip(wishes) {
        if !wish.packages.is_empty() {
            eprintln!("lab: installing {} package(s) on {}", wish.packages.len(), machine.name());
            machine.install_files(&wish.packages)?;
        }
    }
    println!("{} Debian machines are up, after {:.1} s.\n", machines.len(), began.elapsed().as_secs_f64());
    let program = env::current_exe()?;
    println!("A shell in each, from another terminal, as root:");
    for machine in &machines {
        let addresses: Vec<String> = machine.addresses().iter().map(ToString::to_string).collect();
        println!(
            "    {} shell {:12}  {}, {}",
            program.display(),
            machine.name(),
            machine.full_name(),
            addresses.join(", ")
        );
    }
    println!(
        "\n{tour}To look around in one:\n    \
         cat /etc/hosts             the names of all; they reach each other, and nothing else\n    \
         apt install apache2        without a network; `apt list` says what there is\n    \
         journalctl --follow        what happens\n\n\
         Ctrl-C here ends it. What was done in the machines is gone then."
    );
    signals.forever().next();
    lab.end()
}

/// What there is to see with our packages.
const TOUR: &str = "To have the client watched:
    client:  auto-monitor enrol          finds the server, and shows its fingerprint
    server:  auto-monitor-server status  shows the same fingerprint
    server:  auto-monitor-server approve client.lab.example
    client:  apt install apache2         and Nagios watches it
    server:  auto-monitor-server show client.lab.example

";

/// Becomes a shell in a machine of the lab that another process like this one owns.
fn shell(name: &str) -> Result<()> {
    let own = env::current_exe()?;
    let mut refusal = anyhow::anyhow!("no lab runs; make lab starts one");
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Ok(id) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let is_lab = std::fs::read_link(entry.path().join("exe")).is_ok_and(|program| program == own);
        if is_lab && id != std::process::id() {
            match lab::shell(id, name) {
                Ok(mut command) => return Err(command.exec()).context("cannot run nsenter"),
                Err(error) => refusal = error,
            }
        }
    }
    Err(refusal)
}
