//! The reference documentation of the format, generated from the types themselves, so that it cannot lag behind them: for
//! the terminal (`auto-monitor types`), as data, as the tables of `docs/format.md`, and as the man pages
//! `monitoring-info(5)` and `auto-monitor-overrides.conf(5)`.

// Writing to a `String` cannot fail, so the results of `write!` are dropped in this module.
use std::fmt::Write as _;

use serde::Serialize;

use crate::service::{Default, KINDS, Key, Kind, Tls};

mod man;
pub mod page;

pub use man::{monitoring_info as man_page, overrides as overrides_man_page};

/// The columns that text is filled to: those of a terminal that nobody has made wider, with some room.
const WIDTH: usize = 76;
/// Where the generated part of `docs/format.md` begins.
const BEGIN: &str = "<!-- generated from monitoring-info/src/service; do not edit -->\n";
/// Where it ends.
const END: &str = "<!-- end of what is generated -->\n";

/// A type as data, as `auto-monitor types --json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TypeReference {
    /// What stands after `type =`.
    #[serde(rename = "type")]
    pub name: &'static str,
    /// When the service is well.
    pub summary: &'static str,
    /// More, in whole sentences.
    pub description: &'static str,
    /// Its keys, without `type`.
    pub keys: Vec<KeyReference>,
    /// A definition without its `[name]` line.
    pub example: &'static str,
}

/// A key as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyReference {
    /// What stands before the `=`.
    pub key: &'static str,
    /// The kind of value.
    pub value: &'static str,
    /// What such a value looks like.
    pub form: &'static str,
    /// Whether it must be given.
    pub mandatory: bool,
    /// What holds where it is not given, in words; none where nothing does.
    pub default: Option<String>,
    /// What it means.
    pub summary: &'static str,
}

impl From<&Kind> for TypeReference {
    fn from(kind: &Kind) -> Self {
        Self {
            name: kind.name,
            summary: kind.summary,
            description: kind.description,
            keys: kind.keys().map(KeyReference::from).collect(),
            example: kind.example,
        }
    }
}

impl From<&Key> for KeyReference {
    fn from(key: &Key) -> Self {
        let default = match key.default {
            Default::Mandatory | Default::Absent => None,
            Default::Is("") => Some("empty".to_owned()),
            Default::Is(text) => Some(text.to_owned()),
            Default::BySsl { plain, ssl } => Some(format!("{plain}, with ssl {ssl}")),
            Default::HostName => Some("the host's FQDN".to_owned()),
        };
        Self {
            key: key.name,
            value: key.value.name,
            form: key.value.form,
            mandatory: key.default == Default::Mandatory,
            default,
            summary: key.summary,
        }
    }
}

impl KeyReference {
    fn default_in_words(&self) -> &str {
        match &self.default {
            Some(default) => default,
            None if self.mandatory => "mandatory",
            None => "none",
        }
    }
}

/// Every type as data.
#[must_use]
pub fn types() -> Vec<TypeReference> {
    KINDS.iter().map(|kind| TypeReference::from(*kind)).collect()
}

/// Every type as a table for a terminal: what `auto-monitor types` prints.
#[must_use]
pub fn overview() -> String {
    let mut rows = vec![["TYPE".to_owned(), "THE SERVICE".to_owned(), "MANDATORY KEYS".to_owned()]];
    for kind in types() {
        let mandatory: Vec<&str> = kind.keys.iter().filter(|key| key.mandatory).map(|key| key.key).collect();
        rows.push([kind.name.to_owned(), kind.summary.to_owned(), mandatory.join(", ")]);
    }
    let mut text = columns(&rows);
    text.push_str("\n`auto-monitor types TYPE` shows a type's keys, their defaults and an example.\n");
    text
}

