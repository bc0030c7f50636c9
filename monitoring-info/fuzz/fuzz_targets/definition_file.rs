//! Any bytes as a definition file and as overrides: no panic, and every promise of `tests/invariants` holds.
//!
//! In `monitoring-info`, with a nightly toolchain and `cargo install cargo-fuzz`; the fixtures are the seeds:
//!
//! ```sh
//! mkdir -p fuzz/corpus/definition_file
//! cargo +nightly fuzz run definition_file fuzz/corpus/definition_file ../tests/valid ../tests/invalid fuzz/seeds \
//!     -- -dict=fuzz/definition_file.dict -max_len=4096 -max_total_time=60
//! ```
#![no_main]

#[path = "../../tests/invariants/mod.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| invariants::hold(bytes));
