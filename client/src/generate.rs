//! `generate`: man pages and completions, from the descriptions that the program itself runs on.

use std::fs;
use std::io;
use std::path::Path;

use clap::CommandFactory;
use monitoring_info::diagnostic::suggestion;
use monitoring_info::reference;

use crate::cli::{Arguments, Generate};
use crate::failure::{Failure, Status};
use crate::screen::Screen;

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
    clap_mangen::Man::new(command.clone())
        .title(name.to_uppercase())
        .manual("auto-monitor")
        .render(&mut text)?;
    pages.push(Page { name: name.to_owned(), section: "1", text });
    for subcommand in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        collect(subcommand, &format!("{name}-{}", subcommand.get_name()), pages)?;
    }
    Ok(())
}
