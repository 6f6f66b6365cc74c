//! Events and the report of an apply, for people and for programs.

use std::fmt::Write as _;

use anstyle::Style;

use super::comment::Comment;
use super::github::{Level, annotation, bounded};
use super::plan_human::plain;
use super::style::{BAD, BOLD, DIM, GOOD, WARN};
use super::text::{count, terminal};
use crate::apply::report::{Differing, Event, Outcome, Report, StepRef};
use crate::apply::{FailedRequest, StepError};
use crate::documents::apply as document;
use crate::documents::event::Counts;
use crate::documents::{Envelope, FieldName, FieldValue};
use crate::keyset::Push;
use crate::keyset::views::SecretRecord;
use crate::plan::{OpKind, ROWS};

/// One line for a step that ended; `None` for events that need no line of their own.
pub fn event(event: &Event) -> Option<String> {
    match event {
        Event::Started { .. } => None,
        Event::Searching { step } => Some(format!(
            "{WARN}?{WARN:#} {}: the answer was lost; looking for what it made",
            subject(step)
        )),
        Event::Finished { step, outcome } => Some(line(step, outcome)),
    }
}

/// The report that ends an apply: what is not done and why, then one line of counts.
pub fn human(report: &Report) -> String {
    let mut out = String::new();
    for (step, outcome) in report.steps.iter().filter(|(_, outcome)| !outcome.is_good()) {
        let _ = writeln!(out, "\n{}", line(step, outcome));
        for note in notes(step, outcome) {
            let _ = writeln!(out, "    {note}");
        }
    }
    if !out.is_empty() {
        out.push('\n');
    }
    if let Some(why) = &report.ledger_failed {
        let _ = writeln!(out, "{BAD}The journal could not be written{BAD:#}: {}", terminal(why));
        let _ = writeln!(
            out,
            "Nothing new was begun after that. Mend the disk or folder and apply again: it looks \
             for what is not recorded.\n"
        );
    }
    let (style, word) = ending(report);
    let _ = writeln!(out, "{style}{word}{style:#}: {}.", counts(report));
    // Without a journal, what was done last may have to be looked for.
    if !report.all_good() && report.ledger_failed.is_none() {
        let _ =
            writeln!(out, "Everything done is recorded. `keyform apply` goes on with the rest.");
    }
    out
}

fn ending(report: &Report) -> (Style, &'static str) {
    if report.interrupted {
        (WARN, "Interrupted")
    } else if report.all_good() {
        (GOOD, "Applied")
    } else {
        (BAD, "Applied in part")
    }
}

/// The last line without its style.
pub fn summary(report: &Report) -> String {
    format!("{}: {}.", ending(report).1, counts(report))
}

/// A line for each step, without styles; what is not as it should be first.
pub fn entries(report: &Report) -> Vec<String> {
    let of = |good: bool| report.steps.iter().filter(move |(_, outcome)| outcome.is_good() == good);
    of(false).chain(of(true)).map(|(step, outcome)| plain(&line(step, outcome))).collect()
}

fn counts(report: &Report) -> String {
    let mut parts = Vec::new();
    // Kinds that say the same are told as one; they are neighbours in the table.
    for rows in ROWS.chunk_by(|a, b| a.done == b.done) {
        let of = |step: &StepRef| rows.iter().any(|row| row.kind == step.kind);
        let n = report.count(|step, outcome| of(step) && outcome.is_done());
        if let Some(row) = rows.first().filter(|_| n > 0) {
            let (noun, done) = row.done;
            parts.push(format!("{} {done}", count(n, noun)));
        }
    }
    let secrets = report.count(|_, o| matches!(o.secret(), Some((SecretRecord::Stored { .. }, _))));
    if secrets > 0 {
        parts.push(format!("{} stored", count(secrets, "secret")));
    }
    let tell = |which: fn(&Outcome) -> bool| report.count(|_, outcome| which(outcome));
    for (n, what) in [
        (tell(|o| matches!(o, Outcome::Failed(_))), "failed"),
        (tell(|o| matches!(o, Outcome::Unknown(_))), "of unknown fate"),
        (tell(|o| matches!(o, Outcome::Skipped { .. })), "not begun"),
        (
            tell(|o| o.secret().is_some_and(|(_, waits)| waits)),
            "with its secret sealed in the journal",
        ),
        (
            tell(|o| {
                o.secret().is_some_and(|(secret, waits)| {
                    !waits && matches!(secret, SecretRecord::Missing { .. })
                })
            }),
            "without secret",
        ),
    ] {
        if n > 0 {
            parts.push(format!("{n} {what}"));
        }
    }
    if parts.is_empty() { "nothing was done".to_owned() } else { parts.join(", ") }
}

