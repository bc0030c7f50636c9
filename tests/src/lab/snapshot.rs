//! Everything that an installation could leave behind on a machine, so that two moments can be compared; as piuparts does.

use std::collections::BTreeSet;

use anyhow::Result;

use super::machine::Machine;

/// Every file with its kind, rights, owner, path and what it links to, and of the configuration what is in it. Then what
/// dpkg, debconf, ucf and systemd hold in records of their own, the accounts, and what runs.
///
/// Not compared: what every run of apt, of systemd or of a login prompt changes whatever is installed (caches, logs, lists,
/// time stamps), and what Nagios and its mails write while they run. What has our name is listed all the same, wherever it
/// is.
const LOOK: &str = r"
set -eu
find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /var/tmp -o -path /root -o -path /srv -o \
    -path /run -o -path /var/cache -o -path /var/log -o -path /var/lib/apt -o -path /var/lib/dpkg -o \
    -path /var/lib/systemd/catalog -o -path /var/lib/systemd/timers -o -path /var/lib/systemd/random-seed -o \
    -path '/var/lib/ucf/?*' -o -path '/var/lib/nagios4/?*' -o -path '/var/spool/exim4/?*' -o \
    -path '/var/mail/?*' \) -prune -o -printf 'file %y %M %u:%g %p %l\n'
find /run \( -path /run/systemd -o -path /run/log -o -path /run/udev -o -path '/run/user/*' -o \
    -path /run/agetty.reload \) -prune -o \
    -printf 'file %y %M %u:%g %p %l\n'
find / -xdev \( -path /proc -o -path /root -o -path /srv -o -path '/var/lib/dpkg/info' \) -prune -o \
    -name '*auto-monitor*' -printf 'ours %p\n'
find /run /sys/fs/cgroup -name '*auto-monitor*' -printf 'ours %p\n'
find /etc -type f ! -name 'passwd*' ! -name 'group*' ! -name 'shadow*' ! -name 'gshadow*' ! -name 'subuid*' \
    ! -name 'subgid*' ! -name ld.so.cache -exec sha256sum {} + | sed 's/^/contents /'
dpkg-query --show --showformat 'dpkg ${db:Status-Abbrev} ${Package} ${Version}\n'
ls /var/lib/dpkg/info | sed 's/^/dpkg info /'
cat /var/lib/dpkg/triggers/File /var/lib/dpkg/diversions /var/lib/dpkg/statoverride | sed 's/^/dpkg record /'
grep -h auto-monitor /var/cache/debconf/*.dat | sed 's/^/debconf /' || :
test ! -d /var/lib/ucf || grep -h auto-monitor /var/lib/ucf/registry /var/lib/ucf/hashfile | sed 's/^/ucf /' || :
getent passwd | sed 's/^/account /'
getent group | sed 's/^/group /'
ps -eo args= | grep '[a]uto-monitor' | sed 's/^/process /' || :
if [ -d /run/systemd/system ]; then
    systemctl list-unit-files --no-legend --plain | sed 's/^/unit file /'
    systemctl list-units --all --no-legend --plain '*auto-monitor*' | sed 's/^/unit /'
    systemctl list-units --failed --no-legend --plain | sed 's/^/failed unit /'
fi
";

/// What was there at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(BTreeSet<String>);

impl Snapshot {
    /// Looks at a machine, whether it is booted or not.
    ///
    /// # Errors
    /// The machine cannot be looked at.
    pub fn take(machine: &Machine) -> Result<Self> {
        let said = machine.expect_either_way(&["sh", "-c", LOOK])?;
        Ok(Self(said.output.lines().map(|line| line.trim_end().to_owned()).collect()))
    }

    /// What is there now and was not (`+`), and what is gone (`-`).
    #[must_use]
    pub fn difference(&self, now: &Self) -> Vec<String> {
        let new = now.0.difference(&self.0).map(|line| format!("+ {line}"));
        let gone = self.0.difference(&now.0).map(|line| format!("- {line}"));
        new.chain(gone).collect()
    }
}
