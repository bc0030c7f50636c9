//! `generate`: man pages and completions, from the descriptions that the program itself runs on.

use std::fs;
use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use monitoring_info::diagnostic::suggestion;
use monitoring_info::reference;

use crate::cli::{Arguments, EXIT_STATUS, Generate};
use crate::configuration::KEYS;
use crate::failure::{Failure, Status};
use crate::root::{CONFIGURATION, OVERRIDES, STATE_DIR};
use crate::screen::Screen;

/// The day on which what the pages say last changed.
const CHANGED: &str = "2026-11-20";

/// A man page: its name, its section, and its text in the man(7) language.
struct Page {
    name: String,
    section: &'static str,
    text: Vec<u8>,
}

/// Writes what is asked for.
///
/// # Errors
/// There is no such page, or the folder cannot be written.
pub fn run(screen: Screen, what: &Generate) -> Result<Status, Failure> {
    match what {
        Generate::Man { page, directory: None } => {
            let pages = pages()?;
            let found = pages.iter().find(|one| one.name == *page).ok_or_else(|| {
                let names = || pages.iter().map(|page| page.name.as_str());
                let help = suggestion(page, names()).map_or_else(
                    || names().collect::<Vec<_>>().join(", "),
                    |near| format!("did you mean `{near}`?"),
                );
                Failure::here(format!("there is no page `{page}`")).help(help)
            })?;
            screen.print(&String::from_utf8_lossy(&found.text));
        }
        Generate::Man { directory: Some(directory), .. } => {
            for page in pages()? {
                let file = directory.join(format!("{}.{}", page.name, page.section));
                write(&file, &page.text)
                    .map_err(|error| Failure::io(format!("write {}", file.display()), &error))?;
            }
        }
        Generate::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "auto-monitor", &mut text);
            screen.print(&String::from_utf8_lossy(&text));
        }
    }
    Ok(Status::Done)
}

fn write(file: &Path, text: &[u8]) -> io::Result<()> {
    file.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(file, text)
}

fn pages() -> Result<Vec<Page>, Failure> {
    let mut command = Arguments::command().disable_help_subcommand(true);
    // Gives each command the names and the global options of those above it.
    command.build();
    let mut pages = vec![Page {
        name: "monitoring-info".to_owned(),
        section: "5",
        text: reference::man_page(env!("CARGO_PKG_VERSION")).into_bytes(),
    }];
    collect(&command, "auto-monitor", &mut pages).map_err(|error| Failure::io("write a man page", &error))?;
    Ok(pages)
}

fn collect(command: &clap::Command, name: &str, pages: &mut Vec<Page>) -> io::Result<()> {
    let mut text = Vec::new();
    let page = Man::new(command.clone())
        .title(name.to_uppercase())
        .date(CHANGED)
        .source(concat!("auto-monitor ", env!("CARGO_PKG_VERSION")))
        .manual("auto-monitor");
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut text)?;
    }
    if pages.iter().all(|page| page.section != "1") {
        reference_sections().to_writer(&mut text)?;
    }
    pages.push(Page { name: name.to_owned(), section: "1", text });
    for subcommand in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        collect(subcommand, &format!("{name}-{}", subcommand.get_name()), pages)?;
    }
    Ok(())
}

/// What holds for all commands, and so stands in auto-monitor(1).
fn reference_sections() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for (status, meaning) in EXIT_STATUS.lines().filter_map(|line| line.trim().split_once("  ")) {
        item(&mut roff, [bold(status)], meaning);
    }
    roff.control("SH", ["CONFIGURATION"]);
    roff.text([
        roman("The file "),
        italic(CONFIGURATION),
        roman(
            " holds lines of the form key = value, without sections; # begins a comment on a line of its own. Every key \
             may be left out, and so may the file. A fault refuses the whole file.",
        ),
    ]);
    for key in &KEYS {
        item(&mut roff, [bold(key.name), roman(" = "), italic(key.value)], key.summary);
    }
    roff.control("SH", ["FILES"]);
    for (path, meaning) in [
        (CONFIGURATION, "This host's servers; see CONFIGURATION."),
        (OVERRIDES, "What this host's administrator wants otherwise; see monitoring-info(5)."),
        (
            STATE_DIR,
            "The host's key, the keys of its servers, and what they last said. A copy of it on another host makes two \
             hosts with one key: remove it from images.",
        ),
    ] {
        item(&mut roff, [italic(path)], meaning);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("monitoring-info"), roman("(5), "), bold("auto-monitor-server"), roman("(8)")]);
    roff
}

fn item<const N: usize>(roff: &mut Roff, tag: [Inline; N], text: &str) {
    roff.control("TP", []);
    roff.text(tag);
    roff.text([roman(text)]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::Configuration;

    #[test]
    fn every_key_of_client_conf_is_documented_and_read() {
        let page = reference_sections().to_roff().replace('\\', "");
        for key in &KEYS {
            assert!(page.contains(&format!("fB{}fR = ", key.name)), "{}", key.name);
            let read = Configuration::parse("client.conf", format!("{} = ?\n", key.name).as_bytes());
            let read = read.err().map(|problems| format!("{problems:?}")).unwrap_or_default();
            assert!(!read.contains("unknown key"), "{read}");
        }
    }
}
