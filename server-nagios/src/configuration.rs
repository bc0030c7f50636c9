//! The administrator's `server.conf`: `key = value` lines, and behind them sections about an alert station.
//!
//! One table lists the keys, and one those of each section. A default is text that goes through the same function as a line
//! of the file, so what the man page says of a default is what is in force.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use monitoring_info::diagnostic::{Problem, instead};
use monitoring_info::host::{HostName, quoted};
use monitoring_info::ini::{Document, Source};
use monitoring_info::mail::{self, SharedLists};
use monitoring_info::probe::{Program, Suite};
use monitoring_info::value::{self, Invalid};

mod form;
mod mailflow;
pub mod mauve;
pub mod times;

pub use form::duration;
use form::{
    DURATION_OR_NEVER_FORM, NAMES_FORM, PATH_FORM, PAUSE_FORM, domain, duration_or_never, listen_address,
    network, path, pause,
};
pub(crate) use form::{list, object_name, yes_or_no};
pub use mailflow::SharedMailflow;

/// What the administrator says.
///
/// Paths are as written. Those of Nagios's configuration are meant below `--root` ([`crate::paths::Paths::rooted`]);
/// programs are the machine's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Where the endpoint listens.
    pub listen: Vec<SocketAddr>,
    /// The program sshd.
    pub sshd: PathBuf,
    /// The networks from which hosts are let in unasked.
    pub auto_approve: Vec<IpNet>,
    /// After how long without a word a host's registration is stale; none: never.
    pub stale_after: Option<Duration>,
    /// After how long without a word a host is removed; none: never.
    pub expire_after: Option<Duration>,
    /// The program nagios4.
    pub nagios: PathBuf,
    /// Nagios's main configuration file, below the root.
    pub nagios_configuration: PathBuf,
    /// The link through which Nagios reads what is published, below the root.
    pub nagios_link: PathBuf,
    /// The folder of the monitoring plugins.
    pub plugins: PathBuf,
    /// The program that Nagios runs for every probe.
    pub check_program: PathBuf,
    /// The names of Nagios contacts that are told of every host and service.
    pub contacts: Vec<String>,
    /// The names of Nagios contact groups that are told of every host and service.
    pub contact_groups: Vec<String>,
    /// A command for the shell that makes Nagios read its configuration again; none: SIGHUP to Nagios.
    pub reload_command: Option<String>,
    /// How long nothing must change before a publish.
    pub quiet: Duration,
    /// How long a publish waits for quiet at most.
    pub quiet_at_most: Duration,
    /// What holds for the probes that send and fetch mails.
    pub mail: mail::Policy,
    /// The token lists that hosts use beside their owners.
    pub shared_mailflows: Vec<SharedMailflow>,
    /// The alert station that is told of what Nagios finds; none: there is none.
    pub mauve: Option<mauve::Mauve>,
}

/// A key of `server.conf`, or of a section of it.
#[derive(Debug)]
pub struct Key<T: 'static = Configuration> {
    /// Its name.
    pub name: &'static str,
    /// What a value looks like.
    pub form: &'static str,
    /// The value in force when the file does not set the key.
    pub default: &'static str,
    /// What it says.
    pub summary: &'static str,
    set: fn(&mut T, &str) -> Result<(), Invalid>,
}

