//! Tokens: one string with which a host enrols with no question on either side.
//!
//! A token carries where the server is, the fingerprint of its host key, and a secret of 256 random bits. The server
//! keeps the secret's SHA-256 alone, as the name of a file: a secret is found by its hash or it is not, so nothing
//! about it can be learnt from how long a comparison takes; and what is random in 256 bits needs no slow hash.
//!
//! Who has used a token is written down before the key is approved. A process that is killed in between has cost
//! nothing: the same key may use the same token again, and it counts once.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use base64ct::{Base64UrlUnpadded, Encoding};
use jiff::{SignedDuration, Timestamp};
use monitoring_info::fingerprint::{Fingerprint, hexadecimal};
use monitoring_info::host::HostName;
use monitoring_info::server_address::ServerAddress;
use monitoring_info::token;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ssh_key::rand_core::{OsRng, RngCore};

use crate::cli;
use crate::enrolment::Ledger;
use crate::failure::FileError;
use crate::paths::Paths;
use crate::table::Table;
use crate::{BAD_NEWS, Context, endpoint, identity, print, say};

/// How much of a hash is shown and asked for.
const ID_LENGTH: usize = 12;

/// What the server keeps of a token.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    version: u32,
    created: Timestamp,
    expires: Timestamp,
    uses: u32,
    /// A glob that the names of hosts must match.
    names: String,
    used: Vec<Use>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Use {
    fingerprint: Fingerprint,
    name: HostName,
    at: Timestamp,
}

/// Why a token does not let a host in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such token: it never was, or it was revoked.
    #[error("the server does not know this token")]
    Unknown,
    /// Its time is over.
    #[error("the token is over since {0:.0}")]
    Over(Timestamp),
    /// All its uses were used.
    #[error("the token is used up")]
    UsedUp,
    /// It is for other names.
    #[error("the token is for hosts named {names}, not for {name}")]
    Name {
        /// What names must match.
        names: String,
        /// The host's.
        name: HostName,
    },
    /// The file system.
    #[error(transparent)]
    File(FileError),
}

fn folder(paths: &Paths) -> PathBuf {
    paths.enrolment().join("tokens")
}

fn hash(secret: &str) -> String {
    hexadecimal(&Sha256::digest(secret.as_bytes()))
}

fn store(paths: &Paths, hash: &str, token: &Token) -> Result<(), Error> {
    let path = folder(paths).join(format!("{hash}.json"));
    serde_json::to_vec_pretty(token)
        .map_err(io::Error::from)
        .and_then(|bytes| durable::replace(&path, &bytes, 0o600))
        .map_err(|source| Error::File(FileError { action: "write", path, source }))
}

fn load(paths: &Paths, hash: &str) -> Result<Option<Token>, Error> {
    let path = folder(paths).join(format!("{hash}.json"));
    match crate::folder::read(&path).and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::from))
    {
        Ok(token) => Ok(Some(token)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File(FileError { action: "read", path, source })),
    }
}

/// Uses a token for a host; when this returns, the use is counted. The lock that the ledger stands for is what makes
/// the count right.
///
/// # Errors
/// The token does not let this host in; or it cannot be read or written.
pub fn redeem(
    paths: &Paths,
    _ledger: &Ledger<'_>,
    secret: &str,
    name: &HostName,
    fingerprint: &Fingerprint,
) -> Result<String, Error> {
    let hash = hash(secret);
    let mut token = load(paths, &hash)?.ok_or(Error::Unknown)?;
    if Timestamp::now() > token.expires {
        return Err(Error::Over(token.expires));
    }
    // What was stored was parsed before; a pattern that is none any more matches nothing.
    if !glob::Pattern::new(&token.names).is_ok_and(|names| names.matches(name.as_str())) {
        return Err(Error::Name { names: token.names, name: name.clone() });
    }
    if !token.used.iter().any(|used| used.fingerprint == *fingerprint) {
        if token.used.len() >= token.uses as usize {
            return Err(Error::UsedUp);
        }
        token.used.push(Use { fingerprint: *fingerprint, name: name.clone(), at: Timestamp::now() });
        store(paths, &hash, &token)?;
    }
    Ok(hash[..ID_LENGTH].to_owned())
}

/// Every token, with its hash, the newest first.
fn all(paths: &Paths) -> anyhow::Result<Vec<(String, Token)>> {
    let folder = folder(paths);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", folder.display())),
    };
    let mut tokens = Vec::new();
    for entry in entries {
        let file = entry.with_context(|| format!("cannot read {}", folder.display()))?.file_name();
        let Some(hash) = file.to_str().and_then(|file| file.strip_suffix(".json")) else { continue };
        if let Some(token) = load(paths, hash)? {
            tokens.push((hash.to_owned(), token));
        }
    }
    tokens.sort_by_key(|(_, token)| std::cmp::Reverse(token.created));
    Ok(tokens)
}

/// The ids of all tokens.
///
/// # Errors
/// They cannot be read.
pub fn ids(paths: &Paths) -> anyhow::Result<Vec<String>> {
    Ok(all(paths)?.into_iter().map(|(hash, _)| hash[..ID_LENGTH].to_owned()).collect())
}

