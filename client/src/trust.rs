//! Trust in a server's key: pinned at first contact, on somebody's word, and never silently changed.
//!
//! The pins stand in a file of our own in the form of OpenSSH's `known_hosts`, so that its tools read it. The word is,
//! in this order: the fingerprint of a token or of the command line, that of `client.conf`, the pin, a person at a
//! terminal, `trust-on-first-use`. A fingerprint said on purpose stands above the pin, because it is how an
//! administrator who has given the server a new key tells the hosts.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use ssh_key::{Fingerprint, HashAlg, PublicKey};

use monitoring_info::server_address::ServerAddress;

use crate::configuration::Configuration;
use crate::failure::{Failure, Status};
use crate::root::Root;
use crate::state::make_state_folder;

pub(crate) const PINS_FILE: &str = "known_servers";

/// What is made of a key that a server showed.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the pinned one.
    Pinned,
    /// Somebody's word says that it is right; it should be pinned.
    Vouched,
    /// It is not the one that it should be.
    Changed {
        /// The fingerprint of the right one.
        expected: Fingerprint,
        /// Who says so.
        word: String,
    },
    /// Nobody has said anything.
    Unknown,
}

/// The keys that this host trusts.
#[derive(Debug)]
pub struct Pins {
    path: PathBuf,
    keys: Vec<(String, PublicKey)>,
}

impl Pins {
    /// Reads the pins.
    ///
    /// # Errors
    /// They cannot be read. A line that is none is an error too: to pass over it would be to trust anew.
    pub fn read(root: &Root) -> Result<Self, Failure> {
        let path = root.state(PINS_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(Failure::io(format!("read the pinned keys {}", path.display()), &error));
            }
        };
        let mut keys = Vec::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let pin = line.split_once(' ').and_then(|(name, key)| {
                let name = match name.strip_prefix('[').and_then(|rest| rest.rsplit_once("]:")) {
                    Some((host, port)) if host.contains(':') => format!("[{host}]:{port}"),
                    Some((host, port)) => format!("{host}:{port}"),
                    None => return None,
                };
                Some((name, PublicKey::from_openssh(key).ok()?))
            });
            keys.push(pin.ok_or_else(|| {
                Failure::here(format!("line {} of the pinned keys {} is damaged", at + 1, path.display()))
                    .help("remove the line, and confirm that server's key anew: auto-monitor enrol SERVER")
            })?);
        }
        Ok(Self { path, keys })
    }

    /// The pinned key of a server.
    #[must_use]
    pub fn key(&self, server: &ServerAddress) -> Option<&PublicKey> {
        let name = server.host_and_port();
        self.keys.iter().find(|(pinned, _)| *pinned == name).map(|(_, key)| key)
    }

    /// Pins a server's key, in the place of an older one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn pin(&mut self, root: &Root, server: &ServerAddress, key: &PublicKey) -> Result<(), Failure> {
        let name = server.host_and_port();
        self.keys.retain(|(pinned, _)| *pinned != name);
        self.keys.push((name, key.clone()));
        let mut text = String::new();
        for (name, key) in &self.keys {
            let (host, port) = name.rsplit_once(':').unwrap_or((name, ""));
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let key = key
                .to_openssh()
                .map_err(|error| Failure::here(format!("cannot write the key of {name}: {error}")))?;
            let _ = writeln!(text, "[{host}]:{port} {key}");
        }
        make_state_folder(root)?;
        durable::replace(&self.path, text.as_bytes(), 0o600)
            .map_err(|error| Failure::io(format!("write the pinned keys {}", self.path.display()), &error))
    }

    /// What is made of the key that a server showed. `said` is the fingerprint of a token or of the command line.
    #[must_use]
    pub fn judge(
        &self,
        server: &ServerAddress,
        shown: &PublicKey,
        configuration: &Configuration,
        said: Option<&Fingerprint>,
    ) -> Verdict {
        let fingerprint = shown.fingerprint(HashAlg::Sha256);
        let pinned = self.key(server);
        let same = pinned.is_some_and(|pinned| pinned.key_data() == shown.key_data());
        let word = said.map(|print| (print, "the fingerprint given".to_owned())).or_else(|| {
            Some((configuration.fingerprint(server)?, "server-fingerprint in client.conf".to_owned()))
        });
        match (word, pinned) {
            (Some((expected, word)), _) if *expected != fingerprint => {
                Verdict::Changed { expected: *expected, word }
            }
            (_, Some(_)) if same => Verdict::Pinned,
            (Some(_), _) => Verdict::Vouched,
            (None, Some(pinned)) => Verdict::Changed {
                expected: pinned.fingerprint(HashAlg::Sha256),
                word: format!("the key pinned in {}", self.path.display()),
            },
            (None, None) if configuration.trust_on_first_use => Verdict::Vouched,
            (None, None) => Verdict::Unknown,
        }
    }
}

/// What is said of a key that is not the right one.
#[must_use]
pub fn changed(server: &ServerAddress, shown: &PublicKey, expected: &Fingerprint, word: &str) -> Failure {
    let shown = shown.fingerprint(HashAlg::Sha256);
    Failure::new(
        Status::WrongKey,
        format!("{server} shows another key than it should: either it was given a new one, or somebody stands in between. Nothing was sent"),
    )
    .help(format!(
        "it shows    {shown}\nit should   {expected} ({word})\n\
         compare it with what the server itself says: auto-monitor-server status, run there\n\
         only if that is the one it shows, run: auto-monitor enrol {server} --fingerprint {shown}\n\
         (and mend server-fingerprint in client.conf, where it is set)"
    ))
}

