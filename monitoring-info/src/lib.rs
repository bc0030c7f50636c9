//! What a monitored host and its monitoring server agree on.
//!
//! The data's way is one way: a file's [text](ini) becomes sections, sections become [definitions](definition), definitions a
//! [registration], which the server publishes for the checking program, which computes [probes](probe) from it. This crate
//! does no I/O: it is the same code on the host, on the server and in the probe, so that the three cannot disagree.

pub mod alert;
pub mod announcement;
pub mod definition;
pub mod diagnostic;
pub mod fingerprint;
pub mod host;
pub mod ini;
pub mod mail;
pub mod maintenance;
pub mod overrides;
pub mod probe;
pub mod published;
pub mod reference;
pub mod registration;
mod secret;
pub mod server_address;
pub mod service;
pub mod state;
pub mod token;
pub mod value;
