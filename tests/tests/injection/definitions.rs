//! Random definitions, and what is to run for each.
//!
//! What is to run is written here once more, from docs/format.md and the manual pages of the programs, and not asked of
//! the code that computes it: a fault there is to be seen.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use fastrand::Rng;
use monitoring_info::registration::Sent;

/// What means something to Nagios, its objects or its macros, to a shell, to our templates, to getopt or to an INI file.
const PIECES: &[&str] = &[
    "$USER1$",
    "$ARG1$",
    "$HOSTADDRESS$",
    "$$",
    "$(id)",
    "${IFS}",
    "`id`",
    "'",
    "\"",
    "\\",
    "\\'",
    "!",
    ";",
    "#",
    "{{name}}",
    "{{{command}}}",
    "{{/each}}",
    "{{!",
    "}}",
    "{",
    "}",
    "define service {",
    "%0a",
    "%n",
    "%s",
    "&",
    "&&",
    "|",
    "||",
    "--",
    "-",
    "-H",
    "=",
    ",",
    "[x]",
    "*",
    "?",
    "~",
    "<",
    ">",
    "(",
    ")",
    "@",
    "/../",
    "null",
    "--extra-opts=@/etc/passwd",
    "+",
];
/// The same, where others than printable ASCII may stand.
const FREE: &[&str] = &[" ", "  ", "é", "日本語", "ß", "🦀", "עברית", "ü", "µ"];
/// What may stand before the `@` of an address.
const ATOMS: &[&str] = &[
    "$USER1$", "`id`", "'", "!", "#", "{{x}}", "&", "|", "*", "?", "~", "=", "/", "+", "-", "%s", "a", "Z9",
];
const NAMES: &[&str] = &[
    "www.example.org",
    "WWW.Example.ORG",
    "mx",
    "localhost",
    "192.0.2.7",
    "2001:db8::7",
    "xn--bcher-kva.example",
];
const TRUE: &[&str] = &["True", "yes", "ON", "1", "true"];
const FALSE: &[&str] = &["False", "no", "Off", "0"];
const KINDS: &[&str] = &["http", "tcp", "udp", "ssh", "smtp", "imap", "pop3", "mailflow", "ldap"];

/// What makes definitions up; the same seed, the same definitions.
#[derive(Debug)]
pub struct Chance(pub Rng);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0.usize(..bound)
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn of(&mut self, all: &[&'static str]) -> &'static str {
        all[self.below(all.len())]
    }

    fn port(&mut self) -> String {
        let port = self.below(65_535) + 1;
        if self.one_in(10) { format!("{port:06}") } else { port.to_string() }
    }

    /// Hostile printable ASCII without blanks.
    fn hostile(&mut self) -> String {
        let pieces = if self.one_in(50) { 200 } else { self.below(8) + 1 };
        let text: String = (0..pieces).map(|_| self.of(PIECES)).collect();
        let mut text = text.replace(' ', "+");
        text.truncate(4000);
        text
    }

    /// Hostile text of any kind that has no blanks at its edges and is not empty.
    fn free(&mut self) -> String {
        let text: String = (0..=self.below(5)).map(|_| self.hostile() + self.of(FREE)).collect();
        let end = (0..=1000.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text[..end].trim().to_owned()
    }

    fn word(&mut self) -> String {
        let length = if self.one_in(10) { 40 } else { self.below(8) + 1 };
        let word: String = (0..length).map(|_| self.of(&["a", "B", "7", "x", "Q"])).collect();
        word + self.of(&["", ".", "_", "-", "--"])
    }

    fn boolean(&mut self) -> &'static str {
        let words = if self.one_in(2) { TRUE } else { FALSE };
        self.of(words)
    }

    fn email(&mut self) -> String {
        let local: String = (0..=self.below(5)).map(|_| self.of(ATOMS)).collect();
        format!("{local}@{}", self.of(&["example.org", "Example.NET", "mx.example"]))
    }
}

/// A program, its arguments, and what nobody else is to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runs {
    /// The name of the program, and its arguments.
    pub words: Vec<String>,
    /// What it reads from a file of its own.
    pub secret: Option<String>,
}

/// A definition, and what is to run, by the names that Nagios shows.
#[derive(Debug)]
pub struct Specimen {
    /// What the host sends.
    pub sent: Sent,
    /// What is to run; nothing where the server has to refuse it.
    pub runs: BTreeMap<String, Runs>,
}

