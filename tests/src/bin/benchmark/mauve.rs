//! What a monitoring server runs for every notification: `mauvesend`.

use std::net::UdpSocket;
use std::process::Command;

use anyhow::Result;
use auto_monitor_tests::installed::Installed;

use crate::measure::{median, once, pairs};
use crate::outcome::{Bound, Outcome, Unit};

/// An alert in a datagram; beside it, `logger` (util-linux) with the same words in one of syslog's.
pub fn send() -> Result<Vec<Outcome>> {
    const SUMMARY: &str = "apache2 is CRITICAL";
    // Nobody reads: what does not fit is dropped by the kernel, of both alike.
    let station = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
    let program = Installed::find()?.program("mauvesend");
    let (ours, theirs) = pairs(
        300,
        || {
            let alert = ["-o", "nagios1", "-i", "svc:apache2", "-u", "web1.example.org", "-s", SUMMARY];
            once(Command::new(&program).arg(station.to_string()).args(alert), &[0])
        },
        || {
            let port = station.port().to_string();
            let server = ["--udp", "--server", "127.0.0.1", "--port", &port];
            once(Command::new("logger").args(server).arg(SUMMARY), &[0])
        },
    )?;
    let (ours, theirs) = (median(&ours, |run| run.processor), median(&theirs, |run| run.processor));
    Ok(vec![Outcome {
        what: "mauvesend, processor",
        unit: Unit::Milliseconds,
        ours,
        peer: Some(("logger --udp --server", theirs)),
        bound: Bound::Ratio(1.0),
    }])
}
