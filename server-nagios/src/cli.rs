//! The command line: one list, from which help, man page and completions are made.
//!
//! `authorized-keys`, `session` and `end-overdue` are for sshd alone, so they are hidden: nobody else has a use for them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use monitoring_info::host::{HostName, ServiceName};
use monitoring_info::server_address;

use crate::completion;

/// The monitoring server: takes the registrations of hosts, and has Nagios watch what they name.
///
/// Hosts enrol over an SSH endpoint of the server's own. What they register is rendered, verified by Nagios itself,
/// and swapped in as a whole. The exit status is 0 when it is done, 1 when the answer is bad news (something was
/// refused, is quarantined, or is broken), and 2 when the command was wrong or could not be run.
#[derive(Debug, Parser)]
#[command(name = "auto-monitor-server", version, max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    /// Take every path of the system below this folder
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath, default_value = "/", hide_default_value = true)]
    pub root: PathBuf,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the endpoint that hosts register at, until it is stopped
    ///
    /// Makes the state folder and the host key when there are none, writes the configuration of an sshd of its own, has
    /// sshd judge it, and becomes that sshd. Root's becomes the account that the state folder belongs to first.
    Endpoint(Endpoint),
    /// Say on the local network where the endpoint is, until it is stopped
    ///
    /// Hosts then find it by multicast DNS (DNS-SD, _auto-monitor._tcp) and show a person the fingerprint of its key. It
    /// follows the machine's addresses as they come and go, and takes the announcement back on SIGTERM. avahi-daemon may
    /// run beside it.
    Announce,
    /// What sshd asks of every key that is offered
    #[command(hide = true)]
    AuthorizedKeys(AuthorizedKeys),
    /// What sshd runs for every session
    #[command(hide = true)]
    Session(Session),
    /// What runs beside an sshd that does not end idle connections itself
    #[command(hide = true)]
    EndOverdue(EndOverdue),
    /// Show the hosts that wait for approval
    Pending(Output),
    /// Let hosts in that wait for approval
    Approve(Approve),
    /// Turn hosts away that wait for approval
    Reject(Reject),
    /// Take the approval of hosts back; they stay watched until they are removed
    Revoke(Revoke),
    /// Watch hosts no longer, and forget their keys
    Remove(Names),
    /// Give a host another name
    Rename(Rename),
    /// Make, show and revoke tokens, with which hosts enrol unattended
    #[command(subcommand)]
    Token(Token),
    /// List the hosts
    List(Output),
    /// Show everything that is known of a host
    Show(Show),
    /// Show how the server, its endpoint and the last publish stand
    Status(Output),
    /// Render what is registered, have Nagios verify it, and swap it in
    Publish(Publish),
    /// Show what a publish would change
    Diff(Output),
    /// Tell the alert station that Nagios is alive; its silence is an alert
    ///
    /// A timer runs it every minute. The station raises an alert ten minutes after the last one; while Nagios does not run,
    /// none is sent. What Nagios tells nobody is cleared besides: what has become well in a downtime, and what is watched
    /// no longer.
    Heartbeat,
    /// Show what is run for a host or a service, and where every part of it comes from
    Explain(Explain),
    /// Look for faults of the installation, and say what to do about each
    Doctor(Output),
    /// Write man pages or completions made from this program
    #[command(subcommand)]
    Generate(Generate),
}

