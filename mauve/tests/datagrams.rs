//! Datagrams as they come: ours, those of others, and those of nobody.

mod invariants;
mod python;

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use mauve::{Alert, AlertUpdate, Error, RECEIVED_MAX, SENT_MAX, Text, Time};
use proptest::prelude::*;
use python::Python;
use serde_json::{Value, json};

fn time() -> impl Strategy<Value = Time> {
    any::<u64>().prop_map(NonZeroU64::new)
}

fn text() -> impl Strategy<Value = Text> {
    any::<String>().prop_map(Text::from)
}

fn name() -> impl Strategy<Value = Text> {
    text().prop_filter("a name is not empty", |text| !text.is_empty())
}

prop_compose! {
    fn alert()(
        id in name(), raise_time in time(), clear_time in time(), subject in text(), summary in text(),
        detail in text(), importance in any::<u32>(), suppress_until in time(),
    ) -> Alert {
        Alert { id, raise_time, clear_time, subject, summary, detail, importance, suppress_until }
    }
}

prop_compose! {
    fn update()(
        transmission_id in any::<u64>(), source in name(), replace in any::<bool>(),
        alerts in prop::collection::vec(alert(), 0..5), signature in any::<Vec<u8>>(), transmission_time in time(),
    ) -> AlertUpdate {
        AlertUpdate { transmission_id, source, replace, alerts, signature, transmission_time }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn an_update_is_the_same_behind_the_wire(update in update()) {
        invariants::is_the_same_behind_the_wire(&update);
    }

    #[test]
    fn an_update_that_is_cut_off_is_survived(update in update(), cut in any::<prop::sample::Index>()) {
        let datagram = update.encode().unwrap();
        let _ = invariants::hold(&datagram[..cut.index(datagram.len())]);
    }

    #[test]
    fn any_bytes_are_survived(bytes in any::<Vec<u8>>()) {
        let _ = invariants::hold(&bytes);
    }

    #[test]
    fn a_datagram_with_other_bytes_in_it_is_survived(
        update in update(), places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut datagram = update.encode().unwrap();
        for (place, byte) in places {
            let place = place.index(datagram.len());
            datagram[place] = byte;
        }
        let _ = invariants::hold(&datagram);
    }
}

/// With every field, none of them like another.
fn full() -> AlertUpdate {
    let time = |seconds| NonZeroU64::new(seconds);
    AlertUpdate {
        transmission_id: u64::MAX,
        source: "nagios1.example.org".into(),
        replace: true,
        alerts: vec![Alert {
            id: "svc:apache2".into(),
            raise_time: time(1_800_000_001),
            clear_time: time(1_800_000_002),
            subject: "web1.example.org".into(),
            summary: "no answer: \u{1f525}".into(),
            detail: "<b>down</b>\n".into(),
            importance: u32::MAX,
            suppress_until: time(1_800_000_003),
        }],
        signature: vec![0, 255],
        transmission_time: time(1_800_000_004),
    }
}

/// The numbers and types in `src/wire.rs` are those of `mauve.proto`, by protoc and Python.
#[test]
fn python_reads_what_we_write() {
    let mut python = Python::start();
    let mut update = full();
    assert_eq!(
        python.read(&update.encode().unwrap()),
        json!({"canonical": true, "update": {
            "transmission_id": u64::MAX,
            "source": "nagios1.example.org",
            "replace": true,
            "alert": [{
                "id": "svc:apache2",
                "raise_time": 1_800_000_001,
                "clear_time": 1_800_000_002,
                "subject": "web1.example.org",
                "summary": "no answer: \u{1f525}",
                "detail": "<b>down</b>\n",
                "importance": u32::MAX,
                "suppress_until": 1_800_000_003,
            }],
            "signature": "00ff",
            "transmission_time": 1_800_000_004,
        }})
    );
    // What says nothing is there all the same, as the original writes it.
    update.alerts = vec![Alert { id: "a".into(), ..Alert::default() }];
    update.signature = Vec::new();
    update.transmission_time = None;
    assert_eq!(
        python.read(&update.encode().unwrap()),
        json!({"canonical": true, "update": {
            "transmission_id": u64::MAX,
            "source": "nagios1.example.org",
            "replace": true,
            "alert": [{
                "id": "a", "raise_time": 0, "clear_time": 0, "subject": "", "summary": "", "detail": "",
                "importance": 0, "suppress_until": 0,
            }],
            "signature": "",
            "transmission_time": 0,
        }})
    );
}

fn number(read: &Value) -> u64 {
    read.as_u64().unwrap_or_default()
}

/// What we take for an update, of bytes that were meddled with, Python reads as the same.
#[test]
fn what_we_take_python_takes() {
    let mut python = Python::start();
    let sound = full().encode().unwrap();
    let mut taken = 0;
    for place in 0..sound.len() {
        for byte in [0, 1, 8, 0x12, 0x1b, 0x7f, 0x80, 0xff] {
            let mut datagram = sound.clone();
            datagram[place] = byte;
            let Ok(update) = invariants::hold(&datagram) else { continue };
            taken += 1;
            let read = python.read(&datagram);
            // Text that is no UTF-8 is refused by Python, and mended by us.
            if read["error"].is_string() {
                assert!(update.encode().unwrap() != datagram, "{read}: {update:?}");
                continue;
            }
            let read = &read["update"];
            assert_eq!(number(&read["transmission_id"]), update.transmission_id);
            assert_eq!(read["replace"], update.replace);
            let alerts = read["alert"].as_array().map_or(&[][..], Vec::as_slice);
            assert_eq!(alerts.len(), update.alerts.len());
            for (theirs, ours) in alerts.iter().zip(&update.alerts) {
                assert_eq!(Text::from(theirs["id"].as_str().unwrap()), ours.id);
                assert_eq!(number(&theirs["raise_time"]), ours.raise_time.map_or(0, NonZeroU64::get));
                assert_eq!(number(&theirs["importance"]), u64::from(ours.importance));
            }
        }
    }
    assert!(taken > 500, "{taken}");
}

#[test]
fn every_beginning_of_a_datagram_is_survived() {
    let datagram = full().encode().unwrap();
    for cut in 0..datagram.len() {
        // It may end where an optional field ends.
        if let Ok(update) = invariants::hold(&datagram[..cut]) {
            assert_eq!(update.source, full().source, "{cut}");
        }
    }
}

/// A field of bytes or a message: its number, its length, itself.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length > 127 {
        field.push(u8::try_from(length & 127).unwrap() | 128);
        length >>= 7;
    }
    field.push(u8::try_from(length).unwrap());
    [field, bytes.to_vec()].concat()
}