/// Of the steps, for programs.
pub fn tally(report: &Report) -> Counts {
    let of = |which: fn(&Outcome) -> bool| report.count(|_, outcome| which(outcome));
    Counts {
        done: of(Outcome::is_done),
        failed: of(|outcome| matches!(outcome, Outcome::Failed(_))),
        unknown: of(|outcome| matches!(outcome, Outcome::Unknown(_))),
        not_begun: of(|outcome| matches!(outcome, Outcome::Skipped { .. })),
        to_look_at: of(|outcome| outcome.is_done() && !outcome.is_good()),
    }
}

/// For a comment; what is not done, or not as it should be, first.
pub fn for_markdown(report: &Report) -> String {
    let mut comment = Comment::new(&summary(report));
    if let Some(why) = &report.ledger_failed {
        comment.list(std::iter::once(format!("the journal could not be written: {why}")));
    }
    for (title, good) in [("To look at", false), ("Done", true)] {
        let entry = |(step, outcome): &(StepRef, Outcome)| {
            let notes = notes(step, outcome).into_iter().map(|note| format!("    {note}\n"));
            plain(
                &std::iter::once(format!("{}\n", line(step, outcome)))
                    .chain(notes)
                    .collect::<String>(),
            )
        };
        let entries: Vec<String> = report
            .steps
            .iter()
            .filter(|(_, outcome)| outcome.is_good() == good)
            .map(entry)
            .collect();
        comment.block(title, &entries);
    }
    comment.finish()
}

/// Workflow commands: an annotation for each step that somebody has to look at.
pub fn for_github(report: &Report) -> String {
    let bad =
        report.steps.iter().filter(|(_, outcome)| !outcome.is_good()).map(|(step, outcome)| {
            let level = if outcome.is_done() || matches!(outcome, Outcome::Skipped { .. }) {
                Level::Warning
            } else {
                Level::Error
            };
            let told: Vec<String> = std::iter::once(line(step, outcome))
                .chain(notes(step, outcome))
                .map(|line| plain(&line))
                .collect();
            let told: Vec<&str> = told.iter().map(String::as_str).collect();
            annotation(level, None, &format!("apply: {}", step.label), &told)
        });
    let journal = report.ledger_failed.iter().map(|why| {
        annotation(
            Level::Error,
            None,
            "apply",
            &[&format!("the journal could not be written: {why}")],
        )
    });
    let all: Vec<String> = journal.chain(bad).collect();
    bounded(all.into_iter()) + &annotation(Level::Notice, None, "apply", &[&summary(report)])
}

/// One entry per step in the order of the plan. Holds no secret.
pub fn json(report: &Report, exit_code: u8) -> serde_json::Value {
    let document = document::Apply {
        interrupted: report.interrupted,
        journal_error: report.ledger_failed.clone(),
        steps: report.steps.iter().map(|(step, outcome)| ended(step, outcome)).collect(),
    };
    Envelope::new(document, exit_code).to_json()
}