/// One type for a terminal: what `auto-monitor types TYPE` prints.
#[must_use]
pub fn details(kind: &Kind) -> String {
    let kind = TypeReference::from(kind);
    let mut rows = vec![["KEY".to_owned(), "VALUE".to_owned(), "DEFAULT".to_owned()]];
    rows.extend(
        kind.keys
            .iter()
            .map(|key| [key.key.to_owned(), key.value.to_owned(), key.default_in_words().to_owned()]),
    );
    let mut text = format!("{}: the service {}.\n\n", kind.name, kind.summary);
    text.push_str(&filled(kind.description, 0));
    text.push('\n');
    text.push_str(&columns(&rows));
    for key in &kind.keys {
        let _ = write!(text, "\n{}\n", key.key);
        text.push_str(&filled(&format!("{}.", key.summary), 4));
        text.push_str(&filled(&format!("Value: {}.", key.form), 4));
    }
    let _ = write!(text, "\nExample:\n\n    [NAME]\n{}", indented(kind.example));
    text
}

/// The tables of `docs/format.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::new();
    for kind in KINDS {
        let _ = write!(text, "### {}\n\nThe service {}. {}\n\n", kind.name, kind.summary, kind.description);
        text.push_str(&markdown_table(kind.keys.iter()));
        let more: Vec<&str> = [
            (kind.tls == Tls::Direct).then_some("the [TLS keys](#tls-keys)"),
            kind.tls.upgraded_protocol().map(|_| "the [TLS keys](#tls-keys) (`starttls` is possible)"),
            kind.key("password_file").map(|_| "[`password_file`](#passwords)"),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !more.is_empty() {
            let _ = write!(text, "\nAnd {}.\n", more.join(" and "));
        }
        let _ = write!(text, "\n```ini\n[NAME]\n{}```\n\n", kind.example);
    }
    text.push_str("### TLS keys\n\n");
    text.push_str(&markdown_table(tls_keys()));
    text
}

/// The keys that come with TLS, as the types have them on which `starttls` is possible.
fn tls_keys() -> impl Iterator<Item = &'static Key> {
    KINDS
        .iter()
        .find(|kind| kind.tls.upgraded_protocol().is_some())
        .into_iter()
        .flat_map(|kind| kind.keys().skip_while(|key| key.name != "ssl"))
}

/// A document with its generated part anew, or none where it has no such part.
#[must_use]
pub fn in_markdown(document: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}\n{END}{after}", markdown()))
}

fn markdown_table<'a>(keys: impl Iterator<Item = &'a Key>) -> String {
    let mut text = "| key | value | default | meaning |\n|---|---|---|---|\n".to_owned();
    for key in keys.map(KeyReference::from) {
        let form = key.form.replace('|', "\\|");
        let _ = writeln!(
            text,
            "| `{}` | {}: {form} | {} | {} |",
            key.key,
            key.value,
            key.default_in_words(),
            key.summary
        );
    }
    text
}

fn indented(text: &str) -> String {
    text.lines().flat_map(|line| ["    ", line, "\n"]).collect()
}

/// Rows with their columns aligned.
fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let line: String = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}  "))
            .collect::<Vec<_>>()
            .concat();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Text broken into lines of a terminal, at its spaces.
fn filled(text: &str, indent: usize) -> String {
    let mut filled = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            filled.push('\n');
            column = 0;
        }
        if column == 0 {
            filled.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            filled.push(' ');
            column += 1;
        }
        filled.push_str(word);
        column += length;
    }
    filled.push('\n');
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_and_key_is_in_every_reference() {
        let (overview, markdown, man) = (overview(), markdown(), man_page().to_roff());
        let json = serde_json::to_string(&types()).unwrap();
        for kind in KINDS {
            let details = details(kind);
            assert!(overview.contains(kind.name) && man.contains(kind.name) && json.contains(kind.name));
            for key in kind.keys() {
                for text in [&markdown, &details, &json] {
                    assert!(text.contains(key.name), "{} {}", kind.name, key.name);
                }
                assert!(man.contains(&key.name.replace('-', "\\-")), "{} {}", kind.name, key.name);
            }
            assert!(details.lines().all(|line| line.chars().count() <= 100), "{details}");
        }
        assert!(overview.lines().all(|line| line.chars().count() <= 100), "{overview}");
    }

    #[test]
    fn the_generated_part_of_a_document_is_replaced() {
        let document = format!("before\n{BEGIN}old\n{END}after\n");
        let anew = in_markdown(&document).unwrap();
        assert!(anew.starts_with("before\n") && anew.ends_with("after\n") && !anew.contains("old\n"));
        assert_eq!(in_markdown(&anew).unwrap(), anew);
        assert!(in_markdown("no marks").is_none());
    }
}
