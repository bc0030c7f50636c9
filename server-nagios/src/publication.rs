//! What became of a host at the last publish.

use monitoring_info::host::HostName;
use monitoring_info::registration::Publication;

use crate::paths::Paths;

/// What became of a host at the last publish; none where it was never part of one.
#[must_use]
pub fn of(_paths: &Paths, _name: &HostName) -> Option<Publication> {
    None
}
