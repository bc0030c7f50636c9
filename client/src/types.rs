//! `types`: the reference, from the same files that judge definitions.

use monitoring_info::diagnostic::instead;
use monitoring_info::host::quoted;
use monitoring_info::reference::{self, TypeReference};
use monitoring_info::service::{KINDS, Kind};

use crate::failure::{Failure, Status};
use crate::screen::Screen;

/// Explains one type, or lists all.
///
/// # Errors
/// There is no type of this name.
pub fn run(screen: Screen, name: Option<&str>) -> Result<Status, Failure> {
    let Some(name) = name else {
        screen.answer(&reference::types(), reference::overview);
        return Ok(Status::Done);
    };
    let kind = Kind::named(name).ok_or_else(|| {
        let help = instead(name, KINDS.iter().map(|kind| kind.name), "the types are");
        Failure::here(format!("there is no type {}", quoted(name))).help(help)
    })?;
    screen.answer(&TypeReference::from(kind), || reference::details(kind));
    Ok(Status::Done)
}
