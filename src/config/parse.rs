//! One file's TOML -> small tables. Everything that can be said of a value without looking at other
//! tables is said here and in the files of the tables: `project`, `api`, `secrets` and so on.
//!
//! The tree of a file is about thirty times its text, so it is dropped before the next file is
//! read.

use std::ops::Range;

use toml::de::DeTable;

use super::codes;
use super::grammar::{self, Place};
use super::problem::{Problem, Quoted};
use super::reader::{FileReader, clip, origin};
use super::syntax::{MAX_DEPTH, broken_blocks, syntax_problems, too_deep};
use super::tables::Parsed;
use crate::keyset::{Label, Origin};

impl Parsed {
    /// Adds what a file says. File 0 is the project's main file.
    pub(super) fn read_file(&mut self, file: usize, text: &str) {
        let file = file as u32;
        if let Some(span) = too_deep(text) {
            self.broken.insert(file);
            let label = format!("more than {MAX_DEPTH} levels");
            self.problems.push(
                Problem::new(codes::NESTING, origin(file, span), "nested too deeply", label)
                    .help("a keyset needs four levels: `keyset`, its label, a section, a field"),
            );
            return;
        }
        let (tree, errors) = DeTable::parse_recoverable(text);
        FileReader { file, out: self }.file(tree.get_ref());
        if errors.is_empty() {
            return;
        }
        self.broken.insert(file);
        let spoilt = broken_blocks(text, &errors);
        let touches = |o: Origin, block: &Range<usize>| {
            (o.start as usize) < block.end && block.start <= o.end as usize
        };
        self.problems.retain(|problem| {
            problem
                .origin
                .is_none_or(|o| o.file != file || !spoilt.iter().any(|block| touches(o, block)))
        });
        self.problems.extend(syntax_problems(file, text, &errors));
    }
}

impl FileReader<'_> {
    fn file(&mut self, tree: &DeTable<'_>) {
        for (key, item) in tree {
            let word = key.get_ref().as_ref();
            let at = self.at(key.span());
            let Some(row) = grammar::keys("").find(|row| row.name() == word) else {
                let here = |place: Place| grammar::keys("").filter(move |row| row.place == place);
                let main = here(Place::MainFile).filter(|_| self.file == 0);
                let names: Vec<&str> =
                    here(Place::AnyFile).chain(main).map(grammar::Row::name).collect();
                self.unknown_key(key, "table", names);
                continue;
            };
            if row.place == Place::MainFile && self.file != 0 {
                let problem = Problem::new(
                    codes::MISPLACED,
                    at,
                    format!("`[{word}]` in an included file"),
                    "belongs in keyform.toml",
                )
                .help("included files hold `app`, `profile` and `keyset` tables only");
                self.report(problem);
                continue;
            }
            if word == "parity" {
                self.parity(item);
                continue;
            }
            let Some(table) = self.table(word, item) else {
                // Whatever was meant to stand there: references to it are not wrong because of it.
                self.out.broken.insert(self.file);
                continue;
            };
            match word {
                "project" => self.project(at, table),
                "api" => self.api(at, table),
                "secrets" => self.secrets(at, table),
                "limits" => self.limits(at, table),
                "notify" => self.notify(at, table),
                "app" => self.labelled(word, table, Self::app),
                "profile" => self.labelled(word, table, Self::profile),
                _ => self.labelled(word, table, Self::keyset),
            }
        }
    }

    /// Every `[word.LABEL]`.
    fn labelled(
        &mut self,
        word: &str,
        table: &DeTable<'_>,
        mut each: impl FnMut(&mut Self, Option<Label>, Origin, &DeTable<'_>),
    ) {
        for (key, item) in table {
            let text = key.get_ref().as_ref();
            let at = self.at(key.span());
            let Some(table) = self.table(&format!("{word}.{}", clip(text)), item) else {
                self.out.rejected_labels.insert(text.into());
                continue;
            };
            let label = match Label::parse(text) {
                Ok(label) => Some(label),
                Err(bad) => {
                    self.out.rejected_labels.insert(text.into());
                    let problem = Problem::new(
                        codes::BAD_LABEL,
                        at,
                        format!("bad label {}", Quoted(text)),
                        bad.to_string(),
                    )
                    .help(
                        "a label is 1 to 128 of `a-z A-Z 0-9 . _ -` and starts with a letter \
                               or digit",
                    );
                    self.report(problem);
                    None
                }
            };
            each(self, label, at, table);
        }
    }
}
