//! The man pages of a program, from its own command line.
//!
//! A command has a page of its own, as those of git have: `man auto-monitor enrol` finds it, and a page stays as long as
//! what is said of one thing.

use std::io;

use clap::Command;
use clap_mangen::Man;
pub use monitoring_info::reference::page::Page;

/// The page of the program, and then those of its commands. `whole` says in the first what holds for all of them.
///
/// # Errors
/// One cannot be written; no reason is known.
pub fn pages(mut program: Command, section: u8, whole: impl FnOnce(&mut Page)) -> io::Result<Vec<Page>> {
    // Gives each command the names and the global options of those above it.
    program.build();
    let name = program.get_name().to_owned();
    let mut first = page_of(&program, &name, section)?;
    whole(&mut first);
    let mut pages = vec![first];
    below(&program, &name, section, &format!("{name}({section})"), &mut pages)?;
    Ok(pages)
}

/// The pages of the commands below one, and of those below them.
fn below(command: &Command, name: &str, section: u8, program: &str, pages: &mut Vec<Page>) -> io::Result<()> {
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = format!("{name}-{}", command.get_name());
        let mut page = page_of(command, &name, section)?;
        page.see_also([program]);
        pages.push(page);
        below(command, &name, section, program, pages)?;
    }
    Ok(())
}

/// The page of a program without commands, up to its options.
///
/// # Errors
/// It cannot be written; no reason is known.
pub fn page(program: &Command, section: u8) -> io::Result<Page> {
    page_of(program, program.get_name(), section)
}

fn page_of(command: &Command, name: &str, section: u8) -> io::Result<Page> {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut page = Page::new(name, section, &about);
    page.section("SYNOPSIS");
    let usage = command.clone().render_usage().to_string();
    page.text(&format!("`{}`", usage.trim_start_matches("Usage: ")));
    page.section("DESCRIPTION");
    let long = command.get_long_about().map_or(about, ToString::to_string);
    // The first paragraph of a long one stands in NAME.
    let paragraphs: Vec<&str> = long.split("\n\n").collect();
    page.text(paragraphs.get(1).unwrap_or(&paragraphs[0]));
    for paragraph in paragraphs.iter().skip(2) {
        page.paragraph(paragraph);
    }
    let mut rest = Vec::new();
    let man = Man::new(command.clone()).section(section.to_string());
    man.render_options_section(&mut rest)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut rest)?;
    }
    page.append(&String::from_utf8_lossy(&rest));
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_that_leads_to_the_programs() {
        let program = Command::new("tool").about("Does things.").subcommand(
            Command::new("token")
                .about("Tokens.")
                .subcommand(Command::new("create").about("Makes one.\n\nIt is shown once."))
                .subcommand(Command::new("internal").hide(true)),
        );
        let pages = pages(program.disable_help_subcommand(true), 8, |page| page.section("FILES")).unwrap();
        let names: Vec<String> = pages.iter().map(Page::file_name).collect();
        assert_eq!(names, ["tool.8", "tool-token.8", "tool-token-create.8"]);
        let texts: Vec<String> = pages.iter().map(Page::to_roff).collect();
        assert!(texts[0].contains("\n.SH FILES\n") && !texts[1].contains("FILES"), "{texts:?}");
        assert!(texts[1].contains("tool\\-token\\-create(8)"), "{}", texts[1]);
        assert!(texts[2].contains("\\fBtool\\fR(8)"), "{}", texts[2]);
    }
}