/// Every key, in the order of the documentation.
pub static KEYS: &[Key] = &[
    Key {
        name: "listen",
        form: "addresses, each with a port if it is not 2929, joined by commas",
        default: "[::]:2929, 0.0.0.0:2929",
        summary: "where the endpoint listens",
        set: |to, text| {
            to.listen = list(text, listen_address)?;
            match to.listen.as_slice() {
                [] => Err(Invalid::new("there is no address in it", "give one, or leave the line out")),
                _ => Ok(()),
            }
        },
    },
    Key {
        name: "auto-approve",
        form: "networks like `192.0.2.0/24`, joined by commas, or nothing",
        default: "",
        summary: "hosts that connect from these networks are let in unasked, each under the name that it gives \
                  itself, unless that name is taken",
        set: |to, text| list(text, network).map(|value| to.auto_approve = value),
    },
    Key {
        name: "stale-after",
        form: DURATION_OR_NEVER_FORM,
        default: "3d",
        summary: "a host that was not heard from for so long gets a WARNING of its own",
        set: |to, text| duration_or_never(text).map(|value| to.stale_after = value),
    },
    Key {
        name: "expire-after",
        form: DURATION_OR_NEVER_FORM,
        default: "never",
        summary: "a host that was not heard from for so long is watched no longer",
        set: |to, text| duration_or_never(text).map(|value| to.expire_after = value),
    },
    Key {
        name: "quiet",
        form: PAUSE_FORM,
        default: "2s",
        summary: "a publish waits until nothing has changed for so long, so that many changes become one",
        set: |to, text| pause(text).map(|value| to.quiet = value),
    },
    Key {
        name: "quiet-at-most",
        form: PAUSE_FORM,
        default: "30s",
        summary: "but never longer than this",
        set: |to, text| pause(text).map(|value| to.quiet_at_most = value),
    },
    Key {
        name: "nagios",
        form: PATH_FORM,
        default: "/usr/sbin/nagios4",
        summary: "the program that verifies what is to be published",
        set: |to, text| path(text).map(|value| to.nagios = value),
    },
    Key {
        name: "nagios-configuration",
        form: PATH_FORM,
        default: "/etc/nagios4/nagios.cfg",
        summary: "Nagios's main configuration file (below --root)",
        set: |to, text| path(text).map(|value| to.nagios_configuration = value),
    },
    Key {
        name: "nagios-link",
        form: PATH_FORM,
        default: "/etc/nagios4/conf.d/auto-monitor",
        summary: "the link, in a folder that Nagios reads, to what is published (below --root)",
        set: |to, text| path(text).map(|value| to.nagios_link = value),
    },
    Key {
        name: "contacts",
        form: NAMES_FORM,
        default: "",
        summary: "the Nagios contacts that are told of problems of every host, as they are named in Nagios's own \
                  configuration; a host's own overrides can name others",
        set: |to, text| list(text, object_name).map(|value| to.contacts = value),
    },
    Key {
        name: "contact-groups",
        form: NAMES_FORM,
        default: "",
        summary: "the Nagios contact groups that are told likewise; without any contact or group, nobody is told",
        set: |to, text| list(text, object_name).map(|value| to.contact_groups = value),
    },
    Key {
        name: "reload-command",
        form: "a command for the shell, or nothing",
        default: "",
        summary: "makes Nagios read its configuration again; without it, the process named in Nagios's lock file gets \
                  SIGHUP",
        set: |to, text| {
            to.reload_command = Some(text.to_owned()).filter(|text| !text.is_empty());
            Ok(())
        },
    },
    Key {
        name: "plugins",
        form: PATH_FORM,
        default: "/usr/lib/nagios/plugins",
        summary: "the folder of the monitoring plugins",
        set: |to, text| path(text).map(|value| to.plugins = value),
    },
    Key {
        name: "check-program",
        form: PATH_FORM,
        default: "/usr/lib/nagios/plugins/check_registered",
        summary: "the program that Nagios runs for every probe",
        set: |to, text| path(text).map(|value| to.check_program = value),
    },
    Key {
        name: "mail-domains",
        form: "domains joined by commas, or nothing",
        default: "",
        summary: "the domains of the addresses to which smtp definitions may have mails sent; nothing: every domain. \
                  Name those of the organisation, and no host can have this server write to strangers",
        set: |to, text| list(text, domain).map(|value| to.mail.domains = value),
    },
    Key {
        name: "mail-from",
        form: "a mail address, or nothing",
        default: "",
        summary: "the envelope sender of these mails; nothing: the empty one, so that no bounce comes back. A mail server \
                  that refuses that one needs an address, whose mailbox somebody should empty",
        set: |to, text| {
            to.mail.from = Some(text.to_owned()).filter(|text| !text.is_empty());
            to.mail.from.as_deref().map_or(Ok(()), |text| (value::EMAIL.parse)(text).map(drop))
        },
    },
    Key {
        name: "plain-text-logins",
        form: "yes or no",
        default: "no",
        summary: "whether the password of an imap or pop3 definition without `ssl` is sent over the network for \
                  everybody on the way to read; with `no`, such a check is UNKNOWN",
        set: |to, text| yes_or_no(text).map(|value| to.mail.plain_text_logins = value),
    },
    Key {
        name: "shared-mailflows",
        form: mailflow::FORM,
        default: "",
        summary: "the token lists of mailflow definitions that more than one host uses, for mails that are sent through \
                  one and fetched from another. Elsewhere, an id names a list of the host's own",
        set: |to, text| mailflow::parse(text).map(|value| to.shared_mailflows = value),
    },
    Key {
        name: "sshd",
        form: PATH_FORM,
        default: "/usr/sbin/sshd",
        summary: "the program that the endpoint becomes",
        set: |to, text| path(text).map(|value| to.sshd = value),
    },
];

/// Why there is no configuration.
#[derive(Debug)]
pub enum Error {
    /// The file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file has faults.
    Faulty(Vec<Problem>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, .. } => write!(f, "cannot read {}", path.display()),
            Self::Faulty(problems) => {
                for (at, problem) in problems.iter().enumerate() {
                    f.write_str(if at > 0 { "\n\n" } else { "" })?;
                    f.write_str(problem.to_string().trim_end())?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Faulty(_) => None,
        }
    }
}

