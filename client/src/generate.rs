//! `generate`: man pages and completions, from the descriptions that the program itself runs on.
//!
//! Not only each command has a page of its own, but also each file that a person edits. They are called
//! `auto-monitor-….conf`, because `client.conf(5)` is that of CUPS, and no other package's pages will begin with our name.

use std::fs;
use std::io;
use std::path::Path;

use clap::CommandFactory;
use monitoring_info::diagnostic::instead;
use monitoring_info::reference::page::Page;
use monitoring_info::reference::{man_page, overrides_man_page};

use crate::cli::{Arguments, EXIT_STATUS, Generate};
use crate::completion;
use crate::configuration::KEYS;
use crate::failure::{Failure, Status};
use crate::identity::KEY_FILE;
use crate::root::{CONFIGURATION, OVERRIDES, STATE_DIR};
use crate::screen::Screen;
use crate::state::STATE_FILE;
use crate::trust::PINS_FILE;

/// Writes what is asked for.
///
/// # Errors
/// There is no such page, or the folder cannot be written.
pub fn run(screen: Screen, what: &Generate) -> Result<Status, Failure> {
    match what {
        Generate::Man { page, directory: None } => {
            let pages = pages()?;
            let found = pages.iter().find(|one| one.name() == page).ok_or_else(|| {
                let help = instead(page, pages.iter().map(Page::name), "the pages are");
                Failure::here(format!("there is no page `{page}`")).help(help)
            })?;
            screen.print(&found.to_roff());
        }
        Generate::Man { directory: Some(directory), .. } => {
            for page in pages()? {
                let file = directory.join(page.file_name());
                write(&file, &page.to_roff())
                    .map_err(|error| Failure::io(format!("write {}", file.display()), &error))?;
            }
        }
        Generate::Completions { shell } => {
            let script = completion::COMPLETION.script(*shell);
            screen.print(
                &script.map_err(|error| Failure::io(format!("write completions for {shell}"), &error))?,
            );
        }
    }
    Ok(Status::Done)
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    file.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(file, text)
}

/// Every page: that of the program comes first.
fn pages() -> Result<Vec<Page>, Failure> {
    let mut pages = manual::pages(Arguments::command().disable_help_subcommand(true), 1, of_the_whole)
        .map_err(|error| Failure::io("write a man page", &error))?;
    pages.extend([client_conf(), man_page(), overrides_man_page()]);
    Ok(pages)
}

/// The name of every page.
#[must_use]
pub fn names() -> Vec<String> {
    pages().map_or_else(|_| Vec::new(), |pages| pages.iter().map(|page| page.name().to_owned()).collect())
}

/// What holds for all commands, and so stands in auto-monitor(1).
fn of_the_whole(page: &mut Page) {
    page.section("EXIT STATUS");
    for (status, meaning) in EXIT_STATUS.lines().filter_map(|line| line.trim().split_once("  ")) {
        page.item(&format!("`{status}`"), meaning);
    }
    page.section("FILES");
    for (path, meaning) in [
        (CONFIGURATION, "This host's servers; see `auto-monitor-client.conf`(5)."),
        (OVERRIDES, "What this host's administrator wants otherwise; see `auto-monitor-overrides.conf`(5)."),
        ("/etc/monitoring-info/", "Definitions; `monitoring-info`(5) names the other folders too."),
        (
            STATE_DIR,
            "What is remembered. A copy of it on another host makes two hosts with one key: remove it from images.",
        ),
    ] {
        page.item(&format!("`{path}`"), meaning);
    }
    for (file, meaning) in STATE_FILES {
        page.item(&format!("`{STATE_DIR}/{file}`"), meaning);
    }
    page.section("ENVIRONMENT");
    page.item(
        "`NO_COLOR`",
        "Where it is set to anything, nothing is coloured; in a pipe or a file, nothing is anyway.",
    );
    page.section("EXAMPLES");
    page.text("Make this host known to a server, and see how it stands:");
    page.literal("auto-monitor enrol monitor.example.org\nauto-monitor status");
    page.paragraph("Do not watch a service until there is time for it:");
    page.literal("auto-monitor disable apache2 --reason 'moves to web2' --until 2027-01-31");
    page.paragraph("Find the faults of a definition before it is packaged:");
    page.literal("auto-monitor check debian/mypackage.monitoring-info");
    page.see_also([
        "auto-monitor-client.conf(5)",
        "auto-monitor-overrides.conf(5)",
        "monitoring-info(5)",
        "auto-monitor-server(8)",
    ]);
}

