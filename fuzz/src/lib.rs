//! What several targets need: a server whose words are all known beforehand, and a mailbox that one token is waited for in.

pub mod mailbox;
pub mod server;

use std::error::Error;

use auto_monitor_checks::answer::Answer;
use monitoring_info::state::State;

/// Tells an error as a probe does, and gives the text: one line that forges nothing and that somebody reads to its end.
///
/// # Panics
/// It is none.
pub fn told(state: State, error: &dyn Error) -> String {
    let text = Answer::because(state, error).to_string();
    assert!(!text.contains(|c: char| c.is_control() || c == '|'), "{text:?}");
    assert!(text.len() < 8192 && text.contains(": "), "{text:?}");
    text
}
