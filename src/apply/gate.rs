//! The only way from a plan to something that may be carried out.

use crate::plan::Plan;

/// Who agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// `--yes`
    Flag,
    /// A person typed `yes` after seeing the plan.
    Person,
}

/// A plan without refusals that somebody agreed to.
pub struct Approved(Plan);

impl Approved {
    pub fn plan(&self) -> &Plan {
        &self.0
    }
}

/// Gives the plan back if it holds a refusal: one is enough for nothing to be applied.
pub fn approve(plan: Plan, _consent: Consent) -> Result<Approved, Box<Plan>> {
    if plan.refusals.is_empty() { Ok(Approved(plan)) } else { Err(Box::new(plan)) }
}
