//! The pages monitoring-info(5) and auto-monitor-overrides.conf(5): what a definition can say, and what the administrator
//! of a host can say about definitions.

use super::page::{Page, sentence};
use super::{KeyReference, TypeReference, tls_keys, types};
use crate::host::SERVICE_NAME_MAX;
use crate::ini::{FILE_MAX, VALUE_MAX};
use crate::registration::DEFINITIONS_MAX;

/// The page monitoring-info(5).
#[must_use]
pub fn monitoring_info() -> Page {
    let mut page = Page::new("monitoring-info", 5, "which services of this host are to be monitored");
    page.description();
    page.files();
    page.text_rules();
    page.types();
    page.examples();
    page.see_also([
        "auto-monitor-check(1)",
        "auto-monitor-types(1)",
        "auto-monitor-overrides.conf(5)",
        "dh_auto_monitor(1)",
    ]);
    page
}

/// The page auto-monitor-overrides.conf(5).
#[must_use]
pub fn overrides() -> Page {
    let mut page = Page::new(
        "auto-monitor-overrides.conf",
        5,
        "what the administrator of a host wants to be monitored otherwise, or not at all",
    );
    page.overrides();
    page.see_also([
        "auto-monitor-disable(1)",
        "auto-monitor-enable(1)",
        "auto-monitor-show(1)",
        "monitoring-info(5)",
    ]);
    page
}

impl Page {
    fn description(&mut self) {
        self.section("DESCRIPTION");
        self.text(
            "A definition file says which services of a host are to be monitored. A package that brings a service brings \
             the file; `auto-monitor`(1) reads those of all installed packages and registers them with the monitoring \
             server of the organisation, which starts to watch the services. When the package is removed, they are no \
             longer watched.",
        );
        self.paragraph(
            "A section is a definition. The name in its brackets is the service's name, unique on the host. The key `type` \
             says what kind of service it is, and so which other keys it may have.",
        );
        self.paragraph("`auto-monitor check` `FILE` finds every fault of a file, with its place and what would be right.");
    }

    fn files(&mut self) {
        self.section("FILES");
        self.item(
            "`/usr/share/auto-monitor/monitoring-info.d/`PACKAGE`.conf`",
            "Definitions that auto-monitor brings for packages that bring none. They count only while the Debian package \
             of that name is installed.",
        );
        self.item(
            "`/usr/share/monitoring-info.d/`*",
            "Definitions of packages. The file leaves with the package.",
        );
        self.item(
            "`/etc/monitoring-info/`*",
            "Definitions of packages as conffiles, and those of the host's administrator. A conffile whose package was \
             removed, but not purged, does not count.",
        );
        self.item(
            "`/etc/auto-monitor/overrides.conf`",
            "What the administrator of the host wants otherwise; see `auto-monitor-overrides.conf`(5).",
        );
        self.paragraph(
            "A file of a later folder replaces one of the same name of an earlier folder, whole. A link to `/dev/null` does \
             so too, and then the file does not count at all. Hidden files, and those whose names end in `~`, `.bak`, `.swp`, \
             `.dpkg-*` or `.ucf-*`, are passed over. A service's name in two files that count is an error.",
        );
    }

    fn text_rules(&mut self) {
        self.section("TEXT RULES");
        self.text(
            "A file is UTF-8 text without a byte order mark and without control or invisible characters. A line is blank, a comment (its \
             first character that is no blank is `#` or `;`), a header `[NAME]`, or a setting `KEY = VALUE`. There is nothing \
             else: a value ends with its line, and a comment stands on a line of its own.",
        );
        self.item(
            "Values",
            "A value is the text behind the first `=`, without the blanks at its edges. Quotes, backslashes, `#` and `;` are \
             part of it and mean nothing. A boolean is `True` or `False`, also `yes`/`no`, `on`/`off`, `1`/`0`, in any case.",
        );
        self.item("Keys", "The case of a key does not matter; that of names, types and values does.");
        self.item(
            "Names",
            &format!(
                "Letters, digits, `.`, `_` and `-`, a letter or digit first, at most {SERVICE_NAME_MAX} characters. `null` is \
                 not possible, because the word means \"none\" to Nagios."
            ),
        );
        self.item(
            "Line ends",
            "A line ends with a line feed; a carriage return directly before it belongs to the line end (CRLF), so that \
             files from other systems are read as they look. A carriage return anywhere else is an error.",
        );
        self.item(
            "Limits",
            &format!(
                "{} KiB a file, {VALUE_MAX} bytes a value, {DEFINITIONS_MAX} definitions a host.",
                FILE_MAX / 1024
            ),
        );
        self.paragraph(
            "A section or key given twice, an unknown type or key, a missing mandatory key and a value of the wrong kind are \
             errors. A definition with an error is not registered; all others are.",
        );
    }

    fn types(&mut self) {
        self.section("TYPES");
        for kind in types() {
            self.kind(&kind);
        }
        self.subsection("TLS keys");
        self.text("Every type that is said to have them has these keys too.");
        for key in tls_keys().map(KeyReference::from) {
            self.definition_key(&key);
        }
        self.subsection("Passwords");
        self.text("A type that has `password` has `password_file` too.");
        self.definition_key(&KeyReference::from(&crate::service::PASSWORD_FILE));
        self.paragraph(
            "A file that holds a password should be readable by root and its group alone; `auto-monitor check` warns \
             otherwise. Passwords travel to the monitoring server, encrypted, because it is the server that logs in.",
        );
    }

