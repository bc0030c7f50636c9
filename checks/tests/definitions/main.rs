//! Every type and every key that a definition can have, against real servers, right and wrong: from the text of the
//! definition through a published registration and `check_registered` to what the engine is told.
//!
//! What a definition says stands as text in the modules below, so that the last test can see that no key was forgotten.

mod certificate;
mod directory;
mod hostile;
mod login;
mod mail;
mod port;
mod secrecy;
mod site;
mod weak;
mod web;

use std::collections::BTreeSet;

use monitoring_info::service::KINDS;

/// The texts of the modules in which definitions stand.
const SCENARIOS: &[&str] = &[
    include_str!("certificate.rs"),
    include_str!("directory.rs"),
    include_str!("hostile.rs"),
    include_str!("login.rs"),
    include_str!("mail.rs"),
    include_str!("port.rs"),
    include_str!("secrecy.rs"),
    include_str!("weak.rs"),
    include_str!("web.rs"),
];

/// Keys that never reach a server: the client reads the file when it registers, and sends `password`.
const OF_THE_CLIENT: &[&str] = &["password_file"];

/// The keys that stand in definitions of the scenarios, each with its type.
fn tried() -> BTreeSet<(String, String)> {
    let mut tried = BTreeSet::new();
    for text in SCENARIOS {
        for definition in text.split("type = ").skip(1) {
            let mut lines = definition.split('"').next().unwrap_or_default().split("\\n");
            let kind = lines.next().unwrap_or_default().to_owned();
            for (key, _) in lines.filter_map(|line| line.split_once(" =")) {
                tried.insert((kind.clone(), key.to_owned()));
            }
        }
    }
    tried
}

#[test]
fn every_key_of_every_type_is_tried() {
    let tried = tried();
    let forgotten: Vec<String> = KINDS
        .iter()
        .flat_map(|kind| kind.keys().map(|key| (kind.name, key.name)))
        .filter(|(_, key)| !OF_THE_CLIENT.contains(key))
        .filter(|(kind, key)| !tried.contains(&((*kind).to_owned(), (*key).to_owned())))
        .map(|(kind, key)| format!("{kind}: {key}"))
        .collect();
    assert_eq!(forgotten, [""; 0], "write a scenario for these");
}
