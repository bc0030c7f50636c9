//! The monitoring server: it takes the registrations of hosts, and renders, verifies and publishes configuration for the
//! engine that is already there.

pub mod durable;
pub mod paths;
pub mod registry;