impl Default for Configuration {
    /// What is in force without a file: the table's defaults.
    fn default() -> Self {
        let mut configuration = Self {
            listen: Vec::new(),
            sshd: PathBuf::new(),
            auto_approve: Vec::new(),
            stale_after: None,
            expire_after: None,
            nagios: PathBuf::new(),
            nagios_configuration: PathBuf::new(),
            nagios_link: PathBuf::new(),
            plugins: PathBuf::new(),
            check_program: PathBuf::new(),
            contacts: Vec::new(),
            contact_groups: Vec::new(),
            reload_command: None,
            quiet: Duration::ZERO,
            quiet_at_most: Duration::ZERO,
            mail: mail::Policy::default(),
            shared_mailflows: Vec::new(),
            mauve: None,
        };
        for key in KEYS {
            let sound = (key.set)(&mut configuration, key.default).is_ok();
            debug_assert!(sound, "the default of {} is no value of it", key.name);
        }
        configuration
    }
}

impl Configuration {
    /// Reads the file; without one, the defaults are in force.
    ///
    /// # Errors
    /// It cannot be read, or it has faults: then all of them.
    pub fn load(path: &Path) -> Result<Self, Error> {
        match fs::read(path) {
            Ok(bytes) => Self::parse(&path.display().to_string(), &bytes).map_err(Error::Faulty),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(Error::Read { path: path.to_owned(), source }),
        }
    }

    /// The token lists of others that this host uses.
    #[must_use]
    pub fn shared_lists(&self, host: &HostName) -> SharedLists {
        mailflow::lists_of(&self.shared_mailflows, host)
    }

    /// Where a program is that a probe may be.
    #[must_use]
    pub fn program(&self, program: &Program) -> PathBuf {
        match program.suite {
            Suite::MonitoringPlugins => self.plugins.join(program.name),
            Suite::AutoMonitor => self.program_of_ours(program.name),
        }
    }

    /// Where a program of ours is: beside the check program, where that finds it, too.
    #[must_use]
    pub fn program_of_ours(&self, name: &str) -> PathBuf {
        // Not beside a link to it.
        let check_program = fs::canonicalize(&self.check_program);
        check_program.as_ref().unwrap_or(&self.check_program).with_file_name(name)
    }

    /// Reads the bytes of a file that is shown under this name.
    ///
    /// # Errors
    /// Every fault, each with its place.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Vec<Problem>> {
        let (document, mut problems) = Document::parse(bytes);
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let mut configuration = Self::default();
        let (mauve, faults) = mauve::parse(&document.sections, text);
        configuration.mauve = mauve;
        problems.extend(faults);
        let keys: HashMap<&str, &Key> = KEYS.iter().map(|key| (key.name, key)).collect();
        for entry in &document.head.entries {
            let fault = match keys.get(entry.key.as_str()) {
                None => Some((unknown(&entry.key, KEYS.iter().map(|key| key.name)), entry.key_place)),
                Some(key) => (key.set)(&mut configuration, &entry.value).err().map(|invalid| {
                    let message = format!("the value of `{}` is wrong: {}", key.name, invalid.message);
                    (Problem::error(message).help(invalid.help), entry.value_place)
                }),
            };
            problems.extend(fault.map(|(problem, spot)| problem.at(Source::new(text).place(spot))));
        }
        let told = |mut problems: Vec<Problem>| -> Vec<Problem> {
            problems.sort_by_key(|problem| problem.place.as_ref().map(|place| (place.line, place.column)));
            problems.into_iter().map(|problem| problem.file(file)).collect()
        };
        if let Some(mauve) = &mut configuration.mauve {
            mauve.faults = told(std::mem::take(&mut mauve.faults));
        }
        if problems.is_empty() { Ok(configuration) } else { Err(told(problems)) }
    }
}

