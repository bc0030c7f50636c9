//! The sections of `server.conf` about an alert station: `[mauve]`, and who is told of what, `[notify NAME]`.
//!
//! The first section that fits an alert decides, as in the station itself, so that their order is their precedence and
//! nothing else has to be weighed. A section says who is told, how often and when; where others are told of the same at
//! other times or later, `[notify NAME/MORE]` says so, which is about what `[notify NAME]` is about.
//!
//! What can be known here is judged here: a person that nobody declared is passed over by the station in silence.
//!
//! What is wrong in `[mauve]` stops every publish, as a wrong key before it does: where alerts are sent to is rendered for
//! Nagios. All else here is about who is told, a section of an unknown name too, and stops the station's routing alone.

use std::path::PathBuf;
use std::time::Duration;

use monitoring_info::diagnostic::{Problem, suggestion};
use monitoring_info::host::quoted;
use monitoring_info::ini::{Entry, Section, Source};
use monitoring_info::value::Invalid;

use super::form::{DURATION_OR_NEVER_FORM, PATH_FORM, duration_or_never, list, path};
use super::times::{self, When};
use super::{Key, unknown};

mod value;

pub use value::NAME_MAX;
use value::{after, destination, host, kind, level, name, person, source, tag};

/// The name of the section about the station.
const MAUVE: &str = "mauve";
/// What the name of a section about who is told begins with.
const NOTIFY: &str = "notify";

/// An alert station and what it shall do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mauve {
    /// Where alerts are sent to; none: where `mauvesend` sends them by itself.
    pub destination: Vec<String>,
    /// Under which name; none: the machine's.
    pub source: Option<String>,
    /// The people and lists of people that the station knows.
    pub people: Vec<String>,
    /// A command for the shell that takes the routing to the station and restarts it; none: a person does.
    pub activate_command: Option<String>,
    /// The program that sends alerts.
    pub mauvesend: PathBuf,
    /// Who is told of what, by precedence.
    pub routes: Vec<Route>,
    /// What is wrong in that, or a section that is neither. It is the station's alone: what Nagios tells it does not depend
    /// on it.
    pub faults: Vec<Problem>,
}

/// Alerts, and who is told of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// What the station calls it.
    pub name: String,
    /// Alerts of hosts with one of these tags; none: of any.
    pub tags: Vec<String>,
    /// Alerts of services of one of these types, and of hosts that have one; none: any.
    pub types: Vec<String>,
    /// Alerts of these hosts; none: of any.
    pub hosts: Vec<String>,
    /// How pressing they are.
    pub level: Level,
    /// How often people are told, as long as nobody has acknowledged it; none: once. Of all who are told: the station
    /// keeps one time of the next reminder for an alert, the soonest, and tells whoever is to be told then.
    pub every: Option<Duration>,
    /// Who is told.
    pub telling: Vec<Telling>,
}

impl Route {
    /// Whether it is about every alert.
    #[must_use]
    pub fn fits_all(&self) -> bool {
        self.tags.is_empty() && self.types.is_empty() && self.hosts.is_empty()
    }
}

/// How pressing an alert is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Whenever somebody looks.
    Low,
    /// Soon.
    #[default]
    Normal,
    /// Now.
    Urgent,
}

/// Who is told, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Telling {
    /// People and lists of people.
    pub people: Vec<String>,
    /// At which times.
    pub during: When,
    /// Only when nobody has acknowledged it for so long.
    pub after: Option<Duration>,
}

/// A section `[notify …]` while it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notify {
    route: Route,
    telling: Telling,
}

const ALERTS_OF: &str = "names joined by commas, or nothing for any";

/// Every key of `[mauve]`, in the order of the documentation.
pub static MAUVE_KEYS: &[Key<Mauve>] = &[
    Key {
        name: "people",
        form: "names joined by commas, or nothing",
        default: "",
        summary: "the people, and lists of people, that the station's own configuration declares: whom `[notify …]` may \
                  name. The station passes over one that it does not know, and says nothing",
        set: |to, text| list(text, person).map(|value| to.people = value),
    },
    Key {
        name: "destination",
        form: "hosts, addresses, or either with a port, joined by commas, or nothing",
        default: "",
        summary: "where alerts are sent to, one copy to each; nothing: where mauvesend sends them by itself \
                  (/etc/mauvealert/mauvesend.destination)",
        set: |to, text| list(text, destination).map(|value| to.destination = value),
    },
    Key {
        name: "source",
        form: "a name of letters, digits and ._:/@+-, or nothing",
        default: "",
        summary: "under which name Nagios sends alerts; nothing: the machine's. A change leaves raised alerts of the old \
                  name behind",
        set: |to, text| source(text).map(|value| to.source = value),
    },
    Key {
        name: "activate-command",
        form: "a command for the shell, or nothing",
        default: "",
        summary: "takes a new routing to the station and restarts it, within 10 seconds; in it, $ROUTING is the folder of \
                  the files. Nothing: a person does, and is told so",
        set: |to, text| {
            to.activate_command = Some(text.to_owned()).filter(|text| !text.is_empty());
            Ok(())
        },
    },
    Key {
        name: "mauvesend",
        form: PATH_FORM,
        default: "/usr/bin/mauvesend",
        summary: "the program that sends alerts",
        set: |to, text| path(text).map(|value| to.mauvesend = value),
    },
];

