//! What there is to say of a registration: which of its definitions are refused, and what it changes.

use monitoring_info::registration::{Judged, RefusedDefinition, Registration, Sent};

use crate::registry::Record;

/// The most reasons that are told of one definition: with the next, so that the reply stays below the mebibyte that a
/// client reads.
const REASONS_MAX: usize = 5;
/// The most characters of a reason, or of a name that is none.
const REASON_MAX: usize = 200;

/// Why a definition is refused, if it is.
#[must_use]
pub fn refusal(definition: &Sent) -> Option<RefusedDefinition> {
    let cut = |text: &str| text.chars().take(REASON_MAX).collect::<String>();
    match definition.judge() {
        Judged::Refused(reasons) => Some(RefusedDefinition {
            name: cut(&definition.name),
            reasons: reasons.iter().take(REASONS_MAX).map(|reason| cut(reason)).collect(),
        }),
        Judged::Sound(_) | Judged::UnknownType(_) => None,
    }
}

/// The definitions that are refused.
#[must_use]
pub fn refused(registration: &Registration) -> Vec<RefusedDefinition> {
    registration.definitions.iter().filter_map(refusal).collect()
}

/// What a registration changes, by the names of services: `+new -gone ~other`.
pub(super) fn changes(held: Option<&Record>, registration: &Registration) -> String {
    let before =
        held.filter(|held| held.withdrawn.is_none()).map(|held| held.registration.definitions.as_slice());
    let before = before.unwrap_or_default();
    let after = registration.definitions.as_slice();
    let mut changes = Vec::new();
    for definition in after {
        match before.iter().find(|other| other.name == definition.name) {
            None => changes.push(format!("+{}", definition.name)),
            Some(other) if other != definition => changes.push(format!("~{}", definition.name)),
            Some(_) => {}
        }
    }
    let gone = before.iter().filter(|other| after.iter().all(|definition| definition.name != other.name));
    changes.extend(gone.map(|other| format!("-{}", other.name)));
    if changes.is_empty() { "nothing-watched".to_owned() } else { changes.join(",") }
}
