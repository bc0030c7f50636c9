//! Any bytes as a definition file, whole: the promises of `monitoring-info/tests/invariants`. Above all, each place leads back
//! to what was read, and a definition is the same behind the wire.
#![no_main]

#[expect(dead_code, reason = "half of it is for the other target")]
#[path = "../../monitoring-info/tests/invariants/mod.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| invariants::hold_of_a_definition_file(bytes));