/// The smallest update that is one, without alerts.
const HEAD: &[u8] = &[8, 7, 18, 1, b's', 24, 0];

#[test]
fn what_must_be_there_is_missed_by_its_name() {
    for (without, name) in [
        (&[18, 1, b's', 24, 0][..], "transmission_id"),
        (&[8, 7, 24, 0], "source"),
        (&[8, 7, 18, 1, b's'], "replace"),
    ] {
        let error = AlertUpdate::decode(without).unwrap_err();
        assert_eq!(error, Error::Missing(name));
        assert_eq!(error.to_string(), format!("the datagram has no `{name}`"));
    }
    assert_eq!(AlertUpdate::decode(b""), Err(Error::Missing("transmission_id")));
    assert_eq!(AlertUpdate::decode(&[8, 7, 18, 0, 24, 0]), Err(Error::Missing("source")), "it is empty");
    for alert in [&[][..], &[10, 0], &[16, 1]] {
        let datagram = [HEAD, &field(4, alert)].concat();
        assert_eq!(AlertUpdate::decode(&datagram), Err(Error::Missing("id")), "{alert:?}");
    }
}

#[test]
fn wrong_wire_types_are_refused() {
    for wrong in [
        &[10, 1, b'7'][..],            // transmission_id as bytes
        &[16, 1],                      // source as a number
        &[29, 0, 0, 0, 0],             // replace as four bytes
        &[32, 1],                      // alert as a number
        &[41, 0, 0, 0, 0, 0, 0, 0, 0], // signature as eight bytes
        &[34, 5, 10, 1, b'a', 18, 0],  // raise_time as bytes
        &[34, 5, 10, 1, b'a', 32, 0],  // subject as a number
        &[14],                         // a wire type that there is not
        &[0, 0],                       // field number 0
        &[36],                         // the end of a group that has not begun
    ] {
        let error = AlertUpdate::decode(&[HEAD, wrong].concat()).unwrap_err();
        assert!(matches!(error, Error::Malformed(_)), "{wrong:?}: {error}");
        assert_eq!(error.to_string(), "the datagram is no Mauve message");
    }
}

