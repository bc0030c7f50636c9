//! What the templates of Mauve's routing are given, and what the manual says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use monitoring_info::alert;
use monitoring_info::host::{HostName, ServiceName};
use serde::Serialize;
use serde_json::{Value, json};

use super::condition::{Condition, Field, span};
use super::{GROUPS, HOSTS, Mauve, PEOPLE};
use crate::configuration::mauve::{Level, Route, Telling};
use crate::configuration::times::When;
use crate::target::{Group, Routed};

/// What may be written in each template. A test holds it against what they are given.
pub(crate) static TEMPLATES: &[(&str, &[(&str, &str)])] = &[
    (
        PEOPLE,
        &[
            ("people", "The people of [mauve], a list of names: `{{this}}` in `{{#each people}}`."),
            ("server_conf", "The file server.conf, for the comment at the head."),
        ],
    ),
    (
        HOSTS,
        &[
            ("lists", "A list, for `{{#each lists}}`, whose entries have the names `label` and `sources`."),
            ("label", "The name of a source list: tag NAME or type NAME."),
            (
                "sources",
                "The names and addresses of its hosts, a list whose entries have one of the following.",
            ),
            ("literal", "The name or address."),
            ("pattern", "Where Mauve would take the name for an address, an expression that fits it."),
            (
                "templates_folder",
                "The folder of the administrator's own templates, for the comment at the head.",
            ),
        ],
    ),
    (
        GROUPS,
        &[
            (
                "groups",
                "A list, for `{{#each groups}}`, whose entries have the following names, up to `notify`.",
            ),
            ("name", "The name of a section [notify NAME]."),
            (
                "includes",
                "Which alerts it is about, in Mauve's words; for `{{{includes}}}`, since they hold quotes that are meant.",
            ),
            ("level", "URGENT, NORMAL or LOW."),
            ("notify", "Who is told, a list whose entries have the following names, up to `during`."),
            ("person", "The name of a person or list of people."),
            ("every", "How often, in Mauve's words; for once, every ten years."),
            ("during", "When, in Mauve's words. For `{{{during}}}`, likewise."),
            (
                "templates_folder",
                "The folder of the administrator's own templates, for the comment at the head.",
            ),
            ("server_conf", "The file server.conf, likewise."),
        ],
    ),
];

#[derive(Serialize)]
struct ListData {
    label: String,
    sources: Vec<SourceData>,
}

#[derive(Serialize)]
struct SourceData {
    literal: Option<String>,
    pattern: Option<String>,
}

#[derive(Serialize)]
struct GroupData<'a> {
    name: &'a str,
    includes: String,
    level: &'static str,
    notify: Vec<NotifyData<'a>>,
}

#[derive(Serialize)]
struct NotifyData<'a> {
    person: &'a str,
    every: String,
    during: String,
}

impl Mauve {
    pub(super) fn people_data(&self) -> Value {
        json!({ "people": self.said.people, "server_conf": self.server_conf() })
    }

    pub(super) fn hosts_data(&self, hosts: &BTreeMap<HostName, Routed>) -> Value {
        let mut lists: BTreeMap<&Group, Vec<SourceData>> = BTreeMap::new();
        for (name, host) in hosts {
            for group in host.groups.iter().filter(|group| sound(group)) {
                let address = host.address.map(|address| address.to_string());
                let sources = [Some(name.to_string()), address].into_iter().flatten();
                lists.entry(group).or_default().extend(sources.map(|source| source_data(&source)));
            }
        }
        let lists: Vec<ListData> = lists
            .into_iter()
            .map(|(group, mut sources)| {
                // Two hosts may share an address, and the station warns of what it has already.
                let mut known = BTreeSet::new();
                sources.retain(|source| known.insert(source.literal.clone().or(source.pattern.clone())));
                ListData { label: label(group), sources }
            })
            .collect();
        json!({ "lists": lists, "templates_folder": self.templates_folder() })
    }

    pub(super) fn groups_data(&self, hosts: &BTreeMap<HostName, Routed>) -> Value {
        let groups: Vec<GroupData> = self
            .said
            .routes
            .iter()
            .map(|route| GroupData {
                name: &route.name,
                includes: self.includes(route, hosts).to_string(),
                level: level(route.level),
                notify: route.telling.iter().flat_map(|telling| notify(telling, route.every)).collect(),
            })
            .collect();
        json!({
            "groups": groups,
            "templates_folder": self.templates_folder(),
            "server_conf": self.server_conf(),
        })
    }

