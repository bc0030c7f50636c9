//! What the templates of Nagios are given, and what the manual says of it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::{BASE, HOST, HOSTGROUPS, MAUVE, Nagios};
use crate::target::{Engine as _, Group, Host};

/// The longest part of a definition's file name that is shown; Nagios's web pages have narrow columns.
const FILE_SHOWN_MAX: usize = 200;

/// What may be written in each template. A test holds it against what they are given.
pub(crate) static TEMPLATES: &[(&str, &[(&str, &str)])] = &[
    (
        BASE,
        &[
            ("check_command", "The command line of check_registered, up to its arguments."),
            ("contacts", "Those of server.conf, joined by commas."),
            ("contact_groups", "Likewise."),
            (
                "templates_folder",
                "The folder of the administrator's own templates, for the comment at the head.",
            ),
            ("hosts_folder", "The folder of the files about single hosts, likewise."),
        ],
    ),
    (
        HOST,
        &[
            ("name", "The host's name."),
            ("address", "The address to probe."),
            ("generation", "The number of the registration."),
            ("received", "When it was received."),
            ("fingerprint", "The fingerprint of the host's key."),
            ("registration", "The file that keeps it."),
            ("override", "The file in which the administrator can say something of this host."),
            ("templates_folder", "The folder of the administrator's own templates."),
            (
                "hostgroups",
                "The host groups of its types, its tags and the administrator's, joined by commas.",
            ),
            (
                "contacts",
                "Those that the administrator has named for this host; empty where the server's are told.",
            ),
            ("contact_groups", "Likewise."),
            (
                "interval",
                "How often to check, in Nagios's unit of time, where the administrator has said it.",
            ),
            ("services", "A list, for `{{#each services}}`, whose entries have the following names."),
            ("description", "What Nagios calls the service: its name, and behind it that of a second probe."),
            ("service", "The service's name, which check_registered is given."),
            ("probe", "The name of the probe, like certificate; nothing for the first one."),
            ("kind", "The type."),
            ("file", "The definition file on the host."),
        ],
    ),
    (
        HOSTGROUPS,
        &[
            ("groups", "A list, for `{{#each groups}}`, whose entries have the names `name` and `alias`."),
            ("name", "The group's name: auto-monitor-type-TYPE or auto-monitor-tag-TAG."),
            ("alias", "What it is, in words."),
            ("templates_folder", "The folder of the administrator's own templates."),
        ],
    ),
    (
        MAUVE,
        &[
            ("command", "The command line of notify_mauve, up to its last argument."),
            ("templates_folder", "The folder of the administrator's own templates."),
            ("server_conf", "The file server.conf, for the comment at the head."),
        ],
    ),
];

#[derive(Serialize)]
struct HostData<'a> {
    name: &'a str,
    address: String,
    generation: u64,
    received: String,
    fingerprint: &'a str,
    registration: String,
    #[serde(rename = "override")]
    say: String,
    templates_folder: String,
    hostgroups: String,
    contacts: String,
    contact_groups: String,
    interval: Option<String>,
    services: Vec<ServiceData<'a>>,
}

#[derive(Serialize)]
struct ServiceData<'a> {
    description: String,
    service: &'a str,
    probe: Option<&'a str>,
    kind: &'a str,
    file: String,
}

#[derive(Serialize)]
struct GroupData {
    name: String,
    alias: String,
}

impl Nagios {
    pub(super) fn host_data(&self, host: &Host) -> impl Serialize {
        let mut hostgroups: Vec<String> = host.groups().iter().map(|group| self.group_name(group)).collect();
        hostgroups.extend(host.say.hostgroups.iter().cloned());
        let services = host.services.iter().map(|service| ServiceData {
            description: service.label(),
            service: service.name.as_str(),
            probe: service.probe.as_deref(),
            kind: &service.kind,
            file: service.file.chars().take(FILE_SHOWN_MAX).collect(),
        });
        let (contacts, contact_groups) =
            in_place(&host.say.contacts, &host.say.contact_groups, self.station());
        HostData {
            name: host.name.as_str(),
            address: host.address.to_string(),
            generation: host.generation,
            received: host.received.to_string(),
            fingerprint: &host.fingerprint,
            registration: self.paths.record(&host.name).display().to_string(),
            say: self.paths.host_overrides().join(format!("{}.conf", host.name)).display().to_string(),
            templates_folder: self.templates.own_folder().display().to_string(),
            hostgroups: hostgroups.join(","),
            contacts,
            contact_groups,
            interval: host.say.interval.map(|interval| units(interval, self.interval_length)),
            services: services.collect(),
        }
    }

    pub(super) fn base_data(&self) -> serde_json::Value {
        serde_json::json!({
            "check_command": self.check_command,
            "contacts": joined(&self.configuration.contacts, self.station()),
            "contact_groups": self.configuration.contact_groups.join(","),
            "templates_folder": self.templates.own_folder().display().to_string(),
            "hosts_folder": self.paths.host_overrides().display().to_string(),
        })
    }

    pub(super) fn mauve_data(&self, command: &str) -> serde_json::Value {
        serde_json::json!({
            "command": command,
            "templates_folder": self.templates.own_folder().display().to_string(),
            "server_conf": self.paths.configuration().display().to_string(),
        })
    }

    pub(super) fn groups_data(&self, groups: &BTreeSet<Group>) -> serde_json::Value {
        let groups: Vec<GroupData> = groups
            .iter()
            .map(|group| GroupData {
                name: self.group_name(group),
                alias: match group {
                    Group::Type(name) => format!("hosts with a service of type {name}"),
                    Group::Tag(name) => format!("hosts with the tag {name}"),
                },
            })
            .collect();
        serde_json::json!({
            "groups": groups,
            "templates_folder": self.templates.own_folder().display().to_string(),
        })
    }
}

/// The contacts and contact groups of a single host. Nagios would add those that are left out from the template, and
/// `null` keeps it from that: the administrator names who is told of this host, not who is told of it too. A station hears
/// of every host, and decides itself.
pub(super) fn in_place(contacts: &[String], groups: &[String], station: Option<&str>) -> (String, String) {
    let list = |names: String| if names.is_empty() { "null".to_owned() } else { names };
    if contacts.is_empty() && groups.is_empty() {
        (String::new(), String::new())
    } else {
        (list(joined(contacts, station)), list(groups.join(",")))
    }
}

fn joined(names: &[String], more: Option<&str>) -> String {
    names.iter().map(String::as_str).chain(more).collect::<Vec<_>>().join(",")
}

/// A duration in Nagios's unit of so many seconds, with a fraction if need be.
pub(super) fn units(duration: Duration, length: u64) -> String {
    let seconds = duration.as_secs();
    if seconds % length == 0 {
        return (seconds / length).to_string();
    }
    #[expect(clippy::cast_precision_loss, reason = "at most 99999 days in seconds, exact in 53 bits")]
    let units = seconds as f64 / length as f64;
    format!("{units:.3}")
}
