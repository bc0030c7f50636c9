//! The guard against mass removal.
//!
//! What disappears by accident (a damaged disk, a restored backup, a script that empties `/etc/monitoring-info`) must not
//! silently end the watch over it. What is held back are the hosts concerned, each as it was last published; everything
//! else is published. To hold the whole publish instead would let one host stop everybody's.
//!
//! No accident is what somebody said: a host that deregistered or was removed, one that the administrator disabled, and
//! services that the host lists as opted out. Hosts that expire are meant to go one by one; many at once mean that the
//! endpoint did not answer, or that the clock jumped.

use std::collections::BTreeMap;

use monitoring_info::host::HostName;

use super::inputs::{Inputs, Wish};
use super::manifest::Manifest;

/// So many hosts may vanish at once, however few there are.
const HOSTS_MAX: usize = 3;
/// And this part of them, in percent.
const PERCENT_MAX: usize = 10;
/// A host with fewer services may lose them at once.
const SERVICES_MIN: usize = 2;

/// The hosts that are held back, and why, in a sentence.
pub(crate) fn held<T>(inputs: &Inputs<T>, current: &Manifest) -> BTreeMap<HostName, String> {
    let has_vanished =
        |name: &&HostName| matches!(inputs.hosts.get(*name), None | Some(Wish::Expired { .. }));
    let vanished: Vec<&HostName> = current.hosts.keys().filter(has_vanished).collect();
    let mut held = BTreeMap::new();
    if vanished.len() > HOSTS_MAX && vanished.len() * 100 > current.hosts.len() * PERCENT_MAX {
        let reason = format!(
            "{} of {} hosts have vanished from the registry or expired at once, and this is one of them",
            vanished.len(),
            current.hosts.len()
        );
        held.extend(vanished.into_iter().map(|name| (name.clone(), reason.clone())));
    }
    for (name, entry) in &current.hosts {
        let Some(Wish::Watched(wanted)) = inputs.hosts.get(name) else { continue };
        if wanted.is_empty {
            // What cannot be read may be much.
            let Ok(definitions) = entry.definitions.get() else {
                held.insert(name.clone(), "all of its services would go at once".to_owned());
                continue;
            };
            let lost = definitions.iter().filter(|name| !wanted.opted_out.contains(name)).count();
            if lost >= SERVICES_MIN {
                let n = definitions.len();
                held.insert(name.clone(), format!("all of its {n} services would go at once"));
            }
        }
    }
    held
}