/// Where hosts reach the endpoint: what the administrator says, else this machine's own name; where no port or no user
/// is said, those of the endpoint.
fn reached_at(context: &Context, said: Option<&str>) -> anyhow::Result<ServerAddress> {
    let text = match said {
        Some(text) => text.to_owned(),
        None => own_name().context("say where hosts reach the server with --server HOST[:PORT]")?.to_string(),
    };
    let port = endpoint::port(&context.configuration()?);
    let mut server = ServerAddress::parse(&text, port)?;
    if !text.contains('@') {
        server.user = identity::owner(&context.paths.state())?;
    }
    Ok(server)
}

/// This machine's name, by which others may know it.
fn own_name() -> anyhow::Result<HostName> {
    let name = identity::host_name().context("cannot find out the name of this machine")?;
    name.parse().map_err(|error| anyhow!("this machine's own name is of no use to others: {error}"))
}

/// Runs `token create`.
///
/// # Errors
/// The state cannot be written, or the server's own name is not known.
pub fn create(context: &Context, arguments: &cli::TokenCreate) -> anyhow::Result<ExitCode> {
    let paths = &context.paths;
    let server = reached_at(context, arguments.server.as_deref())?;
    let mut random = [0; 32];
    OsRng
        .try_fill_bytes(&mut random)
        .map_err(|error| anyhow!("the system gives no random numbers: {error}"))?;
    let secret = Base64UrlUnpadded::encode_string(&random);
    let fingerprint = endpoint::host_key(paths)?;

    let _ledger = Ledger::lock(paths)?;
    durable::folder(&folder(paths), 0o700)
        .with_context(|| format!("cannot make {}", folder(paths).display()))?;
    let created = Timestamp::now();
    let ttl = SignedDuration::try_from(arguments.ttl).context("that is too long")?;
    let token = Token {
        version: 1,
        created,
        expires: created + ttl,
        uses: arguments.uses,
        names: arguments.names.as_str().to_owned(),
        used: Vec::new(),
    };
    let hash = hash(&secret);
    store(paths, &hash, &token)?;

    let carried = token::Token { server: server.clone(), fingerprint, secret }.to_string();
    if arguments.output.json {
        let id = &hash[..ID_LENGTH];
        say(serde_json::json!({"token": carried, "id": id, "server": server, "expires": token.expires,
                               "uses": token.uses, "names": token.names}))?;
    } else {
        say(carried)?;
        anstream::eprintln!(
            "for {} host{} named {}, until {:.0}, at {server}; on a host: auto-monitor enrol TOKEN",
            token.uses,
            if token.uses == 1 { "" } else { "s" },
            token.names,
            token.expires
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `token list`.
///
/// # Errors
/// The state cannot be read.
pub fn list(context: &Context, output: &cli::Output) -> anyhow::Result<ExitCode> {
    let tokens = all(&context.paths)?;
    let now = Timestamp::now();
    if output.json {
        let tokens: Vec<_> = tokens
            .iter()
            .map(|(hash, token)| {
                serde_json::json!({"id": hash[..ID_LENGTH], "created": token.created, "expires": token.expires,
                                   "over": now > token.expires, "uses": token.uses, "names": token.names,
                                   "used": token.used})
            })
            .collect();
        say(serde_json::json!({ "tokens": tokens }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if tokens.is_empty() {
        say("There is no token. To make one: auto-monitor-server token create")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["ID", "NAMES", "USED", "UNTIL", "HOSTS"]);
    for (hash, token) in &tokens {
        let until = if now > token.expires { "over".to_owned() } else { format!("{:.0}", token.expires) };
        let hosts: Vec<&str> = token.used.iter().map(|used| used.name.as_str()).collect();
        table.row([
            hash[..ID_LENGTH].to_owned(),
            token.names.clone(),
            format!("{} of {}", token.used.len(), token.uses),
            until,
            hosts.join(" "),
        ]);
    }
    print(&table)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `token revoke`.
///
/// # Errors
/// An id is not one of a token; or the state cannot be written.
pub fn revoke(context: &Context, arguments: &cli::TokenRevoke) -> anyhow::Result<ExitCode> {
    let paths = &context.paths;
    let _ledger = Ledger::lock(paths)?;
    let mut status = ExitCode::SUCCESS;
    for id in &arguments.ids {
        let matching: Vec<String> = all(paths)?
            .into_iter()
            .map(|(hash, _)| hash)
            .filter(|hash| hash.starts_with(id.as_str()))
            .collect();
        match matching.as_slice() {
            [hash] if id.len() >= 4 => {
                let path = folder(paths).join(format!("{hash}.json"));
                fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
                durable::sync_folder(&folder(paths))
                    .with_context(|| format!("cannot sync {}", folder(paths).display()))?;
                say(format_args!("The token {id} lets nobody in any more."))?;
            }
            [] => {
                anstream::eprintln!(
                    "error: there is no token {id}; auto-monitor-server token list shows them"
                );
                status = ExitCode::from(BAD_NEWS);
            }
            _ => bail!("{id} may stand for several tokens; give more of it"),
        }
    }
    Ok(status)
}
