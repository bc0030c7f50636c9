//! The endpoint: an sshd of the server's own.
//!
//! OpenSSH does what is hard to get right (key exchange, authentication, bounds on half-open connections), with a
//! configuration of our own that leaves nothing of a login but the forced command. The administrator's sshd, its port,
//! users and keys are never touched. It runs as an ordinary user, so it can log in nobody but that user, and nothing that
//! a host sends is ever handled by root: started by root, it becomes the account that the state belongs to, and where
//! that is root too, it refuses unless it is told that this is a test.
//!
//! sshd asks [`authorized_keys`] about every key that is offered. Every ed25519 key is let in, to one command: who may
//! do what is [the session's](crate::session) business, which can tell a client why.
//!
//! One bound is not in sshd before OpenSSH 9.3, how long a client may stay that has logged in: there, a process of ours
//! [keeps it](overdue).

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, bail};
use durable::Lock;
use monitoring_info::fingerprint::Fingerprint;
use monitoring_info::registration::{PORT, USER};
use nix::unistd::Uid;
use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey};

use crate::configuration::Configuration;
use crate::enrolment::Ledger;
use crate::journal::Line;
use crate::paths::Paths;
use crate::session::SESSION_SECONDS;
use crate::{Context, cli, identity};

pub mod overdue;

/// The only type of key, of hosts and of the server.
const KEY_TYPE: &str = "ssh-ed25519";
/// How long a connection may be without a session, once it is logged in.
const UNUSED_SECONDS: u64 = 20;
/// The version from which on sshd keeps that bound itself.
const BOUNDS_UNUSED: Version = Version(9, 3);
/// How long a client may take to log in.
const LOGIN_SECONDS: u64 = 10;
/// sshd run by root insists on this folder, which Debian's own unit makes when it starts.
const PRIVILEGE_SEPARATION_DIR: &str = "/run/sshd";

/// Runs the endpoint: does not return unless it cannot.
///
/// # Errors
/// Something of the endpoint cannot be made, or sshd refuses to start with it.
pub fn endpoint(context: &Context, arguments: &cli::Endpoint) -> anyhow::Result<ExitCode> {
    let paths = &context.paths;
    identity::become_owner(&paths.state())?;
    if Uid::effective().is_root() && !arguments.allow_root {
        let state = paths.state();
        bail!(
            "root must not handle what hosts send; give the state to an account of its own, which the endpoint then \
             becomes:\n  useradd --system --shell /bin/sh {USER}\n  install -d -o {USER} -m 0750 {}",
            state.display()
        );
    }
    let configuration = context.configuration()?;
    let account = identity::own_account()?;
    login_is_possible(&account)?;
    durable::folder(&paths.state(), 0o750)
        .with_context(|| format!("cannot make {}", paths.state().display()))?;
    // Makes the folders that sessions need, and finishes what was left half done when the server was last stopped.
    Ledger::lock(paths)?.sweep()?;
    let lock = lock(paths)?;
    let folder = paths.endpoint();
    durable::sweep(&folder)
        .with_context(|| format!("cannot remove what is unfinished in {}", folder.display()))?;
    let fingerprint = locked_host_key(paths, &lock)?;
    if account.uid.is_root() {
        durable::folder(Path::new(PRIVILEGE_SEPARATION_DIR), 0o755)
            .with_context(|| format!("cannot make {PRIVILEGE_SEPARATION_DIR}, which sshd needs"))?;
    }

    let sshd = &configuration.sshd;
    let version = Version::of(sshd)?;
    let text = sshd_config(paths, &configuration, &account, version)?;
    let file = paths.endpoint().join("sshd_config");
    durable::replace(&file, &text, 0o600).with_context(|| format!("cannot write {}", file.display()))?;
    drop(lock);
    let verdict = Command::new(sshd)
        .args(["-t", "-f"])
        .arg(&file)
        .output()
        .with_context(|| format!("cannot run {}", sshd.display()))?;
    if !verdict.status.success() {
        bail!(
            "{} refuses the configuration {}, which is made anew at every start:\n{}",
            sshd.display(),
            file.display(),
            String::from_utf8_lossy(&verdict.stderr).trim()
        );
    }

    let listen: Vec<String> = configuration.listen.iter().map(ToString::to_string).collect();
    Line::new("endpoint").with("listen", listen.join(",")).with("host-key", fingerprint).print();
    if version < BOUNDS_UNUSED {
        let bound = Duration::from_secs(LOGIN_SECONDS + SESSION_SECONDS + UNUSED_SECONDS);
        overdue::start(&program()?, bound)
            .context("cannot start the process that ends overdue connections")?;
    }
    let error = Command::new(sshd).args(["-D", "-e", "-f"]).arg(&file).exec();
    Err(error).with_context(|| format!("cannot become {}", sshd.display()))
}

