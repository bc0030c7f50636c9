//! A server that does not start says why, in its own words.

use anyhow::Result;
use auto_monitor_tests::servers::apache::{self, Apache};
use auto_monitor_tests::servers::dovecot::{self, Dovecot};
use auto_monitor_tests::servers::slapd::{self, Slapd};

#[test]
fn the_error_has_the_servers_own_words() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let more = || "gibberish = yes\n".to_owned();
    let path = |name: &str| folder.path().join(name);
    let errors = [
        Dovecot::start(&path("dovecot"), &dovecot::Options { more: more(), ..dovecot::Options::default() })
            .unwrap_err(),
        Apache::start(&path("apache"), &apache::Options { more: more(), ..apache::Options::default() })
            .unwrap_err(),
        Slapd::start(&path("slapd"), &slapd::Options { more: more(), ..slapd::Options::default() })
            .unwrap_err(),
    ];
    for error in errors {
        assert!(format!("{error:#}").contains("gibberish"), "{error:#}");
    }
    Ok(())
}