/// A step that ended, for programs.
pub(super) fn ended(step: &StepRef, outcome: &Outcome) -> document::Step {
    let push = step.push.map(Push::name);
    let what = document::StepName { push, ..name(step) };
    document::Step { what, outcome: outcome_for_programs(outcome) }
}

pub(super) fn name(step: &StepRef) -> document::StepName {
    document::StepName { step: step.row().tag, label: step.label.clone(), push: None }
}

fn outcome_for_programs(outcome: &Outcome) -> document::Outcome {
    use document::Outcome as To;
    let differing = |all: &[Differing]| all.iter().map(differing_field).collect::<Vec<_>>();
    match outcome.clone() {
        Outcome::App { id } => To::Done { id },
        Outcome::Found { id } => To::Found { id },
        Outcome::Rotated { id, secret, waits, found: true } => {
            To::Kept { id, secret: what_became_of(secret, waits) }
        }
        Outcome::Rotated { id, secret, waits, found: false } => {
            To::Rotated { id, secret: what_became_of(secret, waits) }
        }
        Outcome::Created { id, keys, secret, waits, differing: all, found } => To::Created {
            id,
            publish_key: keys.publish_key.into(),
            subscribe_key: keys.subscribe_key.into(),
            secret: what_became_of(secret, waits),
            found,
            differing: differing(&all),
        },
        Outcome::Updated { differing: all } => To::Updated { differing: differing(&all) },
        Outcome::Uploaded { differing: all } => To::Uploaded { differing: differing(&all) },
        Outcome::Mirrored { to } => To::Mirrored { to },
        Outcome::Moved { from, kept_under } => To::Moved { from, secret_kept_under: kept_under },
        Outcome::Protected { protect } => To::Noted { protect },
        Outcome::Deleted { id, keys, secret } => {
            let (publish_key, subscribe_key) =
                keys.map(|keys| (keys.publish_key.into(), keys.subscribe_key.into())).unzip();
            To::Deleted { id, publish_key, subscribe_key, secret_left: secret }
        }
        Outcome::Forgotten { id } => To::Forgotten { id },
        Outcome::Nothing => To::Nothing,
        Outcome::Failed(error) => {
            let StepError { message, help, request } = *error;
            To::Failed { message, help, error: request.map(|request| failed_request(*request)) }
        }
        Outcome::Unknown(error) => {
            let StepError { message, help: _, request } = *error;
            To::Unknown { message, error: request.map(|request| failed_request(*request)) }
        }
        Outcome::Skipped { why } => To::Skipped { message: why },
    }
}

fn failed_request(request: FailedRequest) -> document::RequestError {
    let FailedRequest { method, path, status, code, messages, tries, retryable } = request;
    document::RequestError { method, path, status, code, messages, tries, retryable }
}

fn what_became_of(secret: SecretRecord, waits: bool) -> document::Secret {
    match secret {
        SecretRecord::Stored { sink, fingerprint } => document::Secret::Stored {
            sink: sink.to_string(),
            fingerprint: fingerprint.to_string(),
        },
        SecretRecord::Missing { why, .. } if waits => {
            document::Secret::Sealed { why: why.to_string() }
        }
        SecretRecord::Missing { why, .. } => document::Secret::Missing { why: why.to_string() },
        SecretRecord::Unknown => document::Secret::Unknown,
    }
}

fn differing_field(differing: &Differing) -> document::Differing {
    document::Differing {
        field: FieldName(differing.field),
        asked: (&differing.asked).into(),
        got: differing.got.as_ref().map(FieldValue::from),
    }
}

fn subject(step: &StepRef) -> String {
    let label = &step.label;
    match step.push {
        Some(push) => format!("{push} of {BOLD}{label}{BOLD:#}"),
        None => format!("{} {BOLD}{label}{BOLD:#}", step.row().noun),
    }
}

