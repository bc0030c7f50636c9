//! Apache answers each path as it should, shows each name its certificate, and notes what it was asked.

use std::time::Duration;

use anyhow::Result;
use auto_monitor_tests::patience::wait_for;
use auto_monitor_tests::servers::apache::{Apache, Options, Request as Asked};
use auto_monitor_tests::servers::authority::{Authority, Request};

use crate::client::{plain, tls};

/// Every printable sign; a `%` alone is answered 400.
const LINE: &str = r#"GET /any/!"$%25&'()*+,-./:;<=>@[\]^_`{|}~?q=a|b HTTP/1.0"#;

#[test]
fn a_path_says_what_it_answers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut apache = Apache::start(folder.path(), &Options::default())?;
    for (path, expected) in [
        ("/", "200 OK"),
        ("/moved", "301 Moved Permanently"),
        ("/moved-away", "301 Moved Permanently"),
        ("/private", "401 Unauthorized"),
        ("/forbidden", "403 Forbidden"),
        ("/nothing", "404 Not Found"),
        ("/broken", "500 Internal Server Error"),
        ("/unavailable", "503 Service Unavailable"),
    ] {
        let said = plain(apache.http, &format!("GET {path} HTTP/1.0\n\n"))?;
        assert!(said.starts_with(&format!("HTTP/1.1 {expected}\r\n")), "{path}: {said}\n{}", apache.log());
    }
    for address in [Some(apache.http), apache.http_v6].into_iter().flatten() {
        let said = plain(address, &format!("{LINE}\nHost: a.example.org:80\n\n"))?;
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}\n{}", apache.log());
        let asked = Asked { status: 200, host: "a.example.org:80".to_owned(), line: LINE.to_owned() };
        wait_for("the request in the log", Duration::from_secs(5), || {
            let requests = apache.requests()?;
            Ok(if requests.last() == Some(&asked) { Ok(()) } else { Err(format!("{requests:?}")) })
        })?;
    }
    apache.stop();
    assert!(plain(apache.http, "").is_err());
    apache.start_again()?;
    assert!(plain(apache.http, "GET / HTTP/1.0\n\n")?.contains("200 OK"));
    Ok(())
}

#[test]
fn each_name_has_its_certificate() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new("Test root")?;
    let trusted = authority.trust(folder.path())?;
    let between = authority.intermediate(&Request::named("Test intermediate"))?;
    let names = ["www.example.org", "shop.example.org"];
    let mut options = Options::default();
    for name in names {
        let files = between.issue(&Request::named(name))?.write(folder.path(), name)?;
        options.tls.push((name.to_owned(), files));
    }
    let apache = Apache::start(&folder.path().join("apache"), &options)?;
    for address in [Some(apache.https), apache.https_v6].into_iter().flatten() {
        for name in names {
            let request = format!("GET / HTTP/1.0\nHost: {name}\n\n");
            let said = tls(address, name, &trusted, &[], &request)?;
            assert!(said.contains("200 OK"), "{said}\n{}", apache.log());
        }
    }
    let said = tls(apache.https, "other.example.org", &trusted, &[], "GET / HTTP/1.0\n\n")?;
    assert!(said.contains("hostname mismatch"), "{said}");
    Ok(())
}
