//! avahi-daemon with a bus of its own on one of the machines.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::machine::{Machine, Running};

/// Names the folder that `tests/avahi` has unpacked avahi into.
const VARIABLE: &str = "AUTO_MONITOR_AVAHI";

/// A running avahi-daemon.
pub struct Avahi {
    daemon: Running,
    _bus: Running,
    root: PathBuf,
}

const BUS: &str = r#"<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen>
<auth>EXTERNAL</auth><policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
<allow receive_sender="*"/></policy></busconfig>"#;

impl Avahi {
    /// Starts it, with services of ours: names, ports and texts.
    pub fn start(machine: &Machine, services: &[(&str, u16, &[&str])]) -> Self {
        let root = PathBuf::from(std::env::var_os(VARIABLE).expect("make test-network calls this"));
        assert!(Path::new(&root).join("usr/sbin/avahi-daemon").exists(), "tests/avahi unpacks it");
        let mut files = String::new();
        for (at, (name, port, texts)) in services.iter().enumerate() {
            let texts: Vec<String> =
                texts.iter().map(|text| format!("<txt-record>{text}</txt-record>")).collect();
            // XML cannot hold control characters; avahi's own way to write them has backslashes.
            let name: String = name.chars().fold(String::new(), |name, c| {
                if c.is_ascii_control() {
                    format!("{name}\\{:03}", u32::from(c))
                } else {
                    format!("{name}{c}")
                }
            });
            let _ = writeln!(
                files,
                "cat > /etc/avahi/services/{at}.service <<'X'\n<?xml version=\"1.0\"?>\n<service-group><name>{name}</name>\
                 <service><type>_auto-monitor._tcp</type><port>{port}</port>{}</service></service-group>\nX",
                texts.concat()
            );
        }
        machine.shell(&format!(
            "getent passwd avahi >/dev/null || useradd --system avahi\ngetent group netdev >/dev/null || groupadd netdev\n\
             rm -rf /etc/avahi; cp -r {0}/etc/avahi /etc/; mkdir -p /etc/avahi/services /run/dbus\n\
             rm -f /run/dbus/*; cat > /run/bus.conf <<'X'\n{BUS}\nX\n{files}",
            root.display()
        ));
        let bus = machine.start(
            &["dbus-daemon", "--config-file=/run/bus.conf", "--nofork", "--nopidfile", "--print-address"],
            "unix:",
        );
        let library = format!("LD_LIBRARY_PATH={}", library(&root).display());
        let program = root.join("usr/sbin/avahi-daemon").display().to_string();
        let daemon = machine.start(
            &["env", &library, &program, "--no-drop-root", "--no-rlimits", "--no-chroot"],
            "Server startup complete",
        );
        Self { daemon, _bus: bus, root }
    }

    /// What avahi-browse sees of our servers.
    pub fn browse(&self, machine: &Machine) -> String {
        let program = self.root.join("usr/bin/avahi-browse");
        machine.shell(&format!(
            "LD_LIBRARY_PATH={} {} -rtp _auto-monitor._tcp",
            library(&self.root).display(),
            program.display()
        ))
    }

    pub fn log(&self) -> String {
        self.daemon.log()
    }
}

/// The folder of libraries below `usr/lib`, which has the architecture's name.
fn library(root: &Path) -> PathBuf {
    let mut entries = std::fs::read_dir(root.join("usr/lib")).unwrap().flatten().map(|entry| entry.path());
    entries.find(|path| path.join("libavahi-core.so.7").exists()).unwrap()
}
