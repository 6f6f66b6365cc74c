//! Parity for people, for programs, for a pull request or issue, and as annotations of GitHub
//! Actions.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::comment::Comment;
use super::github::{Level, annotation, bounded};
use super::plan_words::{quoted, value};
use super::style::{BOLD, DIM, GOOD, WARN};
use super::text::{count, markdown, terminal};
use crate::config::Sources;
use crate::keyset::parity::Side;
use crate::keyset::wire::to_json;
use crate::keyset::{Label, Origin, Value};
use crate::plan::{Comparison, Disparity, FieldDisparity, IgnoredDisparity, NotLive, Parity};

/// A finding in words: what it is about, and what differs.
struct Words {
    about: String,
    what: String,
}

fn words(comparison: &Comparison, finding: &Disparity) -> Words {
    match finding {
        Disparity::Field(differs) => {
            let [a, b] = &differs.pair;
            Words { about: format!("keysets {a} and {b}"), what: field_words(differs) }
        }
        Disparity::OnlyOn { label, side, key, .. } => {
            let [a, b] = comparison.between.sides();
            let (on, other) = if *side == 0 { (a, b) } else { (b, a) };
            let what = match on {
                Side::App(_) => format!(
                    "only in {on}: keyset {label}; {other} has no keyset with the name {}",
                    quoted(key)
                ),
                Side::Pattern { .. } | Side::Keyset(_) => {
                    format!("only in {on}: keyset {label}; {other} has none for {}", quoted(key))
                }
            };
            Words { about: format!("{a} and {b}"), what }
        }
    }
}

fn field_words(differs: &FieldDisparity) -> String {
    let FieldDisparity { pair: [a, b], field, declared, live, .. } = differs;
    let declares = |label: &Label, declared: &Option<Value>| match declared {
        Some(declared) => format!("{label} declares {}", value(declared)),
        None => format!("{label} does not declare it"),
    };
    let declared_words =
        declared.as_ref().map(|[x, y]| format!("{}, {}", declares(a, x), declares(b, y)));
    let same = matches!((declared, live), (Some([Some(x), Some(y)]), Some([there_x, there_y])) if x == there_x && y == there_y);
    let live_words = live
        .as_ref()
        .filter(|_| !same)
        .map(|[x, y]| format!("in the account {a} has {}, {b} has {}", value(x), value(y)));
    let parts: Vec<String> = declared_words.into_iter().chain(live_words).collect();
    format!("{field}: {}", parts.join("; "))
}

fn note(note: &NotLive) -> String {
    match note {
        NotLive::NotCreated { label } => {
            format!("keyset {label} is not created yet: only what is declared was compared")
        }
        NotLive::Gone { label } => {
            format!("keyset {label} is gone in the account: only what is declared was compared")
        }
    }
}

/// The places of a finding's values, each once.
fn places(finding: &Disparity, sources: &Sources) -> Vec<String> {
    let origins: Vec<Origin> = match finding {
        Disparity::Field(differs) => differs.origins.into_iter().flatten().collect(),
        Disparity::OnlyOn { origin, .. } => vec![*origin],
    };
    let mut places: Vec<String> = origins
        .into_iter()
        .filter_map(|origin| sources.place(origin))
        .map(|at| format!("{}:{}", at.path, at.line))
        .collect();
    places.dedup();
    places
}

fn findings(parity: &Parity) -> impl Iterator<Item = (&Comparison, &Disparity)> {
    parity
        .comparisons
        .iter()
        .flat_map(|comparison| comparison.findings.iter().map(move |finding| (comparison, finding)))
}

fn notes(parity: &Parity) -> impl Iterator<Item = String> {
    parity.comparisons.iter().flat_map(|comparison| &comparison.notes).map(note)
}

fn summary(parity: &Parity) -> String {
    let sum = |of: fn(&Comparison) -> usize| parity.comparisons.iter().map(of).sum::<usize>();
    let (alike, pairs, ignored) =
        (sum(Comparison::alike), sum(|c| c.pairs.len()), sum(|c| c.ignored.len()));
    let ignored = if ignored > 0 {
        format!(", {} ignored", count(ignored, "difference"))
    } else {
        String::new()
    };
    let looked = if parity.live { "" } else { " (only what is declared was compared)" };
    match sum(|c| c.findings.len()) {
        0 => format!("Parity: {} alike{ignored}{looked}.", count(alike, "pair")),
        n => format!(
            "{}, {alike} of {} alike{ignored}{looked}.",
            count(n, "difference"),
            count(pairs, "pair")
        ),
    }
}

/// For a terminal; ends with a newline.
pub fn human(parity: &Parity, sources: &Sources) -> String {
    let mut out = String::new();
    let mut last = String::new();
    for (comparison, finding) in findings(parity) {
        let Words { about, what } = words(comparison, finding);
        if about != last {
            let _ = writeln!(out, "{BOLD}{about}{BOLD:#}");
            last = about;
        }
        let _ = writeln!(out, "  {WARN}≠{WARN:#} {what}");
        let places = places(finding, sources).join(", ");
        if !places.is_empty() {
            let _ = writeln!(out, "    {DIM}{}{DIM:#}", terminal(&places));
        }
    }
    for note in notes(parity) {
        let _ = writeln!(out, "{DIM}note: {note}{DIM:#}");
    }
    if !out.is_empty() {
        out.push('\n');
    }
    let style = if parity.is_empty() { GOOD } else { WARN };
    let _ = writeln!(out, "{style}{}{style:#}", summary(parity));
    out
}

