//! The administrator's commands about keys: `pending`, `approve`, `reject`, `revoke`, `remove`, `rename`.

use std::process::ExitCode;

use anyhow::bail;
use monitoring_info::fingerprint::Fingerprint;
use monitoring_info::host::{HostName, quoted};
use monitoring_info::registration::Enrolment;

use crate::enrolment::{self, Error, Key, Ledger, PENDING_DAYS, Standing};
use crate::paths::Paths;
use crate::table::ago;
use crate::{BAD_NEWS, Context, cli, print, say};

/// Runs `pending`.
///
/// # Errors
/// The enrolment cannot be read.
pub fn pending(context: &Context, output: &cli::Output) -> anyhow::Result<ExitCode> {
    let keys = enrolment::pending(&context.paths)?;
    let mut entries = Vec::new();
    for key in keys {
        let holder = enrolment::holder(&context.paths, &key.name)?;
        let holder = holder.as_ref().and_then(Standing::key).map(|other| other.fingerprint);
        entries.push((key, holder));
    }
    if output.json {
        let hosts: Vec<_> = entries
            .iter()
            .map(|(key, holder)| {
                serde_json::json!({"name": key.name, "address": key.address, "fingerprint": key.fingerprint,
                                   "since": key.since, "replaces": holder})
            })
            .collect();
        say(serde_json::json!({ "pending": hosts }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if entries.is_empty() {
        say("No host waits for approval.")?;
        return Ok(ExitCode::SUCCESS);
    }
    // A fingerprint beside the rest would not fit into 80 columns.
    for (Key { name, address, fingerprint, since, .. }, _) in &entries {
        print(format_args!("{name}  from {address}, {}\n  {fingerprint}\n", ago(*since)))?;
    }
    say("\nCompare the fingerprint with what `auto-monitor status` shows on the host. Then:")?;
    for (key, holder) in &entries {
        let rivals = entries.iter().filter(|(other, _)| other.name == key.name).count() > 1;
        let who = if rivals { key.fingerprint.to_string() } else { key.name.to_string() };
        let replace = if holder.is_some() { "--replace " } else { "" };
        say(format_args!("  auto-monitor-server approve {replace}{who}"))?;
    }
    for (key, holder) in &entries {
        if let Some(holder) = holder {
            say(format_args!(
                "The name {} belongs to the key {holder}. If the host was not installed anew, somebody else asks for \
                 its name: auto-monitor-server reject {}",
                key.name, key.fingerprint
            ))?;
        }
    }
    say(format_args!("A host waits for {PENDING_DAYS} days."))?;
    Ok(ExitCode::SUCCESS)
}

/// Why a key that the administrator named is not the one that was meant.
enum NotFound {
    /// There is none.
    None,
    /// There are several.
    Several(Vec<Key>),
}

/// The key that a fingerprint stands for, or the one that a name does.
fn find(
    paths: &Paths,
    word: &str,
    by_name: impl Fn(&HostName) -> Result<Vec<Key>, Error>,
) -> anyhow::Result<Result<Standing, NotFound>> {
    if let Ok(fingerprint) = word.parse::<Fingerprint>() {
        return Ok(match enrolment::standing(paths, &fingerprint)? {
            Standing::Unknown => Err(NotFound::None),
            standing => Ok(standing),
        });
    }
    if word.starts_with("SHA256:") {
        bail!(
            "{} is no whole fingerprint: SHA256: and 43 more characters; auto-monitor-server pending, show and list \
             --json have them",
            quoted(word)
        );
    }
    let name: HostName = match word.parse() {
        Ok(name) => name,
        Err(error) => bail!("{error}; give a host's name, or a fingerprint like SHA256:…"),
    };
    let keys = by_name(&name)?;
    Ok(match keys.as_slice() {
        [] => Err(NotFound::None),
        [key] => Ok(enrolment::standing(paths, &key.fingerprint)?),
        _ => Err(NotFound::Several(keys)),
    })
}

fn waiting_for(paths: &Paths, name: &HostName) -> Result<Vec<Key>, Error> {
    let mut keys = enrolment::pending(paths)?;
    keys.retain(|key| key.name == *name);
    Ok(keys)
}

/// Why no key waits that an approval by name could mean; whether that is because one is approved. A name does not let
/// a key in that was turned away or revoked: whoever types it may mean the host's new key, which has not asked yet.
fn tell_why_none_waits(paths: &Paths, word: &str) -> anyhow::Result<bool> {
    let mut told = false;
    for standing in enrolment::decided(paths)? {
        let (Some(key), what) = (standing.key(), standing.enrolment()) else { continue };
        let what = match what {
            _ if key.name.as_str() != word => continue,
            Enrolment::Approved => {
                say(format_args!("{word} is approved already, with the key {}.", key.fingerprint))?;
                return Ok(true);
            }
            Enrolment::Revoked => "revoked",
            _ => "turned away",
        };
        let key = key.fingerprint;
        anstream::eprintln!(
            "error: the key {key} of {word} was {what}; to let it in after all: auto-monitor-server approve {key}"
        );
        told = true;
    }
    if !told {
        anstream::eprintln!("error: {word} does not wait for approval; on the host: auto-monitor enrol");
    }
    Ok(false)
}

fn tell_several(word: &str, verb: &str, keys: &[Key]) {
    anstream::eprintln!("error: {} keys wait for the name {word}; name the right one:", keys.len());
    for key in keys {
        anstream::eprintln!(
            "  auto-monitor-server {verb} {}   (from {}, {})",
            key.fingerprint,
            key.address,
            ago(key.since)
        );
    }
}

/// Runs `approve`.
///
/// # Errors
/// An argument is neither name nor fingerprint; or the state cannot be written.
pub fn approve(context: &Context, arguments: &cli::Approve) -> anyhow::Result<ExitCode> {
    let paths = &context.paths;
    let ledger = Ledger::lock(paths)?;
    let mut status = ExitCode::SUCCESS;
    let mut fail = || status = ExitCode::from(BAD_NEWS);
    for word in &arguments.keys {
        let key = match find(paths, word, |name| waiting_for(paths, name))? {
            Ok(Standing::Approved(key)) => {
                say(format_args!("{} is approved already, with the key {}.", key.name, key.fingerprint))?;
                continue;
            }
            Ok(standing) => match standing.key() {
                Some(key) => key.clone(),
                None => continue,
            },
            Err(NotFound::Several(keys)) => {
                tell_several(word, if arguments.replace { "approve --replace" } else { "approve" }, &keys);
                fail();
                continue;
            }
            Err(NotFound::None) => {
                if !tell_why_none_waits(paths, word)? {
                    fail();
                }
                continue;
            }
        };
        match ledger.approve(&key, arguments.replace, "administrator") {
            Ok(None) => say(format_args!("{} is approved, with the key {}.", key.name, key.fingerprint))?,
            Ok(Some(before)) => say(format_args!(
                "{} is approved, with the key {}. The key {before} that it had is revoked.",
                key.name, key.fingerprint
            ))?,
            Err(Error::Taken { name, holder }) => {
                anstream::eprintln!(
                    "error: the name {name} is bound to the key {holder}, and {} is another one\n  If {name} was \
                     installed anew: auto-monitor-server approve --replace {word}\n  If not, somebody else asks for \
                     its name: auto-monitor-server reject {}",
                    key.fingerprint,
                    key.fingerprint
                );
                fail();
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(status)
}

/// Runs `reject`.
///
/// # Errors
/// An argument is neither name nor fingerprint; or the state cannot be written.
pub fn reject(context: &Context, arguments: &cli::Reject) -> anyhow::Result<ExitCode> {
    let paths = &context.paths;
    let ledger = Ledger::lock(paths)?;
    let mut status = ExitCode::SUCCESS;
    let mut fail = || status = ExitCode::from(BAD_NEWS);
    for word in &arguments.keys {
        match find(paths, word, |name| waiting_for(paths, name))? {
            Ok(Standing::Pending(key)) => {
                ledger.reject(&key)?;
                say(format_args!("{} with the key {} is turned away.", key.name, key.fingerprint))?;
            }
            Ok(Standing::Approved(key)) => {
                anstream::eprintln!(
                    "error: {} is approved; to take that back: auto-monitor-server revoke {}",
                    key.name,
                    key.name
                );
                fail();
            }
            Ok(_) => say(format_args!("{word} is not let in already."))?,
            Err(NotFound::Several(keys)) => {
                tell_several(word, "reject", &keys);
                fail();
            }
            Err(NotFound::None) => {
                anstream::eprintln!(
                    "error: {word} does not wait for approval; auto-monitor-server pending shows who does"
                );
                fail();
            }
        }
    }
    Ok(status)
}

/// Runs `revoke`.
///
/// # Errors
/// An argument is neither name nor fingerprint; or the state cannot be written.
pub fn revoke(context: &Context, arguments: &cli::Revoke) -> anyhow::Result<ExitCode> {
    let paths = &context.paths;
    let ledger = Ledger::lock(paths)?;
    let mut status = ExitCode::SUCCESS;
    let holder = |name: &HostName| {
        let holder = enrolment::holder(paths, name)?;
        Ok(holder.as_ref().and_then(Standing::key).cloned().into_iter().collect())
    };
    for word in &arguments.keys {
        match find(paths, word, holder)? {
            Ok(Standing::Approved(key)) => {
                ledger.revoke(&key)?;
                say(format_args!(
                    "{} can register no more. It stays watched as it is; to end that as well: auto-monitor-server \
                     remove {}",
                    key.name, key.name
                ))?;
            }
            Ok(Standing::Revoked(_)) => say(format_args!("{word} is revoked already."))?,
            Ok(_) | Err(_) => {
                anstream::eprintln!("error: {word} is not approved; auto-monitor-server list shows who is");
                status = ExitCode::from(BAD_NEWS);
            }
        }
    }
    Ok(status)
}

/// Runs `remove`.
///
/// # Errors
/// The state cannot be written.
pub fn remove(context: &Context, arguments: &cli::Names) -> anyhow::Result<ExitCode> {
    let ledger = Ledger::lock(&context.paths)?;
    let mut status = ExitCode::SUCCESS;
    for name in &arguments.names {
        match ledger.remove(name) {
            Ok(()) => say(format_args!(
                "{name} is watched no longer, from the next publish on, and its key is forgotten. To keep the host \
                 from asking again, run on it: apt remove auto-monitor-client"
            ))?,
            Err(error @ Error::NoHost(_)) => {
                anstream::eprintln!("error: {error}; auto-monitor-server list shows the hosts");
                status = ExitCode::from(BAD_NEWS);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(status)
}

/// Runs `rename`.
///
/// # Errors
/// The state cannot be written.
pub fn rename(context: &Context, arguments: &cli::Rename) -> anyhow::Result<ExitCode> {
    let cli::Rename { old, new } = arguments;
    let paths = &context.paths;
    let ledger = Ledger::lock(paths)?;
    let refusal = match ledger.rename(old, new) {
        Ok(()) => {
            say(format_args!(
                "{old} is {new} from the next publish on. The host must call itself so too: if its FQDN is not {new}, \
                 set `name = {new}` in its client.conf."
            ))?;
            let overrides = paths.host_overrides().join(format!("{old}.conf"));
            if overrides.exists() {
                say(format_args!("{} is for the old name; rename it to {new}.conf.", overrides.display()))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        Err(error @ Error::NoHost(_)) => {
            format!("{error} that is approved; auto-monitor-server list shows the hosts")
        }
        Err(error @ Error::Exists(_)) => format!("{error}; to make room: auto-monitor-server remove {new}"),
        Err(error) => return Err(error.into()),
    };
    anstream::eprintln!("error: {refusal}");
    Ok(ExitCode::from(BAD_NEWS))
}
