//! Discovery over real multicast: machines in namespaces of their own, joined by a switch, and avahi-daemon as the peer.
//!
//! `make test-network` runs these, as root; nobody else does, because they need namespaces, which not every root may
//! make, and avahi. They leave the machine's own network alone.

use std::fs;
use std::thread;
use std::time::Duration;

#[path = "network/avahi.rs"]
mod avahi;
#[path = "network/machine.rs"]
mod machine;

use avahi::Avahi;
use machine::Network;

const PATIENCE: Duration = Duration::from_secs(20);

fn servers(found: &serde_json::Value) -> Vec<&str> {
    found["servers"].as_array().unwrap().iter().map(|server| server["server"].as_str().unwrap()).collect()
}

#[test]
fn a_server_is_found_with_its_key_until_it_ends() {
    let mut network = Network::new();
    let (monitor, web) = (network.machine("monitor.example.org"), network.machine("web1.example.org"));
    monitor.shell("ip addr add 192.0.2.1/24 dev lan0");
    web.shell("ip addr add 192.0.2.2/24 dev lan0");
    let [endpoint, announcement] = monitor.serve();
    let found = web.discovers(1, PATIENCE);
    let server = &found["servers"][0];
    let (name, place) = (format!("monitor.example.org ({})", monitor.mark()), monitor.place());
    assert_eq!(
        (server["name"].as_str(), server["server"].as_str()),
        (Some(name.as_str()), Some(place.as_str()))
    );
    assert_eq!(server["source"], "mdns");
    let key =
        monitor.shell("ssh-keygen -lf /var/lib/auto-monitor-server-nagios/endpoint/ssh_host_ed25519_key.pub");
    assert_eq!(server["fingerprint"].as_str(), key.split(' ').nth(1));
    let addresses: Vec<&str> =
        server["addresses"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert_eq!(addresses[0], "192.0.2.1");
    assert!(addresses[1].starts_with("fe80::") && addresses[1].ends_with("%lan0"), "{addresses:?}");
    let shown = web.say(0, &["auto-monitor", "discover"]).0;
    assert!(shown.contains(&format!("auto-monitor enrol {}", monitor.place())), "{shown}");

    // A person chooses, and compares what the server itself shows.
    let said = web.shell("(printf '1\\nyes\\n'; sleep 8) | script -qec 'auto-monitor enrol' /dev/null || :");
    assert!(said.contains("Enrol with it?") && said.contains("The fingerprint of its key is"), "{said}");
    assert!(said.contains("auto-monitor-server approve web1.example.org"), "{said}");

    announcement.end();
    assert_eq!(web.discover()["servers"].as_array().unwrap().len(), 0, "it has said goodbye");
    drop(endpoint);
}

#[test]
fn interfaces_come_and_go_and_ipv6_alone_is_enough() {
    let mut network = Network::new();
    let (monitor, web) = (network.machine("monitor.example.org"), network.machine("web1.example.org"));
    monitor.shell("ip link set lan0 down");
    let running = monitor.serve();
    monitor.shell("ip link set lan0 up");
    let found = web.discovers(1, PATIENCE);
    let addresses = found["servers"][0]["addresses"].as_array().unwrap();
    assert_eq!(addresses.len(), 1, "only the link-local address: {found}");
    // Resolved and connected to by that address, with its interface.
    let print = found["servers"][0]["fingerprint"].as_str().unwrap();
    web.say(4, &["auto-monitor", "enrol", &monitor.place(), "--fingerprint", print]);
    assert!(monitor.shell("auto-monitor-server pending").contains("web1.example.org"));

    monitor.shell("ip addr add 192.0.2.1/24 dev lan0");
    web.shell("ip addr add 192.0.2.2/24 dev lan0");
    let until = std::time::Instant::now() + PATIENCE;
    while !web.discover()["servers"][0]["addresses"].to_string().contains("192.0.2.1") {
        assert!(std::time::Instant::now() < until, "the new address is not announced: {}", web.discover());
    }
    drop(running);
}

#[test]
fn a_server_that_is_too_busy_to_answer_at_once_is_waited_for() {
    let mut network = Network::new();
    let (monitor, web) = (network.machine("monitor.example.org"), network.machine("web1.example.org"));
    let [endpoint, announcement] = monitor.serve();
    let print = web.discovers(1, PATIENCE)["servers"][0]["fingerprint"].as_str().unwrap().to_owned();
    announcement.pause();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_secs(3));
            announcement.go_on();
        });
        web.say(4, &["auto-monitor", "enrol", &monitor.place(), "--fingerprint", &print]);
    });
    drop((endpoint, announcement));
}

