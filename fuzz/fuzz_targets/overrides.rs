//! Any bytes as an administrator's overrides: the promises of `monitoring-info/tests/invariants`. Above all, what is edited
//! says afterwards what the edit was to say, and nothing is opted out that the file does not opt out.
#![no_main]

#[expect(dead_code, reason = "half of it is for the other target")]
#[path = "../../monitoring-info/tests/invariants/mod.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| invariants::hold_of_overrides(bytes));
