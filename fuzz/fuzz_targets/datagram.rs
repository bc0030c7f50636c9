//! Any bytes as a datagram of Mauve's: the promises of `mauve/tests/invariants`. Above all, what was read is written and read as
//! the same.
#![no_main]

#[path = "../../mauve/tests/invariants/mod.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = invariants::hold(bytes);
});
