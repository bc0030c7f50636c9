//! The mail round trips that cross hosts: `shared-mailflows` of `server.conf`.
//!
//! A token list belongs to the host whose definitions name it. Where a mail is sent through one host and fetched from
//! another, both must use one list, and who may is not for a host to say.

use monitoring_info::host::{HostName, ListId, NameError, quoted};
use monitoring_info::mail::SharedLists;
use monitoring_info::value::Invalid;

/// What a list of hosts that share one looks like.
pub(super) const FORM: &str = "`OWNER/ID HOST …`: a list, by the host that owns it and its id, and who else uses it; more of them after commas";

/// A token list that hosts use beside its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedMailflow {
    /// The host that the list belongs to.
    pub owner: HostName,
    /// The id, in the definitions of them all.
    pub id: ListId,
    /// Who else uses it.
    pub hosts: Vec<HostName>,
}

impl SharedMailflow {
    fn parse(text: &str) -> Result<Self, Invalid> {
        let mut words = text.split_whitespace();
        let list = words.next().unwrap_or_default();
        let Some((owner, id)) = list.split_once('/') else {
            return Err(Invalid::new(
                format!("{} is no list: it has no `/`", quoted(list)),
                "give the owner and the id, like `mx.example.org/inbound`",
            ));
        };
        let hosts: Vec<HostName> =
            words.map(str::parse).collect::<Result<_, NameError>>().map_err(invalid)?;
        if hosts.is_empty() {
            return Err(Invalid::new(
                format!("nobody shares {}", quoted(list)),
                format!("name the hosts behind it, like `{} imap.example.org`", list.escape_default()),
            ));
        }
        Ok(Self { owner: owner.parse().map_err(invalid)?, id: id.parse().map_err(invalid)?, hosts })
    }
}

fn invalid(error: NameError) -> Invalid {
    Invalid::new(error.message, error.help)
}

/// Reads the value of the key.
pub(super) fn parse(text: &str) -> Result<Vec<SharedMailflow>, Invalid> {
    let shared = super::form::list(text, SharedMailflow::parse)?;
    for (at, one) in shared.iter().enumerate() {
        for other in &shared[..at] {
            let host = one.hosts.iter().find(|host| other.hosts.contains(host));
            if let Some(host) = host.filter(|_| one.id == other.id && one.owner != other.owner) {
                let (id, owners) = (&one.id, [&other.owner, &one.owner].map(HostName::as_str).join(" and "));
                return Err(Invalid::new(
                    format!("{host} would use two lists by the id `{id}`, of {owners}"),
                    "give one of them another id, in the definitions and here",
                ));
            }
        }
    }
    Ok(shared)
}

/// The lists of others that this host uses.
pub(super) fn lists_of(shared: &[SharedMailflow], host: &HostName) -> SharedLists {
    shared
        .iter()
        .filter(|one| one.owner != *host && one.hosts.contains(host))
        .map(|one| (one.id.clone(), one.owner.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(shared: &str, host: &str) -> Vec<String> {
        let lists = lists_of(&parse(shared).unwrap(), &host.parse().unwrap());
        lists.into_iter().map(|(id, owner)| format!("{owner}/{id}")).collect()
    }

    #[test]
    fn only_who_is_named_uses_the_list_of_another() {
        let shared =
            "mx.example.org/inbound imap.example.org  pop.example.org, web.example.org/out mx.example.org";
        assert_eq!(lists(shared, "imap.example.org"), ["mx.example.org/inbound"]);
        assert_eq!(lists(shared, "pop.example.org"), ["mx.example.org/inbound"]);
        assert_eq!(lists(shared, "mx.example.org"), ["web.example.org/out"]);
        assert_eq!(lists(shared, "other.example.org"), <[&str; 0]>::default());
        assert_eq!(lists("a.example/x a.example", "a.example"), <[&str; 0]>::default(), "it is its own");
        assert_eq!(lists("", "a.example"), <[&str; 0]>::default());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let told = |text: &str| {
            let Invalid { message, help } = parse(text).unwrap_err();
            format!("{message} ({help})")
        };
        assert_eq!(
            told("inbound imap.example.org"),
            "`inbound` is no list: it has no `/` (give the owner and the id, like `mx.example.org/inbound`)"
        );
        assert_eq!(
            told("mx.example.org/inbound"),
            "nobody shares `mx.example.org/inbound` (name the hosts behind it, like `mx.example.org/inbound imap.example.org`)"
        );
        assert_eq!(
            told("Mx.example.org/inbound a.example"),
            "the host name `Mx.example.org` has upper-case letters (write `mx.example.org`)"
        );
        assert_eq!(
            told("mx.example.org/in/bound a.example"),
            "`in/bound` cannot be an id (use letters, digits, `.`, `_` and `-`, with a letter or digit first)"
        );
        assert!(told("mx.example.org/inbound a_b.example").starts_with("`a_b.example` is no host name"));
        assert_eq!(
            told("mx1.example.org/in c.example b.example, mx2.example.org/in a.example b.example"),
            "b.example would use two lists by the id `in`, of mx1.example.org and mx2.example.org (give one of them \
             another id, in the definitions and here)"
        );
    }
}