/// What is said of a server that shows another key than it has announced.
#[must_use]
pub fn not_as_announced(server: &ServerAddress, shown: &Fingerprint, announced: &str) -> Failure {
    Failure::new(
        Status::WrongKey,
        format!("{server} shows another key than was announced: somebody announces a server that is not his, or stands in between. Nothing was sent"),
    )
    .help(format!(
        "it shows    {shown}\nannounced   {announced}\n\
         compare both with what the server itself says: auto-monitor-server status, run there\n\
         then run: auto-monitor enrol {server} --fingerprint SHA256:…"
    ))
}

/// What is said of a key that nobody has said anything about.
#[must_use]
pub fn unknown(server: &ServerAddress, shown: &PublicKey) -> Failure {
    let shown = shown.fingerprint(HashAlg::Sha256);
    let failure = Failure::here(format!("{server} was never seen before, and nothing says that its key {shown} is the right one; nothing was sent"))
        .help(format!(
            "compare the fingerprint with what the server's administrator says, then run: auto-monitor enrol {server} --fingerprint {shown}\n\
             or set in client.conf: server-fingerprint = {shown}"
        ));
    Failure { waits_for_person: true, ..failure }
}

/// Whether there is a person to ask.
#[must_use]
pub fn person_is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks the person at the terminal.
///
/// # Errors
/// The terminal is gone.
pub fn ask(server: &ServerAddress, shown: &PublicKey) -> Result<bool, Failure> {
    let shown = shown.fingerprint(HashAlg::Sha256).to_string();
    let fail = |error: io::Error| Failure::io("ask at the terminal", &error);
    eprintln!("{server} is new to this host. The fingerprint of its key is\n\n    {shown}\n");
    eprint!("Does the server's administrator say the same? Type yes, or the fingerprint itself: ");
    io::stderr().flush().map_err(fail)?;
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(fail)?;
    let answer = line.trim();
    Ok(answer == "yes" || answer == shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> PublicKey {
        PublicKey::from_openssh(text).unwrap()
    }

    fn keys() -> (PublicKey, PublicKey) {
        let make = || {
            ssh_key::PrivateKey::random(&mut ssh_key::rand_core::OsRng, ssh_key::Algorithm::Ed25519)
                .unwrap()
                .public_key()
                .clone()
        };
        (make(), make())
    }

    #[test]
    fn a_pin_holds_until_somebody_says_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path()).unwrap();
        let server: ServerAddress = "[::1]:2930".parse().unwrap();
        let (one, other) = keys();
        let nothing = Configuration::default();
        let mut pins = Pins::read(&root).unwrap();
        assert_eq!(pins.judge(&server, &one, &nothing, None), Verdict::Unknown);
        pins.pin(&root, &server, &one).unwrap();

        let pins = Pins::read(&root).unwrap();
        assert_eq!(pins.judge(&server, &one, &nothing, None), Verdict::Pinned);
        assert!(matches!(pins.judge(&server, &other, &nothing, None), Verdict::Changed { .. }));
        let tofu = Configuration { trust_on_first_use: true, ..Configuration::default() };
        assert!(matches!(pins.judge(&server, &other, &tofu, None), Verdict::Changed { .. }));
        let print = other.fingerprint(HashAlg::Sha256);
        assert_eq!(pins.judge(&server, &other, &nothing, Some(&print)), Verdict::Vouched);
        assert!(matches!(pins.judge(&server, &one, &nothing, Some(&print)), Verdict::Changed { .. }));
    }

    #[test]
    fn at_first_contact_a_fingerprint_or_a_setting_speaks() {
        let folder = tempfile::tempdir().unwrap();
        let pins = Pins::read(&Root::new(folder.path()).unwrap()).unwrap();
        let server: ServerAddress = "monitor.example".parse().unwrap();
        let (one, other) = keys();
        let tofu = Configuration { trust_on_first_use: true, ..Configuration::default() };
        assert_eq!(pins.judge(&server, &one, &tofu, None), Verdict::Vouched);
        let said = Configuration {
            fingerprints: vec![(None, one.fingerprint(HashAlg::Sha256))],
            trust_on_first_use: true,
            ..Configuration::default()
        };
        assert_eq!(pins.judge(&server, &one, &said, None), Verdict::Vouched);
        assert!(matches!(pins.judge(&server, &other, &said, None), Verdict::Changed { .. }));
    }

    #[test]
    fn a_damaged_pin_is_never_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path()).unwrap();
        make_state_folder(&root).unwrap();
        fs::write(root.state(PINS_FILE), "[a]:2929 ssh-ed25519 AAAA\n").unwrap();
        assert!(Pins::read(&root).unwrap_err().message.contains("line 1"));
        let text = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
        fs::write(root.state(PINS_FILE), format!("[a]:2929 {text} somebody\n")).unwrap();
        assert_eq!(
            Pins::read(&root).unwrap().key(&"a".parse().unwrap()).unwrap().key_data(),
            key(text).key_data()
        );
    }
}
