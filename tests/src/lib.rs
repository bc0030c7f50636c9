//! A whole site in a scratch folder: a server with its endpoint, a Nagios of its own, hosts with real services.
//!
//! Everything is a real process that listens on a loopback address of its own; nothing is a stand-in but
//! the alert station ([`station`]), which is Ruby elsewhere. All of it runs as
//! the ordinary user who runs this, needs no privileges, writes nothing outside of its folder, and ends with the
//! values of this library: each process is told by the kernel when its parent dies, so that not even a killed
//! demonstration leaves anything behind.
//!
//! What happens to a whole host (packages, units, multicast) needs one that is booted: that is [`lab`], which needs root.
//!
//! This is a harness for binaries and tests, so its errors are `anyhow`'s: nobody matches on them, a person reads them.

pub mod expectation;
pub mod fleet;
pub mod host;
pub mod installed;
pub mod lab;
pub mod nagios;
pub mod patience;
pub mod process;
pub mod servers;
pub mod service;
pub mod site;
pub mod station;
pub mod status;
