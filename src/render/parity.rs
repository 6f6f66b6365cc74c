//! Parity for people, for programs, for a pull request or issue, and as annotations of GitHub
//! Actions.

use std::fmt::Write as _;

use super::comment::Comment;
use super::github::{Level, annotation, bounded};
use super::plan_words::{quoted, value};
use super::style::{BOLD, DIM, GOOD, WARN};
use super::text::{count, markdown, terminal};
use crate::config::Sources;
use crate::documents::parity::{self as documents, DisparityKind, NotLiveKind};
use crate::documents::{FieldName, Place};
use crate::keyset::parity::Side;
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

/// The document of `--format json`.
pub fn document(parity: &Parity, sources: &Sources) -> documents::Parity {
    let comparisons = parity.comparisons.iter().map(|comparison| one(comparison, sources));
    documents::Parity { live: parity.live, comparisons: comparisons.collect() }
}

fn one(comparison: &Comparison, sources: &Sources) -> documents::Comparison {
    let sides = comparison.between.sides().each_ref().map(ToString::to_string);
    let findings = comparison.findings.iter().map(|finding| {
        let Words { about, what } = words(comparison, finding);
        let (origins, kind) = match finding {
            Disparity::Field(differs) => (
                differs.origins.into_iter().flatten().collect(),
                DisparityKind::Field(field(differs)),
            ),
            Disparity::OnlyOn { label, side, key, origin } => {
                let side = sides.get(*side).cloned().unwrap_or_default();
                let (label, key) = (label.clone(), key.to_string());
                (vec![*origin], DisparityKind::OnlyOn { label, side, key })
            }
        };
        documents::Disparity {
            message: format!("{about}: {what}"),
            places: origins.into_iter().filter_map(|at| Place::of(at, sources)).collect(),
            what: kind,
        }
    });
    let ignored = comparison.ignored.iter().map(|IgnoredDisparity { differs, reason }| {
        let reason = reason.as_deref().map(str::to_owned);
        documents::IgnoredDisparity { differs: field(differs), reason }
    });
    let notes = comparison.notes.iter().map(|not_live| {
        let (what, label) = match not_live {
            NotLive::NotCreated { label } => (NotLiveKind::NotCreated, label),
            NotLive::Gone { label } => (NotLiveKind::Gone, label),
        };
        documents::NotLive { what, label: label.clone(), message: note(not_live) }
    });
    documents::Comparison {
        pairs: comparison.pairs.clone(),
        alike: comparison.alike(),
        findings: findings.collect(),
        ignored: ignored.collect(),
        notes: notes.collect(),
        between: sides,
    }
}

fn field(differs: &FieldDisparity) -> documents::FieldDisparity {
    let FieldDisparity { pair, field, declared, live, origins: _ } = differs;
    documents::FieldDisparity {
        pair: pair.clone(),
        field: FieldName(*field),
        declared: declared
            .as_ref()
            .map(|[a, b]| [a, b].map(|value| value.as_ref().map(Into::into))),
        live: live.as_ref().map(|sides| sides.each_ref().map(Into::into)),
    }
}
