//! Creates that earlier runs began and whose answers are missing: looked for before anything is
//! planned, so that a plan stands on what is there. Nothing is sent that changes the account; what
//! is found is recorded, and what is certainly not there is forgotten, so that the plan creates it
//! anew if it is still wanted.

use std::cell::RefCell;
use std::time::Duration;

use super::failure::StepError;
use super::report::{Event, Outcome, StepRef};
use super::resolve::{self, Lost, Patience, Resolution};
use super::{create, refresh};
use crate::keyset::views::{Desired, LiveKeyset, Recorded};
use crate::keyset::{FieldId, Label, Value};
use crate::plan::OpKind;
use crate::ports::{self, Api, Clock, Creation, Intent, Ledger, LedgerError, Unknown};

/// What is looked for, and what is known.
pub struct Search<'a, A, L, C> {
    pub api: &'a A,
    pub ledger: &'a L,
    pub clock: &'a C,
    pub recorded: &'a Recorded,
    pub desired: &'a Desired,
    /// How long one request may take.
    pub timeout: Duration,
    pub settle: Duration,
    pub on_event: &'a dyn Fn(Event),
}

const WHY: &str = "an earlier run ended before its answer came";

impl<A: Api, L: Ledger, C: Clock> Search<'_, A, L, C> {
    /// Looks for all of them; intents about secret keys are not its business.
    pub async fn run(&self, open: Vec<Intent>) -> Result<Vec<(StepRef, Outcome)>, LedgerError> {
        let (apps, others): (Vec<Intent>, Vec<Intent>) =
            open.into_iter().partition(|i| matches!(i.what, Creation::App { .. }));
        let keysets: Vec<Intent> =
            others.into_iter().filter(|i| matches!(i.what, Creation::Keyset { .. })).collect();
        let mut steps = Vec::new();

        let labels = self.begun(&apps);
        let found = resolve::apps(self.api, self.clock, self.lost(apps), self.patience()).await;
        for (label, resolution) in labels.into_iter().zip(found) {
            let outcome = match resolution {
                Resolution::Mine(unknown, app) => {
                    create::found_app(self.ledger, unknown, *app).await?
                }
                Resolution::Absent(fresh) => {
                    ports::withdraw(self.ledger, fresh).await.map(|()| Outcome::Nothing)?
                }
                other => resolve::unresolved(WHY, "apps", &other),
            };
            steps.push(self.end(label, outcome));
        }

        let labels = self.begun(&keysets);
        let taken =
            RefCell::new(self.recorded.keysets.values().map(|keyset| keyset.id.clone()).collect());
        let found =
            resolve::keysets(self.api, self.clock, self.lost(keysets), &taken, self.patience())
                .await;
        for (label, resolution) in labels.into_iter().zip(found) {
            let outcome = match resolution {
                Resolution::Mine(unknown, live) => self.found(&label, unknown, *live).await?,
                Resolution::Absent(fresh) => {
                    ports::withdraw(self.ledger, fresh).await.map(|()| Outcome::Nothing)?
                }
                other => resolve::unresolved(WHY, "keysets", &other),
            };
            steps.push(self.end(label, outcome));
        }
        Ok(steps)
    }

    /// Records it, unless its label stands for another one by now that exists.
    async fn found(
        &self,
        label: &Label,
        unknown: Unknown,
        live: LiveKeyset,
    ) -> Result<Outcome, LedgerError> {
        let replaced = match &unknown.intent().what {
            Creation::Keyset { replaces, .. } => replaces.clone(),
            Creation::App { .. } | Creation::SecretKey { .. } => None,
        };
        if let Some(recorded) = self.recorded.keysets.get(label)
            && Some(&recorded.id) != replaced.as_ref()
            && recorded.id != live.id
        {
            match refresh::exists(self.api, &recorded.id).await {
                Ok(false) => {}
                Ok(true) => {
                    let (made, known) = (&live.id, &recorded.id);
                    let why = format!(
                        "an earlier run made keyset {made} for it, and the state records {known}: \
                         there are two now"
                    );
                    let help = format!(
                        "delete the one that is not wanted in the portal ({made} is in nobody's \
                         hand), then apply again"
                    );
                    return Ok(Outcome::failed(StepError::new(why).help(help)));
                }
                Err(error) => {
                    let why = format!("asking for the one that is recorded failed: {error}");
                    return Ok(Outcome::unknown(StepError::new(WHY).and(why)));
                }
            }
        }
        let settings: Vec<(FieldId, Value)> =
            self.desired.keysets.get(label).map_or_else(Vec::new, |keyset| {
                keyset
                    .settings
                    .iter()
                    .map(|setting| (setting.field, setting.value.clone()))
                    .collect()
            });
        let id = live.id.clone();
        create::found(self.api, self.ledger, unknown, live, &settings)
            .await
            .map(|_| Outcome::Found { id })
    }

    fn begun(&self, intents: &[Intent]) -> Vec<Label> {
        let labels: Vec<Label> = intents.iter().map(|intent| intent.what.label().clone()).collect();
        labels.iter().for_each(|label| (self.on_event)(Event::Searching { step: step(label) }));
        labels
    }

    fn end(&self, label: Label, outcome: Outcome) -> (StepRef, Outcome) {
        let step = step(&label);
        (self.on_event)(Event::Finished { step: step.clone(), outcome: outcome.clone() });
        (step, outcome)
    }

    fn lost(&self, intents: Vec<Intent>) -> Vec<Lost> {
        intents
            .into_iter()
            .map(|intent| Lost::earlier(ports::left_open(intent), self.clock, self.timeout))
            .collect()
    }

    fn patience(&self) -> Patience<'_> {
        Patience { settle: self.settle, stop: &|| false }
    }
}

fn step(label: &Label) -> StepRef {
    StepRef::new(OpKind::Resolve, label)
}
