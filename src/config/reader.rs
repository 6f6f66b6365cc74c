//! Values as they stand in a file: read with their places, and reported where they are not what the
//! grammar asks for. Every table's file builds on these.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::codes::{self, Code};
use super::grammar::{self, Kind, Need, Row};
use super::problem::{Problem, Quoted};
use super::tables::{Parsed, Word};
use crate::keyset::settings::bad_text;
use crate::keyset::{Origin, Value};

pub(super) type Key<'i> = Spanned<DeString<'i>>;
pub(super) type Item<'i> = Spanned<DeValue<'i>>;

/// Reads one file.
pub(super) struct FileReader<'p> {
    pub(super) file: u32,
    pub(super) out: &'p mut Parsed,
}

/// The keys of a table that the grammar knows.
pub(super) struct Entries<'t, 'i> {
    /// Each with the place of the key, and its value.
    pub known: Vec<(&'static Row, Origin, &'t Item<'i>)>,
    /// Another one is probably a slip for one of the table's: none of them counts as missing.
    pub slip: bool,
}

pub(super) fn origin(file: u32, span: Range<usize>) -> Origin {
    Origin { file, start: span.start as u32, end: span.end as u32 }
}

impl FileReader<'_> {
    pub(super) fn at(&self, span: Range<usize>) -> Origin {
        origin(self.file, span)
    }

    pub(super) fn report(&mut self, problem: Problem) {
        self.out.problems.push(problem);
    }

    /// The entries of a table, by the grammar. Unknown keys are reported, and what is missing.
    pub(super) fn entries<'t, 'i>(
        &mut self,
        path: &str,
        at: Origin,
        table: &'t DeTable<'i>,
    ) -> Entries<'t, 'i> {
        let mut entries = Entries { known: Vec::new(), slip: false };
        for (key, item) in table {
            match grammar::keys(path).find(|row| row.name() == key.get_ref()) {
                Some(row) => entries.known.push((row, self.at(key.span()), item)),
                None => {
                    let what = format!("key in {}", grammar::heading(path));
                    entries.slip |=
                        self.unknown_key(key, &what, grammar::keys(path).map(Row::name));
                }
            }
        }
        for row in grammar::keys(path).filter(|_| !entries.slip) {
            if let Need::Required(Some((code, help))) = row.need
                && table.get(row.name()).is_none()
            {
                self.missing(code, at, path, row.name(), help);
            }
        }
        entries
    }

