//! `[[parity]]`: what is to be the same on two sides, and what is not.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeTable;

use super::codes;
use super::nearest::Nearest;
use super::problem::{Problem, Quoted};
use super::reader::{FileReader, Item};
use super::tables::Word;
use crate::keyset::parity::{Between, ParityRule, RULES_MAX, Side};
use crate::keyset::views::{DesiredKeyset, Ignored};
use crate::keyset::{Label, Origin};

/// One entry, before labels are looked up.
#[derive(Debug)]
pub(super) struct ParityTable {
    pub origin: Origin,
    pub between: Between,
    /// Where each side stands.
    pub places: [Origin; 2],
    pub ignored: Vec<Ignored>,
}

impl FileReader<'_> {
    /// Every `[[parity]]`.
    pub(super) fn parity(&mut self, item: &Item<'_>) {
        let Some(tables) = item.get_ref().as_array() else {
            return self.wrong_type("parity", "an array of tables, `[[parity]]`", item, None);
        };
        if tables.len() > RULES_MAX {
            let label = format!("{} tables, and at most {RULES_MAX} are allowed", tables.len());
            let problem = Problem::new(
                codes::OUT_OF_RANGE,
                self.at(item.span()),
                "too many `[[parity]]` tables",
                label,
            );
            return self
                .report(problem.help("a pattern such as \"*-prod\" stands for many labels"));
        }
        for item in tables {
            let Some(table) = self.table("parity", item) else { continue };
            self.parity_table(self.at(item.span()), table);
        }
    }

    fn parity_table(&mut self, origin: Origin, table: &DeTable<'_>) {
        let (mut between, mut ignored) = (None, Vec::new());
        for (row, _, item) in self.entries("parity", origin, table).known {
            match row.name() {
                "between" => between = self.between(item),
                _ => ignored = self.ignored(item),
            }
        }
        // The reason that was given first is the one that counts.
        ignored.sort_by_key(|ignored| ignored.field);
        ignored.dedup_by_key(|ignored| ignored.field);
        if let Some((between, places)) = between {
            self.out.head.parity.push(ParityTable { origin, between, places, ignored });
        }
    }

    fn between(&mut self, item: &Item<'_>) -> Option<(Between, [Origin; 2])> {
        let words = self.strings("parity.between", item)?;
        let at = self.at(item.span());
        let Ok([a, b]) = <[Word; 2]>::try_from(words) else {
            let problem = Problem::new(
                codes::BAD_PARITY,
                at,
                "`between` names two sides",
                "these are not two",
            );
            self.report(problem.help(
                "two keysets, two apps as in \"app:chat\", or two patterns as in \"*-prod\"",
            ));
            return None;
        };
        let places = [a.origin, b.origin];
        let [Some(a), Some(b)] = [a, b].map(|word| self.side(&word)) else { return None };
        match Between::new(a, b) {
            Ok(between) => Some((between, places)),
            Err(why) => {
                self.report(Problem::new(
                    codes::BAD_PARITY,
                    at,
                    "these two cannot be compared",
                    why,
                ));
                None
            }
        }
    }

    fn side(&mut self, word: &Word) -> Option<Side> {
        let parsed = Side::parse(&word.text);
        if let Err(bad) = &parsed {
            let problem = Problem::new(
                codes::BAD_PARITY,
                word.origin,
                format!("bad side {}", Quoted(&word.text)),
                bad.to_string(),
            );
            self.report(problem.help(
                "a keyset's label, \"app:LABEL\", or a pattern with one `*` as in \"*-prod\"",
            ));
        }
        parsed.ok()
    }
}

/// What the entries are judged by.
pub(super) struct Known<'a> {
    /// Keysets, and the labels of those that were rejected too: nobody who names them is wrong.
    pub labels: &'a BTreeSet<Label>,
    pub keysets: &'a BTreeMap<Label, DesiredKeyset>,
    pub apps: BTreeSet<&'a Label>,
    /// Labels whose table was rejected as a whole.
    pub rejected_labels: &'a BTreeSet<Box<str>>,
}

/// Every entry compares something, and no two the same.
pub(super) fn check(
    tables: &[ParityTable],
    known: &Known<'_>,
    nearest: &mut Nearest,
    place: impl Fn(Origin) -> String,
    problems: &mut Vec<Problem>,
) {
    for (n, table) in tables.iter().enumerate() {
        if let Some(first) =
            tables.iter().take(n).find(|first| first.between.is_same(&table.between))
        {
            let label = format!("compared at {} already", place(first.origin));
            let problem = Problem::new(
                codes::PARITY_TWICE,
                table.origin,
                "the same two sides in two `[[parity]]` tables",
                label,
            );
            problems.push(
                problem
                    .help("make one of them: what it ignores would depend on which one is asked"),
            );
        }
        let before = problems.len();
        for (side, at) in table.between.sides().iter().zip(table.places) {
            problems.extend(side_of_nothing(side, at, known, nearest));
        }
        if problems.len() == before
            && known.keysets.len() == known.labels.len()
            && table.between.pairs(known.keysets).both.is_empty()
        {
            let [a, b] = table.between.sides();
            let problem = Problem::new(
                codes::PARITY_OF_NOTHING,
                table.origin,
                format!("`{a}` and `{b}` have no pair"),
                "compares nothing",
            );
            problems.push(problem.help(match a {
                Side::App(_) => "keysets of two apps are paired by their names",
                Side::Pattern { .. } | Side::Keyset(_) => {
                    "labels are paired by what `*` stands for"
                }
            }));
        }
    }
}

fn side_of_nothing(
    side: &Side,
    at: Origin,
    known: &Known<'_>,
    nearest: &mut Nearest,
) -> Option<Problem> {
    let rejected_labels = |label: &Label| known.rejected_labels.contains(label.as_str());
    let nothing =
        |title: String, label: &str| Problem::new(codes::PARITY_OF_NOTHING, at, title, label);
    let near = |problem: Problem, near: Option<&str>, prefix: &str| match near {
        Some(near) => problem
            .help(format!("did you mean `{prefix}{near}`?"))
            .fix(at, format!("\"{prefix}{near}\"")),
        None => problem.help("sides are keysets and apps that are declared in the project"),
    };
    match side {
        Side::Keyset(label) if !known.labels.contains(label) && !rejected_labels(label) => {
            let problem = nothing(
                format!("keyset `{label}` is not declared"),
                "there is no such `[keyset.LABEL]`",
            );
            Some(near(
                problem,
                nearest.of(label.as_str(), known.labels.iter().map(Label::as_str)),
                "",
            ))
        }
        Side::App(label) if !known.apps.contains(label) && !rejected_labels(label) => {
            let problem =
                nothing(format!("app `{label}` is not declared"), "there is no such `[app.LABEL]`");
            Some(near(
                problem,
                nearest.of(label.as_str(), known.apps.iter().map(|label| label.as_str())),
                "app:",
            ))
        }
        Side::Pattern { .. }
            if !known.labels.iter().any(|label| side.stands_for(label).is_some()) =>
        {
            Some(
                nothing(format!("no keyset has a label like `{side}`"), "stands for nothing")
                    .help("`*` stands for a part of a label"),
            )
        }
        Side::Keyset(_) | Side::App(_) | Side::Pattern { .. } => None,
    }
}

impl ParityTable {
    pub(super) fn finish(self) -> ParityRule {
        ParityRule { between: self.between, ignored: self.ignored.into() }
    }
}