/// Every key of `[notify NAME]`, in the order of the documentation. The first ones say what it is about.
pub static NOTIFY_KEYS: &[Key<Notify>] = &[
    Key {
        name: "tags",
        form: ALERTS_OF,
        default: "",
        summary: "alerts of hosts with one of these tags",
        set: |to, text| list(text, tag).map(|value| to.route.tags = value),
    },
    Key {
        name: "types",
        form: ALERTS_OF,
        default: "",
        summary: "alerts of services of one of these types, and of hosts that have such a service",
        set: |to, text| list(text, kind).map(|value| to.route.types = value),
    },
    Key {
        name: "hosts",
        form: ALERTS_OF,
        default: "",
        summary: "alerts of these hosts",
        set: |to, text| list(text, host).map(|value| to.route.hosts = value),
    },
    Key {
        name: "level",
        form: "urgent, normal or low",
        default: "normal",
        summary: "how pressing they are; what a person gets then, a mail or a call, the station's own configuration says",
        set: |to, text| level(text).map(|value| to.route.level = value),
    },
    Key {
        name: "every",
        form: DURATION_OR_NEVER_FORM,
        default: "1h",
        summary: "how often people are told, as long as nobody has acknowledged it; never: once. The station reminds all \
                  whom it tells of an alert at one time, so this is for those of `[notify NAME/MORE]`, too",
        set: |to, text| duration_or_never(text).map(|value| to.route.every = value),
    },
    Key {
        name: "people",
        form: "names joined by commas",
        default: "",
        summary: "who is told, out of `people` of [mauve]",
        set: |to, text| list(text, person).map(|value| to.telling.people = value),
    },
    Key {
        name: "during",
        form: times::FORM,
        default: "",
        summary: "at which hours; who is to be told of something at another hour is told when the next of these begins. \
                  A night belongs to the day that it begins on",
        set: |to, text| times::parse(text).map(|value| to.telling.during = value),
    },
    Key {
        name: "after",
        form: "a duration like `30m`, at most 1d, or nothing",
        default: "",
        summary: "only once nobody has acknowledged it for so long",
        set: |to, text| {
            to.telling.after = if text.is_empty() { None } else { Some(after(text)?) };
            Ok(())
        },
    },
];

/// How many of [`NOTIFY_KEYS`] say what a section is about.
const ABOUT: usize = 5;

/// What the sections say, with what is wrong with them, but for what [`Mauve::faults`] has. None: there is no `[mauve]`; then
/// any other section may have been meant to be it, and is wrong.
pub(super) fn parse(sections: &[Section], text: &str) -> (Option<Mauve>, Vec<Problem>) {
    let mut reading = Reading { source: Source::new(text), problems: Vec::new(), routing: Vec::new() };
    let mut mauve = None;
    let mut routes = Vec::new();
    for section in sections {
        if section.name == MAUVE {
            mauve = Some(reading.section(section, MAUVE_KEYS, MAUVE_KEYS));
            continue;
        }
        match section.name.split_once(' ') {
            Some((NOTIFY, name)) => reading.notify(section, name.trim(), &mut routes),
            _ => reading.refuse(section, None, unknown_section(&section.name)),
        }
    }
    let declared = mauve.as_ref().map(|mauve: &Mauve| mauve.people.as_slice());
    for (section, _) in &routes {
        reading.strangers(section, declared);
    }
    if let Some(mauve) = &mut mauve {
        mauve.faults = std::mem::take(&mut reading.routing);
        for (section, Notify { route, telling }) in routes {
            if section.name.contains('/') {
                if let Some(route) = mauve.routes.last_mut() {
                    route.telling.push(telling);
                }
            } else {
                mauve.routes.push(Route { telling: vec![telling], ..route });
            }
        }
    } else {
        if let Some((first, _)) = routes.first() {
            let invalid = Invalid::new(
                format!("there is no section [mauve], and {} is about its station", quoted(&first.name)),
                "add `[mauve]` with `people = …`",
            );
            reading.refuse(first, None, invalid);
        }
        reading.problems.append(&mut reading.routing);
    }
    (mauve, reading.problems)
}

fn unknown_section(name: &str) -> Invalid {
    let help = match name.split_once(' ') {
        Some((word, rest)) if suggestion(word, [NOTIFY]).is_some() => {
            format!("did you mean `[{NOTIFY} {}]`?", rest.trim())
        }
        None if name == NOTIFY => "give it a name, like `[notify databases]`".to_owned(),
        None if suggestion(name, [MAUVE]).is_some() => format!("did you mean `[{MAUVE}]`?"),
        _ => "the sections are `[mauve]` and `[notify NAME]`; every other key stands before them".to_owned(),
    };
    Invalid::new(format!("unknown section {}", quoted(name)), help)
}

struct Reading<'a> {
    source: Source<'a>,
    problems: Vec<Problem>,
    /// Those of all sections but `[mauve]`.
    routing: Vec<Problem>,
}