#[test]
fn lengths_and_numbers_that_lie_are_refused() {
    for wrong in [
        &[34, 255, 255, 255, 255, 15][..], // an alert of 4 GiB
        &[34, 127],
        &[18, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
        &[8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255], // a number without an end
        &[8],
    ] {
        let error = AlertUpdate::decode(&[HEAD, wrong].concat()).unwrap_err();
        assert!(matches!(error, Error::Malformed(_)), "{wrong:?}: {error}");
    }
}

#[test]
fn bytes_that_are_no_utf_8_cost_no_alert() {
    let alert = [field(1, b"disk\xff"), field(5, b"caf\xe9"), field(6, b"\x1b[2J\0")].concat();
    let update = AlertUpdate::decode(&[HEAD, &field(4, &alert)].concat()).unwrap();
    let alert = &update.alerts[0];
    assert_eq!(
        [&*alert.id, &*alert.summary, &*alert.detail],
        ["disk\u{fffd}", "caf\u{fffd}", "\u{fffd}[2J\u{fffd}"]
    );
}

#[test]
fn fields_of_a_later_version_are_passed_over() {
    let unknown = [
        &[120, 1][..],                  // a number
        &[122, 2, 1, 2],                // bytes
        &[125, 1, 2, 3, 4],             // four bytes
        &[121, 1, 2, 3, 4, 5, 6, 7, 8], // eight bytes
        &[123, 8, 1, 123, 124, 124],    // a group with another one in it
    ]
    .concat();
    let alert = field(4, &[&unknown, &field(1, b"a")[..]].concat());
    let update = AlertUpdate::decode(&[&unknown, HEAD, &alert, &unknown].concat()).unwrap();
    assert_eq!(&*update.alerts[0].id, "a");
}

#[test]
fn nesting_has_an_end() {
    for depth in [101, 30_000] {
        let groups = [vec![123; depth], vec![124; depth]].concat();
        let error = AlertUpdate::decode(&[HEAD, &groups].concat()).unwrap_err();
        assert!(matches!(error, Error::Malformed(_)), "{error}");
    }
    assert!(AlertUpdate::decode(&[HEAD, &[123; 99], &[124; 99]].concat()).is_ok());
}

#[test]
fn of_a_field_that_is_there_twice_the_last_one_counts() {
    let update = AlertUpdate::decode(&[HEAD, &[8, 9, 24, 1]].concat()).unwrap();
    assert_eq!((update.transmission_id, update.replace), (9, true));
}

#[test]
fn ten_thousand_alerts_are_read_at_once() {
    let alert = field(4, &field(1, b"a"));
    let many = [HEAD, &alert.repeat(10_000)].concat();
    assert!(many.len() < SENT_MAX);
    let began = Instant::now();
    assert_eq!(AlertUpdate::decode(&many).unwrap().alerts.len(), 10_000);
    // Of a build without optimisation, beside everything else that runs.
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    // One without an id is enough.
    let spoilt = [many, field(4, b"")].concat();
    assert_eq!(AlertUpdate::decode(&spoilt), Err(Error::Missing("id")));
}

#[test]
fn what_is_longer_than_a_datagram_is_neither_read_nor_written() {
    assert_eq!(AlertUpdate::decode(&vec![8; RECEIVED_MAX + 1]), Err(Error::TooLong(65_536)));
    let mut update = full();
    let rest = update.encode().unwrap().len();
    // The length of the detail takes two bytes more than it did, as does that of the alert.
    update.alerts[0].detail = "x".repeat(SENT_MAX - rest + "<b>down</b>\n".len() - 4).into();
    assert_eq!(update.encode().unwrap().len(), SENT_MAX);
    update.source = format!("{}x", update.source).into();
    let error = update.encode().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the alerts take 65508 bytes, and a datagram holds 65507; say less, or send them apart"
    );
}
