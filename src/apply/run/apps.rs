//! Apps of a plan.

use std::collections::BTreeMap;

use super::{AGAIN, Ended, MOST_POSTS, Run, UNRESOLVED, interrupted};
use crate::apply::create::{self, Tried};
use crate::apply::report::Outcome;
use crate::apply::resolve::{self, Lost, Resolution, unresolved};
use crate::keyset::views::RecordedApp;
use crate::keyset::{AppId, Label};
use crate::plan::{Op, Reason, Step};
use crate::ports::{self, Api, Clock, Creation, Entry, Escrow, Fresh, Ledger, LedgerError, Sink};

impl<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock> Run<'_, A, L, E, S, C> {
    /// Few, and what follows needs them: one after the other.
    pub(super) async fn apps(&self, apps: &mut BTreeMap<Label, AppId>, ended: &mut Vec<Ended>) {
        let makes = |step: &Step| {
            matches!(step.op, Op::CreateApp { .. } | Op::RenameApp { .. } | Op::AdoptApp { .. })
        };
        for (at, step) in self.plan.iter().enumerate().filter(|(_, step)| makes(step)) {
            let label = &step.label;
            let (name, outcome) = self.step(step.into(), self.app_step(step)).await;
            if !matches!(step.op, Op::RenameApp { .. }) {
                // What the label stood for before is not what the plan puts keysets into.
                apps.remove(label);
            }
            if let Outcome::App { id } = &outcome {
                apps.insert(label.clone(), id.clone());
            }
            ended.push((at, (name, outcome)));
        }
    }

    async fn app_step(&self, step: &Step) -> Result<Outcome, LedgerError> {
        let record = async |label: &Label, app: RecordedApp| {
            let id = app.id.clone();
            self.ports
                .ledger
                .append(Entry::App { label: label.clone(), app, intent: None })
                .await
                .map(|()| Outcome::App { id })
        };
        let label = &step.label;
        match (&step.op, step.app_id()) {
            (Op::CreateApp { reason: Reason::Unfinished { .. }, .. }, _) => {
                Ok(Outcome::Skipped { why: UNRESOLVED.to_owned() })
            }
            (Op::CreateApp { name, .. }, _) => {
                let known = self
                    .worker
                    .context
                    .live
                    .apps
                    .values()
                    .filter(|a| a.name == *name)
                    .map(|a| a.id.clone())
                    .collect();
                let intent =
                    self.intent(Creation::App { label: label.clone(), name: name.clone(), known });
                self.app(ports::intend(self.ports.ledger, intent).await?).await
            }
            (Op::RenameApp { to, .. }, Some(id)) => match self.ports.api.patch_app(id, to).await {
                Ok(app) => {
                    record(label, RecordedApp { id: app.id, name: app.name, managed: true }).await
                }
                Err(error) => Ok(Outcome::failed(&error)),
            },
            (Op::AdoptApp { name }, Some(id)) => {
                record(label, RecordedApp { id: id.clone(), name: name.clone(), managed: false })
                    .await
            }
            _ => Ok(Outcome::Nothing),
        }
    }

    /// Carries an app's create to its end: post it, look for it if its answer is lost, post again
    /// only what is proved absent.
    async fn app(&self, mut fresh: Fresh) -> Result<Outcome, LedgerError> {
        for posts in 1.. {
            let (unknown, why) = match create::app(self.ports, fresh).await? {
                Tried::Done(outcome, _) => return Ok(outcome),
                Tried::Lost(unknown, why) => (unknown, why),
            };
            let lost = Lost::now(unknown, self.ports.clock, self.ports.clock.monotonic());
            match resolve::apps(
                self.ports.api,
                self.ports.clock,
                vec![lost],
                self.worker.patience(),
            )
            .await
            .pop()
            {
                Some(Resolution::Mine(unknown, app)) => {
                    return create::found_app(self.ports.ledger, unknown, *app).await;
                }
                // No new work after an interrupt, and another post is new work.
                Some(Resolution::Absent(_)) if (self.worker.context.stop)() => {
                    return Ok(interrupted(why));
                }
                Some(Resolution::Absent(_)) if posts == MOST_POSTS => {
                    return Ok(Outcome::unknown(AGAIN));
                }
                Some(Resolution::Absent(proof)) => fresh = proof,
                Some(other) => return Ok(unresolved(why, "apps", &other)),
                None => return Ok(Outcome::unknown(why)),
            }
        }
        Ok(Outcome::unknown(AGAIN))
    }
}