/// Every step with what a person has to know of it.
pub fn lines(report: &Report) -> String {
    let mut text = String::new();
    for (step, outcome) in &report.steps {
        let _ = writeln!(text, "{}", line(step, outcome));
        for note in notes(step, outcome) {
            let _ = writeln!(text, "    {note}");
        }
    }
    text
}

pub fn line(step: &StepRef, outcome: &Outcome) -> String {
    let subject = subject(step);
    match outcome {
        Outcome::App { id } => {
            // One that was looked for had been created.
            let done = match step.kind {
                OpKind::Resolve => OpKind::CreateApp.row().done.1,
                kind => kind.row().done.1,
            };
            format!("{GOOD}✓{GOOD:#} {subject} {done} {DIM}(id {id}){DIM:#}")
        }
        Outcome::Created { id, keys, secret: SecretRecord::Stored { sink, .. }, found, .. } => {
            let keys = terminal(&keys.subscribe_key);
            let done = match (step.kind, found) {
                (OpKind::Recover, _) => "opened and recorded",
                (_, true) => "found, with a new secret key",
                (_, false) => "created",
            };
            format!(
                "{GOOD}✓{GOOD:#} {subject} {done}, secret in {sink} {DIM}(id {id}, {keys}){DIM:#}"
            )
        }
        Outcome::Created {
            id,
            secret: SecretRecord::Missing { .. } | SecretRecord::Unknown,
            waits: true,
            ..
        } => {
            format!(
                "{BAD}!{BAD:#} {subject} created, and its secret {BAD}waits in the journal{BAD:#}, \
                 sealed {DIM}(id {id}){DIM:#}"
            )
        }
        Outcome::Found { id } => {
            format!(
                "{GOOD}✓{GOOD:#} {subject}: it made keyset {id}, which is recorded now; its secret \
                 key is replaced, for nobody has it"
            )
        }
        Outcome::Rotated { id, secret: SecretRecord::Stored { sink, .. }, found: true, .. } => {
            format!(
                "{GOOD}✓{GOOD:#} {subject} was there already and is recorded, secret in {sink} \
                 {DIM}(id {id}){DIM:#}"
            )
        }
        Outcome::Rotated { id, secret: SecretRecord::Stored { sink, .. }, .. } => {
            format!("{GOOD}✓{GOOD:#} {subject} replaced, secret in {sink} {DIM}(id {id}){DIM:#}")
        }
        Outcome::Rotated {
            id,
            secret: SecretRecord::Missing { .. } | SecretRecord::Unknown,
            found: true,
            ..
        } => {
            format!(
                "{BAD}!{BAD:#} {subject} {BAD}waits in the journal{BAD:#}, sealed {DIM}(id \
                 {id}){DIM:#}"
            )
        }
        Outcome::Rotated {
            id,
            secret: SecretRecord::Missing { .. } | SecretRecord::Unknown,
            waits,
            ..
        } => {
            let where_ = if *waits { "waits in the journal, sealed" } else { "IS NOT STORED" };
            format!(
                "{BAD}!{BAD:#} {subject} replaced, and the new one {BAD}{where_}{BAD:#} {DIM}(id \
                 {id}){DIM:#}"
            )
        }
        Outcome::Created {
            id,
            secret: SecretRecord::Missing { .. } | SecretRecord::Unknown,
            ..
        } => {
            format!(
                "{BAD}!{BAD:#} {subject} created, and its {BAD}SECRET IS NOT STORED{BAD:#} \
                 {DIM}(id {id}){DIM:#}"
            )
        }
        Outcome::Updated { .. } => format!("{GOOD}✓{GOOD:#} {subject} updated"),
        Outcome::Uploaded { .. } => format!("{GOOD}✓{GOOD:#} {subject} uploaded"),
        Outcome::Mirrored { to } => {
            format!("{GOOD}✓{GOOD:#} {subject} sent to {}", terminal(&to.to_string()))
        }
        Outcome::Moved { from, kept_under: None } => {
            format!("{GOOD}✓{GOOD:#} {subject} was {from}")
        }
        Outcome::Moved { from, kept_under: Some(label) } => {
            format!(
                "{GOOD}✓{GOOD:#} {subject} was {from}; its secret cannot be read here and keeps \
                 its name in the sink: {label}"
            )
        }
        Outcome::Protected { protect: true } => {
            format!("{GOOD}✓{GOOD:#} {subject} is never to be deleted")
        }
        Outcome::Protected { protect: false } => {
            format!("{GOOD}✓{GOOD:#} {subject} may be deleted once it is not declared any more")
        }
        Outcome::Deleted { id, keys: Some(keys), secret } => {
            let (publish, subscribe) = (terminal(&keys.publish_key), terminal(&keys.subscribe_key));
            let left = secret.as_ref().map_or_else(String::new, |why| {
                format!(
                    "; its secret key is of no more use, and an entry is still in the sink: {}",
                    terminal(why)
                )
            });
            format!(
                "{GOOD}✓{GOOD:#} {subject} deleted {DIM}(id {id}, {publish}, \
                 {subscribe}){DIM:#}{left}"
            )
        }
        Outcome::Deleted { id, keys: None, .. } => {
            format!("{GOOD}✓{GOOD:#} {subject} deleted {DIM}(id {id}){DIM:#}")
        }
        Outcome::Forgotten { id } => format!(
            "{GOOD}✓{GOOD:#} {subject} was gone, and is recorded no more {DIM}(id {id}){DIM:#}"
        ),
        Outcome::Nothing if step.kind == OpKind::Recover => {
            format!("{GOOD}✓{GOOD:#} {subject} is of no more use: there is a newer key")
        }
        Outcome::Nothing => format!("{GOOD}✓{GOOD:#} {subject}: it had made nothing"),
        Outcome::Failed(error) => {
            format!("{BAD}✗{BAD:#} {subject} {}: {}", step.row().not_done, terminal(&error.message))
        }
        Outcome::Unknown(error) => format!(
            "{BAD}?{BAD:#} {subject}: it is not known whether it was made: {}",
            terminal(&error.message)
        ),
        Outcome::Skipped { why } => {
            format!("{WARN}-{WARN:#} {subject} not begun: {}", terminal(why))
        }
    }
}

