//! Any bytes as a datagram: no panic, and every promise of `tests/invariants` holds.
//!
//! In `mauve`, with a nightly toolchain and `cargo install cargo-fuzz`:
//!
//! ```sh
//! mkdir -p fuzz/corpus/datagram
//! cargo +nightly fuzz run datagram fuzz/corpus/datagram fuzz/seeds -- -max_len=4096 -max_total_time=60
//! ```
#![no_main]

#[path = "../../tests/invariants/mod.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = invariants::hold(bytes);
});
