//! An apply as it goes, for programs: one JSON object a line. Holds no secret.
//!
//! ```text
//! every line   {format_version: 1, kind: "event", at: time, event: ...} and, by `event`:
//!   "begin"       keyform: its version, project
//!   "planned"     action: as in the JSON of a plan;   "refused"   refusal: likewise
//!   "plan"        refreshed, summary: after all of them
//!   "started"     step, label;   "searching"   step, label: the answer was lost, and the account is searched
//!   "finished"    step, label, outcome, ...: as in the JSON of an apply
//!   "report"      interrupted, journal_error, done, failed, unknown, not_begun, to_look_at: counts of all steps
//!   "error"       message, help: what ended the command
//!   "end"         exit_code: the last line, always. Without it the rest was cut off
//! ```

use serde_json::{Value as Json, json};

use super::plan_json;
use super::report::{step_json, tally};
use super::text;
use crate::apply::{Event, Report, StepRef};
use crate::config::Sources;
use crate::plan::Plan;

pub fn begin(project: &str, version: &str) -> Json {
    json!({ "event": "begin", "keyform": version, "project": project })
}

/// Every action and refusal, then the counts.
pub fn plan(plan: &Plan, sources: &Sources) -> Vec<Json> {
    let actions = plan
        .steps
        .iter()
        .map(|step| json!({ "event": "planned", "action": plan_json::action(step, sources) }));
    let refusals = plan.refusals.iter().map(
        |refusal| json!({ "event": "refused", "refusal": plan_json::refusal(refusal, sources) }),
    );
    let end = json!({ "event": "plan", "refreshed": plan.refreshed, "summary": plan_json::summary(plan) });
    actions.chain(refusals).chain(std::iter::once(end)).collect()
}

pub fn step(event: &Event) -> Json {
    let of = |name: &str, step: &StepRef| json!({ "event": name, "step": step.row().tag, "label": step.label });
    match event {
        Event::Started { step } => of("started", step),
        Event::Searching { step } => of("searching", step),
        Event::Finished { step, outcome } => {
            let mut json = step_json(step, outcome);
            json["event"] = "finished".into();
            json
        }
    }
}

pub fn report(report: &Report) -> Json {
    let mut json = json!({ "event": "report", "interrupted": report.interrupted, "journal_error": report.ledger_failed });
    for (name, n) in tally(report) {
        json[name] = n.into();
    }
    json
}

pub fn error(message: &str, help: &[String]) -> Json {
    json!({ "event": "error", "message": message, "help": help })
}

pub fn end(exit_code: u8) -> Json {
    json!({ "event": "end", "exit_code": exit_code })
}

/// The line itself, without its newline.
pub fn line(mut event: Json, at: jiff::Timestamp) -> String {
    event["format_version"] = plan_json::FORMAT_VERSION.into();
    event["kind"] = "event".into();
    event["at"] = at.to_string().into();
    text::json(&event.to_string())
}
