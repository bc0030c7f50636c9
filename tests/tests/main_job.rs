//! The main job, end to end: what a host's packages define is what a running Nagios says of it.

use std::fs::File;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use auto_monitor_tests::expectation::Expectation;
use auto_monitor_tests::host::Host;
use auto_monitor_tests::service::{Greeter, ssh_server, web_server};
use auto_monitor_tests::site::{Site, own_network};
use monitoring_info::published::{SEEN_DIR, STATE_DIR};

const VERDICT: Duration = Duration::from_secs(90);
const WEB: &str = "web1.example.org";
const DATABASE: &str = "db1.example.org";

/// A host that was let in.
fn enrolled(site: &Site, name: &str, number: u8) -> Result<Host> {
    let host = site.host(name, number)?;
    host.introduce(site)?;
    host.client(site, &["enrol", &site.endpoint()?]).expect(4)?;
    site.server(&["approve", name]).expect(0)?;
    Ok(host)
}

#[test]
fn what_is_defined_is_what_nagios_watches() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut site = Site::lay_out(folder.path(), own_network())?;
    site.start_endpoint()?;
    site.nagios.start()?;
    site.start_publisher()?;
    let web = enrolled(&site, WEB, 2)?;
    let database = enrolled(&site, DATABASE, 3)?;
    let mut expected = Expectation::default().administrators_own();

    // What runs is OK, what does not is CRITICAL.
    let (page, shell, nothing) = (web.free_socket()?, web.free_socket()?, web.free_socket()?);
    let page_server = web_server(&web.services(), page)?;
    let _shell_server = ssh_server(&web.services(), shell)?;
    web.define(
        "web.conf",
        &format!(
            "[page]\ntype = http\nport = {}\n[shell]\ntype = ssh\nport = {}\n[nothing]\ntype = tcp\nport = {}\n",
            page.port(),
            shell.port(),
            nothing.port()
        ),
    )?;
    web.client(&site, &["register"]).expect(0)?;
    let tables = database.free_socket()?;
    let _tables_server = Greeter::start(tables)?;
    database.define("tables.conf", &format!("[tables]\ntype = tcp\nport = {}\n", tables.port()))?;
    database.client(&site, &["register"]).expect(0)?;
    expected = expected
        .host(WEB)
        .service(WEB, "page", "OK")
        .service(WEB, "shell", "OK")
        .service(WEB, "nothing", "CRITICAL")
        .host(DATABASE)
        .service(DATABASE, "tables", "OK");
    expected.wait(&mut site.nagios, VERDICT, |_| {})?;

    // What the host's administrator opts out is withdrawn, what stops is CRITICAL, what comes is watched.
    web.client(&site, &["disable", "shell", "--reason", "of no interest"]).expect(0)?;
    web.client(&site, &["register"]).expect(0)?;
    drop(page_server);
    let cache = database.free_socket()?;
    let _cache_server = Greeter::start(cache)?;
    database.define("cache.conf", &format!("[cache]\ntype = tcp\nport = {}\n", cache.port()))?;
    database.client(&site, &["register"]).expect(0)?;
    expected =
        expected.without(WEB, "shell").service(WEB, "page", "CRITICAL").service(DATABASE, "cache", "OK");
    expected.wait(&mut site.nagios, VERDICT, |_| {})?;

    // A fault in one file is said, and the rest is registered all the same.
    database.define("broken.conf", "[broken]\ntype = tcp\nprot = 1\n")?;
    let said = database.client(&site, &["register"]).expect(1)?;
    assert!(said.text.contains("did you mean `port`?"), "{}", said.text);
    expected.wait(&mut site.nagios, VERDICT, |_| {})?;

    // What refuses a datagram is CRITICAL: nobody listens there.
    database.define("log.conf", "[log]\ntype = udp\nport = 514\n")?;
    database.client(&site, &["register"]).expect(1)?;
    expected = expected.service(DATABASE, "log", "CRITICAL");
    expected.wait(&mut site.nagios, VERDICT, |_| {})?;

    // A host that falls silent is a WARNING, until it is heard again.
    let seen = site.root().join(STATE_DIR).join(SEEN_DIR).join(WEB);
    let days = Duration::from_secs(4 * 24 * 60 * 60);
    File::options().write(true).open(&seen)?.set_modified(SystemTime::now() - days)?;
    expected = expected.service(WEB, "host registration", "WARNING");
    expected.wait(&mut site.nagios, VERDICT, |_| {})?;
    web.client(&site, &["register"]).expect(0)?;
    expected = expected.service(WEB, "host registration", "OK");
    expected.wait(&mut site.nagios, VERDICT, |_| {})?;

    // What is back is OK again, and what is enabled again is watched again.
    let _page_server = web_server(&web.services(), page)?;
    web.client(&site, &["enable", "shell"]).expect(0)?;
    web.client(&site, &["register"]).expect(0)?;
    expected = expected.service(WEB, "shell", "OK").service(WEB, "page", "OK");
    expected.wait(&mut site.nagios, VERDICT, |_| {})?;

    // A host that deregisters leaves nothing behind.
    database.client(&site, &["deregister"]).expect(0)?;
    let expected = Expectation::default()
        .administrators_own()
        .host(WEB)
        .service(WEB, "page", "OK")
        .service(WEB, "shell", "OK")
        .service(WEB, "nothing", "CRITICAL");
    expected.wait(&mut site.nagios, VERDICT, |_| {})?;
    Ok(())
}