/// What sshd would only refuse at every single login is said at the start.
fn login_is_possible(account: &nix::unistd::User) -> anyhow::Result<()> {
    let shell = account.shell.file_name().unwrap_or_default();
    if shell == "nologin" || shell == "false" {
        bail!(
            "the account {} has no login shell, and sshd runs every session through it; give it one with: usermod \
             --shell /bin/sh {}",
            account.name,
            account.name
        );
    }
    if account.uid.is_root() {
        let shadow = fs::read_to_string("/etc/shadow").unwrap_or_default();
        let entry = shadow.lines().find_map(|line| line.strip_prefix(&format!("{}:", account.name)));
        if entry.is_some_and(|entry| entry.starts_with('!')) {
            bail!(
                "the account {} is locked, and sshd lets nobody log in to a locked account; run the endpoint as an \
                 ordinary user, such as auto-monitor",
                account.name
            );
        }
    }
    Ok(())
}

/// Whether anybody on this machine listens at one of these ports; none where that cannot be told. The kernel's table is
/// read, because a connection would be a line in the endpoint's journal each time; whose key answers is `doctor`'s to find
/// out.
#[must_use]
pub fn listens(configuration: &Configuration) -> Option<bool> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let known = tables.iter().any(Result::is_ok);
    let listening = tables.iter().flatten().flat_map(|table| table.lines()).filter_map(listening_port);
    let wanted = |port: u16| configuration.listen.iter().any(|address| address.port() == port);
    known.then(|| listening.into_iter().any(wanted))
}

/// The port of a line of /proc/net/tcp (proc(5)) that is about a socket which listens: `N: ADDRESS:PORT REMOTE 0A …`, in
/// hexadecimal digits.
fn listening_port(line: &str) -> Option<u16> {
    let mut fields = line.split_whitespace().skip(1);
    let local = fields.next()?;
    fields.nth(1).filter(|state| *state == "0A")?;
    u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()
}

/// The fingerprint of the endpoint's host key, once there is one.
#[must_use]
pub fn known_host_key(paths: &Paths) -> Option<Fingerprint> {
    let key = PublicKey::read_openssh_file(&paths.host_key().with_extension("pub")).ok()?;
    key.fingerprint(HashAlg::Sha256).to_string().parse().ok()
}

/// The fingerprint of the endpoint's host key, which is made when there is none.
///
/// # Errors
/// It cannot be made, or read.
pub fn host_key(paths: &Paths) -> anyhow::Result<Fingerprint> {
    locked_host_key(paths, &lock(paths)?)
}

/// The lock under which files of the endpoint's folder are replaced, which is made when there is none.
fn lock(paths: &Paths) -> anyhow::Result<Lock> {
    let folder = paths.endpoint();
    durable::folder(&folder, 0o700).with_context(|| format!("cannot make {}", folder.display()))?;
    let lock = folder.join("lock");
    Lock::wait(&lock).with_context(|| format!("cannot lock {}", lock.display()))
}

fn locked_host_key(paths: &Paths, _lock: &Lock) -> anyhow::Result<Fingerprint> {
    let file = paths.host_key();
    if !file.exists() {
        let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).context("cannot make a host key")?;
        key.set_comment("auto-monitor endpoint");
        let text = key.to_openssh(LineEnding::LF).context("cannot write the host key")?;
        durable::replace(&file, text.as_bytes(), 0o600)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    let key = PrivateKey::read_openssh_file(&file)
        .with_context(|| format!("{} is no OpenSSH key without passphrase", file.display()))?;
    let public = key.public_key();
    let public_file = file.with_extension("pub");
    if !public_file.exists() {
        let line = format!("{}\n", public.to_openssh().context("cannot write the host key")?);
        durable::replace(&public_file, line.as_bytes(), 0o644)
            .with_context(|| format!("cannot write {}", public_file.display()))?;
    }
    Ok(public.fingerprint(HashAlg::Sha256).to_string().parse()?)
}

/// A version of OpenSSH: keywords come and go with it, and an unknown one keeps sshd from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32);