#[test]
fn unattended_nothing_is_taken_on_the_network_s_word() {
    let mut network = Network::new();
    let (monitor, web) = (network.machine("monitor.example.org"), network.machine("web1.example.org"));
    let unattended = ["auto-monitor", "register", "--unattended", "--discover"];

    // Nobody is there: nothing is said, and nothing left behind.
    assert_eq!(web.say(0, &unattended), (String::new(), String::new()));
    web.shell("test ! -e /var/lib/auto-monitor");

    // Somebody is there: said once, remembered, and no more.
    let running = monitor.serve();
    web.discovers(1, PATIENCE);
    let (out, err) = web.say(0, &unattended);
    assert_eq!(out, "");
    assert!(
        err.lines().count() == 1 && err.contains(&format!("auto-monitor enrol {}", monitor.place())),
        "{err}"
    );
    assert_eq!(web.say(0, &unattended), (String::new(), String::new()));
    assert!(web.say(0, &["auto-monitor", "status"]).0.contains("not enrolled with"));
    assert_eq!(monitor.shell("auto-monitor-server pending --json | grep -c web1 || true"), "0\n");

    // Somebody else, too: neither, though the first that answers would be trusted.
    let rogue = network.machine("rogue.example.org");
    let other = rogue.serve();
    web.discovers(2, PATIENCE);
    web.shell("mkdir -p /etc/auto-monitor; echo trust-on-first-use = yes > /etc/auto-monitor/client.conf");
    let (_, err) = web.say(0, &unattended);
    assert!(err.contains("and 1 more"), "{err}");

    // The fingerprint that was told before means one of the two.
    let print = web.discover()["servers"][0]["fingerprint"].as_str().unwrap().to_owned();
    web.shell(&format!("echo server-fingerprint = {print} > /etc/auto-monitor/client.conf"));
    let (out, _) = web.say(4, &unattended);
    assert!(out.contains("auto-monitor-server approve web1.example.org"), "{out}");
    assert!(monitor.shell("auto-monitor-server pending").contains("web1.example.org"));
    assert_eq!(rogue.shell("auto-monitor-server pending --json | grep -c web1 || true"), "0\n");
    monitor.shell("auto-monitor-server approve web1.example.org");
    web.say(0, &["auto-monitor", "register"]);

    // Alone on the network, the first that answers is believed where that is what was wanted.
    drop(other);
    let mail = network.machine("mail1.example.org");
    mail.discovers(1, PATIENCE);
    mail.shell("mkdir -p /etc/auto-monitor; echo trust-on-first-use = yes > /etc/auto-monitor/client.conf");
    mail.say(4, &unattended);
    assert!(monitor.shell("auto-monitor-server pending").contains("mail1.example.org"));
    drop(running);
}

/// A name server that answers every question with one SRV record, a port and a host name in the wire's form.
const NAME_SERVER: &str = r"
import socket, struct
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('192.0.2.1', 53))
print('listens', flush=True)
while True:
    query, client = server.recvfrom(512)
    record = struct.pack('!HHH', 0, 0, 2929) + b'\x07monitor\x07example\x03org\x00'
    answer = b'\xc0\x0c' + struct.pack('!HHIH', 33, 1, 60, len(record)) + record
    server.sendto(query[:2] + b'\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00' + query[12:] + answer, client)
";

#[test]
fn where_nobody_announces_anything_dns_is_asked() {
    let mut network = Network::new();
    let (monitor, web) = (network.machine("monitor.example.org"), network.machine("web1.example.org"));
    monitor.shell("ip addr add 192.0.2.1/24 dev lan0");
    web.shell(
        "ip addr add 192.0.2.2/24 dev lan0; echo nameserver 192.0.2.1 > /etc/resolv.conf\n\
         echo 192.0.2.1 monitor.example.org >> /etc/hosts",
    );
    let [endpoint, announcement] = monitor.serve();
    let print = web.discovers(1, PATIENCE)["servers"][0]["fingerprint"].as_str().unwrap().to_owned();
    announcement.end();
    let dns = monitor.start(&["python3", "-c", NAME_SERVER], "listens");
    let found = web.discovers(1, PATIENCE);
    assert_eq!(
        (servers(&found)[0], found["servers"][0]["source"].as_str()),
        ("monitor.example.org", Some("dns"))
    );
    // DNS says no key; another one than was told before is turned away, and the right one is taken.
    web.shell("mkdir -p /etc/auto-monitor");
    for (fingerprint, status) in
        [("SHA256:q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA", 5), (print.as_str(), 4)]
    {
        web.shell(&format!("echo server-fingerprint = {fingerprint} > /etc/auto-monitor/client.conf"));
        web.say(status, &["auto-monitor", "enrol", "--unattended"]);
    }
    assert!(monitor.shell("auto-monitor-server pending").contains("web1.example.org"));
    drop((dns, endpoint));
}

