//! What arrives at the plugin: exactly the bytes that the definition says, and a password where nobody else sees it.

mod directory;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use monitoring_info::mail::{Policy, SharedLists};
use monitoring_info::probe::OURS;
use monitoring_info::published::{DOCUMENTS_DIR, Published, SEEN_DIR, STATE_DIR};
use monitoring_info::registration::Sent;
use proptest::prelude::*;
use tempfile::TempDir;

const HOST: &str = "web1.example.org";

/// In the place of every plugin. A link to a file that is never written: executing one that a parallel test's fork may
/// still hold open for writing fails (ETXTBSY).
const DUMPER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dumper.sh");

/// A server that has published one host, with the dumper in the place of every plugin.
struct Scratch(TempDir);

impl Scratch {
    fn new() -> Self {
        // Where the program can be linked to: a copy could not be run while another test's child still had it open.
        let scratch = Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
        fs::create_dir_all(scratch.state().join(DOCUMENTS_DIR)).unwrap();
        fs::create_dir_all(scratch.state().join(SEEN_DIR)).unwrap();
        fs::create_dir(scratch.plugins()).unwrap();
        for program in ["check_ldap", "check_tcp", "check_ping", "check_request", "check_mailflow_receive"] {
            symlink(DUMPER, scratch.plugins().join(program)).unwrap();
        }
        // Ours are looked for beside the file that it is, not beside a link to it.
        fs::hard_link(env!("CARGO_BIN_EXE_check_registered"), scratch.plugins().join("check_registered"))
            .unwrap();
        symlink(scratch.plugins().join("check_registered"), scratch.0.path().join("check_registered"))
            .unwrap();
        scratch
    }

    fn state(&self) -> std::path::PathBuf {
        self.0.path().join(STATE_DIR)
    }

    fn plugins(&self) -> std::path::PathBuf {
        self.0.path().join("plugins")
    }

    fn document(&self) -> std::path::PathBuf {
        self.state().join(DOCUMENTS_DIR).join(format!("{HOST}.json"))
    }

    fn publish(&self, kind: &str, settings: &[(&str, &str)]) {
        let published = Published {
            version: 1,
            name: HOST.parse().unwrap(),
            address: [127, 0, 0, 1].into(),
            generation: 1,
            stale_after: 100,
            mail: Policy::default(),
            lists: SharedLists::new(),
            definitions: vec![Sent {
                name: "it".into(),
                kind: kind.into(),
                settings: settings
                    .iter()
                    .map(|(k, v)| ((*k).into(), (*v).into()))
                    .collect::<BTreeMap<_, _>>(),
                file: "/etc/monitoring-info/it.conf".into(),
            }],
        };
        fs::write(self.document(), serde_json::to_vec(&published).unwrap()).unwrap();
    }

    fn check(&self, plugins: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.0.path().join("check_registered"));
        command.arg("--root").arg(self.0.path()).arg("--plugins").arg(plugins).args(arguments);
        command.env("NAGIOS_ARG1", "must not arrive");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.check(&self.plugins(), arguments).output().unwrap()
    }

    /// The one line of an answer of our own, and its exit status.
    fn answer(&self, arguments: &[&str]) -> (String, i32) {
        let output = self.run(arguments);
        let line = String::from_utf8(output.stdout).unwrap();
        assert_eq!(line.matches('\n').count(), 1, "{line:?}");
        assert_eq!(output.stderr, b"");
        (line.trim_end().to_owned(), output.status.code().unwrap())
    }

    fn dumped(&self, what: &str) -> Vec<Vec<u8>> {
        let bytes = fs::read(self.plugins().join(what)).unwrap();
        let mut words: Vec<_> = bytes.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
        assert_eq!(words.pop(), Some(Vec::new()), "ends with a NUL");
        words
    }

    fn arguments(&self) -> Vec<String> {
        self.dumped("arguments").into_iter().map(|word| String::from_utf8(word).unwrap()).collect()
    }

    /// Whether this stands where `ps` and `/proc` show it.
    fn shows(&self, password: &str) -> bool {
        ["cmdline", "environment"].iter().any(|place| {
            let bytes = fs::read(self.plugins().join(place)).unwrap();
            bytes.windows(password.len()).any(|window| window == password.as_bytes())
        })
    }
}

#[test]
fn the_plugin_takes_over_with_its_output_status_and_a_minimal_environment() {
    let scratch = Scratch::new();
    scratch.publish("tcp", &[("port", "2222")]);
    let output = scratch.run(&[HOST, "it"]);
    assert_eq!((output.stdout.as_slice(), output.status.code()), (b"dumped\n".as_slice(), Some(1)));
    assert_eq!(scratch.arguments(), ["-H", "127.0.0.1", "-p", "2222"]);
    let mut environment = scratch.dumped("environment");
    environment.sort();
    assert_eq!(environment, [b"LANG=C".to_vec(), b"PATH=/usr/sbin:/usr/bin:/sbin:/bin".to_vec()]);
}

