//! `check_certificate` against real servers with the certificates of an authority of these tests, and against hostile ones.
//!
//! What each gives is a table in `docs/probes.md`; every row of it is a scenario here, and the table says what was seen.

mod certificates;
mod handshakes;
mod hostile;
mod run;
mod servers;
mod table;
