//! Telling: titles, sentences, commands as they are run, tables.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anstream::{print, println};
use anstyle::{AnsiColor, Style};
use anyhow::Result;
use auto_monitor_tests::site::{Invocation, Said};
use auto_monitor_tests::status::Verdict;

const TITLE: Style = Style::new().bold();
const PROMPT: Style = AnsiColor::Cyan.on_default();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const DOUBTFUL: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();

/// Begins a chapter.
pub fn chapter(number: u32, title: &str) {
    println!("\n{TITLE}{number}. {title}{TITLE:#}");
}

/// Says a sentence.
pub fn say(sentence: &str) {
    println!("{sentence}");
}

/// Shows a file as it was written.
pub fn file(path: &str, text: &str) {
    println!("{DIM}  {path}{DIM:#}");
    for line in text.lines() {
        println!("  {DIM}│{DIM:#} {line}");
    }
}

/// Shows a command and runs it; it must end with this status.
pub fn run(invocation: &Invocation, status: i32) -> Result<Said> {
    println!("{PROMPT}$ {invocation}{PROMPT:#}");
    let said = invocation.expect(status)?;
    for line in said.text.lines() {
        println!("  {line}");
    }
    if status != 0 {
        println!("  {DIM}(exit status {status}){DIM:#}");
    }
    Ok(said)
}

/// Tells how a wait goes on: on a terminal in one line that is written anew, else each step on a line.
pub fn progress(objects: usize) -> impl FnMut(usize) + use<> {
    let terminal = std::io::stdout().is_terminal();
    let began = Instant::now();
    let mut told = None;
    move |differing| {
        let (right, seconds) = (objects.saturating_sub(differing), began.elapsed().as_secs());
        let now = if terminal { (right, seconds) } else { (right, 0) };
        if told == Some(now) {
            return;
        }
        told = Some(now);
        let line = format!("  Nagios checks … {right} of {objects} as expected after {seconds} s");
        if !terminal {
            println!("{line}");
        } else if differing == 0 {
            println!("\r{DIM}{line}{DIM:#}");
        } else {
            print!("\r{DIM}{line}{DIM:#}");
            let _ = std::io::stdout().flush();
        }
    }
}

/// Shows Nagios's verdicts; with those of before, marks what has changed.
pub fn table(verdicts: &[Verdict], before: &[Verdict]) {
    let known: BTreeMap<_, _> = before.iter().map(|v| ((&v.host, &v.service), v.state_name())).collect();
    let mut rows: Vec<(&str, &Verdict)> = verdicts
        .iter()
        .map(|verdict| {
            let mark = match known.get(&(&verdict.host, &verdict.service)) {
                _ if before.is_empty() => " ",
                None => "+",
                Some(state) if *state != verdict.state_name() => "~",
                Some(_) => " ",
            };
            (mark, verdict)
        })
        .collect();
    let still = |gone: &Verdict| verdicts.iter().any(|v| v.host == gone.host && v.service == gone.service);
    rows.extend(before.iter().filter(|gone| !still(gone)).map(|gone| ("-", gone)));
    rows.sort_by(|(_, a), (_, b)| (&a.host, &a.service).cmp(&(&b.host, &b.service)));

    let service = |verdict: &Verdict| verdict.service.clone().unwrap_or_else(|| "(the host)".to_owned());
    let wide = |texts: Vec<usize>| texts.into_iter().max().unwrap_or(0);
    let width = terminal_width().unwrap_or(usize::MAX);
    let host_width = wide(rows.iter().map(|(_, v)| v.host.len()).collect());
    let service_width = wide(rows.iter().map(|(_, v)| service(v).len()).collect());
    println!(
        "\n    {TITLE}{:host_width$}  {:service_width$}  STATE     PLUGIN OUTPUT{TITLE:#}",
        "HOST", "SERVICE"
    );
    for (mark, verdict) in rows {
        let (state, style) = match (mark, verdict.state_name()) {
            ("-", _) => ("gone".to_owned(), DIM),
            (_, state) if state == "OK" || state == "UP" => (state, GOOD),
            (_, state) if state == "CRITICAL" || state == "DOWN" => (state, BAD),
            (_, state) => (state, DOUBTFUL),
        };
        let of = format!("  {mark} {:host_width$}  {:service_width$}", verdict.host, service(verdict));
        if mark == "-" {
            println!("{of}  {style}{state}{style:#}");
        } else {
            let room = width.saturating_sub(of.len() + STATE_WIDTH);
            println!("{of}  {style}{state:8}{style:#}  {}", shortened(&verdict.output, room));
        }
    }
}

/// The state in the table, with the blanks around it.
const STATE_WIDTH: usize = 2 + 8 + 2;

/// The text, cut where a terminal would break the line.
fn shortened(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

/// How wide the terminal is, where there is one.
fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|width| *width > 0)
}

/// Ends the story.
pub fn end(sentence: &str, took: Duration) {
    println!("{TITLE}{sentence}{TITLE:#} {DIM}({} s){DIM:#}", took.as_secs());
}
