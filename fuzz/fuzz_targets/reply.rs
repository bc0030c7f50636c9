//! Any bytes as the reply that a client reads from a server: what is read is the same when it is written and read again, and
//! what the client says of it moves no cursor.
#![no_main]

use std::sync::LazyLock;

use auto_monitor_client::call::Caller;
use auto_monitor_client::configuration::Configuration;
use auto_monitor_client::register;
use auto_monitor_client::root::Root;
use monitoring_info::registration::{Publication, RefusedDefinition, Reply};
use monitoring_info::server_address::ServerAddress;

/// A host that was never anywhere.
static CALLER: LazyLock<Caller<'static>> = LazyLock::new(|| {
    // tests/fuzz removes what is left when libFuzzer ends the process.
    let folder = tempfile::tempdir().expect("a temporary folder").keep();
    let root: &'static Root = Box::leak(Box::new(Root::new(&folder).expect("a root")));
    let name = Some("host.example".parse().expect("a name"));
    let configuration: &'static Configuration =
        Box::leak(Box::new(Configuration { name, ..Configuration::default() }));
    match Caller::new(root, configuration, None, false) {
        Ok(caller) => caller,
        Err(failure) => panic!("{}", failure.message),
    }
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(reply) = serde_json::from_slice::<Reply>(bytes) else { return };
    let written = serde_json::to_vec(&reply).expect("text can be written");
    assert_eq!(serde_json::from_slice::<Reply>(&written).expect("what was written can be read"), reply);

    let server: ServerAddress = "monitor.example".parse().expect("an address");
    if let Some(failure) = CALLER.refusal(&server, &reply) {
        for text in [Some(&failure.message), failure.help.as_ref()].into_iter().flatten() {
            assert!(!text.contains(|c: char| c != '\n' && c.is_control()), "{text:?}");
        }
    }
    // Of the escapes in what is shown, all are ours: as many as there are without a word of the server's.
    let shown = register::news(&reply.refused, reply.publication.as_ref());
    let silent: Vec<_> = reply
        .refused
        .iter()
        .map(|_| RefusedDefinition { name: String::new(), reasons: Vec::new() })
        .collect();
    let publication = reply.publication.as_ref().map(|said| Publication { reason: None, ..said.clone() });
    let ours = register::news(&silent, publication.as_ref());
    assert_eq!(shown.len(), ours.len());
    for (line, ours) in shown.iter().zip(&ours) {
        let controls = |text: &str| text.chars().filter(|c| *c != '\n' && c.is_control()).collect::<String>();
        assert_eq!(controls(line), controls(ours), "{line:?}");
    }
});