/// Who is asked.
#[derive(Debug)]
pub struct Host<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its address.
    pub address: IpAddr,
    /// The server's root, which our own programs are told.
    pub root: &'a str,
}

/// A random definition with this number, which makes its name unique.
pub fn specimen(chance: &mut Chance, number: usize, host: &Host<'_>) -> Specimen {
    let kind = chance.of(KINDS);
    let mut settings: BTreeMap<String, String> = BTreeMap::new();
    let mut say = |key: &str, value: String| {
        settings.insert(key.to_owned(), value);
    };
    if kind == "mailflow" {
        say("seconds", (chance.below(4_294_967_295) + 1).to_string());
        say("id", chance.word());
    } else if matches!(kind, "tcp" | "udp") || chance.one_in(2) {
        say("port", chance.port());
    }
    let ssl = match (kind, chance.below(3)) {
        ("udp" | "ssh" | "mailflow", _) | (_, 0) => None,
        ("http" | "tcp", _) | (_, 1) => Some(chance.boolean()),
        _ => Some("STARTtls"),
    };
    if let Some(ssl) = ssl {
        say("ssl", ssl.to_owned());
        if chance.one_in(2) {
            say("ssl_hostname", chance.of(NAMES).to_owned());
        }
        if chance.one_in(3) {
            say("ignore_invalid_ssl", chance.boolean().to_owned());
        }
        if chance.one_in(2) {
            say("expire_before_days", chance.below(36_501).to_string());
        }
    }
    match kind {
        "http" => {
            say("uri", format!("/{}", chance.hostile()));
            if chance.one_in(2) {
                say("hostname", chance.of(NAMES).to_owned());
            }
            if chance.one_in(2) {
                say("accept_redirection", chance.boolean().to_owned());
            }
        }
        "smtp" if chance.one_in(2) => {
            say("email", chance.email());
            if chance.one_in(2) {
                say("mailflowid", chance.word());
            }
        }
        "imap" | "pop3" | "ldap" if !chance.one_in(3) => {
            say("username", chance.free());
            say("password", chance.free());
            if kind != "ldap" && chance.one_in(2) {
                say("mailflowid", chance.word());
            }
        }
        _ => {}
    }
    if kind == "ldap" && chance.one_in(2) {
        say("base", format!("dc={}", chance.free()));
    }
    // What no client of ours sends; the server has to refuse it.
    let refused = chance.one_in(20);
    if refused {
        let key = chance.of(&["port", "surprise"]);
        let value =
            chance.of(&["80\n}\ndefine command {", "\u{1b}[2J", " 80", "80;", "$USER1$", "\u{202e}80", ""]);
        settings.insert(key.to_owned(), value.to_owned());
    }
    let mut word = chance.word();
    word.truncate(50);
    // Apart, or `a7` and 2 would be `a` and 72.
    let name = format!("{}-{number}", word.trim_end_matches('-'));
    let sent = Sent {
        name: name.clone(),
        kind: kind.to_owned(),
        settings,
        file: format!("/etc/monitoring-info/{}.conf", chance.free()),
    };
    let runs = if refused { BTreeMap::new() } else { runs(&sent, host) };
    Specimen { sent, runs }
}