/// What a person has to know or do.
pub fn notes(step: &StepRef, outcome: &Outcome) -> Vec<String> {
    let mut notes = Vec::new();
    match outcome {
        Outcome::Created { secret, waits, differing, .. } => {
            notes.extend(without_secret(secret, *waits));
            notes.extend(differing.iter().map(differs));
        }
        Outcome::Rotated { secret, waits, .. } => notes.extend(without_secret(secret, *waits)),
        Outcome::Updated { differing } | Outcome::Uploaded { differing } => {
            notes.extend(differing.iter().map(differs))
        }
        Outcome::Failed(error) => {
            notes.extend(error.help.iter().map(|help| format!("help: {}", terminal(help))));
        }
        Outcome::Unknown(_) if step.row().intent => {
            notes.push(
                "It is written down as begun: the next `keyform apply` looks for it before \
                        it makes anything."
                    .to_owned(),
            );
        }
        _ => {}
    }
    notes
}

fn without_secret(secret: &SecretRecord, waits: bool) -> Vec<String> {
    let SecretRecord::Missing { why, .. } = secret else { return Vec::new() };
    let next = if waits {
        "Once the sink can be used, `keyform secrets recover` (or the next apply) puts it there."
    } else {
        "The keyset exists and is recorded; the next `keyform apply` makes a new secret key for it."
    };
    vec![format!("{}.", terminal(why)), next.to_owned()]
}

fn differs(d: &Differing) -> String {
    let got = d.got.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
    format!(
        "the server did not take {} = {}: it answers {}",
        d.field,
        terminal(&d.asked.to_string()),
        terminal(&got)
    )
}
