//! What the program says of itself: `--help`, `--version`, the manual page, completions.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::station::{program, run};

/// With exit status 0 and nothing to complain of. In a build like that of the tests, clap judges its arguments' definition
/// first.
fn printed(arguments: &[&str], columns: usize) -> String {
    let ran = run(program().args(arguments).env("COLUMNS", columns.to_string()));
    assert_eq!((ran.status, &*ran.complained), (Some(0), ""), "{arguments:?}");
    ran.said
}

#[test]
fn help_fits_a_narrow_terminal_and_has_no_colours_in_a_pipe() {
    let help = printed(&["--help"], 60);
    for line in help.split("Examples:").next().unwrap().lines() {
        assert!(line.chars().count() <= 60, "{line}");
    }
    assert!(!help.contains('\u{1b}'), "{help}");
    assert!(printed(&["-h"], 60).len() < help.len());
    assert_eq!(printed(&["-m"], 60), help);
    assert_eq!(printed(&["--manual"], 60), help);
    // Whatever else is said.
    assert_eq!(printed(&["-i", "a", "-r", "--help"], 60), help);
}

#[test]
fn the_version_is_the_package_s() {
    for option in ["-V", "--version"] {
        assert_eq!(printed(&[option], 80), concat!("mauvesend ", env!("CARGO_PKG_VERSION"), "\n"));
    }
}

/// Each is read, by a shell and up to the `--help` behind it; what cannot be read is refused before.
#[test]
fn the_examples_are_command_lines_of_the_program() {
    let help = printed(&["--help"], 200);
    let examples = help.split_once("Examples:\n").map_or("", |(_, examples)| examples);
    assert!(examples.lines().count() >= 5, "{help}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("backup.log"), "").unwrap();
    for example in examples.lines() {
        let rest = example.trim_start().strip_prefix("mauvesend ").unwrap();
        let output = Command::new("sh")
            .args(["-c", &format!("exec \"$0\" {rest} --help"), env!("CARGO_BIN_EXE_mauvesend")])
            .current_dir(folder.path())
            .env("COLUMNS", "200")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), help, "{example}: {output:?}");
    }
}

/// The judge is mandoc's own lint; `tests/setup` installs it.
#[test]
fn mandoc_finds_no_fault_in_the_manual_page() {
    let page = printed(&["--generate-man"], 80);
    for section in
        ["DESCRIPTION", "OPTIONS", "TIMES", "TEXT", "\"EXIT STATUS\"", "FILES", "EXAMPLES", "\"SEE ALSO\""]
    {
        assert!(page.contains(&format!("\n.SH {section}\n")), "no {section}:\n{page}");
    }
    let mut mandoc = Command::new("mandoc")
        .args(["-T", "lint", "-W", "error"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("mandoc judges the manual page; tests/setup installs it");
    mandoc.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = mandoc.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn every_option_is_in_the_page_and_in_the_completions() {
    let page = printed(&["--generate-man"], 80).replace('\\', "");
    let help = printed(&["--help"], 200);
    let options: Vec<&str> =
        help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2).collect();
    assert!(options.contains(&"--suppress") && options.contains(&"--root"), "{options:?}");
    for shell in ["bash", "zsh", "fish"] {
        let completions = printed(&["--generate-completions", shell], 80);
        for option in ["raise", "text", "source", "root"] {
            assert!(completions.contains(option), "{shell}: {option}");
            assert!(page.contains(&format!("--{option}")), "{option}");
        }
    }
}
