//! A mailbox, as far as the monitoring server knows of it: a key, and a list with one token that a mail is to bring back.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::sync::LazyLock;

use auto_monitor_checks::mailflow::List;
use auto_monitor_checks::mailflow::mail::{Look, Tally};
use auto_monitor_checks::mailflow::password::Account;
use auto_monitor_checks::mailflow::store::Store;
use auto_monitor_checks::mailflow::token::{KEY_BYTES, Key, Mark, Origin, Serial, Token};
use tempfile::TempDir;

/// When all of this happens, in seconds since 1970.
pub const NOW: u64 = 1_763_600_060;
/// The password of the mailbox.
pub const PASSWORD: &str = "s3cret Pass";

/// The key, the list, and its one token.
#[derive(Debug)]
pub struct Mailbox {
    store: Store,
    /// The monitoring server's key.
    pub key: Key,
    /// The list.
    pub list: List,
    /// The token that is on it.
    pub token: Token,
    /// The token's file.
    file: PathBuf,
    // tests/fuzz removes what is left when libFuzzer ends the process.
    _folder: TempDir,
}

/// The one mailbox of this process.
pub static MAILBOX: LazyLock<Mailbox> = LazyLock::new(|| {
    let folder = TempDir::new().expect("a temporary folder");
    let store = Store::open(folder.path()).expect("a store");
    let list: List = "web1.example.org/inbound".parse().expect("a list");
    // This makes the list's folder.
    store.begin(&list, NOW).and_then(|pending| pending.withdraw()).expect("a list");
    let token =
        Token { mark: Mark::of(Some(&list)), serial: Serial { time: NOW - 60, nonce: *b"0123456789abcdef" } };
    let file = store
        .folder()
        .join("mailflow")
        .join(list.owner().as_str())
        .join(list.id())
        .join(token.serial.to_string());
    Mailbox { store, key: Key::of([7; KEY_BYTES]), list, token, file, _folder: folder }
});

impl Mailbox {
    /// A look into it, with the token waited for.
    ///
    /// # Panics
    /// The token cannot be put on the list.
    pub fn look(&self) -> Look<'_> {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&self.file)
            .expect("a token on the list");
        Look::new(&self.store, &self.key, Some(&self.list), NOW)
    }

    /// Whether the token is still waited for.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.file.exists()
    }

    /// Who may read it.
    ///
    /// # Panics
    /// Never: the password is one.
    #[must_use]
    pub fn account(&self) -> Account {
        Account::new("probe", PASSWORD).expect("a password")
    }

    /// Whether a token of this server is anywhere in these bytes.
    #[must_use]
    pub fn is_named_in(&self, bytes: &[u8]) -> bool {
        let prefix = self.key.prefix();
        let text = String::from_utf8_lossy(bytes);
        text.match_indices(&prefix).any(|(at, _)| {
            let of_a_token = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            let run: &str = text[at..].split(|c| !of_a_token(c)).next().unwrap_or_default();
            (prefix.len()..=run.len().min(200))
                .any(|end| matches!(self.key.judge(&run[..end]), Origin::Ours(_)))
        })
    }

    /// What must hold after a look at these bytes: without a token of ours in them, nothing has arrived and nothing has to go;
    /// and what has arrived is waited for no more.
    ///
    /// # Panics
    /// It does not hold.
    pub fn judge(&self, said: &[u8], tally: &Tally, removes: bool) {
        let ours = tally.arrived + tally.known + tally.old + tally.others;
        if removes || ours > 0 {
            assert!(self.is_named_in(said), "{tally:?}");
        }
        assert_eq!(self.is_waiting(), tally.arrived == 0, "{tally:?}");
        assert_eq!(tally.round_trip.is_some(), tally.arrived > 0, "{tally:?}");
        // It is the only token that could come twice or be another list's.
        assert!(tally.arrived <= 1, "{tally:?}");
    }
}
