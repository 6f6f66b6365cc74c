//! The inventory for people, for programs, and for a page of Markdown. Holds no secret.

use std::fmt::Write as _;

use anstyle::Style;

use super::comment::Comment;
use super::style::{BAD, BOLD, DIM};
use super::text::{count, markdown, terminal};
use crate::documents::inventory::{self as documents, SecretSince};
use crate::keyset::views::{RecordedKeyset, SecretRecord};
use crate::keyset::{FieldId, Value};
use crate::plan::{AppItem, Inventory, KeysetItem};

/// A text of the keyset's own, as it was applied last.
fn own<'k>(keyset: &'k RecordedKeyset, field: &str) -> Option<&'k str> {
    let field = FieldId::find("keyset", field)?;
    match keyset.applied.get(field).or_else(|| keyset.seen.get(field))? {
        Value::Text(text) => Some(text),
        Value::Null | Value::Bool(_) | Value::Int(_) => None,
    }
}

/// `2026-11-23`
fn day(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// `2026-11-23 17:10Z`
fn minute(at: Option<jiff::Timestamp>) -> String {
    at.map_or_else(|| "never".to_owned(), |at| at.strftime("%Y-%m-%d %H:%MZ").to_string())
}

fn secret(keyset: &RecordedKeyset) -> String {
    match &keyset.secret {
        SecretRecord::Stored { sink, .. } => {
            let since =
                keyset.secret_since.map_or_else(String::new, |at| format!(" since {}", day(at)));
            format!("{sink}{since}")
        }
        SecretRecord::Missing { .. } => "MISSING".to_owned(),
        SecretRecord::Unknown => "unknown".to_owned(),
    }
}

fn secret_style(keyset: &RecordedKeyset) -> Style {
    match keyset.secret {
        SecretRecord::Missing { .. } => BAD,
        SecretRecord::Stored { .. } | SecretRecord::Unknown => Style::new(),
    }
}

fn note(item: &KeysetItem<'_>) -> String {
    let notes = [(item.keyset.is_protected(), "protected"), (!item.declared, "not declared")];
    notes
        .into_iter()
        .filter(|(holds, _)| *holds)
        .map(|(_, word)| word)
        .collect::<Vec<_>>()
        .join(", ")
}

fn app_note(item: &AppItem<'_>) -> String {
    let notes = [(!item.app.managed, "not managed"), (!item.declared, "not declared")];
    notes
        .into_iter()
        .filter(|(holds, _)| *holds)
        .map(|(_, word)| word)
        .collect::<Vec<_>>()
        .join(", ")
}

fn summary(inventory: &Inventory<'_>) -> String {
    let of = |wanted: fn(&SecretRecord) -> bool| {
        inventory.keysets.iter().filter(|item| wanted(&item.keyset.secret)).count()
    };
    let stored = of(|secret| matches!(secret, SecretRecord::Stored { .. }));
    let missing = of(|secret| matches!(secret, SecretRecord::Missing { .. }));
    let unknown = of(|secret| matches!(secret, SecretRecord::Unknown));
    let undeclared = inventory.keysets.iter().filter(|item| !item.declared).count()
        + inventory.apps.iter().filter(|item| !item.declared).count();
    let undeclared = if undeclared > 0 {
        format!("; {undeclared} not declared any more")
    } else {
        String::new()
    };
    let (keysets, apps) =
        (count(inventory.keysets.len(), "keyset"), count(inventory.apps.len(), "app"));
    format!(
        "{keysets}, {apps}; secrets: {stored} stored, {missing} missing, {unknown} \
         unknown{undeclared}."
    )
}

/// A cell, and how it is shown on a terminal.
type Cell = (String, Style);

fn plain(text: &str) -> Cell {
    (terminal(text).into_owned(), Style::new())
}

/// Columns as wide as their widest cell.
fn table(head: &[&str], rows: &[Vec<Cell>]) -> String {
    let head: Vec<Cell> = head.iter().map(|title| ((*title).to_owned(), BOLD)).collect();
    let width = |column: usize| {
        let cells = rows.iter().chain(std::iter::once(&head)).filter_map(|row| row.get(column));
        cells.map(|(text, _)| text.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut out = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let used = row.iter().rposition(|(text, _)| !text.is_empty()).map_or(0, |last| last + 1);
        for (column, ((text, style), width)) in row.iter().zip(&widths).take(used).enumerate() {
            let gap = if column + 1 < used {
                " ".repeat(width - text.chars().count() + 2)
            } else {
                String::new()
            };
            let _ = write!(out, "{style}{text}{style:#}{gap}");
        }
        out.push('\n');
    }
    out
}

/// For a terminal; ends with a newline.
pub fn human(inventory: &Inventory<'_>) -> String {
    if inventory.apps.is_empty() && inventory.keysets.is_empty() {
        return "Nothing is recorded.\n".to_owned();
    }
    let mut out = String::new();
    if !inventory.keysets.is_empty() {
        let rows: Vec<Vec<Cell>> = inventory.keysets.iter().map(keyset_row).collect();
        out.push_str(&table(
            &["KEYSET", "ID", "APP", "TYPE", "SUBSCRIBE KEY", "SECRET", "LAST APPLY", ""],
            &rows,
        ));
        out.push('\n');
    }
    if !inventory.apps.is_empty() {
        let row = |item: &AppItem<'_>| {
            vec![
                plain(item.label.as_str()),
                plain(item.app.id.as_str()),
                plain(&format!("{:?}", item.app.name)),
                (app_note(item), DIM),
            ]
        };
        out.push_str(&table(
            &["APP", "ID", "NAME", ""],
            &inventory.apps.iter().map(row).collect::<Vec<_>>(),
        ));
        out.push('\n');
    }
    let _ = writeln!(out, "{}", summary(inventory));
    out
}

fn keyset_row(item: &KeysetItem<'_>) -> Vec<Cell> {
    let KeysetItem { label, keyset, .. } = item;
    vec![
        plain(label.as_str()),
        plain(keyset.id.as_str()),
        plain(keyset.app.as_str()),
        plain(own(keyset, "type").unwrap_or("")),
        plain(&keyset.keys.subscribe_key),
        (terminal(&secret(keyset)).into_owned(), secret_style(keyset)),
        plain(&minute(keyset.applied_at)),
        (note(item), DIM),
    ]
}

/// For a page or a comment. Everything foreign is in code spans, where nothing is interpreted.
pub fn for_markdown(inventory: &Inventory<'_>) -> String {
    let mut comment = Comment::new(&summary(inventory));
    let keysets = inventory.keysets.iter().map(|item| {
        let keyset = item.keyset;
        let cells = [
            item.label.as_str(),
            keyset.id.as_str(),
            keyset.app.as_str(),
            own(keyset, "name").unwrap_or(""),
            own(keyset, "type").unwrap_or(""),
            &keyset.keys.subscribe_key,
            &secret(keyset),
        ];
        cells.into_iter().map(cell).chain([minute(keyset.applied_at), note(item)]).collect()
    });
    let columns =
        ["keyset", "id", "app", "name", "type", "subscribe key", "secret", "last apply", "note"];
    comment.table("", &columns, keysets);
    let apps = inventory.apps.iter().map(|item| {
        let cells = [item.label.as_str(), item.app.id.as_str(), &item.app.name];
        cells.into_iter().map(cell).chain([app_note(item)]).collect()
    });
    comment.table("", &["app", "id", "name", "note"], apps);
    comment.finish()
}

/// An empty code span is none.
fn cell(text: &str) -> String {
    if text.is_empty() { String::new() } else { markdown(text) }
}

/// The document of `--format json`.
pub fn document(inventory: &Inventory<'_>) -> documents::Inventory {
    let apps = inventory.apps.iter().map(|AppItem { label, app, declared }| documents::App {
        label: (*label).clone(),
        id: app.id.clone(),
        name: app.name.to_string(),
        managed: app.managed,
        declared: *declared,
    });
    documents::Inventory {
        apps: apps.collect(),
        keysets: inventory.keysets.iter().map(keyset).collect(),
    }
}

fn keyset(KeysetItem { label, keyset, declared }: &KeysetItem<'_>) -> documents::Keyset {
    let secret = match &keyset.secret {
        SecretRecord::Stored { sink, .. } => {
            SecretSince::Stored { sink: sink.to_string(), since: keyset.secret_since }
        }
        SecretRecord::Missing { why, .. } => SecretSince::Missing { why: why.to_string() },
        SecretRecord::Unknown => SecretSince::Unknown,
    };
    documents::Keyset {
        label: (*label).clone(),
        id: keyset.id.clone(),
        app: keyset.app.clone(),
        name: own(keyset, "name").map(str::to_owned),
        kind: own(keyset, "type").map(str::to_owned),
        publish_key: keyset.keys.publish_key.to_string(),
        subscribe_key: keyset.keys.subscribe_key.to_string(),
        secret,
        protected: keyset.is_protected(),
        created_at: keyset.created_at,
        last_apply: keyset.applied_at,
        declared: *declared,
    }
}