impl Version {
    fn of(sshd: &Path) -> anyhow::Result<Self> {
        // Older ones do not know `-V`, and print their version along with the usage.
        let output = Command::new(sshd)
            .arg("-V")
            .output()
            .with_context(|| format!("cannot run {}", sshd.display()))?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        Self::parse(&said).with_context(|| {
            format!("{} does not say that it is an OpenSSH: {}", sshd.display(), said.trim())
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (_, version) = text.split_once("OpenSSH_")?;
        let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        Some(Self(numbers.next()?.ok()?, numbers.next()?.ok()?))
    }
}

fn sshd_config(
    paths: &Paths,
    configuration: &Configuration,
    account: &nix::unistd::User,
    version: Version,
) -> anyhow::Result<Vec<u8>> {
    let mut text: Vec<u8> = Vec::new();
    let header = "# Generated by auto-monitor-server at every start of the endpoint; changes are lost.\n\
                  # What can be set is in /etc/auto-monitor-server-nagios/server.conf.\n";
    text.extend_from_slice(header.as_bytes());
    let mut say = |keyword: &str, value: &[u8]| {
        text.extend_from_slice(keyword.as_bytes());
        text.push(b' ');
        text.extend_from_slice(value);
        text.push(b'\n');
    };
    for address in &configuration.listen {
        say("ListenAddress", address.to_string().as_bytes());
    }
    say("HostKey", &configuration_word(paths.host_key().as_os_str())?);
    say("AuthorizedKeysCommand", &authorized_keys_command(paths)?);
    say("AuthorizedKeysCommandUser", account.name.as_bytes());
    say("AllowUsers", account.name.as_bytes());
    say("PermitRootLogin", if account.uid.is_root() { b"forced-commands-only" } else { b"no" });
    say("LoginGraceTime", LOGIN_SECONDS.to_string().as_bytes());
    for line in SETTINGS.lines() {
        if let Some((keyword, value)) = line.split_once(' ') {
            say(keyword, value.as_bytes());
        }
    }
    // The new name since 8.5 of what had another one.
    let accepted =
        if version >= Version(8, 5) { "PubkeyAcceptedAlgorithms" } else { "PubkeyAcceptedKeyTypes" };
    say(accepted, KEY_TYPE.as_bytes());
    // Since 8.7 this is another name of KbdInteractiveAuthentication.
    if version < Version(8, 7) {
        say("ChallengeResponseAuthentication", b"no");
    }
    if version >= Version(8, 5) {
        // Many hosts behind one address translation must get in, and one machine must not fill the house.
        say("PerSourceMaxStartups", b"100");
    }
    if version >= BOUNDS_UNUSED {
        say("UnusedConnectionTimeout", UNUSED_SECONDS.to_string().as_bytes());
    }
    Ok(text)
}

/// What is the same for every installation and every version from 8.4 on.
///
/// `MaxStartups` is for the morning on which a thousand hosts upgrade at once: beyond 200 connections that have not
/// logged in yet, a growing part is turned away, and comes again. `UsePAM` is for sshd as root; an ordinary user's
/// cannot use it, and needs none. `SHLVL` keeps a bash that is somebody's login shell from reading `~/.bashrc` before
/// every session (bash(1), "Invoked by remote shell daemon"): what that prints would stand before the reply, and where
/// this was found, it took as long as all the rest of the session.
const SETTINGS: &str = "\
AuthorizedKeysFile none
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
HostbasedAuthentication no
UsePAM no
HostKeyAlgorithms ssh-ed25519
MaxStartups 200:30:1000
MaxAuthTries 3
MaxSessions 1
ClientAliveInterval 5
ClientAliveCountMax 3
DisableForwarding yes
PermitTTY no
PermitUserRC no
PermitUserEnvironment no
PermitTunnel no
X11Forwarding no
Compression no
PrintMotd no
PrintLastLog no
UseDNS no
SetEnv SHLVL=1
PidFile none
LogLevel INFO
";

/// `auto-monitor-server --root DIR authorized-keys %f %t %k`, quoted as `sshd_config` wants it.
fn authorized_keys_command(paths: &Paths) -> anyhow::Result<Vec<u8>> {
    let program = program()?;
    let mut command = Vec::new();
    if !is_trusted(&program) || needs_quotes(program.as_os_str()) {
        // sshd runs nothing that somebody else could have changed, and does not take a quoted program. `env` is
        // neither. The account that could change our program is the one that sshd runs as already.
        if program.as_os_str().as_bytes().contains(&b'=') {
            bail!("the program cannot run from {}, because of the `=` in it; move it", program.display());
        }
        command.extend_from_slice(b"/usr/bin/env ");
        command.extend(command_word(program.as_os_str())?);
    } else {
        command.extend_from_slice(program.as_os_str().as_bytes());
    }
    command.extend_from_slice(b" --root ");
    command.extend(command_word(paths.root().as_os_str())?);
    command.extend_from_slice(b" authorized-keys %f %t %k");
    Ok(command)
}

fn program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("cannot find out the path of this program")
}

/// What sshd demands of the program: it and every folder above it are root's, and nobody else can write there.
fn is_trusted(program: &Path) -> bool {
    program.ancestors().all(|path| {
        fs::metadata(path).is_ok_and(|metadata| metadata.uid() == 0 && metadata.mode() & 0o022 == 0)
    })
}

fn needs_quotes(word: &OsStr) -> bool {
    !word.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+".contains(byte))
}

/// A word for `sshd_config`: in double quotes, where a backslash stands before quotes and backslashes.
fn configuration_word(word: &OsStr) -> anyhow::Result<Vec<u8>> {
    let bytes = word.as_bytes();
    if bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
        bail!(
            "a path with a line break in it cannot stand in a configuration file: {}",
            Path::new(word).display()
        );
    }
    let mut quoted = vec![b'"'];
    for &byte in bytes {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted.push(b'"');
    Ok(quoted)
}

/// An argument of a command in `sshd_config`: there, `%` means something as well.
fn command_word(word: &OsStr) -> anyhow::Result<Vec<u8>> {
    let quoted = configuration_word(word)?;
    Ok(quoted.iter().flat_map(|&byte| if byte == b'%' { vec![b'%', b'%'] } else { vec![byte] }).collect())
}

/// Runs `authorized-keys`: prints the line of `authorized_keys` (sshd(8)) for a key, or nothing.
///
/// It looks at nothing but its arguments, because every key gets the same: sshd starts it for every login.
///
/// # Errors
/// The line cannot be written.
pub fn authorized_keys(context: &Context, arguments: &cli::AuthorizedKeys) -> anyhow::Result<ExitCode> {
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    if arguments.key_type != KEY_TYPE || !arguments.key.bytes().all(base64) {
        return Ok(ExitCode::SUCCESS);
    }
    let Ok(fingerprint) = arguments.fingerprint.parse::<Fingerprint>() else { return Ok(ExitCode::SUCCESS) };
    let mut command = b"exec ".to_vec();
    command.extend(shell_word(program()?.as_os_str()));
    command.extend_from_slice(b" --root ");
    command.extend(shell_word(context.paths.root().as_os_str()));
    command.extend_from_slice(format!(" session {fingerprint}").as_bytes());

    let mut line = b"restrict,command=\"".to_vec();
    for byte in command {
        if byte == b'"' {
            line.push(b'\\');
        }
        line.push(byte);
    }
    line.extend_from_slice(format!("\" {} {}\n", arguments.key_type, arguments.key).as_bytes());
    std::io::stdout().write_all(&line)?;
    Ok(ExitCode::SUCCESS)
}

/// A word for the shell: in single quotes, where nothing means anything.
fn shell_word(word: &OsStr) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for &byte in word.as_bytes() {
        if byte == b'\'' {
            quoted.extend_from_slice(br"'\''");
        } else {
            quoted.push(byte);
        }
    }
    quoted.push(b'\'');
    quoted
}

