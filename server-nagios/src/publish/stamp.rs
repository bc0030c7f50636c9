//! By what is seen that nothing has changed: stamps of files, and digests of what was said.

use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use monitoring_info::fingerprint::hexadecimal;
use monitoring_info::host::HostName;
use rustix::fs::Stat;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Error;
use crate::folder::Folder;
use crate::target::Target;

/// How a file was last written: inode, size, and the times of its content and of its inode in nanoseconds. Files of ours
/// are replaced and never written to, so two that differ have different ones, whatever a clock or a backup does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp(u64, u64, i64, i64);

/// In nanoseconds.
const SECOND: i64 = 1_000_000_000;
/// For how long the clock of a file system stands still at most: two of the kernel's slowest ticks; where it has whole
/// seconds alone, two of those.
const TICK: i64 = SECOND / 50;
const COARSE_TICK: i64 = 2 * SECOND;

impl Stamp {
    /// That of no file.
    pub(super) const NONE: Self = Self(0, 0, 0, 0);

    /// Whether no later file can have it. One that takes the other's place within a tick of the clock has the same times, and
    /// maybe the size, and the inode that has just become free.
    pub(super) fn is_settled(&self, now: SystemTime) -> bool {
        let Self(_, _, _, changed) = *self;
        let tick = if changed % SECOND == 0 { COARSE_TICK } else { TICK };
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        i128::from(changed) + i128::from(tick) <= i128::try_from(now).unwrap_or(i128::MAX)
    }

    pub(super) fn of(path: &Path) -> Option<Self> {
        rustix::fs::stat(path).ok().map(Self::from)
    }

    /// That of a host's record.
    pub(super) fn of_record(registry: &Folder, name: &HostName) -> Option<Self> {
        registry.stat(format!("{name}.json")).ok().map(Self::from)
    }
}

impl From<Stat> for Stamp {
    #[expect(clippy::useless_conversion, reason = "the fields have other types on other machines")]
    fn from(stat: Stat) -> Self {
        let time = |seconds: i64, nanoseconds: i64| seconds.wrapping_mul(SECOND).wrapping_add(nanoseconds);
        let nanoseconds = |number: u64| i64::try_from(number).unwrap_or_default();
        Self(
            stat.st_ino.into(),
            u64::try_from(stat.st_size).unwrap_or_default(),
            time(stat.st_mtime.into(), nanoseconds(stat.st_mtime_nsec.into())),
            time(stat.st_ctime.into(), nanoseconds(stat.st_ctime_nsec.into())),
        )
    }
}

/// The path of a file, and how that was last written; none where it is not there. Bytes, because administrators name their
/// files as they like, and serde refuses a path that is no UTF-8.
pub(super) type FileState = (Vec<u8>, Option<Stamp>);

/// The files that the outcome depends on beside the registry, as they are now. To be taken before any of them is read,
/// so that one that changes meanwhile is seen to have changed by the next publish.
pub(super) fn file_states(target: &(impl Target + ?Sized)) -> Vec<FileState> {
    let state = |file: PathBuf| {
        let stamp = Stamp::of(&file);
        (file.into_os_string().into_vec(), stamp)
    };
    target.watched_files().into_iter().map(state).collect()
}

/// A digest of what something is made from.
#[derive(Debug, Default)]
pub(super) struct InputDigest(Sha256);

impl InputDigest {
    pub(super) fn of(value: &impl Serialize) -> Result<String, Error> {
        let mut digest = Self::default();
        digest.add(value)?;
        Ok(digest.text())
    }

    pub(super) fn text(self) -> String {
        hexadecimal(&self.0.finalize())
    }

    /// Adds anything serializable as its JSON, which delimits itself. What cannot be serialized must not go unsaid: without
    /// it, whatever it becomes would be the same, and no change of it would ever be published.
    pub(super) fn add(&mut self, value: &impl Serialize) -> Result<(), Error> {
        self.0.update(serde_json::to_vec(value).map_err(Error::Digest)?);
        self.0.update(b"\n");
        Ok(())
    }
}
