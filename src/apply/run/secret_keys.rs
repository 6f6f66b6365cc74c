//! Secret keys that are missing or due, and rotations that earlier runs began.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::{Ended, Run};
use crate::apply::failure::StepError;
use crate::apply::report::{Outcome, StepRef};
use crate::apply::rotate;
use crate::keyset::Label;
use crate::plan::{Op, OpKind, Rotation};
use crate::ports::{
    self, Api, Clock, Creation, Escrow, Intent, Ledger, LedgerError, Sink, Unknown,
};

impl<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock> Run<'_, A, L, E, S, C> {
    /// Makes the secret keys that are missing, and ends the rotations that earlier runs began.
    pub(super) async fn secret_keys(&self, open: Vec<Intent>, ended: &mut Vec<Ended>) {
        let planned = self.plan.iter().enumerate().filter_map(|(at, step)| match &step.op {
            Op::RotateSecret { why } => match **why {
                Rotation::Due { overlap, .. } => Some((at, &step.label, Some(overlap))),
                Rotation::Missing { .. } | Rotation::Unfinished { .. } => {
                    Some((at, &step.label, None))
                }
            },
            _ => None,
        });
        let mut wanted: Vec<(usize, OpKind, Label, Vec<Intent>)> = Vec::new();
        let mut overlaps: BTreeMap<&Label, Duration> = BTreeMap::new();
        for (at, label, overlap) in planned {
            wanted.push((at, OpKind::RotateSecret, label.clone(), Vec::new()));
            overlaps.extend(overlap.map(|overlap| (label, overlap)));
        }
        let overlaps = &overlaps;
        for (n, intent) in open
            .into_iter()
            .enumerate()
            .filter(|(_, i)| matches!(i.what, Creation::SecretKey { .. }))
        {
            let label = intent.what.label().clone();
            match wanted.iter_mut().find(|(_, _, l, _)| *l == label) {
                Some((.., intents)) => intents.push(intent),
                None => wanted.push((self.plan.len() + n, OpKind::Resolve, label, vec![intent])),
            }
        }
        let done = stream::iter(wanted)
            .map(|(at, kind, label, left)| async move {
                let step = StepRef::new(kind, &label);
                let planned = at < self.plan.len();
                (
                    at,
                    self.step(
                        step,
                        self.secret_key(&label, left, overlaps.get(&label).copied(), planned),
                    )
                    .await,
                )
            })
            .buffer_unordered(self.worker.context.parallelism.max(1))
            .collect::<Vec<_>>()
            .await;
        ended.extend(done);
    }

    /// `overlap`: how long the key of before works on, where somebody is using it. `planned`: or
    /// only what earlier runs left.
    async fn secret_key(
        &self,
        label: &Label,
        left: Vec<Intent>,
        overlap: Option<Duration>,
        planned: bool,
    ) -> Result<Outcome, LedgerError> {
        let Some(mut keyset) = self.worker.record(label) else {
            for intent in left {
                ports::void(self.ports.ledger, ports::left_open(intent)).await?;
            }
            return Ok(Outcome::Nothing);
        };
        let (left, others): (Vec<Intent>, Vec<Intent>) = left
            .into_iter()
            .partition(|i| matches!(&i.what, Creation::SecretKey { id, .. } if *id == keyset.id));
        for intent in others {
            // Its keyset is not recorded any more, and the label stands for another one.
            ports::void(self.ports.ledger, ports::left_open(intent)).await?;
        }
        if left.is_empty() && !planned {
            return Ok(Outcome::Nothing);
        }
        let Some(sink) = self.ports.sink else {
            return Ok(Outcome::Skipped { why: "no sink was probed for its secret".to_owned() });
        };
        let name = self.entry(keyset.sink_label(label));
        let expires_at =
            overlap.and_then(|overlap| self.ports.clock.now().checked_add(overlap).ok());
        if overlap.is_some() && expires_at.is_none() {
            return Ok(Outcome::Skipped {
                why: "the overlap ends after the end of time".to_owned(),
            });
        }
        let order = rotate::Order { expires_at, ..self.rotation(label, &name) };
        let _permit = self.requests.acquire().await;
        if overlap.is_some() {
            match rotate::too_many_expiring(self.ports.api, &keyset.id).await {
                Ok(None) => {}
                Ok(Some(expiring)) => return Ok(no_room(expiring, label)),
                Err(error) => return Ok(Outcome::failed(&error)),
            }
        }
        let left: Vec<Unknown> = left.into_iter().map(ports::left_open).collect();
        let outcome = rotate::repair(self.ports, sink, &mut keyset, &order, left).await;
        self.worker.note(label, keyset);
        outcome
    }
}

fn no_room(expiring: usize, label: &Label) -> Outcome {
    let why = format!(
        "{expiring} of its keys wait for their end, and the API takes no more: nothing was done"
    );
    let help = format!(
        "`keyform secrets keys {label}` shows them; wait, or end one: keyform secrets expire \
         {label} PREFIX --now"
    );
    Outcome::failed(StepError::new(why).help(help))
}
