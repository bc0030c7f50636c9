//! Who this process is, whose the state is, and what this machine is called.

use std::ffi::CString;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use monitoring_info::fingerprint::hexadecimal;
use nix::unistd::{Gid, Uid, User};
use sha2::{Digest, Sha256};

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

/// Eight digits that tell this machine from any other on its network, also from one of the same name.
///
/// Made from `/etc/machine-id`, which itself is not to be shown to others (machine-id(5)). It stays what it is when the
/// endpoint gets another host key, so that hosts find the server, and then see that its key has changed. Where there is
/// no such file, machines of one name have one mark.
#[must_use]
pub fn machine_mark() -> String {
    let id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let digest = Sha256::digest(format!("auto-monitor announcement\0{}", id.trim()));
    hexadecimal(&digest[..4])
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
    let Some((user, _)) = other_owner(state)? else { return Ok(()) };
    let doing = || format!("cannot become {}, whose {} is", user.name, state.display());
    nix::unistd::initgroups(&c_name(&user)?, user.gid).with_context(doing)?;
    nix::unistd::setgid(user.gid).with_context(doing)?;
    nix::unistd::setuid(user.uid).with_context(doing)
}

/// The same, for a command that has to reach the engine [as root](as_root) too. What it writes belongs to the account
/// and to the group of the state folder, which may be the engine's; and it is written with the account's rights, so that
/// no link that somebody with that account has laid leads root anywhere.
///
/// # Errors
/// The account cannot be looked up or taken on.
pub fn act_as_owner(state: &Path) -> anyhow::Result<()> {
    let Some((user, group)) = other_owner(state)? else { return Ok(()) };
    let doing = || format!("cannot act as {}, whose {} is", user.name, state.display());
    nix::unistd::initgroups(&c_name(&user)?, user.gid).with_context(doing)?;
    nix::unistd::setegid(group).with_context(doing)?;
    nix::unistd::seteuid(user.uid).with_context(doing)
}

/// Whether root runs this, and it acts as another account for the time being.
#[must_use]
pub fn acts_for_root() -> bool {
    Uid::current().is_root() && !Uid::effective().is_root()
}

/// Does something as root where root [acts as another account](act_as_owner), and else as who we are.
///
/// # Panics
/// The system does not let the process become root again, or act as the account again: to go on as the wrong one would
/// be worse.
pub fn as_root<T>(work: impl FnOnce() -> T) -> T {
    if !acts_for_root() {
        return work();
    }
    let _account = Account::leave();
    work()
}

/// The account that the process acts as again when this goes.
struct Account {
    user: Uid,
    group: Gid,
}

impl Account {
    fn leave() -> Self {
        let account = Self { user: Uid::effective(), group: Gid::effective() };
        nix::unistd::seteuid(Uid::from_raw(0)).expect("a process that root runs may act as root");
        nix::unistd::setegid(Gid::from_raw(0)).expect("root may act as every group");
        account
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        nix::unistd::setegid(self.group).expect("root may act as every group");
        nix::unistd::seteuid(self.user).expect("root may act as every user");
    }
}

/// Where root runs this and the state is another account's: that account, and the state folder's group.
fn other_owner(state: &Path) -> anyhow::Result<Option<(User, Gid)>> {
    let Ok(metadata) = std::fs::metadata(state) else { return Ok(None) };
    if !Uid::effective().is_root() || metadata.uid() == 0 {
        return Ok(None);
    }
    Ok(Some((account(Uid::from_raw(metadata.uid()))?, Gid::from_raw(metadata.gid()))))
}

fn c_name(user: &User) -> anyhow::Result<CString> {
    CString::new(user.name.as_str()).with_context(|| format!("no account can be called {:?}", user.name))
}
