//! Mailboxes as files: put in and counted behind the server's back, fast and byte for byte.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

use super::account::Account;

/// A mailbox in the format Maildir (maildir(5)).
#[derive(Debug)]
pub struct Maildir {
    folder: PathBuf,
    account: Account,
}

impl Maildir {
    pub(super) fn new(folder: &Path, account: &Account) -> Self {
        Self { folder: folder.to_owned(), account: account.clone() }
    }

    /// Puts a new mail in. Maildir's lines end with LF.
    pub fn put(&self, mail: &[u8]) -> Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        if !self.folder.exists() {
            for folder in
                [&self.folder, &self.folder.join("cur"), &self.folder.join("new"), &self.folder.join("tmp")]
            {
                self.account.make_folder(folder)?;
            }
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("1000000000.M{number:06}P{}.test", std::process::id());
        let temporary = self.folder.join("tmp").join(&name);
        self.account.write_secret(&temporary, mail)?;
        fs::rename(&temporary, self.folder.join("new").join(&name))
            .with_context(|| format!("cannot put {name} into {}", self.folder.display()))
    }

    /// Every mail by its unique name, which ends with `:2,FLAGS` if it has flags. New or no longer new makes no
    /// difference: every session of a reader changes that.
    pub fn mails(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        loop {
            if let Some(mails) = self.look()? {
                return Ok(mails);
            }
        }
    }

    /// None when a mail moved meanwhile.
    fn look(&self) -> Result<Option<BTreeMap<String, Vec<u8>>>> {
        let mut mails = BTreeMap::new();
        for folder in ["new", "cur"] {
            let entries = match fs::read_dir(self.folder.join(folder)) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                entries => entries.with_context(|| format!("cannot read {}", self.folder.display()))?,
            };
            for entry in entries {
                let entry = entry?;
                let content = match fs::read(entry.path()) {
                    Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                    content => content.with_context(|| format!("cannot read {}", entry.path().display()))?,
                };
                let name = entry.file_name().to_string_lossy().into_owned();
                mails.insert(name.strip_suffix(":2,").unwrap_or(&name).to_owned(), content);
            }
        }
        Ok(Some(mails))
    }
}
