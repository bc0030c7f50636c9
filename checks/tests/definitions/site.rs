//! A monitoring server that has published one host with one definition, and what its engine is told of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use auto_monitor_tests::servers::authority::{Authority, Files, Request};
pub use auto_monitor_tests::service::closed;
use monitoring_info::definition;
use monitoring_info::mail::Policy;
use monitoring_info::published::{DOCUMENTS_DIR, Published, STATE_DIR};
use monitoring_info::registration::Sent;
use monitoring_info::state::State;
use tempfile::TempDir;

/// The host's bound name, and so the default of every key that is the host's own name.
pub const HOST: &str = "web1.example.org";
const PLUGINS: &str = "/usr/lib/nagios/plugins";

/// A monitoring server.
pub struct Site {
    folder: TempDir,
    authority: Authority,
    policy: Policy,
}

/// What the engine is told.
#[derive(Debug)]
pub struct Verdict {
    pub state: State,
    pub text: String,
    pub wall: Duration,
}

impl Site {
    /// One that trusts one authority.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Servers that become other users work below it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let authority = Authority::new("Test root").unwrap();
        authority.trust(folder.path()).unwrap();
        Self { folder, authority, policy: Policy::default() }
    }

    /// The same with what the server's administrator says of mails.
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Another server that trusts the same authority.
    pub fn again(&self) -> Self {
        let other = Self { authority: self.authority.clone(), policy: self.policy.clone(), ..Self::new() };
        other.authority.trust(other.folder.path()).unwrap();
        other
    }

    /// A folder for a server's files.
    pub fn folder(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("servers").join(name)
    }

    /// A certificate by the trusted authority.
    pub fn issue(&self, request: &Request) -> Files {
        let name = format!("certificate{}", fs::read_dir(self.folder.path()).unwrap().count());
        self.authority.issue(request).unwrap().write(&self.folder.path().join(&name), "it").unwrap()
    }

    /// A certificate for the host.
    pub fn certificate(&self) -> Files {
        self.issue(&Request::named(HOST))
    }

    /// Runs the probe that the engine would: of this definition, in which `PORT` stands for the port, on a host with this
    /// address; the main one, or that of this name.
    pub fn probe(&self, at: SocketAddr, definition: &str, name: Option<&str>) -> Verdict {
        self.publish(at, definition);
        self.run(name)
    }

    /// Publishes the definition.
    pub fn publish(&self, at: SocketAddr, body: &str) {
        let text = format!("[it]\n{}\n", body.replace("PORT", &at.port().to_string()));
        let (drafts, problems) = definition::read("it.conf", text.as_bytes());
        assert!(problems.is_empty(), "{problems:?}");
        // What is odd has a warning; what is wrong gives no definition.
        let (definition, problems) = drafts[0].settle();
        let definition = definition.unwrap_or_else(|| panic!("{problems:?}"));
        let published = Published {
            version: 1,
            name: HOST.parse().unwrap(),
            address: at.ip(),
            generation: 1,
            stale_after: 0,
            mail: self.policy.clone(),
            lists: BTreeMap::new(),
            definitions: vec![Sent::new(&definition, "/etc/monitoring-info/it.conf")],
        };
        let folder = self.folder.path().join(STATE_DIR).join(DOCUMENTS_DIR);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{HOST}.json")), serde_json::to_vec(&published).unwrap()).unwrap();
    }

    /// The command that the engine runs.
    pub fn command(&self, name: Option<&str>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_check_registered"));
        command.arg("--root").arg(self.folder.path()).args(["--plugins", PLUGINS, HOST, "it"]).args(name);
        command.stdin(Stdio::null());
        command
    }

    /// Runs a probe of what was published last.
    pub fn run(&self, name: Option<&str>) -> Verdict {
        let begun = Instant::now();
        let output = self.command(name).output().unwrap();
        let wall = begun.elapsed();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let states = [State::Ok, State::Warning, State::Critical, State::Unknown];
        let state = states.into_iter().find(|state| output.status.code() == Some(state.exit_status().into()));
        let state = state.unwrap_or_else(|| panic!("{}: {text}", output.status));
        Verdict { state, text, wall }
    }

    /// The main probe is OK.
    pub fn is_ok(&self, at: SocketAddr, definition: &str) {
        let verdict = self.probe(at, definition, None);
        assert_eq!(verdict.state, State::Ok, "{definition}: {}", verdict.text);
    }

    /// The main probe is CRITICAL, and says so.
    pub fn is_critical(&self, at: SocketAddr, definition: &str, said: &str) {
        let verdict = self.probe(at, definition, None);
        assert_eq!(verdict.state, State::Critical, "{definition}: {}", verdict.text);
        assert!(verdict.text.contains(said), "{definition}: {}", verdict.text);
    }

    /// The certificate's probe is OK.
    pub fn certificate_is_ok(&self, at: SocketAddr, definition: &str) {
        let verdict = self.probe(at, definition, Some("certificate"));
        assert_eq!(verdict.state, State::Ok, "{definition}: {}", verdict.text);
    }

    /// The certificate's probe is CRITICAL, and says so.
    pub fn certificate_is_critical(&self, at: SocketAddr, definition: &str, said: &str) {
        let verdict = self.probe(at, definition, Some("certificate"));
        assert_eq!(verdict.state, State::Critical, "{definition}: {}", verdict.text);
        assert!(verdict.text.contains(said), "{definition}: {}", verdict.text);
    }
}

/// Says this to everybody who connects, and hangs up when they do.
pub fn banner(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                stream.write_all(bytes).and_then(|()| io::copy(&mut stream, &mut io::sink()))
            });
        }
    });
    address
}

/// The IPv6 address at which a server of IPv4 can be spoken to.
pub fn over_ipv6(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(server).unwrap());
            for (mut from, mut to) in
                [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
            {
                thread::spawn(move || {
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    address
}

/// Lets everybody read a file below a site's folder.
pub fn readable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}