/// What the documentation says that runs for a definition.
#[expect(clippy::too_many_lines, reason = "one rule after the other, as the documentation has them")]
fn runs(sent: &Sent, host: &Host<'_>) -> BTreeMap<String, Runs> {
    let said = |key: &str| sent.settings.get(key).map(String::as_str);
    let yes = |key: &str| said(key).is_some_and(|text| TRUE.contains(&text));
    let name = |key: &str| match said(key) {
        Some(text) if text.parse::<IpAddr>().is_ok() => text.to_owned(),
        Some(text) => text.to_ascii_lowercase(),
        None => host.name.to_owned(),
    };
    let kind = sent.kind.as_str();
    let tls = yes("ssl");
    let starttls = said("ssl") == Some("STARTtls");
    let usual = |plain: &str, encrypted: &str| (if tls { encrypted } else { plain }).to_owned();
    let port = match (said("port"), kind) {
        (Some(port), _) => port.trim_start_matches('0').to_owned(),
        (None, "http") => usual("80", "443"),
        (None, "smtp") => usual("25", "465"),
        (None, "imap") => usual("143", "993"),
        (None, "pop3") => usual("110", "995"),
        (None, "ldap") => usual("389", "636"),
        (None, _) => "22".to_owned(),
    };
    let mut secret = None;
    let mut after: Vec<String> = vec!["-H".into(), host.address.to_string(), "-p".into(), port];
    let place = after.clone();
    let mut add = |words: &[&str]| after.extend(words.iter().map(|word| (*word).to_owned()));
    let encryption = |add: &mut dyn FnMut(&[&str])| {
        if tls || starttls {
            let how = if tls { "--tls" } else { "--starttls" };
            add(&[how, &format!("--hostname={}", name("ssl_hostname"))]);
        }
    };
    let list = |id: &str| format!("{}/{id}", host.name);
    let program = match (kind, said("email"), said("username")) {
        ("http", ..) => {
            add(&[
                &format!("--hostname={}", name("hostname")),
                &format!("--uri={}", said("uri").unwrap_or("/")),
            ]);
            if tls {
                add(&["--tls"]);
            }
            if said("accept_redirection").is_some_and(|text| FALSE.contains(&text)) {
                add(&["--refuse-redirection"]);
            }
            "check_request"
        }
        ("tcp", ..) => {
            if tls {
                add(&["-S"]);
                let name = name("ssl_hostname");
                if name.parse::<IpAddr>().is_err() {
                    add(&[&format!("--sni={name}")]);
                }
            }
            "check_tcp"
        }
        ("udp", ..) => "check_datagram",
        ("mailflow", ..) => {
            after = vec!["--list".into(), list(said("id").unwrap_or_default())];
            after.extend(["-c".to_owned(), said("seconds").unwrap_or_default().to_owned()]);
            "check_mailflow"
        }
        ("ldap", _, username) => {
            add(&["-3", &format!("--base={}", said("base").unwrap_or_default())]);
            if tls || starttls {
                add(&[if tls { "-S" } else { "-T" }]);
            }
            if let Some(username) = username {
                add(&[&format!("--bind={username}")]);
                secret = said("password").map(|password| format!("[registered]\npass={password}\n"));
            }
            "check_ldap"
        }
        ("smtp", Some(email), _) => {
            encryption(&mut add);
            add(&[&format!("--to={email}")]);
            if let Some(id) = said("mailflowid") {
                add(&["--list", &list(id)]);
            }
            "check_mailflow_send"
        }
        ("imap" | "pop3", _, Some(username)) => {
            add(&["--protocol", kind]);
            encryption(&mut add);
            if (tls || starttls) && yes("ignore_invalid_ssl") {
                add(&["--any-certificate"]);
            }
            add(&[&format!("--username={username}")]);
            if let Some(id) = said("mailflowid") {
                add(&["--list", &list(id)]);
            }
            secret = said("password").map(str::to_owned);
            "check_mailflow_receive"
        }
        _ => {
            add(&["--protocol", kind]);
            encryption(&mut add);
            "check_greeting"
        }
    };
    let whole = |program: &str, after: Vec<String>, secret: Option<String>| {
        let mut words = vec![program.to_owned()];
        let ours = !matches!(program, "check_tcp" | "check_ldap");
        if ours {
            words.push(format!("--root={}", host.root));
        }
        if secret.is_some() {
            // The number of the descriptor is nobody's business.
            words.push(
                (if ours { "--password-file=/dev/fd/" } else { "--extra-opts=registered@/dev/fd/" })
                    .to_owned(),
            );
        }
        words.extend(after);
        Runs { words, secret }
    };
    let mut runs = BTreeMap::from([(sent.name.clone(), whole(program, after, secret))]);
    if (tls || starttls) && !yes("ignore_invalid_ssl") {
        let mut after = place;
        if starttls {
            after.extend(["--starttls".to_owned(), kind.to_owned()]);
        }
        after.push(format!("--hostname={}", name("ssl_hostname")));
        after.extend(said("expire_before_days").map(|days| format!("--expire-before={days}")));
        runs.insert(format!("{} certificate", sent.name), whole("check_certificate", after, None));
    }
    runs
}

#[test]
fn every_type_is_made_up() {
    let table: BTreeSet<&str> = monitoring_info::service::KINDS.iter().map(|kind| kind.name).collect();
    let made_up: BTreeSet<&str> = KINDS.iter().copied().collect();
    assert_eq!(table, made_up, "say in `specimen` and `runs` what is to run for it");
}
