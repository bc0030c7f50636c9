//! Reading a routing back: the proof that a file holds the few constructs of ours and nothing else.
//!
//! The station evaluates its configuration as Ruby, so a file is a program with the station's rights. This is the grammar
//! of what we write, and whatever is not in it is refused, wherever it came from: a host, `server.conf`, or a template of
//! the administrator's.
//!
//! ```text
//! file      = { list | group }
//! list      = "source_list" TEXT { "," source } LINE
//! source    = TEXT | "/\A" NAME "\z/"
//! group     = "alert_group" "(" TEXT ")" "{" "includes" "{" any "}" LINE "level" LEVEL LINE { notify } "}" LINE
//! notify    = "notify" "(" TEXT ")" "{" [ "every" SPAN LINE ] [ "during" "{" any "}" LINE ] "}" LINE
//! any       = all { "||" all }
//! all       = one { "&&" one }
//! one       = "(" any ")" | "!" "(" any ")" | "in_source_list?" "(" TEXT ")" | FIELD "==" TEXT
//!           | "[" TEXT { "," TEXT } "]" "." "include?" "(" FIELD ")" | "hours_in_day" "(" NUMBER { "," NUMBER } ")"
//!           | "days_in_week" "(" NUMBER { "," NUMBER } ")" | "working_hours?" | "true" | "unacknowledged" "(" SPAN ")"
//! FIELD     = "subject" | "source" | "alert_id" "." "split" "(" "'@'" ")" "." "first"
//! SPAN      = NUMBER "." ( "days" | "hours" | "minutes" | "seconds" )
//! ```
//! A line ends a statement (`LINE`), as in Ruby, and stands nowhere else but behind `{`, `(`, `[`, `,`, `&&`, `||`, `==` and
//! before `}`, where Ruby reads on. A `TEXT` is a single-quoted literal of printable ASCII. A comment ends with its
//! line; one that would tell Ruby another character set is refused. Beyond the form, what the station would stumble
//! over is refused too: names that are too long for its database, groups without a name or with one that is taken, a
//! name that it takes for an address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use monitoring_info::host::quoted;

use super::condition::{Condition, Field, UNITS};
use crate::configuration::mauve::{Level, NAME_MAX};

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Routing {
    /// The sources of each list.
    pub lists: BTreeMap<String, Vec<String>>,
    /// The groups, in order.
    pub groups: Vec<Group>,
}

/// Alerts, and who is told of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub name: String,
    pub includes: Condition,
    pub level: Level,
    pub notify: Vec<Notify>,
}

/// Who is told, how often and when.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notify {
    pub person: String,
    pub every: Option<Duration>,
    pub during: Option<Condition>,
}

/// What is not in the grammar.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Number(u64),
    Text(String),
    /// A host's name, in an expression that matches it alone.
    Exactly(String),
    Sign(&'static str),
    /// The end of a line.
    Line,
    End,
}

const SIGNS: [&str; 12] = ["&&", "||", "==", "(", ")", "{", "}", "[", "]", ",", ".", "!"];

