//! The grammar of the configuration: every key that is no field of the API, a row each.
//!
//! The fields have a table of their own, [`crate::keyset::table`]. This one is read by the reader
//! (which keys there are, which are missing, what else was meant), by the JSON Schema and by
//! README's reference. To add a key: a row in `rows`, and an arm in the file that reads its table.

mod rows;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::codes::Code;

pub(super) use rows::{GRAMMAR, NO_WEBHOOK};

/// One key.
#[derive(Debug)]
pub(super) struct Row {
    /// The names of its tables and its own. `*` stands for a label.
    pub path: &'static str,
    pub kind: Kind,
    pub need: Need,
    pub default: Fallback,
    pub place: Place,
    /// One plain sentence or two.
    pub doc: &'static str,
    pub examples: &'static [&'static str],
}

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// The rows below it.
    Table,
    /// Tables by label: `app` holds `app.*`.
    Labelled,
    /// An array of tables. `each`: what one of them is.
    Tables {
        max: usize,
        each: &'static str,
    },
    /// One table, or an array of them.
    TableOrTables {
        each: &'static str,
    },
    /// A table, or `false`, which takes away what a profile says.
    TableOrFalse {
        each: &'static str,
    },
    Flag,
    Int {
        min: u64,
        max: u64,
        unit: &'static str,
    },
    /// A number, or a share such as `10%`.
    Budget,
    Duration {
        range: &'static str,
    },
    Label,
    /// In characters.
    Text {
        min: usize,
        max: Option<usize>,
    },
    /// A string of a form of its own. `form`: in words; `pattern`: a regular expression that is no
    /// stricter than the reader.
    Like {
        form: &'static str,
        pattern: &'static str,
        max: Option<usize>,
    },
    /// One of these.
    Word(fn() -> Vec<&'static str>),
    List(List),
    /// One label, or a list of them.
    LabelOrLabels,
    /// A list of fields, each perhaps with a reason: see the rows of [`IGNORE`].
    Ignored,
    /// A table for each row of [`crate::keyset::table::PUSH`].
    Uploads,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub of: &'static Kind,
    /// What one item is.
    pub each: &'static str,
    pub min: usize,
    pub max: Option<usize>,
    /// Whether the schema asks that no item stands there twice.
    pub unique: bool,
}

/// Whether a table can do without it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Need {
    Optional,
    /// What is said if it is missing; without, the file of the table says it.
    Required(Option<(Code, &'static str)>),
    /// Exactly one of the keys of its table that are marked so.
    OneOf,
}

/// What holds where the key is absent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fallback {
    None,
    Word(&'static str),
    Number(u64),
    Words(&'static [&'static str]),
    /// What no value of the key's own kind says.
    Said(&'static str),
}

/// Where it may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Wherever its table may.
    InItsTable,
    /// In keyform.toml and in the files that it includes.
    AnyFile,
    /// In keyform.toml only.
    MainFile,
    /// In a keyset's table, and not in a profile's as the other rows of [`KEYSET`].
    KeysetOnly,
}

/// The paths of tables that others name.
pub(super) const APP: &str = "app.*";
/// Has the keys of [`KEYSET`] that are not of keysets only.
pub(super) const PROFILE: &str = "profile.*";
pub(super) const KEYSET: &str = "keyset.*";
pub(super) const IGNORE: &str = "keyset.*.ignore";

const fn list(of: &'static Kind, each: &'static str) -> Kind {
    Kind::List(List { of, each, min: 0, max: None, unique: false })
}

const fn row(path: &'static str, kind: Kind, doc: &'static str) -> Row {
    Row {
        path,
        kind,
        need: Need::Optional,
        default: Fallback::None,
        place: Place::InItsTable,
        doc,
        examples: &[],
    }
}

impl Row {
    const fn main_file(mut self) -> Row {
        self.place = Place::MainFile;
        self
    }
    const fn any_file(mut self) -> Row {
        self.place = Place::AnyFile;
        self
    }
    const fn keyset_only(mut self) -> Row {
        self.place = Place::KeysetOnly;
        self
    }
    const fn required(mut self) -> Row {
        self.need = Need::Required(None);
        self
    }
    const fn required_or(mut self, code: Code, help: &'static str) -> Row {
        self.need = Need::Required(Some((code, help)));
        self
    }
    const fn one_of(mut self) -> Row {
        self.need = Need::OneOf;
        self
    }
    const fn default(mut self, default: Fallback) -> Row {
        self.default = default;
        self
    }
    const fn examples(mut self, examples: &'static [&'static str]) -> Row {
        self.examples = examples;
        self
    }

    /// Its own name, without those of its tables.
    pub(super) fn name(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, name)| name)
    }
    /// The path of its table; empty: the file itself.
    fn table(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(table, _)| table)
    }
    /// As messages name it: without what stands before a label.
    pub(super) fn shown(&self) -> &'static str {
        shown(self.path)
    }
}

impl Kind {
    /// The words that it, or an item of its list, is one of.
    pub(super) fn words(&self) -> Option<Vec<&'static str>> {
        match self {
            Kind::Word(words) => Some(words()),
            Kind::List(list) => list.of.words(),
            _ => None,
        }
    }
}

