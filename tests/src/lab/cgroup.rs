//! Control groups: the one thing of a lab that outlives its processes, and so must be removed.
//!
//! Each machine needs one of its own. Its systemd takes the group that it finds itself in for the root of all, and two in
//! one group would take each other's services for their own.
//!
//! The name tells the process that owns the lab, so that what a killed one left behind is known for what it is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::patience::wait_for;

/// Before the owner's id and a number.
const PREFIX: &str = "auto-monitor-lab.";

/// The control groups of one lab, in each hierarchy that systemd manages.
#[derive(Debug)]
pub(super) struct Branch {
    folders: Vec<PathBuf>,
}

impl Branch {
    /// Makes them, below the groups of this process.
    ///
    /// # Errors
    /// There is no hierarchy of systemd's, or it is not to be written.
    pub(super) fn grow() -> Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{PREFIX}{}.{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folders: Vec<PathBuf> = own_groups()?.into_iter().map(|group| group.join(&name)).collect();
        for folder in &folders {
            fs::create_dir(folder)
                .with_context(|| format!("cannot make the control group {}", folder.display()))?;
        }
        Ok(Self { folders })
    }

    /// Makes those of a machine, and says which files a process joins them by.
    ///
    /// # Errors
    /// They cannot be made.
    pub(super) fn fork(&self, machine: &str) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for folder in &self.folders {
            let folder = folder.join(machine);
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make the control group {}", folder.display()))?;
            files.push(folder.join("cgroup.procs"));
        }
        Ok(files)
    }

    /// Removes them. The last processes may still be on their way out.
    ///
    /// # Errors
    /// A process in one does not end.
    pub(super) fn cut(&self) -> Result<()> {
        for folder in &self.folders {
            wait_for("the processes of a control group end", Duration::from_secs(10), || {
                remove(folder);
                Ok(if folder.exists() { Err(folder.display().to_string()) } else { Ok(()) })
            })?;
        }
        Ok(())
    }

    /// Removes those of owners that are no more.
    ///
    /// # Errors
    /// As for [`Branch::grow`].
    pub(super) fn sweep() -> Result<()> {
        for group in own_groups()? {
            for folder in folders(&group) {
                let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('.').next());
                if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
                    remove(&folder);
                }
            }
        }
        Ok(())
    }
}

/// The groups that this process is in, of the hierarchies that systemd manages: its own of version 1, that of version 2,
/// or both.
fn own_groups() -> Result<Vec<PathBuf>> {
    // `ID:CONTROLLERS:PATH`, see cgroups(7).
    let memberships = fs::read_to_string("/proc/self/cgroup").context("cannot read /proc/self/cgroup")?;
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
    let mounted = |kind: &str, option: Option<&str>| {
        mounts.lines().find_map(|line| {
            // `SOURCE FOLDER TYPE OPTIONS …`, see fstab(5).
            let fields: Vec<&str> = line.split(' ').collect();
            let [_, folder, its_kind, options, ..] = fields[..] else { return None };
            let suits = option.is_none_or(|option| options.split(',').any(|one| one == option));
            (its_kind == kind && suits).then(|| PathBuf::from(folder))
        })
    };
    let mut groups = Vec::new();
    for line in memberships.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let root = match fields.next() {
            Some("") => mounted("cgroup2", None),
            Some("name=systemd") => mounted("cgroup", Some("name=systemd")),
            _ => None,
        };
        if let (Some(root), Some(path)) = (root, fields.next()) {
            groups.push(root.join(path.trim_start_matches('/')));
        }
    }
    ensure!(
        !groups.is_empty(),
        "systemd in a machine needs control groups, and none are mounted; mount the unified hierarchy: \
         mount -t cgroup2 cgroup2 /sys/fs/cgroup"
    );
    Ok(groups)
}

fn folders(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Removes a group and those below it, as far as no process is in them.
fn remove(group: &Path) {
    for folder in folders(group) {
        remove(&folder);
    }
    // What is left is looked for by whoever needs to know.
    let _: io::Result<()> = fs::remove_dir(group);
}
