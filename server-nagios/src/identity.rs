//! Who this process is, whose the state is, and what this machine is called.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use nix::unistd::{Uid, User};

/// The name of this machine, with its domain if it knows it.
///
/// # Errors
/// The program `hostname` of the system does not say.
pub fn host_name() -> anyhow::Result<String> {
    let output = Command::new("hostname").arg("--fqdn").output().context("cannot run hostname --fqdn")?;
    let name = String::from_utf8_lossy(&output.stdout).trim().to_ascii_lowercase();
    if !output.status.success() || name.is_empty() {
        bail!("hostname --fqdn: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(name)
}

/// The account of this process.
///
/// # Errors
/// The system's user database has none for it.
pub fn own_account() -> anyhow::Result<User> {
    account(Uid::effective())
}

fn account(uid: Uid) -> anyhow::Result<User> {
    User::from_uid(uid)
        .with_context(|| format!("cannot look up the account of user {uid}"))?
        .with_context(|| format!("user {uid} has no account"))
}

/// The name of the account that the state belongs to, which is the one that hosts log in as; this process's own where
/// there is no state yet.
///
/// # Errors
/// The system's user database has no such account.
pub fn owner(state: &Path) -> anyhow::Result<String> {
    let uid = std::fs::metadata(state).map_or_else(|_| Uid::effective(), |state| Uid::from_raw(state.uid()));
    Ok(account(uid)?.name)
}

/// When root runs a command, become the account that the state belongs to, if there is one: so what the command writes
/// can be read by the endpoint, and nothing that touches what clients sent runs as root.
///
/// # Errors
/// The account cannot be looked up or taken on.
pub fn become_owner(state: &Path) -> anyhow::Result<()> {
    let Ok(metadata) = std::fs::metadata(state) else { return Ok(()) };
    if !Uid::effective().is_root() || metadata.uid() == 0 {
        return Ok(());
    }
    let user = account(Uid::from_raw(metadata.uid()))?;
    let doing = || format!("cannot become {}, whose {} is", user.name, state.display());
    let name = std::ffi::CString::new(user.name.as_str()).with_context(doing)?;
    nix::unistd::initgroups(&name, user.gid).with_context(doing)?;
    nix::unistd::setgid(user.gid).with_context(doing)?;
    nix::unistd::setuid(user.uid).with_context(doing)
}
