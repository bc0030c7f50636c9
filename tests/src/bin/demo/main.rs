//! `make demo`: two hosts register, a real Nagios watches them.
//!
//! Nothing is a stand-in: OpenSSH's server at the endpoint, Debian's Nagios, the plugins, a web server, an sshd. What
//! is shown as Nagios's verdict is read from its `status.dat`. It ends with 0 only if every expected state was seen.

mod story;

use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anstream::{eprintln, println};
use anyhow::Result;
use auto_monitor_tests::expectation::Expectation;
use auto_monitor_tests::process::{adopt_orphans, end_descendants};
use auto_monitor_tests::service::{Greeter, ssh_server, web_server};
use auto_monitor_tests::site::Site;
use monitoring_info::published::STATE_DIR;

const WEB: &str = "web1.example.org";
const DATABASE: &str = "db1.example.org";
/// Who is told of what.
const ROUTING: &str = "[mauve]\npeople = alice, bob\n\n[notify web-servers]\ntypes = http\nlevel = urgent\n\
                       people = alice\nevery = 15m\n\n[notify rest]\npeople = bob\nduring = mon-fri 9-17\n";
/// How long Nagios may take to see what is so: a host is probed with 5 echo requests, a fault is tried 3 times.
const VERDICT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let told = adopt_orphans().and_then(|()| demonstrate());
    end_descendants();
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!();
            eprintln!("The demonstration failed.\n{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn demonstrate() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("demo").tempdir()?;
    let began = Instant::now();
    story::say(
        "Install a package, and it is monitored. Here is one server and two hosts, each with a root folder and a\n\
         loopback address of its own; every command is shown as it is run.",
    );

    story::chapter(1, "A monitoring server, with a Nagios that has its administrator's own objects");
    let mut site = Site::lay_out(folder.path(), [127, 0, 0])?;
    site.start_endpoint()?;
    site.nagios.start()?;
    story::say(&format!(
        "The endpoint is an sshd of its own, at {}; its key is\n{}.\nNagios runs, and knows nothing of us yet.",
        site.endpoint()?,
        site.fingerprint()?
    ));

    story::chapter(2, "Two hosts with services, and a definition for each");
    let web = site.host(WEB, 2)?;
    let database = site.host(DATABASE, 3)?;
    let (page, shell, missing) = (web.free_socket()?, web.free_socket()?, web.free_socket()?);
    let web_process = web_server(&web.services(), page)?;
    let _shell = ssh_server(&web.services(), shell)?;
    let (tables, metrics) = (database.free_socket()?, database.free_socket()?);
    let _tables = Greeter::start(tables)?;
    let packages = format!(
        "[lighttpd]\ntype = http\nport = {}\n\n[openssh]\ntype = ssh\nport = {}\n\n\
         # Nothing listens there: somebody is to hear of it.\n[queue]\ntype = tcp\nport = {}\n",
        page.port(),
        shell.port(),
        missing.port()
    );
    let tables_definition = format!("[postgresql]\ntype = tcp\nport = {}\n", tables.port());
    web.define("web.conf", &packages)?;
    database.define("postgresql.conf", &tables_definition)?;
    story::say(&format!("{WEB} at {}, {DATABASE} at {}:", web.address, database.address));
    story::file("web1/etc/monitoring-info/web.conf", &packages);
    story::file("db1/etc/monitoring-info/postgresql.conf", &tables_definition);
    story::run(&web.client(&site, &["check"]), 0)?;

    story::chapter(3, "Each host enrols, and the server's administrator lets it in");
    story::say(
        "The administrators of the hosts were told the fingerprint of the server's key; it stands in client.conf.",
    );
    let endpoint = site.endpoint()?;
    for host in [&web, &database] {
        host.introduce(&site)?;
        story::run(&host.client(&site, &["enrol", &endpoint]), 4)?;
    }
    story::run(&site.server(&["pending"]), 0)?;
    story::run(&site.server(&["approve", WEB, DATABASE]), 0)?;

    story::chapter(4, "They register, and the server publishes what Nagios itself has verified");
    for host in [&web, &database] {
        story::run(&host.client(&site, &["register"]), 0)?;
    }
    story::run(&site.server(&["publish"]), 0)?;

    story::chapter(5, "Nagios's own verdict, from its status.dat");
    let expected = Expectation::default()
        .administrators_own()
        .host(WEB)
        .service(WEB, "lighttpd", "OK")
        .service(WEB, "openssh", "OK")
        .service(WEB, "queue", "CRITICAL")
        .host(DATABASE)
        .service(DATABASE, "postgresql", "OK");
    let before = expected.wait(&mut site.nagios, VERDICT, story::progress(expected.count()))?;
    story::table(&before, &[]);

    story::chapter(6, "One service is opted out, one stops, one is added");
    story::run(&web.client(&site, &["disable", "openssh", "--reason", "only reachable from the office"]), 0)?;
    story::run(&web.client(&site, &["register"]), 0)?;
    story::say("The web server stops. Nobody tells anybody.");
    drop(web_process);
    story::say("And a package comes to the other host, with a definition:");
    let _metrics = Greeter::start(metrics)?;
    let metrics_definition = format!("[metrics]\ntype = tcp\nport = {}\n", metrics.port());
    database.define("metrics.conf", &metrics_definition)?;
    story::file("db1/etc/monitoring-info/metrics.conf", &metrics_definition);
    story::run(&database.client(&site, &["register"]), 0)?;
    story::run(&site.server(&["publish"]), 0)?;

    story::chapter(7, "Nagios's verdict now");
    let expected = expected
        .without(WEB, "openssh")
        .service(WEB, "lighttpd", "CRITICAL")
        .service(DATABASE, "metrics", "OK");
    let after = expected.wait(&mut site.nagios, VERDICT, story::progress(expected.count()))?;
    story::table(&after, &before);

    story::chapter(8, "Who is told: the routing of an alert station");
    show_routing(&site)?;

    story::chapter(9, "Who knows what");
    story::say("The next registration, with nothing changed, brings the server's word back to the host:");
    story::run(&web.client(&site, &["register"]), 0)?;
    story::run(&web.client(&site, &["status"]), 0)?;
    story::say("And the server explains what Nagios runs:");
    story::run(&site.server(&["explain", WEB, "lighttpd"]), 0)?;

    drop(site);
    end_descendants();
    story::end("Every expected state was seen; everything that was started has ended.", began.elapsed());
    Ok(())
}

/// Says who is told of what, and shows what the alert station makes of it.
fn show_routing(site: &Site) -> Result<()> {
    site.configure(ROUTING)?;
    story::file("server/etc/auto-monitor-server-nagios/server.conf, in the end", ROUTING);
    story::run(&site.server(&["publish"]), 0)?;
    let station = site.root().join(STATE_DIR).join("mauve");
    let groups = fs::read_to_string(station.join("30-groups.conf"))?;
    let first = groups.find("alert_group").map_or("", |at| &groups[at..]);
    story::file("server/var/lib/auto-monitor-server-nagios/mauve/30-groups.conf", first);
    Ok(())
}
