//! What the monitoring engine executes: `check_registered HOST SERVICE [PROBE]`, and the probes of our own.
//!
//! Every generated object of the engine runs this one program with three names from a safe alphabet, so nothing that a
//! host says ever reaches an object file, a macro or a shell. What to probe is read from the published registration, a
//! file that only the server and the engine's group can read; then the program that does the job, of monitoring-plugins or
//! one of those below, takes this process's place (`execve`), and its exit status and output are the answer.
//!
//! `notify_mauve` is no probe: Nagios runs it to tell an alert station what it has found ([`notification`]).
//!
//! Each program is a module with a `run`; what it is asked is `command_line`, what it says is [`answer`]. Those that connect
//! to something share one way to do so: [`deadline`], [`connection`], [`tls`], [`dialogue`], [`protocol`].
//!
//! An answer is in the form of the monitoring-plugins guidelines. It is never OK by accident: every way not to know is
//! UNKNOWN, with a sentence that says what to do next.

pub mod answer;
pub mod certificate;
mod command_line;
pub mod connection;
pub mod datagram;
pub mod deadline;
pub mod dialogue;
mod freshness;
pub mod greeting;
pub mod mailflow;
mod manual;
pub mod notification;
mod program;
pub mod protocol;
mod published;
mod question;
pub mod registered;
pub mod request;
pub mod tls;
