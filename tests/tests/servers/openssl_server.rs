//! `s_server` shows what it was told to show.

use std::net::TcpStream;

use anyhow::Result;
use auto_monitor_tests::servers::authority::{Authority, Request};
use auto_monitor_tests::servers::openssl_server::{OpensslServer, Options};

use crate::client::tls;

#[test]
fn s_server_does_what_its_options_say() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new("Test root")?;
    let trusted = authority.trust(folder.path())?;
    let between = authority.intermediate(&Request::named("Test intermediate"))?;
    let (name, other) = ("www.example.org", "other.example.org");
    let files = between.issue(&Request::named(name))?.write(folder.path(), "www")?;
    let others = authority.issue(&Request::named(other))?.write(folder.path(), "other")?;
    let request = "GET / HTTP/1.0\n\n";
    let say = |options: &Options, name: &str, arguments: &[&str]| {
        let server = OpensslServer::start(folder.path(), options)?;
        tls(server.address(), name, &trusted, arguments, request)
    };

    let good = Options::new(&files).other(other, &others);
    assert!(say(&good, name, &[])?.contains("HTTP/1.0 200 ok"));
    assert!(say(&good, other, &[])?.contains("HTTP/1.0 200 ok"));
    let said = say(&Options::new(&files.clone().without_intermediates()), name, &[])?;
    assert!(said.contains("unable to get local issuer certificate"), "{said}");
    // OpenSSL's own client, at its ordinary security level, gets as far as TLS 1.0's signature with SHA-1.
    let said = say(&Options::new(&files).only_tls_1_0(), name, &[])?;
    assert!(said.contains("legacy sigalg disallowed"), "{said}");
    let lenient = ["-cipher", "DEFAULT@SECLEVEL=0"];
    assert!(say(&Options::new(&files).only_tls_1_0(), name, &lenient)?.contains("HTTP/1.0 200 ok"));
    let said = say(&Options::new(&files).demand_client_certificate(), name, &["-tls1_2"])?;
    assert!(said.contains("alert handshake failure"), "{said}");
    Ok(())
}

#[test]
fn it_ends_with_its_value_and_says_why_it_does_not_start() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let files = Authority::new("Test root")?.issue(&Request::named("a"))?.write(folder.path(), "a")?;
    let server = OpensslServer::start(folder.path(), &Options::new(&files))?;
    let address = server.address();
    assert!(TcpStream::connect(address).is_ok());
    drop(server);
    assert!(TcpStream::connect(address).is_err());

    let wrong = Options::new(&files).arguments(&["-naccept", "many"]);
    let error = OpensslServer::start(folder.path(), &wrong).unwrap_err();
    assert!(format!("{error:#}").contains("many"), "{error:#}");
    Ok(())
}
