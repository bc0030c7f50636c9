//! Who runs a server that refuses to be root: an ordinary user is himself, root becomes the package's own user.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use anyhow::{Context, Result};
use nix::unistd::{Gid, Group, Uid, User};

use super::authority::Files;
use crate::process::Process;

/// A user with his group.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub name: String,
    pub group: String,
    user_id: Uid,
    group_id: Gid,
}

impl Account {
    /// This user, or where this is root, the package's.
    pub fn of_package(name: &str) -> Result<Self> {
        let user = if is_root() {
            User::from_name(name)?
                .with_context(|| format!("no user {name}: the package is missing; tests/setup installs it"))?
        } else {
            User::from_uid(Uid::effective())?.context("this user has no name")?
        };
        let group = Group::from_gid(user.gid)?.context("this user's group has no name")?;
        Ok(Self { name: user.name, group: group.name, user_id: user.uid, group_id: group.gid })
    }

    /// Starts a program as him.
    pub fn start(&self, name: &str, program: &Path, arguments: &[&str], log: &Path) -> Result<Process> {
        if is_root() {
            Process::start_as(&self.name, name, program, arguments, log)
        } else {
            Process::start(name, program, arguments, log)
        }
    }

    /// Hands a file or folder over.
    pub fn give(&self, path: &Path) -> Result<()> {
        if !is_root() {
            return Ok(());
        }
        chown(path, Some(self.user_id.as_raw()), Some(self.group_id.as_raw()))
            .with_context(|| format!("cannot give {} to {}", path.display(), self.name))
    }

    /// Makes a folder of his.
    pub fn make_folder(&self, path: &Path) -> Result<()> {
        fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
        self.give(path)
    }

    /// Writes a file that only he reads.
    pub fn write_secret(&self, path: &Path, content: &[u8]) -> Result<()> {
        fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        self.give(path)
    }

    /// Copies a certificate and its key to where he reads them.
    pub fn copy(&self, files: &Files, folder: &Path) -> Result<()> {
        self.write_secret(&folder.join(CHAIN), &fs::read(&files.chain)?)?;
        self.write_secret(&folder.join(KEY), &fs::read(&files.key)?)
    }
}

/// What [`Account::copy`] names the copies.
pub(super) const CHAIN: &str = "tls.pem";
pub(super) const KEY: &str = "tls.key";

/// Whether this is root.
pub(super) fn is_root() -> bool {
    Uid::effective().is_root()
}

/// Makes a folder, and lets everybody pass through it and what is above it, as far as it is root's to let. Temporary
/// folders are their maker's alone, and the servers that root starts become other users.
pub(super) fn make_passable(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    if !is_root() {
        return Ok(());
    }
    let folder = folder.canonicalize()?;
    for above in folder.ancestors() {
        let metadata = above.metadata()?;
        let mode = metadata.mode();
        if mode & 0o011 != 0o011 {
            fs::set_permissions(above, fs::Permissions::from_mode(mode | 0o011))
                .with_context(|| format!("cannot let other users pass through {}", above.display()))?;
        }
    }
    Ok(())
}
