//! What programs read.

use super::{
    Applied, Compared, Drifted, Logged, Offer, Planned, Problems, Shown, Told, View, has_no,
};
use crate::documents::problems::{Problem, Validate};
use crate::documents::{Document, Envelope};
use crate::plan::Inventory;
use crate::render::saved::PlanHash;
use crate::render::{drift, events, inventory, log, parity, plan_json, report, terraform};

/// One document.
pub struct JsonDocument;

/// A JSON object a line, while it happens.
pub struct Jsonl;

/// A plan as Terraform writes it.
pub struct TerraformJson;

/// `NAME=value`: keys of a keyset, which `env` writes itself. A view never sees a secret.
pub struct Dotenv;

/// `export NAME='value'`, likewise.
pub struct Shell;

fn document<D: Document>(document: D, exit_code: u8) -> Shown {
    Shown::Json(Envelope::new(document, exit_code).to_json())
}

/// What `apply --approve` takes; none where something is refused.
pub(super) fn hash(planned: &Planned<'_>) -> Option<String> {
    let hash = || PlanHash::of(planned.plan, planned.project).to_string();
    planned.plan.refusals.is_empty().then(hash)
}

impl View for JsonDocument {
    fn problems<'a>(&self) -> Offer<Problems<'a>> {
        Some(|Problems { problems, sources, errors, warnings, exit_code, .. }| {
            let problems = Problem::all(problems, sources);
            document(Validate { errors, warnings, problems }, exit_code)
        })
    }
    fn plan<'a>(&self) -> Offer<Planned<'a>> {
        Some(|planned| {
            let mut json = plan_json::plan(planned.plan, planned.sources);
            json["exit_code"] = planned.exit_code.into();
            json["hash"] = hash(&planned).into();
            Shown::Json(json)
        })
    }
    fn plan_of_apply<'a>(&self) -> Offer<Planned<'a>> {
        self.plan()
    }
    fn report<'a>(&self) -> Offer<Applied<'a>> {
        Some(|Applied { report, exit_code }| Shown::Json(report::json(report, exit_code)))
    }
    fn drift<'a>(&self) -> Offer<Drifted<'a>> {
        Some(|Drifted { drift, sources, exit_code, .. }| {
            document(drift::document(drift, sources), exit_code)
        })
    }
    fn parity<'a>(&self) -> Offer<Compared<'a>> {
        Some(|Compared { parity, sources, exit_code }| {
            document(parity::document(parity, sources), exit_code)
        })
    }
    fn inventory<'a>(&self) -> Offer<&'a Inventory<'a>> {
        Some(|inventory| document(inventory::document(inventory), 0))
    }
    fn log<'a>(&self) -> Offer<Logged<'a>> {
        Some(|Logged { chain, runs, exit_code, .. }| {
            document(log::document(chain, runs), exit_code)
        })
    }
    fn told(&self) -> Offer<Told> {
        Some(|Told { document, .. }| Shown::Json(document))
    }
}

impl View for Jsonl {
    fn plan_of_apply<'a>(&self) -> Offer<Planned<'a>> {
        Some(|Planned { plan, sources, .. }| Shown::Events(events::plan(plan, sources)))
    }
    fn report<'a>(&self) -> Offer<Applied<'a>> {
        Some(|Applied { report, .. }| Shown::Events(vec![events::report(report)]))
    }
    has_no!(problems, plan, drift, parity, inventory, log, told);
}

impl View for TerraformJson {
    /// On one line, as Terraform prints it: some readers want that.
    fn plan<'a>(&self) -> Offer<Planned<'a>> {
        Some(|planned| {
            let json = terraform::plan(planned.picture(), env!("CARGO_PKG_VERSION"));
            Shown::JsonLine(crate::documents::to_json(&json))
        })
    }
    has_no!(problems, plan_of_apply, report, drift, parity, inventory, log, told);
}

impl View for Dotenv {
    has_no!(problems, plan, plan_of_apply, report, drift, parity, inventory, log, told);
}

impl View for Shell {
    has_no!(problems, plan, plan_of_apply, report, drift, parity, inventory, log, told);
}