/// Reads a file.
pub(super) fn read(text: &str) -> Result<Routing, Fault> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0 };
    let mut routing = Routing::default();
    loop {
        match parser.peek() {
            Token::End => return Ok(routing),
            Token::Word(word) if word == "source_list" => parser.list(&mut routing)?,
            Token::Word(word) if word == "alert_group" => {
                let group = parser.group(&routing)?;
                routing.groups.push(group);
            }
            _ => return Err(parser.unexpected("`source_list` or `alert_group`")),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Fault> {
    let mut tokens = Vec::new();
    for (number, line) in (1..).zip(text.split('\n')) {
        let fault = |message: String| Fault { line: number, message };
        if let Some(odd) = line.chars().find(|c| !matches!(c, ' '..='~')) {
            return Err(fault(format!("the character U+{:04X} stands in it", u32::from(odd))));
        }
        let mut rest = line.trim_start();
        while !rest.is_empty() {
            let (token, length) = if let Some(comment) = rest.strip_prefix('#') {
                if comment.contains("coding") {
                    return Err(fault("a comment speaks of an encoding, which Ruby obeys".to_owned()));
                }
                break;
            } else if rest.starts_with('\'') {
                literal(rest).ok_or_else(|| fault(format!("a text does not end: {}", quoted(rest))))?
            } else if rest.starts_with('/') {
                exactly(rest).ok_or_else(|| {
                    fault(format!("{} is not of the form `/\\Aname\\z/`", quoted(rest.trim_end_matches(','))))
                })?
            } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
                (Token::Sign(sign), sign.len())
            } else if rest.starts_with(|c: char| c.is_ascii_digit()) {
                let length = rest.bytes().take_while(u8::is_ascii_digit).count();
                let number = rest[..length].parse().ok().filter(|_| length == 1 || !rest.starts_with('0'));
                let number =
                    number.ok_or_else(|| fault(format!("{} is no number", quoted(&rest[..length]))))?;
                (Token::Number(number), length)
            } else {
                let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '?');
                let length = rest.find(|c| !inside(c)).unwrap_or(rest.len());
                if length == 0 {
                    let sign: String = rest.chars().take(1).collect();
                    return Err(fault(format!("{} stands outside of a text", quoted(&sign))));
                }
                (Token::Word(rest[..length].to_owned()), length)
            };
            tokens.push((number, token));
            rest = rest[length..].trim_start();
        }
        if !matches!(tokens.last(), None | Some((_, Token::Line))) {
            tokens.push((number, Token::Line));
        }
    }
    let last = text.matches('\n').count() + 1;
    tokens.push((last, Token::End));
    Ok(tokens)
}

/// The text of a literal, and the literal's length.
fn literal(rest: &str) -> Option<(Token, usize)> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '\'' => return Some((Token::Text(text), at + 1)),
            // Only these two are escaped; before anything else a backslash would stand for itself, and we write none.
            '\\' => text.push(characters.next().map(|(_, c)| c).filter(|c| matches!(c, '\'' | '\\'))?),
            c => text.push(c),
        }
    }
    None
}