    pub(super) fn table<'t, 'i>(
        &mut self,
        path: &str,
        item: &'t Item<'i>,
    ) -> Option<&'t DeTable<'i>> {
        let table = item.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(path, "a table", item, None);
        }
        table
    }

    pub(super) fn string<'t>(
        &mut self,
        path: &str,
        item: &'t Item<'_>,
    ) -> Option<(&'t str, Origin)> {
        let Some(text) = item.get_ref().as_str() else {
            self.wrong_type(path, "a string", item, None);
            return None;
        };
        Some((text, self.at(item.span())))
    }

    /// A list of strings; `None` if any part of it was rejected.
    pub(super) fn strings(&mut self, path: &str, item: &Item<'_>) -> Option<Vec<Word>> {
        let Some(array) = item.get_ref().as_array() else {
            let raw = item
                .get_ref()
                .as_str()
                .filter(|text| plain(text))
                .map(|text| format!("[\"{text}\"]"));
            self.wrong_type(path, "an array of strings", item, raw);
            return None;
        };
        let words: Vec<Option<Word>> = array
            .iter()
            .map(|item| {
                self.string(path, item).map(|(text, origin)| Word { text: text.into(), origin })
            })
            .collect();
        words.into_iter().collect()
    }

    pub(super) fn integer(&mut self, path: &str, item: &Item<'_>) -> Option<i64> {
        match scalar(item.get_ref()) {
            Scalar::Is(Value::Int(integer)) => return Some(integer),
            Scalar::Huge => self.huge(path, self.at(item.span())),
            _ => {
                let fix = item
                    .get_ref()
                    .as_str()
                    .filter(|text| text.parse::<u32>().is_ok())
                    .map(str::to_owned);
                self.wrong_type(path, "an integer", item, fix);
            }
        }
        None
    }

    /// An integer in the range of the grammar.
    pub(super) fn integer_in_range(&mut self, row: &Row, item: &Item<'_>) -> Option<u64> {
        let number = self.integer(row.shown(), item)?;
        let Kind::Int { min, max, unit } = row.kind else { return u64::try_from(number).ok() };
        let good = u64::try_from(number).ok().filter(|number| (min..=max).contains(number));
        if good.is_none() {
            let problem = Problem::new(
                codes::OUT_OF_RANGE,
                self.at(item.span()),
                format!("wrong value for `{}`", row.shown()),
                format!("allowed: {min} to {max} {unit}"),
            );
            self.report(problem);
        }
        good
    }

    pub(super) fn flag(&mut self, path: &str, item: &Item<'_>) -> Option<bool> {
        let flag = item.get_ref().as_bool();
        if flag.is_none() {
            let fix = item
                .get_ref()
                .as_str()
                .filter(|text| text.parse::<bool>().is_ok())
                .map(str::to_owned);
            self.wrong_type(path, "a boolean", item, fix);
        }
        flag
    }

    /// Text that can be shown in a line: not empty, not too long, no hidden characters.
    pub(super) fn text<'t>(
        &mut self,
        path: &str,
        max: usize,
        item: &'t Item<'_>,
        help: Option<&str>,
    ) -> Option<(&'t str, Origin)> {
        let (text, at) = self.string(path, item)?;
        let Some(why) = bad_text(text, max) else { return Some((text, at)) };
        let problem = Problem::new(codes::BAD_TEXT, at, format!("bad text for `{path}`"), why);
        self.report(match help {
            Some(help) => problem.help(help),
            None => problem,
        });
        None
    }

    /// One of the grammar's words for the key.
    pub(super) fn word<'t>(&mut self, row: &Row, item: &'t Item<'_>) -> Option<(&'t str, Origin)> {
        let (text, at) = self.string(row.shown(), item)?;
        self.is_listed(row, text, at).then_some((text, at))
    }

    /// A list of the grammar's words; others are reported and left out.
    pub(super) fn words(&mut self, row: &Row, item: &Item<'_>) -> Option<Vec<Word>> {
        let mut words = self.strings(row.shown(), item)?;
        words.retain(|word| self.is_listed(row, &word.text, word.origin));
        Some(words)
    }

    fn is_listed(&mut self, row: &Row, text: &str, at: Origin) -> bool {
        let Some(words) = row.kind.words() else { return true };
        let listed = words.contains(&text);
        if !listed {
            self.not_in_list(row.shown(), text, &words, at);
        }
        listed
    }

    // ---------------------------------------------------------------------------------------------
    // problems

    pub(super) fn wrong_type(
        &mut self,
        path: &str,
        expected: &str,
        item: &Item<'_>,
        fix: Option<String>,
    ) {
        let at = self.at(item.span());
        let label = format!("expected {expected}, found {}", type_name(item.get_ref()));
        let mut problem =
            Problem::new(codes::WRONG_TYPE, at, format!("wrong type for `{path}`"), label);
        if let Some(fix) = fix {
            let help =
                if fix.starts_with('[') { "write it as a list" } else { "write it without quotes" };
            problem = problem.help(help).fix(at, fix);
        }
        self.report(problem);
    }

    pub(super) fn huge(&mut self, path: &str, at: Origin) {
        let problem = Problem::new(
            codes::HUGE_INTEGER,
            at,
            format!("wrong value for `{path}`"),
            "does not fit into 64 bits",
        );
        self.report(problem);
    }

    pub(super) fn not_in_list(
        &mut self,
        path: &str,
        text: &str,
        words: &[&'static str],
        at: Origin,
    ) {
        let list: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        let mut problem = Problem::new(
            codes::OUT_OF_RANGE,
            at,
            format!("wrong value for `{path}`"),
            format!("allowed: {}", list.join(", ")),
        );
        if let Some(near) = self.out.nearest.of(text, words.iter().copied()) {
            problem =
                problem.help(format!("did you mean `{near}`?")).fix(at, format!("\"{near}\""));
        }
        self.report(problem);
    }

    pub(super) fn misplaced(&mut self, key: &Key<'_>, label: &str, help: &str) {
        let problem = Problem::new(
            codes::MISPLACED,
            self.at(key.span()),
            format!("{} is not allowed here", Quoted(key.get_ref())),
            label,
        )
        .help(help);
        self.report(problem);
    }

    /// Says whether there was a near name.
    pub(super) fn unknown_key<'a>(
        &mut self,
        key: &Key<'_>,
        what: &str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> bool {
        let names: Vec<&str> = names.into_iter().collect();
        let at = self.at(key.span());
        let mut problem = Problem::new(
            codes::UNKNOWN_KEY,
            at,
            format!("unknown {what}: {}", Quoted(key.get_ref())),
            "not known to keyform",
        );
        let near = self.out.nearest.of(key.get_ref(), names.iter().copied());
        problem = match near {
            Some(near) => problem.help(format!("did you mean `{near}`?")).fix(at, near),
            None => problem.help(format!(
                "known: {}",
                names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
            )),
        };
        self.report(problem);
        near.is_some()
    }

    /// `table` by its path in the grammar.
    pub(super) fn missing(&mut self, code: Code, at: Origin, table: &str, key: &str, help: &str) {
        let title = format!("{} has no `{key}`", grammar::heading(table));
        self.report(Problem::new(code, at, title, format!("needs `{key}`")).help(help));
    }

    /// For a list that must not be empty.
    pub(super) fn names_none(
        &mut self,
        code: Code,
        path: &str,
        what: &str,
        help: &str,
        item: &Item<'_>,
    ) {
        let at = self.at(item.span());
        let title = format!("wrong value for `{path}`");
        self.report(Problem::new(code, at, title, format!("names no {what}")).help(help));
    }
}

pub(super) enum Scalar {
    Is(Value),
    Huge,
    None,
}

pub(super) fn scalar(value: &DeValue<'_>) -> Scalar {
    match value {
        DeValue::String(text) => Scalar::Is(Value::Text(text.as_ref().into())),
        DeValue::Boolean(flag) => Scalar::Is(Value::Bool(*flag)),
        DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(int) => Scalar::Is(Value::Int(int)),
            Err(_) => Scalar::Huge,
        },
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            Scalar::None
        }
    }
}

fn plain(text: &str) -> bool {
    text.len() <= 100 && text.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\')
}

pub(super) fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(60)).unwrap_or("")
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
