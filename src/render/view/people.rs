//! What people read: on a terminal, and in a comment.

use super::{
    Applied, Compared, Drifted, Logged, Offer, Planned, Problems, Shown, Told, View, has_no,
};
use crate::plan::Inventory;
use crate::render::style::GOOD;
use crate::render::{drift, inventory, log, parity, plan_human, plan_markdown, problems, report};

pub struct Human;

/// For comments and issues.
pub struct Markdown;

fn text(stdout: String) -> Shown {
    Shown::Text { stdout, stderr: None }
}

impl View for Human {
    fn problems<'a>(&self) -> Offer<Problems<'a>> {
        Some(|Problems { problems, sources, summary, color, .. }| {
            let mut told = Vec::new();
            if !problems.is_empty() {
                told.push(problems::human(problems, sources, color).trim_end().to_owned());
            }
            let stdout = match summary.strip_prefix("Valid") {
                Some(rest) => format!("{GOOD}Valid{GOOD:#}{rest}\n"),
                None => {
                    told.push(format!("\n{summary}"));
                    String::new()
                }
            };
            Shown::Text { stdout, stderr: (!told.is_empty()).then(|| told.join("\n")) }
        })
    }
    fn plan<'a>(&self) -> Offer<Planned<'a>> {
        Some(|Planned { plan, sources, verbose, .. }| {
            text(plan_human::plan(plan, sources, plan_human::Options { verbose }))
        })
    }
    fn plan_of_apply<'a>(&self) -> Offer<Planned<'a>> {
        self.plan()
    }
    fn report<'a>(&self) -> Offer<Applied<'a>> {
        Some(|Applied { report, .. }| text(report::human(report)))
    }
    fn drift<'a>(&self) -> Offer<Drifted<'a>> {
        Some(|Drifted { drift, sources, .. }| text(drift::human(drift, sources)))
    }
    fn parity<'a>(&self) -> Offer<Compared<'a>> {
        Some(|Compared { parity, sources, .. }| text(parity::human(parity, sources)))
    }
    fn inventory<'a>(&self) -> Offer<&'a Inventory<'a>> {
        Some(|inventory| text(inventory::human(inventory)))
    }
    fn log<'a>(&self) -> Offer<Logged<'a>> {
        Some(|Logged { chain, runs, path, .. }| {
            let stderr = (!chain.flaws.is_empty()).then(|| log::flaws(chain, path));
            Shown::Text { stdout: log::human(chain, runs), stderr }
        })
    }
    fn told(&self) -> Offer<Told> {
        Some(|Told { text: told, .. }| text(told))
    }
}

impl View for Markdown {
    fn problems<'a>(&self) -> Offer<Problems<'a>> {
        Some(|Problems { problems, sources, summary, .. }| {
            Shown::Raw(problems::for_markdown(problems, sources, summary))
        })
    }
    fn plan<'a>(&self) -> Offer<Planned<'a>> {
        Some(|Planned { plan, sources, .. }| Shown::Raw(plan_markdown::plan(plan, sources)))
    }
    fn plan_of_apply<'a>(&self) -> Offer<Planned<'a>> {
        self.plan()
    }
    fn report<'a>(&self) -> Offer<Applied<'a>> {
        Some(|Applied { report, .. }| Shown::Raw(report::for_markdown(report)))
    }
    fn drift<'a>(&self) -> Offer<Drifted<'a>> {
        Some(|Drifted { drift, sources, .. }| Shown::Raw(drift::for_markdown(drift, sources)))
    }
    fn parity<'a>(&self) -> Offer<Compared<'a>> {
        Some(|Compared { parity, sources, .. }| Shown::Raw(parity::for_markdown(parity, sources)))
    }
    fn inventory<'a>(&self) -> Offer<&'a Inventory<'a>> {
        Some(|inventory| Shown::Raw(inventory::for_markdown(inventory)))
    }
    has_no!(log, told);
}
