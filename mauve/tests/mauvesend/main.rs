//! `mauvesend` as it is called: real datagrams to real sockets, judged by Python.

mod command_lines;
mod destinations;
mod input;
mod names;
mod pages;
#[path = "../python/mod.rs"]
mod python;
mod station;
