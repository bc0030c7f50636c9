//! What holds over any bytes whatever: for the property tests, and for the fuzz target `datagram`.

use mauve::{Alert, AlertUpdate, Error, RECEIVED_MAX, SENT_MAX, Text};

/// Panics where one of the promises does not hold; gives what was read.
pub fn hold(bytes: &[u8]) -> Result<AlertUpdate, Error> {
    let read = AlertUpdate::decode(bytes);
    assert_eq!(matches!(read, Err(Error::TooLong(_))), bytes.len() > RECEIVED_MAX);
    if let Ok(update) = &read {
        for text in std::iter::once(&update.source).chain(update.alerts.iter().flat_map(texts)) {
            can_be_shown(text);
        }
        assert!(!update.source.is_empty() && update.alerts.iter().all(|alert| !alert.id.is_empty()));
        // An alert takes at least its header and its id.
        assert!(update.alerts.len() <= bytes.len() / 5);
        is_the_same_behind_the_wire(update);
    }
    read
}

fn texts(alert: &Alert) -> [&Text; 4] {
    [&alert.id, &alert.subject, &alert.summary, &alert.detail]
}

fn can_be_shown(text: &Text) {
    assert!(!text.contains(|letter: char| letter.is_control() && !"\t\r\n".contains(letter)), "{text:?}");
    let html = text.as_html();
    assert!(html.len() <= "<pre></pre>".len() + 5 * text.len());
    assert_eq!(html.matches('<').count(), if text.is_empty() { 0 } else { 2 }, "{html:?}");
}

/// Every update can be sent on, unless it has become too large.
pub fn is_the_same_behind_the_wire(update: &AlertUpdate) {
    match update.encode() {
        Ok(datagram) => {
            assert!(datagram.len() <= SENT_MAX);
            assert_eq!(AlertUpdate::decode(&datagram).as_ref(), Ok(update));
        }
        Err(error) => assert!(error.size > SENT_MAX),
    }
}
