//! What a lab needs of the computer that runs it.

use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Programs, and the Debian packages that they are of.
const PROGRAMS: [(&str, &str); 8] = [
    ("debootstrap", "debootstrap"),
    ("systemd-nspawn", "systemd-container"),
    ("journalctl", "systemd"),
    ("ip", "iproute2"),
    ("apt-ftparchive", "apt-utils"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
];

/// Passes if this computer can run a lab.
///
/// # Errors
/// It cannot; the error says everything that is missing, and what to do.
pub(super) fn check() -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "a lab boots machines, which needs root: namespaces, mounts, network interfaces. Call it as root or by sudo; \
         what it does to this computer is undone when it ends, but for a limit of the kernel's that it raises."
    );
    let path = env::var_os("PATH").unwrap_or_default();
    let found = |program: &str| env::split_paths(&path).any(|folder| folder.join(program).exists());
    let mut missing: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| !found(program)).map(|(_, package)| *package).collect();
    missing.dedup();
    ensure!(
        missing.is_empty(),
        "a lab needs these packages: {}; tests/lab-setup installs them",
        missing.join(" ")
    );
    room_for_machines()?;
    // A kernel may have it as a module that is not loaded yet.
    let _ = std::process::Command::new("modprobe").args(["--quiet", "overlay"]).status();
    let file_systems = fs::read_to_string("/proc/filesystems").context("cannot read /proc/filesystems")?;
    ensure!(
        file_systems.lines().any(|line| line.ends_with("\toverlay")),
        "a lab needs overlayfs, which this kernel does not have (CONFIG_OVERLAY_FS)"
    );
    Ok(())
}

/// Where Linux says how many watchers of files (inotify instances) one user may have; all machines share root's, and each
/// needs about eight. Many computers have 128.
const WATCHERS: &str = "/proc/sys/fs/inotify/max_user_instances";
/// For a hundred machines.
const WATCHERS_MIN: u32 = 1024;

/// Raises the one limit that machines would soon run into, with services that fail at random. It is the one thing that
/// stays changed on this computer, until its next boot; nobody is worse off for it.
fn room_for_machines() -> Result<()> {
    let limit: u32 = fs::read_to_string(WATCHERS)?.trim().parse().unwrap_or_default();
    if limit < WATCHERS_MIN {
        fs::write(WATCHERS, WATCHERS_MIN.to_string()).with_context(|| {
            format!("a lab needs {WATCHERS} to be {WATCHERS_MIN}, it is {limit}, and it cannot be written")
        })?;
    }
    Ok(())
}

/// The Debian release of this computer, which is that of the machines: its apt fetches their packages.
///
/// # Errors
/// It is not Debian.
pub(super) fn suite() -> Result<String> {
    let path = Path::new("/etc/os-release");
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let value =
        |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(|value| value.trim_matches('"'));
    ensure!(
        value("ID=") == Some("debian"),
        "a lab needs Debian's packages, and {} says that this is not Debian",
        path.display()
    );
    let suite = value("VERSION_CODENAME=").context("/etc/os-release has no VERSION_CODENAME")?;
    Ok(suite.to_owned())
}
