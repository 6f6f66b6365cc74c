//! An apply as it goes, for programs: one JSON object a line, see [`crate::documents::event`].
//! Holds no secret.

use super::report::{ended, name, tally};
use super::{plan_json, text};
use crate::apply::{self, Report};
use crate::config::Sources;
use crate::documents::event::{Event, Kind, Line};
use crate::documents::plan::Summary;
use crate::documents::{Version, to_json};
use crate::plan::Plan;

pub fn begin(project: &str, version: &str) -> Event {
    Event::Begin { keyform: version.to_owned(), project: project.to_owned() }
}

/// Every step and refusal, then the counts.
pub fn plan(plan: &Plan, sources: &Sources) -> Vec<Event> {
    let steps = plan
        .steps
        .iter()
        .map(|step| Event::Planned { action: Box::new(plan_json::action(step, sources)) });
    let refusals = plan
        .refusals
        .iter()
        .map(|refusal| Event::Refused { refusal: Box::new(plan_json::refusal(refusal, sources)) });
    let end = Event::Plan { refreshed: plan.refreshed, summary: Summary(plan.summary()) };
    steps.chain(refusals).chain(std::iter::once(end)).collect()
}

pub fn step(event: &apply::Event) -> Event {
    match event {
        apply::Event::Started { step } => Event::Started(name(step)),
        apply::Event::Searching { step } => Event::Searching(name(step)),
        apply::Event::Finished { step, outcome } => Event::Finished(Box::new(ended(step, outcome))),
    }
}

pub fn report(report: &Report) -> Event {
    Event::Report {
        interrupted: report.interrupted,
        journal_error: report.ledger_failed.clone(),
        counts: tally(report),
    }
}

pub fn error(message: &str, help: &[String]) -> Event {
    Event::Error { message: message.to_owned(), help: help.to_vec() }
}

pub fn end(exit_code: u8) -> Event {
    Event::End { exit_code }
}

/// The line itself, without its newline.
pub fn line(event: Event, at: jiff::Timestamp) -> String {
    let line = Line { format_version: Version, kind: Kind::Event, at: at.to_string(), event };
    text::json(&to_json(&line).to_string())
}
