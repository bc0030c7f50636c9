//! Passwords in files: reading them, and who else could.

use std::path::Path;

use monitoring_info::definition::Setting;
use monitoring_info::diagnostic::Problem;
use monitoring_info::ini::VALUE_MAX;

use crate::root::{Root, Unreadable};
use crate::screen::shell;

/// What was read of a password file.
pub struct Password {
    /// The file, as it is shown.
    pub path: String,
    /// Its first line.
    pub line: String,
    /// That others can read it, if they can.
    pub warning: Option<Problem>,
}

/// Reads the file that a setting `password_file` names. Owner and mode are those of the very file that was read.
///
/// # Errors
/// It cannot be read, or its first line is no text.
pub fn read(root: &Root, setting: &Setting) -> Result<Password, Box<Problem>> {
    let path = root.path(&setting.value).display().to_string();
    let refuse = |why: &dyn std::fmt::Display, help: &str| {
        Box::new(Problem::error(format!("the password file {path}: {why}")).help(help))
    };
    let contents = root.read(Path::new(&setting.value), VALUE_MAX + 2).map_err(|error| {
        let help = match &error {
            Unreadable::Io(io) if io.kind() == std::io::ErrorKind::PermissionDenied => {
                "run this as root, who alone should be able to read it"
            }
            Unreadable::Io(io) if io.kind() == std::io::ErrorKind::NotFound => {
                "write the password into its first line, for root's eyes alone"
            }
            _ => "name a file whose first line is the password",
        };
        refuse(&error, help)
    })?;
    let line = contents.bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)).map_err(|_| {
        refuse(&"its first line is not UTF-8 text", "write the password alone into the first line")
    })?;
    let warning = exposed(&path, contents.owner, contents.mode).map(|problem| problem.file(&path));
    Ok(Password { line: line.to_owned(), warning, path })
}

/// A file that holds a password and that somebody besides root, and a group of root's choosing, can read.
#[must_use]
pub fn exposed(path: &str, owner: u32, mode: u32) -> Option<Problem> {
    let path = shell(path);
    let open_to_all = mode & 0o004 != 0;
    let foreign = owner != 0 && owner != rustix::process::geteuid().as_raw();
    let (who, mend) = match (open_to_all, foreign) {
        (true, false) => ("everybody on this host can read it", format!("chmod o-rwx {path}")),
        (false, true) => ("it belongs to another user than root", format!("chown root {path}")),
        (true, true) => (
            "everybody on this host can read it, and it belongs to another user than root",
            format!("chown root {path} && chmod o-rwx {path}"),
        ),
        (false, false) => return None,
    };
    Some(Problem::warning(format!("this file holds a password, and {who}")).help(format!("run: {mend}")))
}
