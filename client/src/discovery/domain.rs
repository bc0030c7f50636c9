//! The organisation's DNS: `_auto-monitor._tcp.DOMAIN` as an SRV record (RFC 2782) names the server of a domain. What
//! it answers is a hint.

use std::path::Path;
use std::time::{Duration, Instant};

use monitoring_info::announcement::SERVICE;
use monitoring_info::host::HOST_NAME_MAX;
use monitoring_info::server_address::ServerAddress;
use srv::{Resolver, Target};

use super::{Found, Source, shown};
use crate::configuration::Configuration;
use crate::identity;
use crate::root::Root;

const RESOLVER_MAX: usize = 64 * 1024;
/// How many domains are asked for, the nearest first.
const DOMAINS_MAX: usize = 4;
/// How long all of it may take.
const ALL: Duration = Duration::from_secs(3);

/// The servers that DNS names for this host's domains, those of the first domain that has any.
#[must_use]
pub fn ask(root: &Root, configuration: &Configuration) -> Vec<Found> {
    let resolver = root
        .read(Path::new(srv::CONFIGURATION), RESOLVER_MAX)
        .map(|contents| contents.bytes)
        .unwrap_or_default();
    let resolver = Resolver::parse(&String::from_utf8_lossy(&resolver));
    let name = identity::host_name(root, configuration).ok();
    let until = Instant::now() + ALL;
    domains(name.as_ref().map(monitoring_info::host::HostName::as_str), &resolver)
        .iter()
        .find_map(|domain| Some(of_domain(domain, &resolver, until)).filter(|found| !found.is_empty()))
        .unwrap_or_default()
}

/// The domain of the host's own name, then those that it searches.
fn domains(name: Option<&str>, resolver: &Resolver) -> Vec<String> {
    let own = name.and_then(|name| name.split_once('.')).map(|(_, domain)| domain);
    let mut domains: Vec<String> = Vec::new();
    for domain in own.into_iter().chain(resolver.search().iter().map(String::as_str)) {
        let domain = domain.trim_matches('.').to_ascii_lowercase();
        // Multicast DNS has been asked for these.
        if !domain.is_empty() && domain != "local" && !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    domains.truncate(DOMAINS_MAX);
    domains
}

fn of_domain(domain: &str, resolver: &Resolver, until: Instant) -> Vec<Found> {
    let targets = resolver.targets(&format!("{SERVICE}.{domain}"), until).unwrap_or_default();
    targets.iter().filter_map(found).collect()
}

fn found(Target { host, port }: &Target) -> Option<Found> {
    if host.is_empty() || host.len() > HOST_NAME_MAX || *port == 0 {
        return None;
    }
    let server: ServerAddress = format!("{host}:{port}").parse().ok()?;
    Some(Found { name: shown(host), server, addresses: Vec::new(), fingerprint: None, source: Source::Dns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_domain_is_asked_first() {
        let resolver = Resolver::parse("search Example.org. example.net local .\n");
        assert_eq!(
            domains(Some("web1.example.com"), &resolver),
            ["example.com", "example.org", "example.net"]
        );
        assert!(domains(Some("web1"), &Resolver::parse("")).is_empty());
    }

    #[test]
    fn a_target_is_a_server_unless_there_is_decidedly_none() {
        let server = |host: &str, port| {
            found(&Target { host: host.to_owned(), port }).map(|found| found.server.to_string())
        };
        assert_eq!(server("monitor.example.org", 2929).as_deref(), Some("monitor.example.org"));
        assert_eq!(server("other.example.org", 2930).as_deref(), Some("other.example.org:2930"));
        assert_eq!(server("", 2929), None);
        assert_eq!(server("a.example", 0), None);
    }
}
