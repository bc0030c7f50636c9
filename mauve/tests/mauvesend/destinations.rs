//! Every form of a destination, and what becomes of those that cannot be served.

use std::fs;

use mauve::{AlertUpdate, PORT};
use tempfile::TempDir;

use crate::station::{Ran, Station, program, run, sends};

/// A folder as `--root`, with a file of destinations.
fn root(destinations: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("etc/mauvealert")).unwrap();
    fs::write(root.path().join("etc/mauvealert/mauvesend.destination"), destinations).unwrap();
    root
}

fn below(root: &TempDir, arguments: &[&str]) -> Ran {
    run(program().arg("--root").arg(root.path()).args(arguments))
}

#[test]
fn addresses_with_a_port() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let station = Station::at(address);
        sends(&[&station.address().to_string(), "-i", "a"]);
        AlertUpdate::decode(&station.receive()).unwrap();
    }
}

/// On addresses of their own, since the port is everybody's.
#[test]
fn addresses_without_a_port_have_mauve_s() {
    for (at, destination) in [("127.85.32.1", "127.85.32.1"), ("[::1]", "[::1]")] {
        let station = Station::at(&format!("{at}:{PORT}"));
        sends(&[destination, "-i", "a"]);
        AlertUpdate::decode(&station.receive()).unwrap();
    }
}

#[test]
fn a_name_with_a_port_is_resolved() {
    let station = Station::at("127.0.0.1:0");
    sends(&[&format!("localhost:{}", station.port()), "-i", "a"]);
    AlertUpdate::decode(&station.receive()).unwrap();
}

#[test]
fn all_of_several_get_the_same_and_each_but_one() {
    let stations = ["127.0.0.1:0", "127.0.0.1:0", "[::1]:0"].map(Station::at);
    let mut arguments: Vec<String> = stations.iter().map(|station| station.address().to_string()).collect();
    arguments.extend([arguments[0].clone(), "-i".to_owned(), "a".to_owned()]);
    sends(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let first = stations[0].receive();
    assert_eq!(stations[1].receive(), first);
    assert_eq!(stations[2].receive(), first);
    stations[0].receives_nothing();
}

#[test]
fn a_file_says_where_alerts_go() {
    let stations = ["127.0.0.1:0", "[::1]:0"].map(Station::at);
    let root = root(&format!("\n{}\t{}\n\n", stations[0].address(), stations[1].address()));
    let ran = below(&root, &["-i", "a"]);
    assert_eq!((ran.status, &*ran.complained), (Some(0), ""));
    for station in &stations {
        AlertUpdate::decode(&station.receive()).unwrap();
    }
    // Unless the command line does.
    let other = Station::at("127.0.0.1:0");
    assert_eq!(below(&root, &[&other.address().to_string(), "-i", "a"]).status, Some(0));
    AlertUpdate::decode(&other.receive()).unwrap();
    stations[0].receives_nothing();
}

#[test]
fn where_nobody_says_where_is_said_so() {
    let empty = tempfile::tempdir().unwrap();
    for root in [empty, root(" \n")] {
        let ran = below(&root, &["-i", "a"]);
        assert_eq!(
            (ran.status, &*ran.complained),
            (
                Some(1),
                "mauvesend: nobody says where alerts go: name a station, or write its name to \
                 /etc/mauvealert/mauvesend.destination\n"
            )
        );
    }
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("etc/mauvealert/mauvesend.destination")).unwrap();
    let ran = below(&root, &["-i", "a"]);
    assert_eq!(ran.status, Some(1));
    assert_eq!(
        ran.complained,
        "mauvesend: cannot read where alerts go from /etc/mauvealert/mauvesend.destination: \
         Is a directory (os error 21)\n"
    );
}

#[test]
fn one_that_cannot_be_served_holds_no_other_up() {
    let station = Station::at("127.0.0.1:0");
    let good = station.address().to_string();
    for (wrong, why) in [
        ("10.1", "this is no IPv4 address"),
        ("2001:db8::1", "an IPv6 address stands in brackets: [2001:db8::1]"),
        ("station:http", "`http` is no port: it is a number from 1 to 65535"),
        ("a..b", "this is neither an address nor the name of a host"),
        ("255.255.255.255:9", "255.255.255.255:9: Permission denied (os error 13)"),
    ] {
        let complaint = format!("mauvesend: cannot send to {wrong}: {why}\n");
        let ran = run(program().args([wrong, &good, "-i", "a"]));
        assert_eq!((ran.status, &ran.complained), (Some(0), &complaint));
        AlertUpdate::decode(&station.receive()).unwrap();
        let ran = run(program().args([wrong, "-i", "a"]));
        assert_eq!(
            (ran.status, ran.complained),
            (Some(1), format!("{complaint}mauvesend: nothing was sent\n"))
        );
    }
}

#[test]
fn a_station_that_is_down_cannot_be_told_from_one_that_is_not() {
    let gone = Station::at("127.0.0.1:0").address().to_string();
    let station = Station::at("127.0.0.1:0");
    sends(&[&gone, &station.address().to_string(), &gone, "-i", "a"]);
    AlertUpdate::decode(&station.receive()).unwrap();
}

#[test]
#[ignore = "needs root: the program runs without a network"]
fn where_no_way_leads_nothing_is_sent() {
    let mut command = std::process::Command::new("unshare");
    command.args(["--net", env!("CARGO_BIN_EXE_mauvesend"), "192.0.2.1", "[2001:db8::1]:99", "-i", "a"]);
    let ran = run(&mut command);
    assert_eq!(ran.status, Some(1));
    let complaints: Vec<&str> = ran.complained.lines().collect();
    assert_eq!(
        complaints[0],
        "mauvesend: cannot send to 192.0.2.1: 192.0.2.1:32741: Network is unreachable (os error 101)"
    );
    // Why not depends on the kernel's version.
    assert!(complaints[1].starts_with("mauvesend: cannot send to [2001:db8::1]:99: [2001:db8::1]:99: "));
    assert_eq!(complaints[2..], ["mauvesend: nothing was sent"]);
}