/// The files of the state folder.
const STATE_FILES: [(&str, &str); 3] = [
    (
        KEY_FILE,
        "This host's key, an SSH key like any other. Without it the host is a stranger to its servers.",
    ),
    (PINS_FILE, "The keys of its servers, in the form of `ssh`(1)'s known_hosts."),
    (
        STATE_FILE,
        "What each server has taken and said; where it is lost, the next registration makes it anew.",
    ),
];

/// The page auto-monitor-client.conf(5).
fn client_conf() -> Page {
    let mut page =
        Page::new("auto-monitor-client.conf", 5, "the monitoring servers of a host, and what it is to them");
    page.section("DESCRIPTION");
    page.text(&format!(
        "`{CONFIGURATION}` holds lines of the form `key = value`, without sections; `#` begins a comment on a line of its own. \
         Every key may be left out, and so may the file. A fault refuses the whole file, and nothing is sent until it is \
         mended; `auto-monitor status` names it."
    ));
    page.paragraph(
        "The questions of the Debian package (`dpkg-reconfigure auto-monitor-client`) change the lines server, \
         server-fingerprint and trust-on-first-use, and leave everything else as it is.",
    );
    for key in &KEYS {
        page.key(key.name, key.value, key.summary, None);
    }
    page.section("EXAMPLE");
    page.text("A host whose server is known, with two tags:");
    page.literal(CLIENT_CONF_EXAMPLE);
    page.see_also(["auto-monitor(1)", "auto-monitor-enrol(1)", "auto-monitor-overrides.conf(5)"]);
    page
}

/// The example of `client.conf`.
const CLIENT_CONF_EXAMPLE: &str = "\
server = monitor.example.org
server-fingerprint = SHA256:Nh0Me49Zh9fDw/VYUfq43IJmI1T+XrjiYONPND8GzaM
tags = web, berlin
";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::configuration::Configuration;

    fn text(page: &Page) -> String {
        page.to_roff().replace("\\-", "-").replace("\\&", "")
    }

    #[test]
    fn every_key_of_client_conf_is_in_its_page_and_is_read() {
        let page = text(&client_conf());
        for key in &KEYS {
            assert!(page.contains(&format!("\n\\fB{}\\fR", key.name)), "{}", key.name);
            let read = Configuration::parse("client.conf", format!("{} = ?\n", key.name).as_bytes());
            let read = read.err().map(|problems| format!("{problems:?}")).unwrap_or_default();
            assert!(!read.contains("unknown key"), "{read}");
        }
        assert!(Configuration::parse("client.conf", CLIENT_CONF_EXAMPLE.as_bytes()).is_ok());
    }

    /// The file that the package installs says what can be said in it, and nothing else.
    #[test]
    fn the_shipped_client_conf_shows_keys_that_there_are() {
        let shipped = include_str!("../../debian/client/client.conf")
            .replace("\n#", "\n")
            .replace("SHA256:…", "SHA256:Nh0Me49Zh9fDw/VYUfq43IJmI1T+XrjiYONPND8GzaM");
        let settings: Vec<&str> = shipped.lines().filter(|line| line.contains(" = ")).collect();
        assert!(settings.len() >= 7, "{settings:?}");
        Configuration::parse("client.conf", settings.join("\n").as_bytes()).unwrap();
    }

    #[test]
    fn every_command_has_a_page() {
        let names: BTreeSet<String> = pages().unwrap().iter().map(Page::file_name).collect();
        for command in Arguments::command().get_subcommands() {
            assert!(
                names.contains(&format!("auto-monitor-{}.1", command.get_name())),
                "{}",
                command.get_name()
            );
        }
        for page in ["auto-monitor.1", "auto-monitor-generate-man.1", "monitoring-info.5"] {
            assert!(names.contains(page), "{page}");
        }
    }
}
