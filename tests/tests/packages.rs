//! The lives of the Debian packages, on machines of a lab: installed, upgraded, removed and purged in every order; asked
//! and preseeded; interrupted; with a server that is there, silent or absent; with systemd and without.
//!
//! `make system-test` runs these, as root. What needs more time than that has, in more orders and with more machines, is
//! ignored there: `make test-packages-all` runs it, and `make bench-apt` what is measured.

#[path = "packages/delay.rs"]
mod delay;
#[path = "packages/images.rs"]
mod images;
#[path = "packages/life.rs"]
mod life;
#[path = "packages/maintenance.rs"]
mod maintenance;
#[path = "packages/orders.rs"]
mod orders;
#[path = "packages/questions.rs"]
mod questions;
#[path = "packages/registered.rs"]
mod registered;
#[path = "packages/server.rs"]
mod server;
#[path = "packages/site.rs"]
mod site;
#[path = "packages/triggers.rs"]
mod triggers;
