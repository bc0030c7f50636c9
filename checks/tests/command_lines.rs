//! What every program of ours says of itself: `--help`, `--version`, and a manual page.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use monitoring_info::probe::OURS;

/// Each program, from the folder that Cargo makes them of.
fn programs() -> Vec<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin");
    let mut names: Vec<String> = std::fs::read_dir(sources)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

fn path(program: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_check_registered")).with_file_name(program)
}

/// What it prints, with exit status 0 and in at most so many columns. Whatever it is asked, clap judges its arguments' definition
/// first, in a build like that of the tests.
fn printed(program: &str, arguments: &[&str], columns: usize) -> String {
    let output =
        Command::new(path(program)).args(arguments).env("COLUMNS", columns.to_string()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{program} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_definition_s_probes_are_the_programs_but_those_that_become_others() {
    let mut expected: Vec<&str> = OURS.to_vec();
    expected.extend(["check_registered", "notify_mauve"]);
    expected.sort_unstable();
    assert_eq!(programs(), expected);
}

#[test]
fn help_fits_a_narrow_terminal_and_has_no_colours_in_a_pipe() {
    for program in programs() {
        let help = printed(&program, &["--help"], 60);
        let text = help.split("Examples:").next().unwrap();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("Usage:")) {
            assert!(line.chars().count() <= 60, "{program}: {line}");
        }
        assert!(!help.contains('\u{1b}'), "{program}: {help}");
        assert!(printed(&program, &["-V"], 60).contains(env!("CARGO_PKG_VERSION")), "{program}");
    }
}

/// Each is read, up to the `--help` behind it; what cannot be read is refused before.
#[test]
fn the_examples_are_command_lines_of_the_program() {
    for program in programs() {
        let help = printed(&program, &["--help"], 200);
        let examples = help.split_once("Examples:\n").map_or("", |(_, examples)| examples);
        assert!(!examples.is_empty(), "{program}: {help}");
        for example in examples.lines() {
            let mut words = example.split_whitespace();
            assert_eq!(words.next(), Some(program.as_str()), "{example}");
            let arguments: Vec<&str> = words.chain(["--help"]).collect();
            assert_eq!(printed(&program, &arguments, 200), help, "{example}");
        }
    }
}

/// The judge is mandoc's own lint; `tests/setup` installs it. Its warnings are of blank lines around the values of an option,
/// which `clap_mangen` writes.
#[test]
fn mandoc_finds_no_fault_in_the_manual_pages() {
    for program in programs() {
        let page = printed(&program, &["--generate-man"], 80);
        for section in ["DESCRIPTION", "OPTIONS", "\"EXIT STATUS\"", "EXAMPLES", "\"SEE ALSO\""] {
            assert!(page.contains(&format!("\n.SH {section}\n")), "{program} has no {section}:\n{page}");
        }
        let mut mandoc = Command::new("mandoc")
            .args(["-T", "lint", "-W", "error"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("mandoc judges the manual pages; tests/setup installs it");
        mandoc.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        let output = mandoc.wait_with_output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stdout));
    }
}
