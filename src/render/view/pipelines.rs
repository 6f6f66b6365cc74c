//! What pipelines read.

use std::collections::BTreeMap;

use serde::Serialize;

use super::programs::hash;
use super::{
    Applied, Compared, Drifted, Logged, Offer, Planned, Problems, Shown, StepResult, Told, View,
    has_no,
};
use crate::documents::to_json;
use crate::plan::Inventory;
use crate::render::github::{self, Level, annotation};
use crate::render::{
    drift, gitlab, junit, parity, plan_human, plan_json, plan_markdown, problems, report, sarif,
    terraform,
};

/// For GitHub Actions: annotations, step summary, outputs.
pub struct Github;

/// The merge request's widget of a plan, the code quality report of a check.
pub struct Gitlab;

pub struct Sarif;

pub struct Junit;

/// The members of an object of counts, and how the command ends.
fn outputs(counts: &impl Serialize, changed: bool, exit_code: u8) -> Vec<(String, String)> {
    let counts = to_json(counts);
    let mut outputs: Vec<_> = counts
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.to_string()))
        .collect();
    outputs.push(("changed".to_owned(), changed.to_string()));
    outputs.push(("exit_code".to_owned(), exit_code.to_string()));
    outputs
}

impl View for Github {
    fn problems<'a>(&self) -> Offer<Problems<'a>> {
        Some(|Problems { problems, sources, errors, warnings, summary, exit_code, .. }| {
            let notice = annotation(Level::Notice, None, "validate", &[summary]);
            let counts = BTreeMap::from([("errors", errors), ("warnings", warnings)]);
            Shown::Step(StepResult {
                annotations: github::problems(problems, sources) + &notice,
                summary: problems::for_markdown(problems, sources, summary),
                outputs: outputs(&counts, false, exit_code),
            })
        })
    }
    fn plan<'a>(&self) -> Offer<Planned<'a>> {
        Some(|planned| {
            let Planned { plan, sources, changed, exit_code, .. } = planned;
            let mut outputs = outputs(&plan_json::summary(plan), changed, exit_code);
            outputs.push(("hash".to_owned(), hash(&planned).unwrap_or_default()));
            Shown::Step(StepResult {
                annotations: github::plan(plan, sources, &plan_human::summary_line(plan)),
                summary: plan_markdown::plan(plan, sources),
                outputs,
            })
        })
    }
    fn plan_of_apply<'a>(&self) -> Offer<Planned<'a>> {
        self.plan()
    }
    fn report<'a>(&self) -> Offer<Applied<'a>> {
        Some(|Applied { report, exit_code }| {
            let changed = report.steps.iter().any(|(_, outcome)| outcome.is_done());
            Shown::Step(StepResult {
                annotations: report::for_github(report),
                summary: report::for_markdown(report),
                outputs: outputs(&report::tally(report), changed, exit_code),
            })
        })
    }
    fn drift<'a>(&self) -> Offer<Drifted<'a>> {
        Some(|Drifted { drift, sources, exit_code, .. }| {
            let counts = BTreeMap::from([
                ("differences", drift.findings.len()),
                ("ignored", drift.ignored.len()),
                ("in_order", drift.in_order),
            ]);
            Shown::Step(StepResult {
                annotations: drift::for_github(drift, sources),
                summary: drift::for_markdown(drift, sources),
                outputs: outputs(&counts, !drift.is_empty(), exit_code),
            })
        })
    }
    fn parity<'a>(&self) -> Offer<Compared<'a>> {
        Some(|Compared { parity, sources, exit_code }| {
            let all = parity.comparisons.iter();
            let differences: usize = all.map(|comparison| comparison.findings.len()).sum();
            let counts = BTreeMap::from([("differences", differences)]);
            Shown::Step(StepResult {
                annotations: parity::for_github(parity, sources),
                summary: parity::for_markdown(parity, sources),
                outputs: outputs(&counts, !parity.is_empty(), exit_code),
            })
        })
    }
    has_no!(inventory, log, told);
}

impl View for Gitlab {
    fn problems<'a>(&self) -> Offer<Problems<'a>> {
        Some(|Problems { problems, sources, .. }| {
            Shown::Json(to_json(&gitlab::problems(problems, sources)))
        })
    }
    fn plan<'a>(&self) -> Offer<Planned<'a>> {
        Some(|planned| Shown::Json(to_json(&gitlab::plan(terraform::tally(planned.picture())))))
    }
    has_no!(plan_of_apply, report, drift, parity, inventory, log, told);
}

impl View for Sarif {
    fn problems<'a>(&self) -> Offer<Problems<'a>> {
        Some(|Problems { problems, sources, .. }| {
            let log = sarif::problems(problems, sources, env!("CARGO_PKG_VERSION"));
            Shown::Json(to_json(&log))
        })
    }
    fn drift<'a>(&self) -> Offer<Drifted<'a>> {
        Some(|Drifted { drift, sources, .. }| {
            let log = sarif::of_drift(drift, sources, env!("CARGO_PKG_VERSION"));
            Shown::Json(to_json(&log))
        })
    }
    has_no!(plan, plan_of_apply, report, parity, inventory, log, told);
}

impl View for Junit {
    fn drift<'a>(&self) -> Offer<Drifted<'a>> {
        Some(|Drifted { drift, desired, sources, .. }| {
            match junit::drift(drift, desired, sources) {
                Ok(xml) => Shown::Raw(xml),
                Err(error) => Shown::Failed(error.to_string()),
            }
        })
    }
    has_no!(problems, plan, plan_of_apply, report, parity, inventory, log, told);
}