    fn templates_folder(&self) -> String {
        self.templates.own_folder().display().to_string()
    }

    fn server_conf(&self) -> String {
        self.paths.configuration().display().to_string()
    }

    /// Which alerts a section is about.
    fn includes(&self, route: &Route, hosts: &BTreeMap<HostName, Routed>) -> Condition {
        let tags = route.tags.iter().map(|tag| Condition::Listed(label(&Group::Tag(tag.clone()))));
        let types = route.types.iter().map(|kind| {
            let ids = ids(kind, hosts);
            Condition::All(vec![
                Condition::Listed(label(&Group::Type(kind.clone()))),
                Condition::Among(Field::Which, ids),
            ])
        });
        let named = match route.hosts.as_slice() {
            [] => None,
            hosts => Some(Condition::Among(Field::Subject, hosts.to_vec())),
        };
        let parts = [Condition::any(tags.collect()), Condition::any(types.collect()), named];
        // Every alert of ours; those of others are the station's own business.
        Condition::all(parts.into_iter().flatten().collect())
            .unwrap_or_else(|| Condition::Is(Field::Source, self.source()))
    }
}

/// The name of a group's list.
fn label(group: &Group) -> String {
    match group {
        Group::Tag(name) => format!("tag {name}"),
        Group::Type(name) => format!("type {name}"),
    }
}

/// Whether a group has a name that can stand in a routing: the type of a service that this server does not know is
/// whatever the host has written there.
fn sound(group: &Group) -> bool {
    let (Group::Tag(name) | Group::Type(name)) = group;
    name.parse::<ServiceName>().is_ok()
}

/// The ids of alerts about services of a type, wherever they are, and of hosts: who cares for a service hears that its
/// host is gone, of which alone Nagios tells then.
fn ids(kind: &str, hosts: &BTreeMap<HostName, Routed>) -> Vec<String> {
    let services = hosts.values().flat_map(|host| &host.services);
    let labels: BTreeSet<&String> = services.filter(|(_, of)| *of == kind).map(|(label, _)| label).collect();
    std::iter::once(None)
        .chain(labels.into_iter().map(|label| Some(label.as_str())))
        .map(alert::which)
        .collect()
}

/// A time after which nobody remembers the alert: the station has no word for once, and takes the person's own time where it
/// is told none.
const NEVER: Duration = Duration::from_secs(3650 * 86_400);

/// Whether the station takes a text for an address (`SourceList`: `/^[0-9a-f\.:]+(\/\d+)?$/i`).
pub(super) fn seems_address(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, '.' | ':'))
}

fn source_data(source: &str) -> SourceData {
    if seems_address(source) && source.parse::<IpAddr>().is_err() {
        // A dot in brackets is a dot alone, and no backslash has to get through the templates' escaping.
        SourceData { literal: None, pattern: Some(source.replace('.', "[.]")) }
    } else {
        SourceData { literal: Some(source.to_owned()), pattern: None }
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Urgent => "URGENT",
        Level::Normal => "NORMAL",
        Level::Low => "LOW",
    }
}

/// A clause for each person: one that names several is not understood by every version.
///
/// Both are always said: where a clause says nothing, the station takes what the person has of it, and if that is nothing,
/// every half an hour in working hours (`Person#resolve_notifications`).
fn notify(telling: &Telling, every: Option<Duration>) -> impl Iterator<Item = NotifyData<'_>> {
    let hours = match telling.during {
        When::Always => None,
        When::WorkingHours => Some(Condition::WorkingHours),
        When::NotWorkingHours => Some(Condition::Not(Box::new(Condition::WorkingHours))),
        When::Week(week) => Condition::any(week.parts().into_iter().filter_map(of_days).collect()),
    };
    let during =
        Condition::all(hours.into_iter().chain(telling.after.map(Condition::Unacknowledged)).collect())
            .unwrap_or(Condition::Always);
    telling.people.iter().map(move |person| NotifyData {
        person,
        every: span(every.unwrap_or(NEVER)),
        during: during.to_string(),
    })
}

fn of_days((days, hours): (Vec<u32>, Vec<u32>)) -> Option<Condition> {
    let days = Some(days).filter(|days| days.len() < 7).map(Condition::Days);
    let hours = Some(hours).filter(|hours| hours.len() < 24).map(Condition::Hours);
    Condition::all(days.into_iter().chain(hours).collect())
}
