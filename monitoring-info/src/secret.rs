//! Passwords in the lines of a file: problems show lines, and go to terminals, journals and mails, which more people
//! read than the file.

use crate::diagnostic::{Place, suggestion};

/// The key that names a file in place of the password.
pub(crate) const PASSWORD_FILE: &str = "password_file";

/// Where the password begins in a line that sets one, in bytes, however ill the line is: misspelt keys, other keys before
/// it, quotes, a colon. Rather a harmless value too many is hidden.
pub(crate) fn password_at(line: &str) -> Option<usize> {
    const JOINTS: [char; 2] = ['=', ':'];
    let blank = |c: char| c == ' ' || c == '\t';
    let lower = line.to_ascii_lowercase();
    let key_end = lower.find(JOINTS).unwrap_or(lower.len());
    let key = lower.len() - lower.trim_start_matches(blank).len();
    let after = |from: usize| match lower[from..].find(JOINTS) {
        Some(joint) => from + joint,
        // No joint at all: the word ends at a blank.
        None => lower[from..].find(blank).map_or(lower.len(), |at| from + at),
    };
    let joint = match lower.find("pass") {
        Some(at) => after(at),
        None if suggestion(lower.get(key..key_end)?.trim_end_matches(blank), ["password"]).is_some() => {
            key_end
        }
        None => return None,
    };
    let value = line.len() - line[joint..].trim_start_matches(|c| blank(c) || JOINTS.contains(&c)).len();
    let names_file =
        lower[..joint].trim_end_matches(blank).ends_with(PASSWORD_FILE) && line[value..].starts_with('/');
    (value < line.len() && !names_file).then_some(value)
}

impl Place {
    /// The same place in the line with the password hidden, if it sets one.
    #[must_use]
    pub(crate) fn without_secret(self) -> Self {
        match password_at(&self.text) {
            Some(value) => self.hidden_from(value),
            None => self,
        }
    }

    /// The same place in the line with all hidden from this byte on.
    #[must_use]
    pub(crate) fn hidden_from(mut self, value: usize) -> Self {
        const HIDDEN: &str = "(hidden)";
        let column = self.text[..value].chars().count() + 1;
        self.text.truncate(value);
        self.text.push_str(HIDDEN);
        if self.column >= column {
            self.column = column;
            self.width = HIDDEN.len();
        }
        self.width = self.width.min(column + HIDDEN.len() - self.column);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Problem;

    #[test]
    fn a_password_is_never_shown() {
        for text in [
            "password = s3cret",
            "  PASSWORD:s3cret",
            "password s3cret",
            "Password\t=\ts3cret",
            "pasword = s3cret",
            "passwd: s3cret",
            "pass word = s3cret",
            "\"password\" = s3cret",
            "export password=s3cret",
            "username = u, password = s3cret",
            "password_file = s3cret",
            "# password = s3cret",
        ] {
            for column in 1..=text.len() {
                let place = Place { line: 1, column, width: 3, text: text.to_owned() }.without_secret();
                let shown = Problem::error("x").at(place).to_string();
                assert!(!shown.contains("s3cret") && shown.contains("(hidden)"), "{shown}");
            }
        }
        for text in ["password_file = /etc/p", "Password_File=/p", "password =", "port = 1", "ß"] {
            let place = Place { line: 1, column: 1, width: 1, text: text.to_owned() };
            assert_eq!(place.clone().without_secret(), place);
        }
    }
}
