//! Who runs at a site, and may be killed.

use std::collections::BTreeMap;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use auto_monitor_tests::process::{Running, descendants, of_this_user};
use rustix::process::{Signal, kill_process};

/// How long is waited for somebody to kill.
const AMBUSH: Duration = Duration::from_secs(1);

/// What a process is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `auto-monitor`, on a host.
    Client,
    /// An sshd of one connection.
    Connection,
    /// What such an sshd runs: whose key is it, and the session.
    Session,
    /// The endpoint, which becomes the sshd that listens.
    Endpoint,
    /// What ends connections that last too long, beside an sshd that does not do so itself.
    Overdue,
    /// `auto-monitor-server publish --watch`.
    Publisher,
    /// `nagios4 -v`, of the publisher or of this test.
    Verification,
    /// Nagios, and what it forks to read commands.
    Nagios,
    /// What Nagios has its checks run by.
    Worker,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Client,
        Self::Connection,
        Self::Session,
        Self::Endpoint,
        Self::Overdue,
        Self::Publisher,
        Self::Verification,
        Self::Nagios,
        Self::Worker,
    ];

    /// Whether it runs for as long as the machine.
    pub fn stays(self) -> bool {
        matches!(self, Self::Endpoint | Self::Publisher | Self::Nagios)
    }

    /// Whether it runs only while somebody says something, or something is published.
    pub fn passes(self) -> bool {
        matches!(self, Self::Client | Self::Connection | Self::Session | Self::Verification)
    }

    /// Whether it is killed. Nobody starts anew what ends overdue connections: it comes and goes with its sshd.
    fn is_prey(self) -> bool {
        self != Self::Overdue
    }

    fn of(process: &Running) -> Option<Self> {
        let bytes = fs::read(format!("/proc/{}/cmdline", process.id.as_raw_nonzero())).ok()?;
        let line = String::from_utf8_lossy(&bytes).replace('\0', " ");
        let has = |word: &str| line.split(' ').any(|other| other == word);
        match process.name.as_str() {
            "auto-monitor" => Some(Self::Client),
            "auto-monitor-se" if has("--watch") => Some(Self::Publisher),
            "auto-monitor-se" if has("endpoint") => Some(Self::Endpoint),
            "auto-monitor-se" if has("end-overdue") => Some(Self::Overdue),
            "auto-monitor-se" if has("session") || has("authorized-keys") => Some(Self::Session),
            // sshd writes what it is into its command line, and does so a moment after its beginning.
            "sshd" if line.contains("[listener]") => Some(Self::Endpoint),
            "sshd" | "sshd-session" | "sshd-auth" => Some(Self::Connection),
            "nagios4" if has("--worker") => Some(Self::Worker),
            "nagios4" if has("-v") => Some(Self::Verification),
            "nagios4" => Some(Self::Nagios),
            _ => None,
        }
    }
}

/// Kills one of those below this process; says what it was. First which role, then who of them: else most of the dead
/// would be what there is most of. What lives for a moment is waited for.
pub fn kill_one(chance: &mut fastrand::Rng, among: impl Fn(Role) -> bool) -> Option<Role> {
    let roles: Vec<Role> = Role::ALL.into_iter().filter(|role| role.is_prey() && among(*role)).collect();
    let role = roles[chance.usize(..roles.len())];
    let until = Instant::now() + AMBUSH;
    let prey = loop {
        let mut prey = descendants(std::process::id());
        prey.retain(|process| Role::of(process) == Some(role));
        if !prey.is_empty() || Instant::now() > until {
            break prey;
        }
        sleep(Duration::from_millis(2));
    };
    let victim = prey.get(chance.usize(..prey.len().max(1)))?;
    kill_process(victim.id, Signal::KILL).is_ok().then_some(role)
}

/// Everybody of this user who plays a role, also those whose parent was killed.
pub fn everybody() -> Vec<(Role, Running)> {
    of_this_user().into_iter().filter_map(|process| Some((Role::of(&process)?, process))).collect()
}

/// How many there are of each.
pub fn count(everybody: &[(Role, Running)]) -> BTreeMap<Role, usize> {
    let mut counts = BTreeMap::new();
    for (role, _) in everybody {
        *counts.entry(*role).or_default() += 1;
    }
    counts
}
