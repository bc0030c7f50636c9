//! The manual: the pages of all programs together, as the packages install them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use auto_monitor_tests::installed::Installed;
use tempfile::TempDir;

/// Writes every page that `debian/rules` has the programs write, in one folder, because a page leads to those of other
/// packages.
fn pages() -> (TempDir, BTreeMap<String, String>) {
    let installed = Installed::find().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for program in ["auto-monitor", "auto-monitor-server"] {
        let mut command = Command::new(installed.program(program));
        command.args(["generate", "man", "--directory"]).arg(folder.path());
        assert!(command.status().unwrap().success(), "{program}");
    }
    for name in monitoring_info::probe::OURS.iter().chain(&["check_registered", "notify_mauve", "mauvesend"])
    {
        let output = Command::new(installed.program(name)).arg("--generate-man").output().unwrap();
        assert!(output.status.success(), "{name}");
        fs::write(folder.path().join(format!("{name}.1")), output.stdout).unwrap();
    }
    let read = fs::read_dir(folder.path()).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(&path).unwrap().replace("\\-", "-").replace("\\&", ""))
    });
    let pages = read.collect();
    (folder, pages)
}

/// What a page refers to, as `NAME.SECTION`: `NAME(8)` and the like, whatever is bold in it.
fn references(page: &str) -> BTreeSet<String> {
    let plain = page.replace("\\fB", "").replace("\\fR", "").replace("\\fI", "");
    let of_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let mut found = BTreeSet::new();
    for (at, _) in plain.match_indices('(') {
        let section = &plain[at + 1..];
        if section.starts_with(|c: char| ('1'..='8').contains(&c)) && section[1..].starts_with(')') {
            let name = plain[..at].rsplit(|c| !of_name(c)).next().unwrap_or_default();
            found.insert(format!("{name}.{}", &section[..1]));
        }
    }
    found
}

/// mandoc's errors are faults; of its warnings, those about `.br` beside `.sp`, which `clap_mangen` writes between the
/// values of an option, are not.
#[test]
fn mandoc_takes_every_page() {
    let (folder, pages) = pages();
    assert!(pages.len() > 40, "{:?}", pages.keys());
    for name in pages.keys() {
        let output = Command::new("mandoc")
            .args(["-T", "lint", "-W", "warning"])
            .arg(folder.path().join(name))
            .output()
            .expect("mandoc judges the pages; tests/setup installs it");
        let said = String::from_utf8(output.stdout).unwrap();
        let faults: Vec<&str> = said
            .lines()
            .filter(|line| !line.ends_with("br before sp") && !line.ends_with("br after sp"))
            .collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

#[test]
fn every_reference_leads_to_a_page() {
    // dh_auto_monitor's is written in POD; the rest are other packages'.
    let elsewhere = ["dh_auto_monitor.1", "logger.1", "ssh.1", "sshd.8"];
    let (_folder, pages) = pages();
    for (name, page) in &pages {
        let references = references(page);
        assert!(!references.is_empty(), "{name} leads nowhere");
        for reference in references {
            let known = pages.contains_key(&reference) || elsewhere.contains(&reference.as_str());
            assert!(known, "{name} leads to {reference}");
        }
    }
}

/// A name of a page is the whole archive's. All begin with a name of ours; `mauvesend` is that of the program that it is
/// to take the place of.
#[test]
fn no_page_has_a_name_that_another_package_could_have() {
    let (_folder, pages) = pages();
    for name in pages.keys() {
        assert!(
            ["auto-monitor", "check_", "mauvesend.", "monitoring-info.", "notify_mauve."]
                .iter()
                .any(|ours| name.starts_with(ours)),
            "{name}"
        );
    }
}

/// What the packages install is whole folders, into which the programs write every page that they have.
#[test]
fn the_packages_install_every_page() {
    let rules = include_str!("../../debian/rules");
    for (installed, written) in [
        (include_str!("../../debian/auto-monitor-client.manpages"), "$(CLIENT) generate man --directory "),
        (
            include_str!("../../debian/auto-monitor-server-nagios.manpages"),
            "$(SERVER) generate man --directory ",
        ),
        (include_str!("../../debian/auto-monitor-checks.manpages"), "$$program --generate-man >"),
    ] {
        let folder = installed.trim().strip_prefix("debian/generated/").unwrap().split('/').next().unwrap();
        assert!(rules.contains(&format!("{written}$(GENERATED)/{folder}")), "{written}{folder}");
    }
}