/// How to print.
#[derive(Debug, Args)]
pub struct Output {
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `endpoint`.
#[derive(Debug, Args)]
pub struct Endpoint {
    /// Stay root where the state folder is root's: then root handles what hosts send, so only for tests
    #[arg(long)]
    pub allow_root: bool,
}

/// The arguments of `authorized-keys`: sshd's `%f %t %k`.
#[derive(Debug, Args)]
pub struct AuthorizedKeys {
    /// The fingerprint of the key.
    pub fingerprint: String,
    /// Its type.
    pub key_type: String,
    /// The key in base64.
    pub key: String,
}

/// The argument of `session`.
#[derive(Debug, Args)]
pub struct Session {
    /// The fingerprint of the key that the session was opened with.
    pub fingerprint: String,
}

/// The arguments of `end-overdue`.
#[derive(Debug, Args)]
pub struct EndOverdue {
    /// The process id of the sshd, which is the parent.
    pub listener: u32,
    /// How long a connection may last.
    pub seconds: u64,
}

/// The arguments of `approve`.
#[derive(Debug, Args)]
pub struct Approve {
    /// Names or fingerprints (SHA256:...), as `pending` shows them
    #[arg(required = true, value_name = "NAME|FINGERPRINT", add = ArgValueCompleter::new(completion::pending))]
    pub keys: Vec<String>,
    /// Let the new key take the place of the one that the name is bound to, which is revoked
    #[arg(long)]
    pub replace: bool,
}

/// The arguments of `reject`.
#[derive(Debug, Args)]
pub struct Reject {
    /// Names or fingerprints (SHA256:...), as `pending` shows them
    #[arg(required = true, value_name = "NAME|FINGERPRINT", add = ArgValueCompleter::new(completion::pending))]
    pub keys: Vec<String>,
}

/// The arguments of `revoke`.
#[derive(Debug, Args)]
pub struct Revoke {
    /// Names or fingerprints (SHA256:...), as `list` and `show` have them
    #[arg(required = true, value_name = "NAME|FINGERPRINT", add = ArgValueCompleter::new(completion::approved))]
    pub keys: Vec<String>,
}

/// Names of hosts.
#[derive(Debug, Args)]
pub struct Names {
    /// Names of hosts
    #[arg(required = true, value_name = "NAME", add = ArgValueCompleter::new(completion::hosts))]
    pub names: Vec<HostName>,
}

/// The arguments of `rename`.
#[derive(Debug, Args)]
pub struct Rename {
    /// The name now
    #[arg(add = ArgValueCompleter::new(completion::hosts))]
    pub old: HostName,
    /// The name from now on
    pub new: HostName,
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Print a new token: whoever has it can enrol a host
    Create(TokenCreate),
    /// Show the tokens; the tokens themselves are not kept
    List(Output),
    /// Make tokens worthless
    Revoke(TokenRevoke),
}

/// The arguments of `token create`.
#[derive(Debug, Args)]
pub struct TokenCreate {
    /// How many hosts can enrol with it
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub uses: u32,
    /// For how long, like 30m, 24h or 7d
    #[arg(long, default_value = "24h", value_parser = duration)]
    pub ttl: std::time::Duration,
    /// Only for names that match, like *.web.example.org
    #[arg(long, value_name = "GLOB", default_value = "*")]
    pub names: glob::Pattern,
    /// Where hosts reach the server, when that is not its own name and the port that it listens on
    #[arg(long, value_name = "[USER@]HOST[:PORT]", value_parser = server_address)]
    pub server: Option<String>,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// Refuses what is no address of a server; which port one without a port means is the configuration's to say.
fn server_address(text: &str) -> Result<String, server_address::Invalid> {
    text.parse::<server_address::ServerAddress>().map(|_| text.to_owned())
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    crate::configuration::duration(text).map_err(|invalid| format!("{}; {}", invalid.message, invalid.help))
}

/// The arguments of `token revoke`.
#[derive(Debug, Args)]
pub struct TokenRevoke {
    /// Their ids, as `token list` shows them
    #[arg(required = true, value_name = "ID", add = ArgValueCompleter::new(completion::tokens))]
    pub ids: Vec<String>,
}

/// The arguments of `show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The host
    #[arg(add = ArgValueCompleter::new(completion::hosts))]
    pub name: HostName,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// The arguments of `publish`.
#[derive(Debug, Args)]
pub struct Publish {
    /// Stay, and publish whenever something has changed
    #[arg(long, conflicts_with = "confirm_removal")]
    pub watch: bool,
    /// Publish even though many hosts or services would go
    #[arg(long)]
    pub confirm_removal: bool,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// The arguments of `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// The host
    #[arg(add = ArgValueCompleter::new(completion::hosts))]
    pub host: HostName,
    /// One service of it
    #[arg(add = ArgValueCompleter::new(completion::services))]
    pub service: Option<ServiceName>,
    /// One probe of the service, like certificate
    pub probe: Option<String>,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// What to print.
#[derive(Debug, Subcommand)]
pub enum Generate {
    /// Write man pages: one for each command, and one for each file of the administrator's
    Man {
        /// The page to print, like auto-monitor-server-approve or auto-monitor-server.conf
        #[arg(value_name = "PAGE", default_value = "auto-monitor-server", add = ArgValueCompleter::new(completion::pages))]
        page: String,
        /// Write every page into this folder
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "page")]
        directory: Option<PathBuf>,
    },
    /// Completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
