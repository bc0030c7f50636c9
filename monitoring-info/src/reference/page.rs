//! A manual page in the man(7) language, as all pages of ours are written: short source lines, so that a difference of
//! two can be read, and what stands in backquotes in bold, as in every other text of ours.

use roff::{Inline, Roff, bold, roman};

use super::filled;

/// The day on which what any of the pages says last changed.
pub const CHANGED: &str = "2026-11-26";

/// A page that grows.
#[derive(Debug)]
pub struct Page {
    name: String,
    section: u8,
    /// What is written already.
    text: String,
    roff: Roff,
}

impl Page {
    /// A page with its title and its section NAME.
    #[must_use]
    pub fn new(name: &str, section: u8, summary: &str) -> Self {
        let mut page = Self { name: name.to_owned(), section, text: String::new(), roff: Roff::new() };
        let source = concat!("auto-monitor ", env!("CARGO_PKG_VERSION"));
        page.roff
            .control("TH", [&name.to_uppercase(), &section.to_string(), CHANGED, source, "auto-monitor"]);
        page.section("NAME");
        page.roff.text([roman(format!("{name} - {}", plain(&phrase(summary))))]);
        page
    }

    /// The name that `man` finds it by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of its file: `NAME.SECTION`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.{}", self.name, self.section)
    }

    /// A section begins.
    pub fn section(&mut self, title: &str) {
        self.roff.control("SH", [title]);
    }

    /// A part of a section begins.
    pub fn subsection(&mut self, title: &str) {
        self.roff.control("SS", [title]);
    }

    /// A text: the first of a section, or more of a paragraph.
    pub fn text(&mut self, text: &str) {
        // No line ends inside of backquotes.
        let bound: String = text
            .split('`')
            .enumerate()
            .map(|(at, part)| if at % 2 == 1 { part.replace(' ', "\u{a0}") } else { part.to_owned() })
            .collect::<Vec<_>>()
            .join("`");
        for line in filled(&bound, 0).lines() {
            self.roff.text(inlines(&line.replace('\u{a0}', " ")));
        }
    }

    /// One more paragraph.
    pub fn paragraph(&mut self, text: &str) {
        self.roff.control("PP", []);
        self.text(text);
    }

    /// A term, and what it means below it.
    pub fn item(&mut self, tag: &str, text: &str) {
        // The tag is one line, whatever its length.
        self.roff.control("TP", []).text(inlines(tag));
        self.text(text);
    }

    /// Lines as they stand.
    pub fn literal(&mut self, text: &str) {
        self.roff.control("PP", []).control("RS", ["4"]).control("nf", []);
        for line in text.lines() {
            if line.is_empty() {
                self.roff.control("sp", []);
            } else {
                self.roff.text([roman(plain(line))]);
            }
        }
        self.roff.control("fi", []).control("RE", []);
    }

    /// What another library wrote in the man(7) language. It knows nothing of backquotes.
    pub fn append(&mut self, text: &str) {
        self.text.push_str(&std::mem::take(&mut self.roff).render());
        for line in text.lines() {
            let parts: Vec<&str> = line.split('`').collect();
            if line.starts_with('.') || parts.len() % 2 == 0 {
                self.text.push_str(line);
            } else {
                for (at, part) in parts.into_iter().enumerate() {
                    self.text.push_str(if at == 0 {
                        ""
                    } else if at % 2 == 1 {
                        "\\fB"
                    } else {
                        "\\fR"
                    });
                    self.text.push_str(part);
                }
            }
            self.text.push('\n');
        }
    }

    /// The last section: other pages, as `NAME(SECTION)`.
    pub fn see_also<'a>(&mut self, pages: impl IntoIterator<Item = &'a str>) {
        self.section("SEE ALSO");
        let pages: Vec<String> = pages
            .into_iter()
            .map(|page| {
                page.split_once('(')
                    .map_or_else(|| page.to_owned(), |(name, rest)| format!("`{name}`({rest}"))
            })
            .collect();
        self.text(&pages.join(", "));
    }

    /// The text of the page.
    #[must_use]
    pub fn to_roff(&self) -> String {
        self.text.clone() + &self.roff.render()
    }

    /// A key of a configuration file: what it says, what a value looks like, and what holds without it.
    pub fn key(&mut self, name: &str, form: &str, summary: &str, default: Option<&str>) {
        let default = match default {
            None => String::new(),
            Some("") => " (default: nothing)".to_owned(),
            Some(text) => format!(" (default: `{text}`)"),
        };
        self.item(&format!("`{name}`{default}"), &format!("{} Value: {form}.", sentence(summary)));
    }
}

/// As `whatis` shows what a page is about: without a capital and a full stop.
fn phrase(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    let begin: String = chars.next().map(|first| first.to_lowercase().collect()).unwrap_or_default();
    begin + chars.as_str()
}

/// Characters that old terminals lack, in ASCII.
pub(super) fn plain(text: &str) -> String {
    text.replace('≥', ">=").replace('…', "...")
}

/// As a sentence: with a capital and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    let begin: String = chars.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{begin}{}.", chars.as_str())
}

/// Text with what stands in backquotes in bold.
fn inlines(text: &str) -> Vec<Inline> {
    plain(text)
        .split('`')
        .enumerate()
        .filter(|(_, part)| !part.is_empty())
        .map(|(at, part)| if at % 2 == 1 { bold(part) } else { roman(part) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_tag_of_one_line_and_a_text() {
        let mut page = Page::new("x.conf", 5, "What x does.");
        page.key("quiet", "a duration like `30s`", "a publish waits for so long", Some("2s"));
        page.append("text `bold` text\n.TP\n");
        let text = page.to_roff();
        assert!(text.contains("\nx.conf \\- what x does\n"), "{text}");
        assert!(text.contains("\n.TP\n\\fBquiet\\fR (default: \\fB2s\\fR)\n"), "{text}");
        assert!(
            text.contains("A publish waits for so long. Value: a duration like \\fB30s\\fR.\n"),
            "{text}"
        );
        assert!(text.contains("\ntext \\fBbold\\fR text\n.TP\n"), "{text}");
    }
}
