//! Any bytes as the document that the server reads from a host: refused with a reason, or within every limit, and then the same
//! when it is written and read again. What is sound in it stays the same definition, and what is refused is told in no more
//! than a client reads.
#![no_main]

use auto_monitor_server::session::{self, document};
use monitoring_info::host::is_unprintable;
use monitoring_info::ini::VALUE_MAX;
use monitoring_info::registration::{
    DEFINITIONS_MAX, Enrolment, Judged, Registration, Reply, Sent, TAGS_MAX, VERSION,
};

/// Of one definition that is refused: its name and five reasons, of 200 characters each, which JSON may write as six bytes.
const REFUSED_MAX: usize = 6 * 200 * 6 + 100;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let request = match document::parse(bytes) {
        Ok(request) => request,
        Err(no) => {
            assert!(!no.message.is_empty());
            return;
        }
    };
    assert_eq!(request.version, VERSION);
    let written = serde_json::to_vec(&request).expect("text can be written");
    assert_eq!(document::parse(&written).as_ref(), Ok(&request));
    let Some(registration) = &request.registration else { return };
    if document::limits(registration).is_ok() {
        assert!(registration.definitions.len() <= DEFINITIONS_MAX && registration.tags.len() <= TAGS_MAX);
        for (at, definition) in registration.definitions.iter().enumerate() {
            assert!(registration.definitions[..at].iter().all(|before| before.name != definition.name));
        }
    }
    let refused = registration.definitions.iter().filter(|definition| is_refused(definition)).count();
    is_told(registration, refused);
});

fn is_refused(sent: &Sent) -> bool {
    match sent.judge() {
        Judged::Sound(definition) => {
            assert_eq!(definition.name().to_string(), sent.name);
            assert!(sent.settings.values().all(|value| value.len() <= VALUE_MAX));
            assert!(!sent.settings.values().chain([&sent.file]).any(|text| text.contains(is_unprintable)));
            let again = Sent::new(&definition, &sent.file);
            assert!(matches!(again.judge(), Judged::Sound(same) if same == definition), "{sent:?}");
            false
        }
        Judged::UnknownType(name) => {
            assert_eq!(name.to_string(), sent.name);
            false
        }
        Judged::Refused(reasons) => {
            assert!(!reasons.is_empty() && reasons.iter().all(|reason| !reason.is_empty()), "{sent:?}");
            true
        }
    }
}

fn is_told(registration: &Registration, refused: usize) {
    let reply = Reply { refused: session::refused(registration), ..Reply::new(Enrolment::Approved) };
    assert_eq!(reply.refused.len(), refused);
    let written = serde_json::to_vec(&reply).expect("text can be written");
    assert!(written.len() <= 1000 + refused * REFUSED_MAX);
    assert_eq!(serde_json::from_slice::<Reply>(&written).expect("what was written can be read"), reply);
}
