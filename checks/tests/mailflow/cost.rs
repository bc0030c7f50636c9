//! What a look at a full list costs.

use std::fs;
use std::process::{Command, Output};
use std::time::Duration;

use super::monitor::{LIST, Monitor};

/// Peak memory of a check, in KiB.
const MEMORY_MAX: u64 = 12 << 10;
/// The processor's time. This is a build for tests, beside other tests; `make bench` holds the real one to 5 ms.
const TIME_MAX: Duration = Duration::from_millis(50);

/// What a program used.
pub struct Used {
    /// Peak memory, in KiB.
    pub memory: u64,
    /// The processor's time.
    pub time: Duration,
}

/// Notes what a program uses in the file that is its first argument. The kernel lets a process begin with the peak of the
/// one that started it (`ru_maxrss` of getrusage(2) survives `execve`); so a small one stands in between.
const MEASURE: &str = "
import os, sys
process = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(process, 0)
with open(sys.argv[1], 'w') as file:
    print(usage.ru_maxrss, int((usage.ru_utime + usage.ru_stime) * 1e6), file=file)
sys.exit(os.waitstatus_to_exitcode(status))
";

/// Runs a command, and says what it used.
pub fn measured(command: &Command) -> (Output, Used) {
    let note = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new("python3")
        .args(["-I", "-S", "-c", MEASURE])
        .arg(note.path())
        .arg(command.get_program())
        .args(command.get_args())
        .output()
        .unwrap();
    let text = fs::read_to_string(note.path()).unwrap();
    let mut numbers = text.split_whitespace().map(|number| number.parse::<u64>().unwrap());
    let (memory, time) = (numbers.next().unwrap(), Duration::from_micros(numbers.next().unwrap()));
    (output, Used { memory, time })
}

#[test]
fn a_thousand_mails_are_looked_at_by_name() {
    let monitor = Monitor::new();
    for _ in 0..1000 {
        monitor.sent(LIST, 100);
    }
    let looks =
        (0..10).map(|_| measured(&monitor.command("check_mailflow", &["--list", LIST, "-c", "900"])).1);
    let best = looks
        .inspect(|used| assert!(used.memory <= MEMORY_MAX, "{} KiB", used.memory))
        .map(|used| used.time)
        .min()
        .unwrap();
    assert!(best <= TIME_MAX, "{best:?}");
    monitor.delay("900").assert("OK", "1000 mails on their way, the oldest for 1");
}