/// The keys of a table; of the file itself: `""`.
pub(super) fn keys(table: &str) -> impl Iterator<Item = &'static Row> + use<> {
    BY_TABLE.get(table).into_iter().flatten().copied()
}

/// Asked once for each key of a project.
static BY_TABLE: LazyLock<BTreeMap<&str, Vec<&Row>>> = LazyLock::new(|| {
    let mut tables: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in GRAMMAR.iter().filter(|row| row.name() != "*") {
        tables.entry(row.table()).or_default().push(row);
        if row.table() == KEYSET && row.place != Place::KeysetOnly {
            tables.entry(PROFILE).or_default().push(row);
        }
    }
    tables
});

pub(super) fn find(path: &str) -> Option<&'static Row> {
    GRAMMAR.iter().find(|row| row.path == path)
}

/// A table as messages name it: `[secrets.age]`, `[app.LABEL]`, `[[parity]]`, and `rotate` for one
/// inside a table of a label.
pub(super) fn heading(table: &str) -> String {
    if table.contains("*.") {
        return format!("`{}`", shown(table));
    }
    let path = table.replace('*', "LABEL");
    match find(table).map(|row| row.kind) {
        Some(Kind::Tables { .. }) => format!("`[[{path}]]`"),
        _ => format!("`[{path}]`"),
    }
}

fn shown(path: &str) -> &str {
    path.split_once("*.").map_or(path, |(_, shown)| shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Loaded, Source, Sources, read};
    use crate::keyset::Bounded;

    /// A file in which the key has this value, and where the value stands.
    fn file(row: &Row, value: &str) -> (Loaded, std::ops::Range<usize>) {
        let table = row.table().replace('*', "a");
        let list = matches!(
            find(row.table()).map(|row| row.kind),
            Some(Kind::Tables { .. } | Kind::Ignored)
        );
        let header = match (table.as_str(), list) {
            ("", _) => String::new(),
            (table, true) => format!("[[{table}]]\n"),
            (table, false) => format!("[{table}]\n"),
        };
        let before = format!("{header}{} = ", row.name().replace('*', "a"));
        let at = before.len()..before.len() + value.len();
        let text = format!("{before}{value}\n");
        (read(Sources { files: vec![Source::new("keyform.toml", text)] }), at)
    }

    fn codes_at(loaded: &Loaded, at: &std::ops::Range<usize>) -> Vec<&'static str> {
        let inside = |start: u32| at.contains(&(start as usize));
        let here = loaded.problems.iter().filter(|p| p.origin.is_some_and(|o| inside(o.start)));
        here.map(|problem| problem.code).collect()
    }

    #[test]
    fn every_row_is_whole() {
        for (n, row) in GRAMMAR.iter().enumerate() {
            assert!(row.doc.ends_with('.'), "{}: a sentence", row.path);
            assert!(GRAMMAR[..n].iter().all(|other| other.path != row.path), "{} twice", row.path);
            let table = find(row.table());
            assert_eq!(table.is_some(), !row.table().is_empty(), "{}: its table", row.path);
            assert_eq!(
                row.place == Place::InItsTable || row.place == Place::KeysetOnly,
                table.is_some(),
                "{}: only tables of a file say in which",
                row.path
            );
        }
        let limits: Vec<&str> = keys("limits").map(Row::name).collect();
        assert_eq!(limits, Bounded::ALL.map(Bounded::name));
    }

    /// No key takes a fraction: what is not read at all would not be refused.
    #[test]
    fn every_row_is_read() {
        for row in GRAMMAR {
            let (loaded, at) = file(row, "1.5");
            assert_eq!(codes_at(&loaded, &at), ["KF020"], "{}", row.path);
        }
    }

    #[test]
    fn a_key_that_no_row_has_is_refused_in_every_table() {
        for row in GRAMMAR {
            let wrong = Row { path: format!("{}x", row.path).leak(), ..*row };
            if row.name() == "*" {
                continue;
            }
            let (loaded, at) = file(&wrong, "1.5");
            let key = at.start - wrong.name().len() - 3..at.start;
            assert_eq!(codes_at(&loaded, &key), ["KF010"], "{}", wrong.path);
        }
    }

    #[test]
    fn what_holds_without_a_key_may_be_written() {
        for row in GRAMMAR {
            let value = match row.default {
                Fallback::Word(word) => format!("{word:?}"),
                Fallback::Words(words) => format!("{words:?}"),
                Fallback::Number(number) => number.to_string(),
                Fallback::None | Fallback::Said(_) => continue,
            };
            let (loaded, at) = file(row, &value);
            assert_eq!(codes_at(&loaded, &at), [] as [&str; 0], "{}", row.path);
        }
    }

    #[test]
    fn tables_have_the_names_that_people_write() {
        let headings = ["secrets.age", "parity", APP, PROFILE, "keyset.*.rotate", IGNORE];
        assert_eq!(
            headings.map(heading),
            [
                "`[secrets.age]`",
                "`[[parity]]`",
                "`[app.LABEL]`",
                "`[profile.LABEL]`",
                "`rotate`",
                "`ignore`"
            ]
        );
    }
}
