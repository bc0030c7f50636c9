//! Nagios's main configuration file, as far as it concerns us.
//!
//! `NAME=VALUE` lines; `#` begins a comment line. Relative paths are meant from the file's own folder (`nspath_absolute`
//! in Nagios's `base/config.c`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Nagios's unit of intervals where the file does not set it, in seconds.
pub(super) const INTERVAL_LENGTH: u64 = 60;

/// The lines of a `nagios.cfg`.
#[derive(Debug, Clone)]
pub(super) struct MainFile {
    folder: PathBuf,
    settings: Vec<(String, String)>,
}

impl MainFile {
    /// Reads it.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let text = String::from_utf8_lossy(&fs::read(path)?).into_owned();
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self::parse(folder, &text))
    }

    fn parse(folder: PathBuf, text: &str) -> Self {
        let settings = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with(['#', ';']))
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        Self { folder, settings }
    }

    /// The settings in order.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A path in it, made absolute.
    pub(super) fn absolute(&self, value: &str) -> PathBuf {
        self.folder.join(value)
    }

    /// The path that a setting names; of several, the last, as Nagios has it.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.settings().filter(|(known, _)| *known == name).last().map(|(_, value)| self.absolute(value))
    }

    /// The unit of intervals, in seconds.
    pub(super) fn interval_length(&self) -> u64 {
        let lengths = self.settings().filter(|(name, _)| *name == "interval_length");
        // Nagios itself refuses what is no number from 1.
        let length = lengths.last().and_then(|(_, value)| value.parse().ok());
        length.filter(|length| *length > 0).unwrap_or(INTERVAL_LENGTH)
    }

    /// The folders whose files are read.
    pub(super) fn object_folders(&self) -> Vec<PathBuf> {
        self.paths("cfg_dir")
    }

    /// The object files that are read beside those folders.
    pub(super) fn object_files(&self) -> Vec<PathBuf> {
        self.paths("cfg_file")
    }

    fn paths(&self, name: &str) -> Vec<PathBuf> {
        self.settings().filter(|(known, _)| *known == name).map(|(_, value)| self.absolute(value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_from_the_files_folder_and_the_last_one_counts() {
        let file = MainFile::parse(
            "/etc/nagios4".into(),
            "# cfg_dir=/no\n cfg_dir = conf.d\ncfg_dir=/srv/objects\nlock_file=/a\nlock_file=run/b\n",
        );
        assert_eq!(file.object_folders(), [Path::new("/etc/nagios4/conf.d"), Path::new("/srv/objects")]);
        assert_eq!(file.path("lock_file"), Some("/etc/nagios4/run/b".into()));
        assert_eq!(file.path("temp_path"), None);
    }
}