fn exactly(rest: &str) -> Option<(Token, usize)> {
    let (inner, _) = rest.strip_prefix("/\\A")?.split_once("\\z/")?;
    let name = inner.replace("[.]", ".");
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let dots = |text: &str| text.matches('.').count();
    let whole = dots(inner) == inner.matches("[.]").count() && name.chars().all(sound) && !name.is_empty();
    whole.then(|| (Token::Exactly(name), inner.len() + 6))
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].1
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn fault(&self, message: String) -> Fault {
        Fault { line: self.tokens[self.at].0, message }
    }

    fn unexpected(&self, expected: &str) -> Fault {
        let found = match self.peek() {
            Token::Word(word) => quoted(word),
            Token::Number(number) => format!("`{number}`"),
            Token::Text(text) => format!("the text {}", quoted(text)),
            Token::Exactly(name) => format!("an expression for {}", quoted(name)),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::Line => "the end of the line".to_owned(),
            Token::End => "the end".to_owned(),
        };
        self.fault(format!("{found} stands where {expected} should"))
    }

    fn takes(&mut self, wanted: &Token) -> bool {
        let there = self.peek() == wanted;
        if there {
            self.next();
        }
        there
    }

    /// Takes a sign. Behind most of them Ruby reads on in the next line.
    fn takes_sign(&mut self, sign: &'static str) -> bool {
        let there = self.takes(&Token::Sign(sign));
        if there && !matches!(sign, ")" | "]" | "}" | "." | "!") {
            self.takes(&Token::Line);
        }
        there
    }

    fn sign(&mut self, sign: &'static str) -> Result<(), Fault> {
        if self.takes_sign(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    /// The end of a block; what is in front of it may stand on lines of its own.
    fn close(&mut self) -> Result<(), Fault> {
        self.takes(&Token::Line);
        self.sign("}")
    }

    /// The end of a statement.
    fn line(&mut self) -> Result<(), Fault> {
        let ends = matches!(self.peek(), Token::End | Token::Sign("}"));
        if ends || self.takes(&Token::Line) { Ok(()) } else { Err(self.unexpected("the end of the line")) }
    }

    fn takes_word(&mut self, word: &str) -> bool {
        self.takes(&Token::Word(word.to_owned()))
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        if self.takes_word(word) { Ok(()) } else { Err(self.unexpected(&format!("`{word}`"))) }
    }

    fn text(&mut self) -> Result<String, Fault> {
        match self.peek().clone() {
            Token::Text(text) => {
                self.next();
                Ok(text)
            }
            _ => Err(self.unexpected("a text in single quotes")),
        }
    }

    fn number(&mut self, from: u64, to: u64) -> Result<u64, Fault> {
        match *self.peek() {
            Token::Number(number) if (from..=to).contains(&number) => {
                self.next();
                Ok(number)
            }
            _ => Err(self.unexpected(&format!("a number from {from} to {to}"))),
        }
    }

    /// A text that is a name in the station's database.
    fn name(&mut self, noun: &str) -> Result<String, Fault> {
        self.sign("(")?;
        let name = self.text()?;
        if name.is_empty() || name.chars().count() > NAME_MAX {
            self.at -= 1;
            return Err(self.fault(format!(
                "the name of {noun}, {}, does not have 1 to {NAME_MAX} characters",
                quoted(&name)
            )));
        }
        self.sign(")")?;
        Ok(name)
    }

    fn list(&mut self, routing: &mut Routing) -> Result<(), Fault> {
        self.word("source_list")?;
        let label = self.text()?;
        let mut sources = Vec::new();
        while self.takes_sign(",") {
            match self.peek().clone() {
                Token::Exactly(name) => sources.push(name),
                Token::Text(source) => {
                    self.source(&source)?;
                    sources.push(source);
                }
                _ => return Err(self.unexpected("a host or an address")),
            }
            self.next();
        }
        if routing.lists.insert(label.clone(), sources).is_some() {
            return Err(self.fault(format!("there is another list {} before it", quoted(&label))));
        }
        self.line()
    }

    /// What the station makes of a text in a list, `[`, `]`, `*`, `..`, `/` and what looks like an address, is not what
    /// the name of a host can be.
    fn source(&self, text: &str) -> Result<(), Fault> {
        let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        if text.parse::<IpAddr>().is_ok() {
            Ok(())
        } else if super::templates::seems_address(text) {
            Err(self.fault(format!("the station takes {} for an address, and stops", quoted(text))))
        } else if text.chars().all(sound) && !text.contains("..") && !text.is_empty() {
            Ok(())
        } else {
            Err(self.fault(format!("{} is neither a host nor an address", quoted(text))))
        }
    }

    fn group(&mut self, routing: &Routing) -> Result<Group, Fault> {
        self.word("alert_group")?;
        let name = self.name("a group")?;
        if routing.groups.iter().any(|group| group.name == name) {
            return Err(self.fault(format!("there is another group {} before it", quoted(&name))));
        }
        self.sign("{")?;
        self.word("includes")?;
        let includes = self.block()?;
        self.line()?;
        self.word("level")?;
        let levels = [("URGENT", Level::Urgent), ("NORMAL", Level::Normal), ("LOW", Level::Low)];
        let level = levels.into_iter().find(|(word, _)| *self.peek() == Token::Word((*word).to_owned()));
        let (_, level) = level.ok_or_else(|| self.unexpected("`URGENT`, `NORMAL` or `LOW`"))?;
        self.next();
        self.line()?;
        let mut notify = Vec::new();
        while self.takes_word("notify") {
            notify.push(self.notify()?);
            self.line()?;
        }
        self.close()?;
        self.line()?;
        Ok(Group { name, includes, level, notify })
    }

    fn notify(&mut self) -> Result<Notify, Fault> {
        let person = self.name("a person")?;
        self.sign("{")?;
        let mut every = None;
        if self.takes_word("every") {
            every = Some(self.span()?);
            self.line()?;
        }
        let mut during = None;
        if self.takes_word("during") {
            during = Some(self.block()?);
            self.line()?;
        }
        self.close()?;
        Ok(Notify { person, every, during })
    }

    fn span(&mut self) -> Result<Duration, Fault> {
        let number = self.number(1, 9_999_999_999)?;
        self.sign(".")?;
        let unit = UNITS.into_iter().find(|(unit, _)| self.takes_word(unit));
        let (_, length) = unit.ok_or_else(|| self.unexpected("`days`, `hours`, `minutes` or `seconds`"))?;
        Ok(Duration::from_secs(number * length))
    }

    fn block(&mut self) -> Result<Condition, Fault> {
        self.sign("{")?;
        let condition = self.any(0)?;
        self.close()?;
        Ok(condition)
    }

    fn any(&mut self, depth: usize) -> Result<Condition, Fault> {
        let mut parts = Vec::new();
        loop {
            let mut all = vec![self.one(depth)?];
            while self.takes_sign("&&") {
                all.push(self.one(depth)?);
            }
            parts.extend(Condition::all(all));
            if !self.takes_sign("||") {
                break;
            }
        }
        Condition::any(parts).ok_or_else(|| self.unexpected("a condition"))
    }

    fn one(&mut self, depth: usize) -> Result<Condition, Fault> {
        /// Deeper than anything that we write, and far from the end of the stack.
        const DEPTH_MAX: usize = 8;
        if depth > DEPTH_MAX {
            return Err(self.fault("the condition is nested too deeply".to_owned()));
        }
        if self.takes_sign("!") {
            self.sign("(")?;
            let inner = self.any(depth + 1)?;
            self.sign(")")?;
            return Ok(Condition::Not(Box::new(inner)));
        }
        if self.takes_sign("(") {
            let inner = self.any(depth + 1)?;
            self.sign(")")?;
            return Ok(inner);
        }
        if self.takes_sign("[") {
            let mut texts = vec![self.text()?];
            while self.takes_sign(",") {
                texts.push(self.text()?);
            }
            self.sign("]")?;
            self.sign(".")?;
            self.word("include?")?;
            self.sign("(")?;
            let field = self.field()?.ok_or_else(|| self.unexpected("`subject`, `alert_id` or `source`"))?;
            self.sign(")")?;
            return Ok(Condition::Among(field, texts));
        }
        if let Some(field) = self.field()? {
            self.sign("==")?;
            return Ok(Condition::Is(field, self.text()?));
        }
        if self.takes_word("working_hours?") {
            return Ok(Condition::WorkingHours);
        }
        if self.takes_word("true") {
            return Ok(Condition::Always);
        }
        let Token::Word(word) = self.peek().clone() else { return Err(self.unexpected("a condition")) };
        let known = ["in_source_list?", "hours_in_day", "days_in_week", "unacknowledged"];
        if !known.contains(&word.as_str()) {
            return Err(self.unexpected("a condition"));
        }
        self.next();
        self.sign("(")?;
        let condition = match word.as_str() {
            "in_source_list?" => Condition::Listed(self.text()?),
            "unacknowledged" => Condition::Unacknowledged(self.span()?),
            "hours_in_day" => Condition::Hours(self.numbers(23)?),
            _ => Condition::Days(self.numbers(6)?),
        };
        self.sign(")")?;
        Ok(condition)
    }

    /// A field of the alert, if one comes now.
    fn field(&mut self) -> Result<Option<Field>, Fault> {
        if self.takes_word("alert_id") {
            self.sign(".")?;
            self.word("split")?;
            self.sign("(")?;
            if !self.takes(&Token::Text("@".to_owned())) {
                return Err(self.unexpected("'@'"));
            }
            self.sign(")")?;
            self.sign(".")?;
            self.word("first")?;
            return Ok(Some(Field::Which));
        }
        Ok([Field::Subject, Field::Source].into_iter().find(|field| self.takes_word(field.words())))
    }

    fn numbers(&mut self, max: u32) -> Result<Vec<u32>, Fault> {
        let mut numbers = Vec::new();
        loop {
            numbers.push(u32::try_from(self.number(0, max.into())?).unwrap_or(max));
            if !self.takes_sign(",") {
                return Ok(numbers);
            }
        }
    }
}

#[cfg(test)]
mod tests;