/// For a comment or an issue. Everything foreign is in code spans, where nothing is interpreted.
pub fn for_markdown(parity: &Parity, sources: &Sources) -> String {
    let mut comment = Comment::new(&summary(parity));
    let findings: Vec<_> = findings(parity).collect();
    let rows = findings.into_iter().map(|(comparison, finding)| {
        let Words { about, what } = words(comparison, finding);
        let places: Vec<String> =
            places(finding, sources).iter().map(|place| markdown(place)).collect();
        vec![markdown(&about), markdown(&what), places.join(", ")]
    });
    comment.table("", &["what", "difference", "where"], rows);
    comment.list(notes(parity).collect::<Vec<_>>().into_iter());
    comment.finish()
}

/// Workflow commands: an annotation for each finding, at the first place where a value of it is
/// declared.
pub fn for_github(parity: &Parity, sources: &Sources) -> String {
    let findings = findings(parity).map(|(comparison, finding)| {
        let Words { about, what } = words(comparison, finding);
        let place = finding.origin().and_then(|origin| sources.place(origin));
        annotation(Level::Warning, place.as_ref(), &format!("parity: {about}"), &[&what])
    });
    let notes = notes(parity).map(|note| annotation(Level::Notice, None, "parity", &[&note]));
    let all: Vec<String> = findings.chain(notes).collect();
    bounded(all.into_iter()) + &annotation(Level::Notice, None, "parity", &[&summary(parity)])
}

/// `{"format_version":1,"kind":"parity",...}`. Holds no secret.
///
/// ```text
/// live             whether the account was looked at
/// comparisons[]    {between: [a, b], pairs: [[a, b]], alike, findings, ignored, notes}
///   findings[]     {what, message, places: [{path, line, column}]} and, by `what`:
///     "field"      pair: [a, b], field, declared: [a, b] | null, live: [a, b] | null
///                  `declared`: null in it, that one does not declare it; null: declared alike, or not at all
///                  `live`: null where both are alike, or not shown, or not looked at
///     "only_on"    label, side (as in `between`), key: the part of the label, or the name, that the other side does not have
///   ignored[]      {pair, field, declared, live, reason (or null)}: what `ignore` allows; no finding
///   notes[]        {what: "not_created" | "gone", label, message}: only what is declared was compared
/// ```
pub fn json(parity: &Parity, sources: &Sources, exit_code: u8) -> Json {
    let comparisons: Vec<Json> =
        parity.comparisons.iter().map(|comparison| one(comparison, sources)).collect();
    json!({ "format_version": 1, "kind": "parity", "exit_code": exit_code, "live": parity.live, "comparisons": comparisons })
}

fn one(comparison: &Comparison, sources: &Sources) -> Json {
    let sides = comparison.between.sides().each_ref().map(ToString::to_string);
    let findings: Vec<Json> = comparison
        .findings
        .iter()
        .map(|finding| finding_json(comparison, finding, &sides, sources))
        .collect();
    let ignored = comparison.ignored.iter().map(|IgnoredDisparity { differs, reason }| {
        let mut json = field_json(differs);
        json["reason"] = json!(reason);
        json
    });
    let notes = comparison.notes.iter().map(|not_live| {
        let (what, label) = match not_live {
            NotLive::NotCreated { label } => ("not_created", label),
            NotLive::Gone { label } => ("gone", label),
        };
        json!({ "what": what, "label": label, "message": note(not_live) })
    });
    json!({
        "between": sides, "pairs": comparison.pairs, "alike": comparison.alike(), "findings": findings,
        "ignored": ignored.collect::<Vec<_>>(), "notes": notes.collect::<Vec<_>>(),
    })
}

fn finding_json(
    comparison: &Comparison,
    finding: &Disparity,
    sides: &[String; 2],
    sources: &Sources,
) -> Json {
    let (mut json, what, origins) = match finding {
        Disparity::Field(differs) => (
            field_json(differs),
            "field",
            differs.origins.into_iter().flatten().collect::<Vec<_>>(),
        ),
        Disparity::OnlyOn { label, side, key, origin } => (
            json!({ "label": label, "side": sides.get(*side), "key": key }),
            "only_on",
            vec![*origin],
        ),
    };
    let places = origins.into_iter().filter_map(|origin| sources.place(origin));
    let places: Vec<Json> =
        places.map(|at| json!({ "path": at.path, "line": at.line, "column": at.column })).collect();
    let Words { about, what: message } = words(comparison, finding);
    json["what"] = what.into();
    json["message"] = format!("{about}: {message}").into();
    json["places"] = places.into();
    json
}

fn field_json(differs: &FieldDisparity) -> Json {
    let declared = differs
        .declared
        .as_ref()
        .map(|sides| sides.each_ref().map(|value| value.as_ref().map(to_json)));
    let live = differs.live.as_ref().map(|sides| sides.each_ref().map(to_json));
    json!({ "pair": differs.pair, "field": differs.field.to_string(), "declared": declared, "live": live })
}
