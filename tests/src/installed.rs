//! Where the programs and the shipped files are.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Names the folder that `tests/as-user` has copied the programs and the shipped files to, because the ordinary user
/// whom it made for root cannot read root's checkout.
const VARIABLE: &str = "AUTO_MONITOR_INSTALLED";

/// The programs and the shipped files.
#[derive(Debug, Clone)]
pub struct Installed {
    /// The folder of `auto-monitor`, `auto-monitor-server`, `check_registered` and `mauvesend`.
    pub programs: PathBuf,
    /// The folder of shipped templates.
    pub templates: PathBuf,
}

impl Installed {
    /// Finds them: where the environment says, else in the checkout and beside this program.
    ///
    /// # Errors
    /// Something is not built.
    pub fn find() -> Result<Self> {
        let installed = match env::var_os(VARIABLE) {
            Some(folder) => {
                let folder = PathBuf::from(folder);
                Self { programs: folder.join("programs"), templates: folder.join("templates") }
            }
            None => Self {
                programs: beside_this_program()?,
                templates: Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates"),
            },
        };
        for name in ["auto-monitor", "auto-monitor-server", "check_registered", "mauvesend"] {
            let program = installed.program(name);
            ensure!(
                program.exists(),
                "{} is missing; `cargo build --workspace` builds it",
                program.display()
            );
        }
        Ok(installed)
    }

    /// The path of a program of ours.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }
}

/// Cargo puts programs into `target/PROFILE`, and tests into `target/PROFILE/deps`.
fn beside_this_program() -> Result<PathBuf> {
    let this = env::current_exe().context("cannot tell where this program is")?;
    let folder = this.parent().context("this program is in no folder")?;
    Ok(if folder.ends_with("deps") { folder.join("..") } else { folder.to_owned() })
}
