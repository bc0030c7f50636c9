//! An approved host that sends whatever the wire lets it: Nagios has exactly its services, under its name, and nothing
//! else of it.

#[expect(dead_code, reason = "each test program uses its part of it")]
#[path = "publish/site.rs"]
mod site;

use std::collections::BTreeMap;

use monitoring_info::registration::Sent;
use site::{Site, record};

/// Files that a host may say its definitions come from; each would be syntax somewhere in Nagios's files.
const FILES: &[&str] = &[
    "",
    " ",
    "\\",
    "/a\\",
    "a;b",
    "a}\ndefine host {\n host_name evil\n}",
    "a\r\n}",
    "include_file=/etc/shadow",
    "include_dir=/",
    "$USER1$",
    "$HOSTADDRESS$ `id`",
    "<script>alert(1)</script>",
    "ü\u{2028}\u{85}\u{feff}\u{202e}x",
    "\0",
    "*",
    "!",
    "null",
    "}",
    "{{name}} {{{file}}}",
];

#[test]
fn a_host_gives_nagios_its_services_and_nothing_else() {
    let site = Site::running();
    site.register("good.example.org", &["ssh"]);
    site.published();
    let before = site.objects();
    let mut evil = record("evil.example.org", &[]);
    let names =
        ["registration", "host", "null", "a", "nagios", "service", "define", "include_file", "x-y.z_1"];
    let long = "x".repeat(2000);
    let files: Vec<&str> = FILES.iter().copied().chain([long.as_str()]).collect();
    for n in 0..200_usize {
        let name = names.get(n).map_or_else(|| format!("s{n}"), |name| (*name).to_owned());
        let kind = ["ssh", "gopher", "null", "host", "http"][n % 5];
        let settings = match kind {
            "http" => BTreeMap::from([("uri".to_owned(), "/$USER1$`id`';!\\".to_owned())]),
            _ => BTreeMap::new(),
        };
        let file = files[n % files.len()].to_owned();
        evil.registration.definitions.push(Sent { name, kind: kind.to_owned(), settings, file });
    }
    for tag in ["null", "define", "host", "a-b.c"] {
        evil.registration.tags.extend(tag.parse());
    }
    site.store(&evil);
    let published = site.published();
    assert!(published.notes.is_empty(), "{:?}", published.notes);
    let services = site.services("evil.example.org");
    assert!(services.len() > 100, "{services:?}");
    assert_eq!(services.iter().filter(|name| *name == "host registration").count(), 1);
    let count = |objects: &str, kind: &str| objects.matches(&format!("\ndefine {kind} {{\n")).count();
    let after = site.objects();
    assert_eq!(count(&after, "host"), count(&before, "host") + 1);
    assert_eq!(count(&after, "service"), count(&before, "service") + services.len());
    assert_eq!(count(&after, "command"), count(&before, "command"));
    assert_eq!(site.services("good.example.org"), ["host registration", "ssh"]);
    for object in after.split("\ndefine ").filter(|object| object.contains("evil.example.org")) {
        for line in object.lines().filter(|line| line.contains("check_command\t")) {
            let command = line.trim().trim_start_matches("check_command\t");
            let safe = |c: char| c.is_ascii_alphanumeric() || "-_.!".contains(c);
            assert!(command.starts_with("auto-monitor-") && command.chars().all(safe), "{command}");
        }
        assert!(!object.contains(['$', '`', ';', '<', '\\']), "{object}");
    }
}
