//! The harness itself: before a verdict on our programs counts, the engine and the services are seen to work.

use std::time::Duration;

use anyhow::Result;
use auto_monitor_tests::patience::wait_for;
use auto_monitor_tests::service::{Greeter, ssh_server, web_server};
use auto_monitor_tests::site::{Site, own_network};
use monitoring_info::state::State;

#[test]
fn nagios_watches_the_administrators_own_objects() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut site = Site::lay_out(folder.path(), own_network())?;
    site.nagios.start()?;
    wait_for("paper is OK", Duration::from_secs(30), || {
        let verdicts = site.nagios.verdicts()?;
        let paper = verdicts.iter().find(|verdict| verdict.service.as_deref() == Some("paper"));
        Ok(if paper.is_some_and(|paper| paper.state == Some(State::Ok)) {
            Ok(())
        } else {
            Err(format!("{verdicts:?}"))
        })
    })
}

#[test]
fn services_listen_until_they_are_dropped() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::lay_out(folder.path(), own_network())?;
    let host = site.host("web1.example.org", 2)?;
    let (web, ssh, greeter) = (host.free_socket()?, host.free_socket()?, host.free_socket()?);
    let running =
        (web_server(&host.services(), web)?, ssh_server(&host.services(), ssh)?, Greeter::start(greeter)?);
    for address in [web, ssh, greeter] {
        assert!(std::net::TcpStream::connect(address).is_ok(), "{address}");
    }
    drop(running);
    for address in [web, ssh, greeter] {
        assert!(std::net::TcpStream::connect(address).is_err(), "{address}");
    }
    Ok(())
}
