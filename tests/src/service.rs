//! Real services that a host can have.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

use crate::patience::wait_for;
use crate::process::Process;

/// How long a service may take until it listens.
const START: Duration = Duration::from_secs(10);

/// A port that nothing listens on at this address.
///
/// Between this and the moment at which somebody listens, another process could take it; on loopback addresses that
/// nobody else uses, none does.
///
/// # Errors
/// The address is not one of this machine.
pub fn free_port(address: IpAddr) -> Result<u16> {
    free_ports(address).map(|[port]| port)
}

/// Several of them, each another: asked for one by one, the kernel may give the same again.
///
/// # Errors
/// As [`free_port`].
pub fn free_ports<const COUNT: usize>(address: IpAddr) -> Result<[u16; COUNT]> {
    let mut ports = [0; COUNT];
    let mut listeners = Vec::new();
    for port in &mut ports {
        let listener =
            TcpListener::bind((address, 0)).with_context(|| format!("cannot listen on {address}"))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

/// Waits until a process listens.
///
/// # Errors
/// It ends, or does not listen in time.
pub fn wait_until_it_listens(process: &mut Process, address: SocketAddr) -> Result<()> {
    wait_for(&format!("something listens on {address}"), START, || {
        process.assert_running()?;
        Ok(TcpStream::connect(address).map(drop).map_err(|error| error.to_string()))
    })
}

/// Debian's lighttpd with one page.
///
/// # Errors
/// It does not start.
pub fn web_server(folder: &Path, address: SocketAddr) -> Result<Process> {
    let pages = folder.join("pages");
    fs::create_dir_all(&pages)?;
    fs::write(pages.join("index.html"), "<!DOCTYPE html><title>It works</title><p>It works.\n")?;
    let configuration = folder.join("lighttpd.conf");
    fs::write(
        &configuration,
        format!(
            "server.document-root = \"{}\"\nserver.bind = \"{}\"\nserver.port = {}\n\
             index-file.names = ( \"index.html\" )\n",
            pages.display(),
            address.ip(),
            address.port()
        ),
    )?;
    let arguments = ["-D", "-f", &configuration.display().to_string()];
    let log = folder.join("lighttpd.log");
    let mut process = Process::start("lighttpd", Path::new("/usr/sbin/lighttpd"), &arguments, &log)?;
    wait_until_it_listens(&mut process, address)?;
    Ok(process)
}

/// OpenSSH's server, into which nobody can log in.
///
/// # Errors
/// It does not start.
pub fn ssh_server(folder: &Path, address: SocketAddr) -> Result<Process> {
    let key = folder.join("host_key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status()?;
    ensure!(made.success(), "ssh-keygen could not make {}", key.display());
    let configuration = folder.join("sshd_config");
    fs::write(
        &configuration,
        format!(
            "ListenAddress {}:{}\nHostKey {}\nPidFile none\nUsePAM no\nPasswordAuthentication no\n\
             AuthorizedKeysFile none\n",
            address.ip(),
            address.port(),
            key.display()
        ),
    )?;
    let arguments = ["-D", "-e", "-f", &configuration.display().to_string()];
    let log = folder.join("sshd.log");
    let mut process = Process::start("sshd", Path::new("/usr/sbin/sshd"), &arguments, &log)?;
    wait_until_it_listens(&mut process, address)?;
    Ok(process)
}

/// Something on TCP that greets and hangs up. It ends when it is dropped.
#[derive(Debug)]
pub struct Greeter {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Greeter {
    /// Listens.
    ///
    /// # Errors
    /// The address is taken.
    pub fn start(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                // Whoever hung up before the greeting has had his connection, too.
                let _ = stream.and_then(|mut stream| stream.write_all(b"hello\r\n"));
            }
        });
        Ok(Self { address, ended, thread: Some(thread) })
    }
}

impl Drop for Greeter {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // One last connection, so that the thread looks.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A TCP socket on 127.0.0.1 that refuses every connection until this process ends: it is bound and never listens, so that
/// nobody else gets its port meanwhile.
///
/// # Panics
/// The system gives no socket.
#[must_use]
pub fn closed() -> SocketAddr {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port of 127.0.0.1");
    let address = getsockname(&socket).expect("the socket's address");
    std::mem::forget(socket);
    SocketAddr::try_from(address).expect("an address of the Internet's")
}
