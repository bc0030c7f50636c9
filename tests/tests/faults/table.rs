//! How many faults were survived: what the documentation repeats.

/// Which part of the faults is tried.
const VARIABLE: &str = "AUTO_MONITOR_FAULTS";

/// Whether everything is tried (`make test-faults`), or as much as there is time for whenever something is tested.
pub fn everything() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|value| value == "every")
}

/// Every one of what there is, or only every so many.
pub fn stride(thinned: usize) -> usize {
    if everything() { 1 } else { thinned }
}

/// Says how many faults were survived.
pub fn row(subject: &str, fault: &str, count: usize) {
    println!("| {subject} | {fault} | {count} |");
}
