//! At every moment, what Nagios would read is something that it accepts.

#[expect(dead_code, reason = "each test program uses its part of it")]
#[path = "publish/site.rs"]
mod site;

use std::panic::{self, AssertUnwindSafe};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use auto_monitor_server::registry::Withdrawn;
use site::{NAGIOS, Site};

#[test]
fn a_swap_while_nagios_reads_mixes_no_two_generations() {
    let site = Site::running();
    let many: Vec<String> = (0..300).map(|n| format!("many{n}.example.org")).collect();
    for name in &many {
        site.register(name, &["ssh"]);
    }
    site.published();
    let main = site.root().join("etc/nagios4/nagios.cfg");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let verifying = scope.spawn(|| {
            let mut count = 0;
            while !over.load(Ordering::Relaxed) {
                let output = Command::new(NAGIOS).arg("-v").arg(&main).output().unwrap();
                let said = String::from_utf8_lossy(&output.stdout);
                let errors: Vec<_> = said.lines().filter(|line| line.contains("Error")).take(5).collect();
                assert!(output.status.success(), "after {count}: {errors:#?}");
                count += 1;
            }
        });
        // Hosts and groups come and go.
        let publishing = panic::catch_unwind(AssertUnwindSafe(|| {
            for round in 0..12 {
                for name in &many[round * 20..round * 20 + 20] {
                    site.withdraw(name, Withdrawn::ByHost);
                }
                let mut new = site::record(&format!("new{round}.example.org"), &["ssh"]);
                new.registration.tags = vec![format!("tag-{round}").parse().unwrap()];
                site.store(&new);
                if verifying.is_finished() {
                    break;
                }
                site.published();
            }
        }));
        // Else the other would go on for ever, and nobody would hear why.
        over.store(true, Ordering::Relaxed);
        verifying.join().unwrap();
        publishing.unwrap_or_else(|reason| panic::resume_unwind(reason));
    });
}
