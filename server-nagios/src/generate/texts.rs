//! What the pages say that no table and no command line knows.

use std::path::{Path, PathBuf};

use crate::paths::Paths;
use crate::target;

/// What a stranger needs to know before the commands.
pub(super) const SECTIONS: &[(&str, &[&str])] = &[
    (
        "ENROLMENT",
        &[
            "A host is known by an SSH key of its own, and a key is bound to one name. `auto-monitor enrol SERVER` on a \
             host makes its key wait here; `pending` shows it with its fingerprint, and `approve` binds it to the name. \
             From then on the host registers by itself. Or `token create` prints a string with which \
             `auto-monitor enrol TOKEN` needs no approval; or auto-approve in server.conf lets whole networks in.",
            "A name never changes hands unasked: another key that asks for it waits, and `approve --replace` gives it the \
             name. `reject` turns a key away and `revoke` takes an approval back; either is undone by `approve \
             FINGERPRINT`. A revoked host stays watched as it is, and its name stays its own. `remove` ends the watching \
             and forgets the key, which may then ask again like any other. At most 1,000 keys wait, 10 from one address, \
             for 7 days.",
        ],
    ),
    (
        "ENDPOINT",
        &[
            "The endpoint is an OpenSSH server of its own, on TCP port 2929. It needs nothing of root: it runs as the \
             account that the state folder belongs to, which must have a login shell, and which hosts log in as. There \
             is no login beyond one command: no shell, terminal, file transfer or forwarding, and no key but Ed25519. A \
             registration is at most 256 KiB and 200 definitions and is complete within 10 seconds. It is on the disk \
             before the host is answered.",
            "What sessions did and what was refused is in the system's log, one line of key=value pairs each; below \
             another --root, in the file endpoint/session.log of the state folder.",
        ],
    ),
    (
        "MAINTENANCE",
        &[
            "`auto-monitor maintenance begin` on a host, which packaging runs before an upgrade, has `publish --watch` \
             schedule a fixed downtime for the host and its services, of half an hour or what was asked for, up to 4 \
             hours; `end` takes it back. Downtimes that somebody else has scheduled are left alone. Nagios is told by \
             its command_file, where the account that the state folder belongs to must be able to write; with \
             check_external_commands=0 it cannot be told, and `doctor` says so.",
        ],
    ),
    (
        "JSON",
        &[
            "With --json, one object is printed. Those of `pending`, `list` and `token list` hold one array, called \
             pending, hosts and tokens. Times are those of RFC 3339, in UTC; what is not known is null. Of definitions, \
             the settings are left out, because passwords can be among them. Later versions may add fields.",
        ],
    ),
];

/// The files that an administrator meets, and what each is.
pub(super) fn files() -> Vec<(PathBuf, &'static str)> {
    // The root is an absolute path already, so no current folder is asked for, whose absence would be the only failure.
    let Ok(paths) = Paths::below(Path::new("/")) else { return Vec::new() };
    let mut files = vec![
        (paths.configuration(), "What the administrator says: `auto-monitor-server.conf`(5)."),
        (
            paths.host_overrides().join("NAME.conf"),
            "What the administrator says of one host: `auto-monitor-server-host.conf`(5).",
        ),
    ];
    for target in target::names() {
        let [own, shipped] = paths.templates(target);
        files.push((own, "Replacements of shipped templates: `auto-monitor-server-templates`(5)."));
        files.push((shipped, "The shipped templates."));
    }
    files.extend([
        (
            paths.endpoint(),
            "The host key and the configuration of the endpoint's sshd. Back it up: with another \
             key, every host refuses to register until somebody there has confirmed it.",
        ),
        (paths.enrolment(), "The keys of hosts and how they stand, and the tokens' hashes. Back it up too."),
        (paths.registry(), "The newest registration of each host."),
        (paths.seen(), "When each host was last heard from."),
        (paths.maintenance(), "What hosts have said of maintenance."),
        (paths.downtimes(), "What Nagios was told of it."),
        (paths.publications(), "What the last publish said of hosts that are not simply published."),
        (
            paths.station(target::mauve::NAME),
            "What an alert station includes: 10-people.conf, an example that is written once, 20-hosts.conf and \
             30-groups.conf. The file published beside them changes when these do.",
        ),
        (paths.generations(), "What was rendered lately, a folder for each publish."),
        (
            paths.current(),
            "Leads to the generation that Nagios and its probes read; with the folder seen it must be readable by the \
             group of Nagios.",
        ),
    ]);
    files
}
