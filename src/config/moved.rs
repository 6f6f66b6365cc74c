//! `moved` and `freeze`, which stand in the tables of apps and of keysets.

use super::codes;
use super::problem::{Problem, Quoted};
use super::reader::{FileReader, Item};
use super::tables::Word;
use crate::keyset::table::NAME_MAX;
use crate::keyset::views::Freeze;
use crate::keyset::{Label, Origin};

impl FileReader<'_> {
    /// `moved = { from = "old" }`, or several, newest first. `path`: of the table, in the grammar.
    pub(super) fn moved(&mut self, path: &str, at: Origin, item: &Item<'_>) -> Vec<Word> {
        let mut words = Vec::new();
        let Some(table) = self.table("moved", item) else { return words };
        for (row, _, item) in self.entries(path, at, table).known {
            let given = match item.get_ref().as_str() {
                Some(text) => Some(vec![Word { text: text.into(), origin: self.at(item.span()) }]),
                None => self.strings(row.shown(), item),
            };
            for word in given.into_iter().flatten() {
                match Label::parse(&word.text) {
                    Ok(_) => words.push(word),
                    Err(bad) => {
                        let title = format!("bad label {}", Quoted(&word.text));
                        self.report(
                            Problem::new(codes::BAD_LABEL, word.origin, title, bad.to_string())
                                .help("no keyset ever had this label"),
                        );
                    }
                }
            }
        }
        words
    }

    /// `freeze = "reason"`
    pub(super) fn freeze(&mut self, item: &Item<'_>) -> Option<Freeze> {
        let help = "say why it may not be changed, and until when";
        let (text, origin) = self.text("freeze", NAME_MAX, item, Some(help))?;
        Some(Freeze { reason: text.into(), origin })
    }
}
