//! Carries an approved plan out: apps, then keysets several at a time, then what got lost on the
//! way, then secret keys. What earlier runs left was looked for before the plan was made.

mod apps;
mod keysets;
mod records;
mod removals;
mod secret_keys;

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use tokio::sync::Semaphore;

use super::context::{Context, Ports};
use super::failure::StepError;
use super::gate::Approved;
use super::report::{Outcome, Report, StepRef};
use super::rotate;
use super::worker::Worker;
use crate::keyset::{AppId, Label};
use crate::plan::{Op, Step};
use crate::ports::{Api, Clock, Creation, Escrow, Intent, Ledger, LedgerError, SecretName, Sink};

/// Posts of one create in one run: the first, and one more after its absence was proved.
const MOST_POSTS: u32 = 2;
/// Creates under way: while some wait for the disk or the sink, others send. One request at a time
/// is one create at a time.
fn under_way(parallelism: usize) -> usize {
    if parallelism <= 1 { 1 } else { 4 * parallelism }
}

/// Carries the plan out and says what happened to each step. One failure does not stop the others;
/// a journal that cannot be written stops everything, a sink that fails stops the creates.
pub async fn run<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    approved: &Approved,
    mut context: Context<'_>,
) -> Report {
    let open = std::mem::take(&mut context.open);
    let worker = Worker::new(&context);
    let run = Run {
        ports,
        worker: &worker,
        requests: Semaphore::new(context.parallelism.max(1)),
        plan: &approved.plan().steps,
    };
    let steps = run.all(open).await;
    Report { steps, interrupted: worker.interrupted(), ledger_failed: worker.ledger_failed() }
}

struct Run<'a, A, L, E, S, C> {
    ports: &'a Ports<'a, A, L, E, S, C>,
    worker: &'a Worker<'a>,
    /// One permit for each request in flight.
    requests: Semaphore,
    plan: &'a [Step],
}

/// A step's place in the report, and how it ended.
type Ended = (usize, (StepRef, Outcome));

impl<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock> Run<'_, A, L, E, S, C> {
    async fn all(&self, open: Vec<Intent>) -> Vec<(StepRef, Outcome)> {
        let mut ended: Vec<Ended> = Vec::new();
        let mut apps: BTreeMap<Label, AppId> = self
            .worker
            .context
            .recorded
            .apps
            .iter()
            .map(|(label, app)| (label.clone(), app.id.clone()))
            .collect();
        self.apps(&mut apps, &mut ended).await;

        // Before what turns it on is sent.
        self.uploads(true, &mut ended).await;
        let keysets =
            |step: &Step| matches!(step.op, Op::CreateKeyset { .. } | Op::UpdateKeyset { .. });
        let apps = &apps;
        let attempts = stream::iter(self.plan.iter().enumerate().filter(|(_, step)| keysets(step)))
            .map(|(at, step)| async move { self.keyset(at, step, apps).await })
            .buffer_unordered(under_way(self.worker.context.parallelism))
            .collect::<Vec<_>>()
            .await;
        self.look_for_the_lost(attempts, &mut ended).await;
        self.uploads(false, &mut ended).await;
        self.secret_keys(open, &mut ended).await;
        self.protections(&mut ended).await;
        self.removals(&mut ended).await;

        ended.sort_by_key(|(at, _)| *at);
        ended.into_iter().map(|(_, step)| step).collect()
    }

    /// A step from its beginning to its end, unless something speaks against beginning it.
    async fn step(
        &self,
        step: StepRef,
        work: impl Future<Output = Result<Outcome, LedgerError>>,
    ) -> (StepRef, Outcome) {
        match self.worker.begin(&step) {
            Ok(()) => {
                let outcome = work.await;
                self.end(step, outcome)
            }
            Err(skipped) => self.worker.end(step, *skipped),
        }
    }

    fn end(&self, step: StepRef, outcome: Result<Outcome, LedgerError>) -> (StepRef, Outcome) {
        let outcome = outcome.unwrap_or_else(|error| self.worker.broken(&error));
        self.worker.end(step, outcome)
    }

    fn entry(&self, label: &Label) -> SecretName {
        self.ports.custody.entry(label)
    }

    fn rotation<'r>(&'r self, label: &'r Label, name: &'r SecretName) -> rotate::Order<'r> {
        rotate::Order {
            label,
            name,
            expires_at: None,
            patience: self.worker.patience(),
            overwrite: false,
        }
    }

    fn intent(&self, what: Creation) -> Intent {
        Intent { id: uuid::Uuid::new_v4(), at: self.ports.clock.now(), what }
    }
}

const UNRESOLVED: &str = "what became of an earlier create of it is not known: see above";
const AGAIN: &str = "its answer was lost again and again";

fn interrupted(lost: StepError) -> Outcome {
    Outcome::unknown(lost.and("interrupted before it was sent again"))
}
