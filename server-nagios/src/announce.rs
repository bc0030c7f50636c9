//! The command `announce`: says on the local network where the endpoint is, by multicast DNS.
//!
//! A process of its own, because the endpoint becomes sshd, and because what reads packets from anybody on the network
//! should have nothing to lose: it holds the public half of the host key and no more. Should it die, nobody who is
//! enrolled notices.
//!
//! It answers for itself, whether the machine runs avahi-daemon or not, instead of asking that one over D-Bus: so there is
//! one way to test, and the server package drags in no second daemon. Both share port 5353 (RFC 6762, section 15.1), and
//! the [names](announcement::host) differ, so neither contests what the other says.
//!
//! The announcement follows the machine's addresses as they come and go, and is taken back at the end.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use mdns_sd::{DaemonEvent, IfKind, IfPredicate, ServiceDaemon, ServiceInfo};
use monitoring_info::announcement;
use monitoring_info::fingerprint::Fingerprint;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::journal::{Level, Line};
use crate::{Context, endpoint, identity};

/// How long the last word may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Announces until SIGTERM or SIGINT.
///
/// # Errors
/// The host key or `server.conf` cannot be read, or the system lets nobody listen to multicast DNS.
pub fn announce(context: &Context) -> anyhow::Result<ExitCode> {
    let configuration = context.configuration()?;
    let fingerprint = endpoint::host_key(&context.paths)?;
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("cannot listen to signals")?;
    let Some(reach) = Reach::of(&configuration.listen) else {
        // Not an end: a unit that is to be restarted would be, for ever.
        Line::new("announces-nothing")
            .with("reason", "the endpoint listens on the loopback interface alone")
            .print();
        ready();
        signals.forever().next();
        return Ok(ExitCode::SUCCESS);
    };
    let name = own_name();
    let service = service(&name, &identity::machine_mark(), &reach, &fingerprint)?;
    let fullname = service.get_fullname().to_owned();
    let daemon = ServiceDaemon::new().context("cannot speak multicast DNS")?;
    let events = daemon.monitor().context("cannot speak multicast DNS")?;
    daemon
        .disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])
        .and_then(|()| daemon.register(service))
        .context("cannot announce the endpoint")?;
    Line::new("announce").with("name", &name).with("port", reach.port).with("host-key", fingerprint).print();
    ready();
    std::thread::spawn(move || {
        let mut last = None;
        for line in events.iter().filter_map(|event| worth_a_line(&event)) {
            if last.as_ref() != Some(&line) {
                line.print();
                last = Some(line);
            }
        }
    });
    signals.forever().next();
    // Those who listen forget us at once, and not when the records' time is over.
    let gone = daemon.unregister(&fullname).ok().and_then(|gone| gone.recv_timeout(GOODBYE).ok());
    let ended = daemon.shutdown().ok().and_then(|ended| ended.recv_timeout(GOODBYE).ok());
    if gone.is_none() || ended.is_none() {
        bail!("cannot take the announcement back; it is forgotten within two minutes");
    }
    Line::new("withdrawn").with("name", name).print();
    Ok(ExitCode::SUCCESS)
}

/// The whole name of this machine, else its first label: nobody relies on what it is.
fn own_name() -> String {
    identity::host_name()
        .unwrap_or_else(|_| rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase())
}

fn service(name: &str, mark: &str, reach: &Reach, fingerprint: &Fingerprint) -> anyhow::Result<ServiceInfo> {
    let mut service = ServiceInfo::new(
        &format!("{}.{}.", announcement::SERVICE, announcement::DOMAIN),
        &announcement::instance(name, mark),
        &format!("{}.", announcement::host(name, mark)),
        (),
        reach.port,
        announcement::text(fingerprint).as_slice(),
    )
    .with_context(|| format!("cannot announce the endpoint as {name}"))?
    .enable_addr_auto();
    let reach = reach.clone();
    service
        .set_interfaces(vec![IfKind::Predicate(IfPredicate::new(move |address| reach.holds(address.ip())))]);
    Ok(service)
}

/// Where the endpoint can be reached from other machines.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reach {
    port: u16,
    listen: Vec<IpAddr>,
}

impl Reach {
    /// An announcement names one port, so it is the first that is open to others.
    fn of(listen: &[SocketAddr]) -> Option<Self> {
        let open = |address: &&SocketAddr| !address.ip().is_loopback();
        let port = listen.iter().find(open)?.port();
        let listen = listen.iter().filter(open).filter(|address| address.port() == port);
        Some(Self { port, listen: listen.map(SocketAddr::ip).collect() })
    }

    /// Whether the endpoint listens on this address of the machine.
    fn holds(&self, address: IpAddr) -> bool {
        !address.is_loopback()
            && self
                .listen
                .iter()
                .any(|on| *on == address || on.is_unspecified() && on.is_ipv4() == address.is_ipv4())
    }
}

/// What an administrator may want to know; that an interface came is not it where containers come and go.
fn worth_a_line(event: &DaemonEvent) -> Option<Line> {
    match event {
        DaemonEvent::Error(error) => Some(Line::at(Level::Warning, "announce-failed").with("reason", error)),
        DaemonEvent::NameChange(change) => Some(
            Line::at(Level::Warning, "renamed")
                .with("name", &change.original)
                .with("to", &change.new_name)
                .with("interface", &change.intf_name)
                .with("reason", "somebody else has announced the first"),
        ),
        _ => None,
    }
}

/// Tells systemd, where it asked for it, that the start is over.
fn ready() {
    // Without systemd there is nobody to tell.
    drop(sd_notify::notify(&[sd_notify::NotifyState::Ready]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(addresses: &[&str]) -> Vec<SocketAddr> {
        addresses.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn what_is_announced_can_be_reached() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let everywhere = Reach::of(&listen(&["[::]:2929", "0.0.0.0:2929"])).unwrap();
        assert!(everywhere.holds(ip("192.0.2.1")) && everywhere.holds(ip("fe80::1")));
        assert!(!everywhere.holds(ip("127.0.0.1")) && !everywhere.holds(ip("::1")));
        let one = Reach::of(&listen(&["127.0.0.1:2929", "192.0.2.1:2930", "192.0.2.2:2931"])).unwrap();
        assert_eq!(one.port, 2930);
        assert!(one.holds(ip("192.0.2.1")) && !one.holds(ip("192.0.2.2")) && !one.holds(ip("fe80::1")));
        assert!(!Reach::of(&listen(&["0.0.0.0:2929"])).unwrap().holds(ip("fe80::1")));
        assert_eq!(Reach::of(&listen(&["127.0.0.1:2929", "[::1]:2929"])), None);
    }

    #[test]
    fn what_goes_wrong_asks_for_somebody() {
        let event = DaemonEvent::Error(mdns_sd::Error::Msg("no socket".to_owned()));
        let line = Line::at(Level::Warning, "announce-failed").with("reason", "no socket");
        assert_eq!(worth_a_line(&event), Some(line));
    }

    #[test]
    fn an_odd_name_of_the_machine_stops_nothing() {
        let fingerprint = "SHA256:q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA".parse().unwrap();
        let reach = Reach::of(&listen(&["[::]:2929"])).unwrap();
        for name in ["monitor.example.org", "localhost", "", "a b\\.c", &"x".repeat(300)] {
            let service = service(name, "3f9c1a2b", &reach, &fingerprint).unwrap();
            assert_eq!(service.get_property_val_str("fingerprint").unwrap(), fingerprint.to_string());
        }
    }
}