impl Reading<'_> {
    /// Reads a section into what its keys set; `allowed` of them may stand here.
    fn section<T: Default>(&mut self, section: &Section, keys: &[Key<T>], allowed: &[Key<T>]) -> T {
        let mut into = T::default();
        for key in keys {
            let sound = (key.set)(&mut into, key.default).is_ok();
            debug_assert!(sound, "the default of {} is no value of it", key.name);
        }
        for entry in &section.entries {
            let Some(key) = allowed.iter().find(|key| key.name == entry.key) else {
                let elsewhere = keys.iter().any(|key| key.name == entry.key);
                self.misplaced(section, entry, allowed, elsewhere);
                continue;
            };
            if let Err(invalid) = (key.set)(&mut into, &entry.value) {
                let message = format!("the value of `{}` is wrong: {}", key.name, invalid.message);
                self.refuse(section, Some(entry), Invalid::new(message, invalid.help));
            }
        }
        into
    }

    fn misplaced<T>(&mut self, section: &Section, entry: &Entry, allowed: &[Key<T>], elsewhere: bool) {
        let problem = if elsewhere {
            let parent = section.name.split_once('/').map_or(section.name.as_str(), |(parent, _)| parent);
            Problem::error(format!(
                "`{}` is said in [{parent}], and this section only adds people to it",
                entry.key
            ))
            .help(format!("say it in [{parent}], or begin a section [notify …] of its own"))
        } else if super::KEYS.iter().any(|key| key.name == entry.key) {
            Problem::error(format!("`{}` is no key of [{}]", entry.key, section.name))
                .help("put the line before the first section")
        } else {
            unknown(&entry.key, allowed.iter().map(|key| key.name))
        };
        self.add(section, problem.at(self.source.place(entry.key_place)));
    }

    fn notify<'s>(&mut self, section: &'s Section, title: &str, routes: &mut Vec<(&'s Section, Notify)>) {
        let (own, more) = title.split_once('/').map_or((title, None), |(own, more)| (own, Some(more)));
        for part in [Some(own), more].into_iter().flatten() {
            if let Err(invalid) = name(part, "a section") {
                self.refuse(section, None, invalid);
                return;
            }
        }
        let parent = routes.iter().rev().find(|(_, notify)| !notify.route.name.is_empty());
        if more.is_some() && parent.is_none_or(|(_, notify)| notify.route.name != own) {
            let invalid = Invalid::new(
                format!("{} does not follow [notify {own}]", quoted(&section.name)),
                format!("it says who else is told of what [notify {own}] is about; put it behind that"),
            );
            self.refuse(section, None, invalid);
            return;
        }
        let all = routes.iter().find(|(_, notify)| !notify.route.name.is_empty() && notify.route.fits_all());
        if let Some((all, _)) = all.filter(|_| more.is_none()) {
            let invalid = Invalid::new(
                format!("[{}] is never reached: [{}] before it is about every alert", section.name, all.name),
                "the first section that fits decides; put that one last, or say what it is about",
            );
            self.refuse(section, None, invalid);
        }
        let allowed = if more.is_some() { &NOTIFY_KEYS[ABOUT..] } else { NOTIFY_KEYS };
        let mut notify = self.section(section, NOTIFY_KEYS, allowed);
        if notify.telling.people.is_empty() && !section.entries.iter().any(|entry| entry.key == "people") {
            let invalid = Invalid::new(format!("[{}] tells nobody", section.name), "add `people = …`");
            self.refuse(section, None, invalid);
        }
        if more.is_none() {
            own.clone_into(&mut notify.route.name);
        }
        routes.push((section, notify));
    }

    /// Names people that nobody declared.
    fn strangers(&mut self, section: &Section, declared: Option<&[String]>) {
        let (Some(declared), Some(entry)) =
            (declared, section.entries.iter().find(|entry| entry.key == "people"))
        else {
            return;
        };
        let known = || declared.iter().map(String::as_str);
        let Ok(people) = list(&entry.value, person) else { return };
        if people.is_empty() {
            let invalid = Invalid::new(format!("[{}] tells nobody", section.name), "name somebody");
            self.refuse(section, Some(entry), invalid);
        }
        for stranger in people.iter().filter(|person| !declared.contains(person)) {
            let help = match suggestion(stranger, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "add them to `people` in [mauve], and to the station's own configuration".to_owned(),
            };
            let message = format!("{} is not among the `people` of [mauve]", quoted(stranger));
            self.refuse(section, Some(entry), Invalid::new(message, help));
        }
    }

    /// At an entry's value, or at the section's name.
    fn refuse(&mut self, section: &Section, entry: Option<&Entry>, invalid: Invalid) {
        let spot = entry.map_or(section.place, |entry| entry.value_place);
        self.add(section, Problem::error(invalid.message).help(invalid.help).at(self.source.place(spot)));
    }

    fn add(&mut self, section: &Section, problem: Problem) {
        if section.name == MAUVE { &mut self.problems } else { &mut self.routing }.push(problem);
    }
}

#[cfg(test)]
mod tests;
