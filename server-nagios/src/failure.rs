//! What could not be done to a file.

use std::io;
use std::path::PathBuf;

/// What could not be done to a file or folder.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FileError {
    /// `read`, `write`, …
    pub action: &'static str,
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}
