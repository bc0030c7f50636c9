//! A password: read where nobody else sees it, and never shown, even when the server repeats it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// The longest password in bytes, which is the longest value of a definition.
const PASSWORD_MAX: usize = 4096;

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file.
    #[error("cannot read the password in {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What it holds.
    #[error(
        "{path} holds no password: one line, of 1 to {PASSWORD_MAX} bytes of UTF-8 without control characters"
    )]
    Unsound {
        /// Which.
        path: PathBuf,
    },
    /// The system does not keep memory to this process.
    #[error("cannot keep the password out of core files")]
    Core(#[source] io::Error),
}

/// A password, and who has it. Debug shows neither.
pub struct Account {
    /// The user's name.
    pub user: String,
    password: String,
}

impl Account {
    /// A user and the password in this file, of which one line end is no part. From now on, this process leaves no core file
    /// and nobody but root looks into it.
    ///
    /// # Errors
    /// The file cannot be read or holds something else.
    pub fn read(user: &str, path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::File { path: path.to_owned(), source };
        // One byte and not none: see `program::leave_no_core`.
        setrlimit(Resource::Core, Rlimit { current: Some(1), maximum: Some(1) })
            .map_err(|error| Error::Core(error.into()))?;
        // It is opened before, because what is not dumpable cannot open its own /dev/fd/N (proc(5)).
        let file = File::open(path).map_err(failed)?;
        set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| Error::Core(error.into()))?;
        let mut bytes = Vec::with_capacity(PASSWORD_MAX + 3);
        file.take(PASSWORD_MAX as u64 + 3).read_to_end(&mut bytes).map_err(failed)?;
        String::from_utf8(bytes)
            .ok()
            .and_then(|text| Self::new(user, &text))
            .ok_or_else(|| Error::Unsound { path: path.to_owned() })
    }

    /// A user and the password in this text, of which one line end is no part; none if there is something else in it.
    #[must_use]
    pub fn new(user: &str, text: &str) -> Option<Self> {
        let password = text.strip_suffix('\n').unwrap_or(text);
        let password = password.strip_suffix('\r').unwrap_or(password);
        if password.is_empty() || password.len() > PASSWORD_MAX || password.contains(char::is_control) {
            return None;
        }
        Some(Self { user: user.to_owned(), password: password.to_owned() })
    }

    /// The password. It goes to the server and nowhere else.
    #[must_use]
    pub(super) fn password(&self) -> &str {
        &self.password
    }

    /// The response of SASL's PLAIN (RFC 4616, section 2).
    pub(super) fn plain_response(&self) -> String {
        format!("\0{}\0{}", self.user, self.password)
    }

    /// What the server said, unless it repeats the password in any form that we sent it in or a person could read it from.
    #[must_use]
    pub fn without_password(&self, said: String) -> String {
        let plain = self.plain_response();
        let forms = [
            self.password.clone(),
            Base64::encode_string(plain.as_bytes()),
            Base64::encode_string(self.password.as_bytes()),
        ];
        let said_lowercase = said.to_lowercase();
        let bare_said = bare(&said);
        let repeats = forms.iter().any(|form| {
            let bare_form = bare(form);
            said_lowercase.contains(&form.to_lowercase())
                || (bare_form.len() >= 3 && bare_said.contains(&bare_form))
        });
        if repeats { "(not shown, because it repeats the password)".to_owned() } else { said }
    }
}

/// Letters and digits alone, so that blanks, quotes and escapes hide nothing.
fn bare(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Account")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(password: &str) -> Account {
        Account { user: "probe".into(), password: password.into() }
    }

    #[test]
    fn a_password_is_one_line() {
        for text in ["s3cret Pass", "s3cret Pass\n", "s3cret Pass\r\n"] {
            assert_eq!(Account::new("probe", text).unwrap().password(), "s3cret Pass");
        }
        for text in ["", "\n", "a\nb", "a\n\n", "a\0", &"x".repeat(PASSWORD_MAX + 1)] {
            assert!(Account::new("probe", text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn what_repeats_the_password_is_not_shown() {
        let account = account(r#"Geheim"\s wort"#);
        for said in [
            r#"no: Geheim"\s wort"#,
            r#"BAD LOGIN "probe" "Geheim\"\\s wort""#,
            "GEHEIM\"\\S WORT is wrong",
            "G e h e i m s W o r t",
            "AHByb2JlAEdlaGVpbSJccyB3b3J0",
        ] {
            assert!(account.without_password(said.into()).starts_with("(not shown"), "{said}");
        }
        let usual = "[AUTHENTICATIONFAILED] Authentication failed.";
        assert_eq!(account.without_password(usual.into()), usual);
    }

    #[test]
    fn a_password_of_signs_is_found_too() {
        assert!(account("!\"").without_password("so !\" it is".into()).starts_with("(not shown"));
        assert_eq!(account("!\"").without_password("no".into()), "no");
    }
}
