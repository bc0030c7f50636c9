//! Any bytes as Nagios's status file: what is read of it stands in it and takes no more room than it, and what a plugin has
//! printed says nothing of any host.
#![no_main]

use auto_monitor_server::target::nagios::status;
use auto_monitor_server::target::{Outlook, Subject};

const NOW: i64 = 1_763_600_000;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let outlook = read(bytes);
    let said = |subject: &Subject| subject.host.len() + subject.service.as_ref().map_or(0, String::len);
    assert!(outlook.watched.iter().map(said).sum::<usize>() <= text.len());
    let told = outlook.recoveries.iter().chain(outlook.problems.iter().map(|problem| &problem.subject));
    for subject in told {
        assert!(outlook.watched.contains(subject));
        let Subject { host, service } = subject;
        assert!(host.is_empty() || text.contains(&format!("host_name={host}")));
        assert!(service.iter().all(|service| text.contains(&format!("service_description={service}"))));
    }

    // Nagios writes what a plugin has printed in one line.
    let line = text.replace('\n', "\\n");
    let (quiet, loud) = (read(file("").as_bytes()), read(file(&line).as_bytes()));
    assert_eq!((quiet.recoveries.len(), quiet.problems.len(), quiet.watched.len()), (1, 1, 2));
    assert_eq!((&loud.recoveries, &loud.watched), (&quiet.recoveries, &quiet.watched));
    assert!(loud.problems.iter().map(|one| &one.subject).eq(quiet.problems.iter().map(|one| &one.subject)));
});

fn read(bytes: &[u8]) -> Outlook {
    status::read(bytes.split(|&byte| byte == b'\n').map(<[u8]>::to_vec), NOW).1
}

/// A host that has recovered and one that has not, as Nagios writes them.
fn file(output: &str) -> String {
    let host = |name: &str, state: u8| {
        format!(
            "hoststatus {{\n\thost_name={name}\n\tcurrent_state={state}\n\tstate_type=1\n\tplugin_output={output}\n\t\
             long_plugin_output={output}\n\tperformance_data={output}\n\tlast_time_down={}\n\tactive_checks_enabled=1\n\t\
             current_notification_number=1\n\tlast_hard_state_change={}\n\tnext_check={}\n\t}}\n\n",
            NOW - 90,
            NOW - 60,
            NOW + 60
        )
    };
    format!("info {{\n\tcreated={NOW}\n\t}}\n\n{}{}", host("well", 0), host("ill", 1))
}
