//! The lives of the Debian packages, on machines of a lab: installed, upgraded, removed and purged in every order; asked
//! and preseeded; interrupted; with a server that is there, silent or absent; with systemd and without.
//!
//! What needs more time than `make system-test` has, in more orders and with more machines, is ignored there:
//! `make test-packages-all` runs it, and `make bench-apt` what is measured.

mod delay;
mod images;
mod life;
mod maintenance;
mod orders;
mod questions;
mod registered;
mod server;
mod site;
mod triggers;