#[test]
fn two_servers_of_one_name_stay_two() {
    let mut network = Network::new();
    let one = network.machine("monitor.example.org");
    let other = network.machine("monitor.example.org");
    let web = network.machine("web1.example.org");
    let (first, second) = (one.serve(), other.serve());
    let found = web.discovers(2, PATIENCE);
    let names = servers(&found);
    assert!(names.iter().all(|name| name.starts_with("monitor-")) && names[0] != names[1], "{found:#}");
    assert_ne!(found["servers"][0]["fingerprint"], found["servers"][1]["fingerprint"]);
    // The person's choice is the one that is enrolled with.
    let said = web.shell("(printf '2\\nyes\\n'; sleep 8) | script -qec 'auto-monitor enrol' /dev/null || :");
    assert!(said.contains("Type a number up to 2"), "{said}");
    let waits = |machine: &machine::Machine| {
        machine.shell("auto-monitor-server pending --json").contains("web1.example.org")
    };
    assert!(waits(&one) != waits(&other), "{said}");
    drop((first, second));
}

#[test]
fn an_announcement_with_another_s_key_is_seen_through() {
    let mut network = Network::new();
    let (monitor, web) = (network.machine("monitor.example.org"), network.machine("web1.example.org"));
    let running = monitor.serve();
    // sshd reads its key for every connection; what is announced stays what it was.
    let key = "/var/lib/auto-monitor-server-nagios/endpoint/ssh_host_ed25519_key";
    monitor.shell(&format!("rm {key}*; runuser -u auto-monitor -- ssh-keygen -q -t ed25519 -N '' -f {key}"));
    web.discovers(1, PATIENCE);
    web.shell("mkdir -p /etc/auto-monitor; echo trust-on-first-use = yes > /etc/auto-monitor/client.conf");
    let (_, err) = web.say(5, &["auto-monitor", "enrol", "--unattended"]);
    assert!(err.contains("another key than was announced"), "{err}");
    assert_eq!(monitor.shell("auto-monitor-server pending --json | grep -c web1 || true"), "0\n");
    drop(running);
}

#[test]
fn avahi_sees_us_and_we_see_avahi_also_on_one_machine() {
    let mut network = Network::new();
    let (monitor, web) = (network.machine("monitor.example.org"), network.machine("web1.example.org"));
    monitor.shell("ip addr add 192.0.2.1/24 dev lan0");
    web.shell("ip addr add 192.0.2.2/24 dev lan0");
    // Beside us on the server, and on the host.
    let beside = Avahi::start(&monitor, &[]);
    let running = monitor.serve();
    let peer = Avahi::start(&web, &[]);
    web.discovers(1, PATIENCE);
    let seen = peer.browse(&web);
    assert!(seen.contains(&format!("local;{};192.0.2.1;2929;", monitor.place())), "{seen}");
    assert!(
        seen.contains("fingerprint=SHA256:") && seen.contains("version=1") && seen.contains(";IPv6;"),
        "{seen}"
    );
    for log in [beside.log(), peer.log(), running[1].log()] {
        assert!(!log.contains("onflict") && !log.contains("renamed"), "{log}");
    }
    drop(running);

    // What avahi announces is found like our own; what it says of itself moves no cursor, and of many a few are shown.
    let print = "SHA256:q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA";
    drop(beside);
    let texts = ["txtvers=1", "version=1", &format!("fingerprint={print}")];
    let beside = Avahi::start(&monitor, &[("Nagios here", 2930, &texts)]);
    let found = web.discovers(1, PATIENCE);
    assert_eq!(found["servers"][0]["name"], "Nagios here");
    assert_eq!(servers(&found), ["monitor.local:2930"]);
    assert_eq!(found["servers"][0]["fingerprint"], print);
    drop(beside);
    let names: Vec<String> = (0..40).map(|n| format!("{n}\u{1b}[2J\u{7}")).collect();
    let many: Vec<(&str, u16, &[&str])> = names
        .iter()
        .zip(3000..)
        .map(|(name, port)| (name.as_str(), port, &["fingerprint=nonsense"][..]))
        .collect();
    let beside = Avahi::start(&monitor, &many);
    let found = web.discovers(16, PATIENCE);
    assert!(found["left_out"].as_u64().unwrap() > 0, "{found}");
    let shown = web.say(0, &["auto-monitor", "discover"]).0;
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{7}'), "{shown:?}");
    assert!(shown.lines().count() < 60 && shown.contains("does not say what its key is"), "{shown}");
    drop((beside, peer));
    assert!(fs::read_dir(network.folder()).is_ok());
}