/// The port that the endpoint listens on first.
#[must_use]
pub fn port(configuration: &Configuration) -> u16 {
    configuration.listen.first().map_or(PORT, std::net::SocketAddr::port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_listens_is_found_in_the_kernel_s_table() {
        let line = "   1: 00000000000000000000000000000000:0B71 00000000000000000000000000000000:0000 0A 00000000:00000000";
        assert_eq!(listening_port(line), Some(2929));
        assert_eq!(listening_port(&line.replace(" 0A ", " 01 ")), None, "connected");
        assert_eq!(listening_port("  sl  local_address rem_address   st tx_queue"), None);
        let is_seen_to_come_and_go = || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let configuration =
                Configuration { listen: vec![listener.local_addr().unwrap()], ..Configuration::default() };
            assert_eq!(listens(&configuration), Some(true));
            drop(listener);
            listens(&configuration) == Some(false)
        };
        // Another process may have taken the port at once.
        assert!((0..5).any(|_| is_seen_to_come_and_go()));
    }

    #[test]
    fn versions_of_every_distribution_are_understood() {
        for (text, expected) in [
            ("OpenSSH_9.2, OpenSSL 3.0.19 27 Jan 2026", Version(9, 2)),
            ("unknown option -- V\nOpenSSH_8.4p1 Debian-5+deb11u3, OpenSSL 1.1.1w\nusage:", Version(8, 4)),
            ("OpenSSH_10.0p2 Debian-7, OpenSSL 3.5.0", Version(10, 0)),
        ] {
            assert_eq!(Version::parse(text), Some(expected));
        }
        assert_eq!(Version::parse("Dropbear v2022.83"), None);
        assert!(Version(10, 0) > Version(9, 8));
    }

    #[test]
    fn words_keep_their_meaning_through_every_layer() {
        let odd = OsStr::new("/a b/%f/\"c\"/d\\e/it's");
        assert_eq!(configuration_word(odd).unwrap(), br#""/a b/%f/\"c\"/d\\e/it's""#);
        assert_eq!(command_word(odd).unwrap(), br#""/a b/%%f/\"c\"/d\\e/it's""#);
        assert_eq!(shell_word(odd), br#"'/a b/%f/"c"/d\e/it'\''s'"#);
        assert!(configuration_word(OsStr::new("/a\nPermitRootLogin yes")).is_err());
    }
}
