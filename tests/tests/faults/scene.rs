//! What every scene looks at: what Nagios would read, what it has read, and what lies about.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use auto_monitor_tests::site::Site;
use monitoring_info::published::STATE_DIR;

/// What the names of files and folders begin with that are in the making.
const UNFINISHED: [&str; 4] = [".new", ".staging", ".scratch", ".current-new"];

/// The counting services of a host that the running Nagios has, in the order of its object cache.
pub fn counts(site: &Site, host: &str) -> Result<Vec<String>> {
    let path = site.root().join("var/lib/nagios4/objects.cache");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let ours = format!("\thost_name\t{host}\n");
    Ok(text
        .split("define service {")
        .filter(|object| object.contains(&ours))
        .filter_map(|object| object.split("\tservice_description\t").nth(1)?.lines().next())
        .filter(|name| name.starts_with("count-"))
        .map(str::to_owned)
        .collect())
}

/// The running Nagios has just this counting service of a host, or, with none, knows nothing of it.
pub fn has(site: &Site, host: &str, count: Option<u64>) -> Result<()> {
    let found = counts(site, host)?;
    let expected: Vec<String> = count.iter().map(|count| format!("count-{count}")).collect();
    ensure!(found == expected, "Nagios has {found:?} of {host} and should have {expected:?}");
    Ok(())
}

/// Publishes as an administrator would.
pub fn publish(site: &Site) -> Result<()> {
    site.server(&["publish"]).expect(0).map(drop)
}

/// Nothing in the server's state is in the making.
pub fn nothing_is_left(site: &Site) -> Result<()> {
    nothing_is_left_in(&site.root().join(STATE_DIR))
}

/// Nothing below a folder is in the making.
pub fn nothing_is_left_in(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        ensure!(!UNFINISHED.iter().any(|begin| name.starts_with(begin)), "{} is left", path.display());
        if path.is_dir() && !path.is_symlink() {
            nothing_is_left_in(&path)?;
        }
    }
    Ok(())
}

/// A copy of a folder with everything in it, as a backup is.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    ensure!(copied.success(), "cannot copy {} to {}", from.display(), to.display());
    Ok(())
}
