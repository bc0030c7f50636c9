//! Real servers to try the probes against, and the certificates that they show.
//!
//! Each is a value: it starts in a folder of the caller's, on a loopback address and ports of its own, and is ready when
//! `start` returns; it ends when it is dropped. One that does not start says why with the end of its log.
//!
//! All but Postfix run as an ordinary user. Where root starts one, those that refuse to be root become the user whom
//! their package made for them.
//!
//! The kernel ends a server with the *thread* that started it (see [`Process`](crate::process::Process)): each test starts
//! its own.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use crate::site::own_network;

mod account;
pub mod apache;
pub mod authority;
pub mod dovecot;
pub mod maildir;
pub mod openssl_server;
pub mod postfix;
pub mod slapd;

/// How long a server may take to start, on a machine that builds at the same time.
const PATIENCE: Duration = Duration::from_secs(20);

/// A loopback address that no other server uses.
#[must_use]
pub fn own_address() -> IpAddr {
    let [a, b, c] = own_network();
    IpAddr::V4(Ipv4Addr::new(a, b, c, 1))
}

/// A log's text, as far as there is one.
fn text(log: &Path) -> String {
    fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
