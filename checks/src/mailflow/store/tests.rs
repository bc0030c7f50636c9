//! Of the store: alone, by hundreds at once, and cut off at any point.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use tempfile::TempDir;

use super::*;

const NOW: u64 = 1_763_600_000;

fn store() -> (TempDir, Store) {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    (root, store)
}

fn inbound() -> List {
    "web1.example.org/inbound".parse().unwrap()
}

fn send(store: &Store, time: u64) -> Serial {
    let pending = store.begin(&inbound(), time).unwrap();
    let serial = *pending.serial();
    pending.accepted(time).unwrap();
    serial
}

fn names(store: &Store) -> BTreeSet<String> {
    let entries = fs::read_dir(store.list(&inbound())).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_mail_goes_round() {
    let (_root, store) = store();
    assert_eq!(store.outstanding(&inbound()).unwrap(), Outstanding::default());
    let serial = send(&store, NOW);
    let outstanding = store.outstanding(&inbound()).unwrap();
    assert_eq!(outstanding, Outstanding { serials: vec![serial], last_sent: Some(NOW), round_trip: None });
    assert!(store.receive(&inbound(), &serial, NOW + 12).unwrap());
    assert!(!store.receive(&inbound(), &serial, NOW + 13).unwrap(), "a second mail with the token is known");
    let outstanding = store.outstanding(&inbound()).unwrap();
    assert_eq!(outstanding, Outstanding { serials: vec![], last_sent: Some(NOW), round_trip: Some(12) });
}

#[test]
fn who_reads_the_store_changes_nothing_in_it() {
    let (_root, store) = store();
    let serial = send(&store, NOW);
    store.receive(&inbound(), &serial, NOW + 12).unwrap();
    let before = store.outstanding(&inbound()).unwrap();
    assert_eq!(before.round_trip, Some(12));
    // As a backup does that reads every file.
    for entry in fs::read_dir(store.list(&inbound())).unwrap() {
        let times = fs::FileTimes::new().set_accessed(SystemTime::now());
        fs::File::open(entry.unwrap().path()).unwrap().set_times(times).unwrap();
    }
    assert_eq!(store.outstanding(&inbound()).unwrap(), before);
}

#[test]
fn nothing_but_names_is_kept() {
    let (_root, store) = store();
    let serial = send(&store, NOW);
    send(&store, NOW);
    store.receive(&inbound(), &serial, NOW).unwrap();
    for entry in fs::read_dir(store.list(&inbound())).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().len(), 0);
    }
    assert_eq!(fs::metadata(store.folder()).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_refused_mail_leaves_nothing() {
    let (_root, store) = store();
    store.begin(&inbound(), NOW).unwrap().withdraw().unwrap();
    assert_eq!(names(&store), BTreeSet::new());
    assert_eq!(store.outstanding(&inbound()).unwrap().last_sent, None);
}

#[test]
fn a_pending_mail_counts_for_nothing_and_is_forgotten_after_a_minute() {
    let (_root, store) = store();
    let abandoned = *store.begin(&inbound(), NOW).unwrap().serial();
    assert_eq!(store.outstanding(&inbound()).unwrap().serials, []);
    send(&store, NOW + 60);
    assert!(names(&store).contains(&format!("{abandoned}.pending")));
    send(&store, NOW + 61);
    assert!(!names(&store).contains(&format!("{abandoned}.pending")));
    assert!(!store.receive(&inbound(), &abandoned, NOW + 70).unwrap());
}

#[test]
fn a_mail_may_be_seen_before_the_server_has_said_that_it_takes_it() {
    let (_root, store) = store();
    let pending = store.begin(&inbound(), NOW).unwrap();
    assert!(store.receive(&inbound(), pending.serial(), NOW).unwrap());
    pending.accepted(NOW).unwrap();
    assert_eq!(store.outstanding(&inbound()).unwrap().serials, []);
}

#[test]
fn a_hand_over_that_outlasts_its_token_is_told() {
    let (_root, store) = store();
    let pending = store.begin(&inbound(), NOW).unwrap();
    send(&store, NOW + 61);
    assert!(matches!(pending.accepted(NOW + 61), Err(Error::TooSlow)));
}

#[test]
fn the_list_is_bounded_and_keeps_its_oldest() {
    let (_root, store) = store();
    for time in 0..TOKENS_MAX as u64 + 200 {
        send(&store, NOW + time);
    }
    let mut serials = store.outstanding(&inbound()).unwrap().serials;
    serials.sort_unstable();
    assert_eq!(serials.len(), TOKENS_MAX);
    assert_eq!(serials[0].time, NOW);
    assert_eq!(serials[1].time, NOW + 201);
}

#[test]
fn foreign_files_are_left_alone() {
    let (_root, store) = store();
    send(&store, NOW);
    for name in ["x", "1.x", "01.MDEyMzQ1Njc4OWFiY2RlZg", ".pending", "1.MDEyMzQ1Njc4OWFiY2RlZg.x"] {
        fs::write(store.list(&inbound()).join(name), "").unwrap();
    }
    fs::create_dir(store.list(&inbound()).join("folder")).unwrap();
    send(&store, NOW + 100);
    assert_eq!(store.forget(&inbound()).unwrap(), 2);
    assert_eq!(names(&store).len(), 7, "with `sent`");
}

#[test]
fn a_mail_dated_in_the_future_has_no_round_trip() {
    let (_root, store) = store();
    let serial = send(&store, NOW + 100);
    assert!(store.receive(&inbound(), &serial, NOW).unwrap());
    assert_eq!(store.outstanding(&inbound()).unwrap().round_trip, None);
}

#[test]
fn hundreds_at_once_lose_and_invent_nothing() {
    let (_root, store) = store();
    let prefixes: BTreeSet<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..500)
            .map(|number| {
                let store = &store;
                scope.spawn(move || {
                    let prefix = store.key().unwrap().prefix();
                    let serial = send(store, NOW);
                    // Two see each of half of the mails at once; one of them counts it.
                    if number % 2 == 0 {
                        let rival = scope.spawn(move || store.receive(&inbound(), &serial, NOW).unwrap());
                        let mine = store.receive(&inbound(), &serial, NOW).unwrap();
                        assert!(mine ^ rival.join().unwrap());
                    }
                    store.outstanding(&inbound()).unwrap();
                    prefix
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(prefixes.len(), 1, "all of them have the same key");
    assert_eq!(store.outstanding(&inbound()).unwrap().serials.len(), 250);
    assert_eq!(names(&store).len(), 252, "no pending one is left");
    assert_eq!(fs::read_dir(store.folder()).unwrap().count(), 2, "the key and the lists");
}

#[test]
fn a_key_that_is_not_the_owners_alone_is_refused() {
    let (_root, store) = store();
    store.key().unwrap();
    let path = store.folder().join("key");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(store.key(), Err(Error::Key { .. })));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, "short").unwrap();
    assert!(matches!(store.key(), Err(Error::Key { .. })));
}

#[test]
fn a_store_that_others_can_write_to_is_refused() {
    let (root, store) = store();
    fs::set_permissions(store.folder(), fs::Permissions::from_mode(0o770)).unwrap();
    assert!(matches!(Store::open(root.path()), Err(Error::Open { .. })));
}