#[test]
fn the_host_itself_is_probed_by_its_address() {
    let scratch = Scratch::new();
    scratch.publish("ssh", &[]);
    scratch.run(&["--alive", HOST]);
    assert_eq!(scratch.arguments()[..2], ["-H", "127.0.0.1"]);
}

/// Pieces that mean something to a shell, to the engine, to getopt or to an INI parser, among ordinary characters.
fn odd_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "$USER5$",
            "$ARG1$",
            "`id`",
            "$(id)",
            "'",
            "\"",
            "\\",
            "!",
            ";",
            "#",
            " ",
            "  ",
            "%",
            "%n",
            "&",
            "|",
            "--",
            "-",
            "-H",
            "=",
            "[x]",
            "*",
            "?",
            "~",
            "{a,b}",
            "<",
            ">",
            "é",
            "日本",
            "--extra-opts",
            "--extra-opts=@/etc/passwd",
            "@",
            "/../",
        ])
        .prop_map(str::to_owned),
        "[ -~]",
    ];
    prop::collection::vec(piece, 1..12).prop_map(|pieces| pieces.concat().trim().to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_uri_arrives_byte_for_byte(odd in "[!-~]{0,60}") {
        let scratch = Scratch::new();
        let uri = format!("/{odd}");
        scratch.publish("http", &[("uri", &uri)]);
        scratch.run(&[HOST, "it"]);
        prop_assert_eq!(
            scratch.arguments(),
            [
                &format!("--root={}", scratch.0.path().display()),
                "-H", "127.0.0.1", "-p", "80", &format!("--hostname={HOST}"), &format!("--uri={uri}"),
            ]
        );
    }

    #[test]
    fn free_text_arrives_byte_for_byte_and_a_password_is_seen_nowhere(
        base in odd_text(), username in odd_text(), password in odd_text(),
    ) {
        prop_assume!(!username.is_empty() && !password.is_empty());
        // Told apart from whatever else stands in the argument list.
        let password = format!("{password}\u{b6}");
        let base = format!("dc={base}");
        let scratch = Scratch::new();
        scratch.publish("ldap", &[("base", &base), ("username", &username), ("password", &password)]);
        let output = scratch.run(&[HOST, "it"]);
        prop_assert_eq!(output.stdout, b"dumped\n");
        let arguments = scratch.arguments();
        prop_assert!(arguments[0].starts_with("--extra-opts=registered@/dev/fd/"));
        prop_assert_eq!(
            &arguments[1..],
            ["-H", "127.0.0.1", "-p", "389", "-3", &format!("--base={base}"), &format!("--bind={username}")]
        );
        prop_assert!(!scratch.shows(&password));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_program_of_ours_gets_free_text_byte_for_byte_and_a_password_in_a_file_of_its_own(
        username in odd_text(), password in odd_text(),
    ) {
        prop_assume!(!username.is_empty() && !password.is_empty());
        let password = format!("{password}\u{b6}");
        let scratch = Scratch::new();
        scratch.publish("imap", &[("ssl", "True"), ("username", &username), ("password", &password)]);
        // Ours need no folder of plugins.
        let output = scratch.check(Path::new("/nonexistent"), &[HOST, "it"]).output().unwrap();
        prop_assert_eq!(output.stdout, b"dumped\n");
        let arguments = scratch.arguments();
        prop_assert_eq!(&arguments[0], &format!("--root={}", scratch.0.path().display()));
        prop_assert!(arguments[1].starts_with("--password-file=/dev/fd/"));
        prop_assert_eq!(
            &arguments[2..],
            [
                "-H", "127.0.0.1", "-p", "993", "--protocol", "imap", "--tls", &format!("--hostname={HOST}"),
                &format!("--username={username}"),
            ]
        );
        prop_assert_eq!(fs::read(scratch.plugins().join("secret")).unwrap(), password.as_bytes());
        prop_assert!(!scratch.shows(&password));
    }
}

/// What the kernel lets the program of a definition use at most of this.
fn limit(kind: &str, settings: &[(&str, &str)], of: &str) -> String {
    let scratch = Scratch::new();
    scratch.publish(kind, settings);
    scratch.run(&[HOST, "it"]);
    let limits = fs::read_to_string(scratch.plugins().join("limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix(of)).unwrap();
    line.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_program_with_a_password_can_leave_no_core() {
    const CORE: &str = "Max core file size";
    let login = [("username", "cn=probe"), ("password", "s3cret")];
    assert_eq!(limit("ldap", &login, CORE), "1");
    assert_eq!(limit("imap", &login, CORE), "1");
    assert_ne!(limit("tcp", &[("port", "1")], CORE), "1", "without one, a crash may be looked into");
}

#[test]
fn every_program_that_a_probe_may_be_is_there() {
    let programs = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin")).unwrap();
    let mut programs: Vec<String> = programs
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "check_registered" && name != "notify_mauve")
        .collect();
    programs.sort();
    assert_eq!(programs, OURS);
}

#[test]
fn a_missing_program_names_its_package() {
    let scratch = Scratch::new();
    scratch.publish("tcp", &[("port", "443"), ("ssl", "True")]);
    let told = |arguments: &[&str]| {
        let output = scratch.check(Path::new("/nonexistent"), arguments).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    };
    let expected = "UNKNOWN: cannot run /nonexistent/check_tcp: install the package monitoring-plugins (apt install \
                    monitoring-plugins)";
    assert_eq!(told(&[HOST, "it"]), (format!("{expected}\n"), Some(3)));
    let expected = format!(
        "UNKNOWN: cannot run {}/check_certificate: install the package auto-monitor-checks (apt install \
         auto-monitor-checks)",
        scratch.plugins().display()
    );
    assert_eq!(told(&[HOST, "it", "certificate"]), (format!("{expected}\n"), Some(3)));
}

#[test]
fn a_plugin_cannot_be_made_to_use_up_the_memory() {
    const MEMORY: &str = "Max address space";
    assert_eq!(limit("tcp", &[("port", "1")], MEMORY), "134217728");

    // The response to a bind that is as long as it can be.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"\x30\x84\x40\x00\x00\x00\x02\x01\x01\x61\x84\x3f\xff\xff\x00").unwrap();
        let megabyte = vec![0; 1_000_000];
        (0..1000).take_while(|_| stream.write_all(&megabyte).is_ok()).count()
    });
    let scratch = Scratch::new();
    scratch.publish("ldap", &[("port", &port)]);
    let output = scratch.check(Path::new("/usr/lib/nagios/plugins"), &[HOST, "it"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let taken = server.join().unwrap();
    assert!(taken < 100, "it took {taken} MB");
}

#[test]
fn whatever_is_not_known_is_unknown_and_says_what_to_do() {
    let scratch = Scratch::new();
    let unknown = |arguments: &[&str], start: &str| {
        let (line, status) = scratch.answer(arguments);
        assert!(line.starts_with(start), "{line}");
        assert_eq!(status, 3, "{line}");
    };
    unknown(
        &[HOST, "it"],
        "UNKNOWN: web1.example.org is not published on this server; `auto-monitor-server show web1.example.org`",
    );
    unknown(&["--alive", HOST], "UNKNOWN: web1.example.org is not published");
    unknown(&["--registration", HOST], "UNKNOWN: web1.example.org is not published");

    scratch.publish("tcp", &[("port", "443"), ("ssl", "True")]);
    unknown(&[HOST, "other"], "UNKNOWN: web1.example.org has no service other in the published registration");
    unknown(&[HOST, "it", "colour"], "UNKNOWN: the service it has no probe colour");
    fs::remove_file(scratch.plugins().join("check_tcp")).unwrap();
    unknown(&[HOST, "it"], "UNKNOWN: cannot run ");
    unknown(&[HOST], "UNKNOWN: the following required arguments were not provided: <SERVICE>");
    unknown(&["--registration", HOST], "UNKNOWN: cannot read ");

    scratch.publish("stratum", &[]);
    unknown(&[HOST, "it"], "UNKNOWN: the type stratum of service it is newer than this server");
    scratch.publish("tcp", &[("port", "0")]);
    unknown(&[HOST, "it"], "UNKNOWN: the published definition of it is refused");
    scratch.publish("tcp", &[("port", "1|x=1;;\n")]);
    unknown(&[HOST, "it"], "UNKNOWN: the published definition of it is refused");

    for damaged in [&b""[..], b"{", b"{}", b"\xff\xfe", &vec![b'['; 100_000]] {
        fs::write(scratch.document(), damaged).unwrap();
        unknown(&[HOST, "it"], "UNKNOWN: ");
    }
    let sound = r#"{"version":9,"name":"web1.example.org","address":"127.0.0.1","generation":1,"stale_after":0,"definitions":[]}"#;
    fs::write(scratch.document(), sound).unwrap();
    unknown(&[HOST, "it"], "UNKNOWN: ");
    fs::write(scratch.document(), sound.replace("web1", "web2").replace('9', "1")).unwrap();
    unknown(&[HOST, "it"], "UNKNOWN: ");
    fs::remove_file(scratch.document()).unwrap();
    fs::create_dir(scratch.document()).unwrap();
    unknown(&[HOST, "it"], "UNKNOWN: cannot read ");
}

#[test]
fn a_host_that_fell_silent_is_a_warning() {
    let scratch = Scratch::new();
    scratch.publish("ssh", &[]);
    let seen = fs::File::create(scratch.state().join(SEEN_DIR).join(HOST)).unwrap();
    let (line, status) = scratch.answer(&["--registration", HOST]);
    assert!(line.starts_with("OK: last heard from ") && line.contains("|age="), "{line}");
    assert_eq!(status, 0);
    seen.set_modified(SystemTime::now() - Duration::from_secs(7500)).unwrap();
    let (line, status) = scratch.answer(&["--registration", HOST]);
    assert!(line.starts_with("WARNING: last heard from 2 h ago, more than 100 s; "), "{line}");
    assert_eq!(status, 1);
}