/// What is said of a key that a file does not have.
pub(crate) fn unknown<'a>(key: &str, keys: impl Iterator<Item = &'a str> + Clone) -> Problem {
    Problem::error(format!("unknown key {}", quoted(key))).help(instead(key, keys, "the keys are"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_defaults_are_in_force() {
        let configuration = Configuration::default();
        for key in KEYS {
            let mut again = configuration.clone();
            assert!((key.set)(&mut again, key.default).is_ok(), "{}", key.name);
            assert_eq!(again, configuration, "{}", key.name);
        }
        assert_eq!(configuration.stale_after, Some(Duration::from_secs(3 * 24 * 60 * 60)));
        assert_eq!(configuration.listen.len(), 2);
        assert_eq!(Configuration::parse("server.conf", b"").unwrap(), configuration);
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let text = "lisen = 127.0.0.1\nauto-approve = 10.0.0.0/8, 10.0.0.0/33\nquiet = 2\nnagios = nagios4\n\
                    listen = 127.0.0.1:0\n[server]\n";
        let problems = Configuration::parse("server.conf", text.as_bytes()).unwrap_err();
        let told: Vec<String> = problems
            .iter()
            .map(|problem| {
                format!(
                    "{}: {} ({})",
                    problem.place.as_ref().unwrap().line,
                    problem.message,
                    problem.help.as_deref().unwrap()
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "1: unknown key `lisen` (did you mean `listen`?)",
                "2: the value of `auto-approve` is wrong: `10.0.0.0/33` is no network (give networks like \
                 `192.0.2.0/24` or `2001:db8::/32`)",
                "3: the value of `quiet` is wrong: `2` is no duration (give a duration like `2s` or `1m`, or `0s` for none)",
                "4: the value of `nagios` is wrong: `nagios4` is not an absolute path (begin it with `/`)",
                "5: the value of `listen` is wrong: `127.0.0.1:0` is no address to listen on (give addresses like \
                 `192.0.2.1`, `192.0.2.1:2930` or `[2001:db8::1]:2930`)",
                "6: unknown section `server` (the sections are `[mauve]` and `[notify NAME]`; every other key stands \
                 before them)",
            ]
        );
    }

    #[test]
    fn a_publish_may_wait_for_nothing() {
        let configuration = Configuration::parse("server.conf", b"quiet = 0s\nquiet-at-most = 0s\n").unwrap();
        assert_eq!((configuration.quiet, configuration.quiet_at_most), (Duration::ZERO, Duration::ZERO));
        // What is waited for before something is done about it may not be nothing.
        assert!(Configuration::parse("server.conf", b"stale-after = 0s\n").is_err());
    }

    #[test]
    fn contacts_are_names_of_nagios_objects() {
        let text = "contacts = nagiosadmin, J\u{fc}rgen B.\ncontact-groups = admins\n";
        let configuration = Configuration::parse("server.conf", text.as_bytes()).unwrap();
        assert_eq!(configuration.contacts, ["nagiosadmin", "J\u{fc}rgen B."]);
        assert_eq!(configuration.contact_groups, ["admins"]);
        for bad in ["*", "+admins", "!admins", "a;b", "a$b", "null", "a\\", "a{b"] {
            let text = format!("contact-groups = {bad}\n");
            assert!(Configuration::parse("server.conf", text.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn mails_are_sent_and_fetched_as_the_administrator_says() {
        let text = "mail-domains = example.org, Example.NET\nmail-from = monitor@example.org\nplain-text-logins = yes\n\
                    shared-mailflows = mx.example.org/inbound imap.example.org\n";
        let configuration = Configuration::parse("server.conf", text.as_bytes()).unwrap();
        let domains: Vec<&str> = configuration.mail.domains.iter().map(HostName::as_str).collect();
        assert_eq!(domains, ["example.org", "example.net"]);
        assert_eq!(configuration.mail.from.as_deref(), Some("monitor@example.org"));
        assert!(configuration.mail.plain_text_logins);
        let lists = |host: &str| configuration.shared_lists(&host.parse().unwrap()).into_values().count();
        assert_eq!((lists("imap.example.org"), lists("pop.example.org")), (1, 0));
        for (bad, message) in [
            ("mail-domains = @example.org", "`@example.org` is no domain"),
            ("mail-domains = example..org", "`example..org` is no domain"),
            ("mail-from = monitor", "`monitor` is no mail address: it has no `@`"),
            ("plain-text-logins = maybe", "`maybe` is no boolean"),
            ("shared-mailflows = inbound", "`inbound` is no list: it has no `/`"),
        ] {
            let problems = Configuration::parse("server.conf", bad.as_bytes()).unwrap_err();
            assert!(problems[0].message.ends_with(message), "{}", problems[0].message);
        }
    }

    #[test]
    fn every_form_of_an_address_is_understood() {
        let text = b"listen = 127.0.0.1, 127.0.0.1:1, ::1, [::1], [::1]:1\nauto-approve = 192.0.2.7, ::/0\n";
        let configuration = Configuration::parse("server.conf", text).unwrap();
        let shown: Vec<String> = configuration.listen.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["127.0.0.1:2929", "127.0.0.1:1", "[::1]:2929", "[::1]:2929", "[::1]:1"]);
        assert_eq!(configuration.auto_approve[0].to_string(), "192.0.2.7/32");
    }
}
