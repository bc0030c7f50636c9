//! Stations that note what arrives, and runs of `mauvesend` that send to them.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a datagram may be on its way within this machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// A station on a loopback address of its own.
pub struct Station(UdpSocket);

impl Station {
    pub fn at(address: &str) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub fn port(&self) -> u16 {
        self.address().port()
    }

    pub fn receive(&self) -> Vec<u8> {
        let mut datagram = vec![0; mauve::RECEIVED_MAX];
        let (length, _) = self.0.recv_from(&mut datagram).expect("a datagram arrives");
        datagram.truncate(length);
        datagram
    }

    /// Sends itself a byte, so that what came before it is known to be all.
    pub fn receives_nothing(&self) {
        let mut local = self.address();
        if local.ip().is_unspecified() {
            local.set_ip(IpAddr::from([127, 0, 0, 1]));
        }
        self.0.send_to(b"!", local).unwrap();
        assert_eq!(self.receive(), b"!");
    }
}

/// How a run ended.
pub struct Ran {
    pub status: Option<i32>,
    pub said: String,
    pub complained: String,
    pub took: Duration,
}

impl From<(Output, Duration)> for Ran {
    fn from((output, took): (Output, Duration)) -> Self {
        Self {
            status: output.status.code(),
            said: String::from_utf8(output.stdout).unwrap(),
            complained: String::from_utf8(output.stderr).unwrap(),
            took,
        }
    }
}

pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mauvesend"));
    command.stdin(Stdio::null()).env("COLUMNS", "100");
    command
}

pub fn run(command: &mut Command) -> Ran {
    let began = Instant::now();
    (command.output().unwrap(), began.elapsed()).into()
}

/// A run that must say nothing and do well.
pub fn sends(arguments: &[&str]) {
    let ran = run(program().args(arguments));
    assert_eq!((ran.status, &*ran.said, &*ran.complained), (Some(0), "", ""), "{arguments:?}");
}

/// What Python has read, in short: the source, and an alert a line, with what is said of it. Times are `@SECONDS`, or
/// `+SECONDS` and `-SECONDS` from when it was sent, if that is within ten years.
pub fn in_short(read: &Value) -> String {
    const TEN_YEARS: u64 = 10 * 365 * 86_400;
    let update = &read["update"];
    let sent = update["transmission_time"].as_u64().unwrap();
    let time = |seconds: u64| match (seconds.checked_sub(sent), sent.abs_diff(seconds)) {
        (_, off) if off > TEN_YEARS => format!("@{seconds}"),
        (Some(off), _) => format!("+{off}"),
        (None, off) => format!("-{off}"),
    };
    let mut short = update["source"].as_str().unwrap().to_owned();
    if update["replace"] == true {
        short += " replace";
    }
    for alert in update["alert"].as_array().map_or(&[][..], Vec::as_slice) {
        // As the original: every field is there.
        assert_eq!(alert.as_object().unwrap().len(), 8, "{alert}");
        assert_eq!(alert["importance"], 0);
        let _ = write!(short, "\n{}", alert["id"].as_str().unwrap());
        for (name, field) in
            [("raise", "raise_time"), ("clear", "clear_time"), ("suppress", "suppress_until")]
        {
            let seconds = alert[field].as_u64().unwrap();
            if seconds > 0 {
                let _ = write!(short, " {name}={}", time(seconds));
            }
        }
        for name in ["subject", "summary", "detail"] {
            let text = alert[name].as_str().unwrap();
            if !text.is_empty() {
                let _ = write!(short, " {name}={text}");
            }
        }
    }
    short
}