    fn kind(&mut self, kind: &TypeReference) {
        let common = |key: &KeyReference| {
            key.key == crate::service::PASSWORD_FILE.name || tls_keys().any(|tls| tls.name == key.key)
        };
        self.subsection(kind.name);
        self.text(&format!("The service {}. {}", kind.summary, kind.description));
        for key in kind.keys.iter().filter(|key| !common(key)) {
            self.definition_key(key);
        }
        if let Some(ssl) = kind.keys.iter().find(|key| key.key == "ssl") {
            self.paragraph(&format!("It has the TLS keys; `ssl` is {}.", ssl.form));
        }
        self.literal(&format!("[NAME]\n{}", kind.example));
    }

    fn definition_key(&mut self, key: &KeyReference) {
        let default = match &key.default {
            Some(default) if default == "empty" => " (default: empty)".to_owned(),
            Some(default) => format!(" (default: `{default}`)"),
            None if key.mandatory => " (mandatory)".to_owned(),
            None => String::new(),
        };
        self.item(
            &format!("`{}`{default}", key.key),
            &format!("{} Value: {}.", sentence(key.summary), key.form),
        );
    }

    fn overrides(&mut self) {
        self.section("DESCRIPTION");
        self.text(
            "In `/etc/auto-monitor/overrides.conf` the administrator of the host has the last word. The file has the form \
             of a definition file (TEXT RULES in `monitoring-info`(5)). A section names a service, or several by a pattern, \
             in which `*` stands for any characters and `?` for any one. It may name services that do not exist yet.",
        );
        for (key, meaning) in OPT_OUT {
            self.item(key, meaning);
        }
        self.item(
            "Any other key",
            "Its value takes the place of the one in the definition. A pattern does so only where the key has an effect; a \
             section with the service's very name is taken at its word.",
        );
        self.paragraph(
            "Each key is decided by itself: a section with exactly the service's name goes before a pattern, and of several \
             patterns the last one in the file counts. Of an override with a fault, what can be read holds, and the fault \
             is an error at every run; a service is never opted out by a line that cannot be read.",
        );
        self.paragraph(
            "`auto-monitor disable` and `auto-monitor enable` edit the file and keep its comments and order. \
             `auto-monitor check` finds its faults, and `auto-monitor show` says of each key which file set it.",
        );
        self.section("EXAMPLE");
        self.text("A development box, a port of one's own, and all about mail left alone:");
        self.literal(OVERRIDES_EXAMPLE);
    }

    fn examples(&mut self) {
        self.section("EXAMPLES");
        self.text("A web server with TLS, and its certificate two weeks before it expires:");
        self.literal("[apache2]\ntype = http\nssl = True\nexpire_before_days = 14");
        self.paragraph("The way of a mail through a mail server, watched from end to end:");
        self.literal(
            "[mail-out]\ntype = smtp\nemail = probe@example.org\nmailflowid = inbound\n\n\
             [mail-in]\ntype = imap\nssl = True\nusername = probe\n\
             password_file = /etc/auto-monitor/probe.password\nmailflowid = inbound\n\n\
             [mail-time]\ntype = mailflow\nseconds = 900\nid = inbound",
        );
    }
}

/// What a section of overrides can say of being watched at all.
static OPT_OUT: [(&str, &str); 3] = [
    (
        "`enabled = no`",
        "The service is not watched. `[*]` with it opts the whole host out. `enabled = yes` excepts a service from a \
         pattern.",
    ),
    ("`reason =` TEXT", "Why not; it is shown on the host and on the server."),
    (
        "`until =` YYYY-MM-DD",
        "The first day on which the service is watched again. From then on the opt-out counts for nothing.",
    ),
];

/// The example of the overrides.
const OVERRIDES_EXAMPLE: &str = "[apache2]\nenabled = no\nreason = development box\nuntil = 2027-01-31\n\n\
    [slapd]\nport = 10389\n\n[mail-*]\nenabled = no\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overrides::{OPT_OUT_KEYS, Overrides};

    #[test]
    fn the_examples_are_sound() {
        assert_eq!(Overrides::parse("", OVERRIDES_EXAMPLE.as_bytes()).1, []);
    }

    #[test]
    fn the_page_of_overrides_has_each_of_their_keys() {
        let described = OPT_OUT.map(|(key, _)| key.trim_start_matches('`').split(' ').next().unwrap());
        assert_eq!(described, OPT_OUT_KEYS);
    }

    /// The judge is mandoc's own lint; `tests/setup` installs it.
    #[test]
    fn mandoc_finds_no_fault() {
        use std::io::Write;
        use std::process::{Command, Stdio};
        for page in [monitoring_info(), overrides()] {
            let mut mandoc = Command::new("mandoc")
                .args(["-T", "lint", "-W", "warning"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("mandoc judges the man pages; tests/setup installs it");
            mandoc.stdin.take().unwrap().write_all(page.to_roff().as_bytes()).unwrap();
            let output = mandoc.wait_with_output().unwrap();
            assert!(output.status.success(), "{}: {}", page.name(), String::from_utf8_lossy(&output.stdout));
        }
    }
}
