//! What a plan deletes and forgets.

use futures_util::{StreamExt, stream};

use super::{Ended, Run};
use crate::apply::remove;
use crate::apply::report::{Outcome, StepRef};
use crate::plan::{Op, Step};
use crate::ports::{Api, Clock, Entry, Escrow, Ledger, Sink};

impl<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock> Run<'_, A, L, E, S, C> {
    /// Deletes and forgets what nobody declares any more: last, so that nothing is gone before what
    /// takes its place is there.
    pub(super) async fn removals(&self, ended: &mut Vec<Ended>) {
        self.removals_of(false, ended).await;
        self.removals_of(true, ended).await;
    }

    /// Keysets, or apps: these only when all of those are gone.
    async fn removals_of(&self, apps: bool, ended: &mut Vec<Ended>) {
        let wanted = |(_, step): &(usize, &Step)| step.is_removal() && step.is_app() == apps;
        if let Some(why) = self.not_all_good(ended) {
            let skipped = |why: &String| Outcome::Skipped { why: why.clone() };
            let steps = self.plan.iter().enumerate().filter(wanted);
            return ended
                .extend(steps.map(|(at, step)| (at, self.worker.end(step.into(), skipped(&why)))));
        }
        let done = stream::iter(self.plan.iter().enumerate().filter(wanted))
            .map(|(at, step)| async move { (at, self.removal(step).await) })
            .buffer_unordered(self.worker.context.parallelism.max(1))
            .collect::<Vec<_>>()
            .await;
        ended.extend(done);
    }

    async fn removal(&self, step: &Step) -> (StepRef, Outcome) {
        let label = &step.label;
        let forgotten = async |app| {
            let id = step.id.as_ref().map_or_else(String::new, ToString::to_string);
            self.ports
                .ledger
                .append(Entry::Forgotten { label: label.clone(), app })
                .await
                .map(|()| Outcome::Forgotten { id })
        };
        let work = async {
            match (&step.op, step.app_id()) {
                (Op::DeleteKeyset { .. }, _) => {
                    let Some(keyset) = self.worker.record(label) else {
                        return Ok(Outcome::Nothing);
                    };
                    let _permit = self.requests.acquire().await;
                    remove::keyset(self.ports, label, &keyset).await
                }
                (Op::DeleteApp { .. }, Some(id)) => remove::app(self.ports, label, id).await,
                (Op::ForgetKeyset | Op::ForgetApp, _) => forgotten(step.is_app()).await,
                _ => Ok(Outcome::Nothing),
            }
        };
        self.step(step.into(), work).await
    }

    /// Why nothing is deleted: something that was to be there is not.
    fn not_all_good(&self, ended: &[Ended]) -> Option<String> {
        let failed = ended.iter().find(|(_, (_, outcome))| !outcome.is_good());
        failed.map(|(_, (step, _))| {
            format!("nothing is deleted while something else is not done: {}", step.label)
        })
    }
}
