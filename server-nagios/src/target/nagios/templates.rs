//! What may be written in the templates of Nagios, for the manual.

use super::{BASE, HOST, HOSTGROUPS, MAUVE};

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
