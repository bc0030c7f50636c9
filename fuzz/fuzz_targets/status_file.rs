//! Any bytes as Nagios's status file: what is read of it stands in it and takes no more room than it, and what a plugin has
//! printed says nothing of any host.
#![no_main]

use auto_monitor_server::target::Subject;
use auto_monitor_server::target::nagios::status;
use jiff::Timestamp;

const NOW: i64 = 1_763_600_000;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (_, outlook) = status::read(lines(bytes), NOW);
    let recovered = outlook.recoveries;
    let said = |subject: &Subject| subject.host.len() + subject.service.as_ref().map_or(0, String::len);
    assert!(recovered.iter().map(said).sum::<usize>() <= text.len());
    assert!(recovered.len() <= text.matches('}').count());
    for Subject { host, service } in &recovered {
        assert!(host.is_empty() || text.contains(&format!("host_name={host}")));
        assert!(service.iter().all(|service| text.contains(&format!("service_description={service}"))));
    }

    // Nagios writes what a plugin has printed in one line.
    let line = text.replace('\n', "\\n");
    let expected = read(file("").as_bytes());
    assert_eq!(expected.len(), 1);
    assert_eq!(read(file(&line).as_bytes()), expected);
});

fn read(bytes: &[u8]) -> Vec<Subject> {
    let now = Timestamp::from_second(NOW).expect("a time");
    status::recoveries(bytes.split(|&byte| byte == b'\n').map(<[u8]>::to_vec), now)
}

/// A host that has recovered in a downtime and one that has not, as Nagios writes them.
fn file(output: &str) -> String {
    let host = |name: &str, state: u8| {
        format!(
            "hoststatus {{\n\thost_name={name}\n\tcurrent_state={state}\n\tplugin_output={output}\n\tlong_plugin_output={output}\n\
             \tperformance_data={output}\n\tlast_hard_state_change={}\n\tnext_check={}\n\tscheduled_downtime_depth=1\n\t}}\n\n",
            NOW - 60,
            NOW + 60
        )
    };
    format!("info {{\n\tcreated={NOW}\n\t}}\n\n{}{}", host("well", 0), host("ill", 1))
}
