//! Our packages on booted Debian machines: the use cases, what happens in the course of years, the lives of the packages,
//! and the definitions that we ship.
//!
//! `make system-test` runs these, as root. They are one program, so that at the end nothing is waited for but one slow test.

mod changes;
mod definitions;
mod packages;
mod stations;
mod use_cases;
