//! What needs the record of a keyset that is there: push credentials and protections.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};

use super::{Ended, Run};
use crate::apply::push::{self, Upload};
use crate::apply::report::Outcome;
use crate::keyset::Label;
use crate::keyset::views::RecordedKeyset;
use crate::plan::{Op, PushUpload, Step};
use crate::ports::{Api, Clock, Entry, Escrow, Ledger, LedgerError, Sink};

impl<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock> Run<'_, A, L, E, S, C> {
    /// Uploads push credentials: to keysets that exist, or to those that this run made.
    pub(super) async fn uploads(&self, exist: bool, ended: &mut Vec<Ended>) {
        let wanted = |(_, step): &(usize, &Step)| {
            matches!(step.op, Op::UploadPush(_)) && step.id.is_some() == exist
        };
        let mut by_label: BTreeMap<&Label, Vec<(usize, &Step)>> = BTreeMap::new();
        for (at, step) in self.plan.iter().enumerate().filter(wanted) {
            by_label.entry(&step.label).or_default().push((at, step));
        }
        // One keyset's own one after the other: each reads and writes its record.
        let done = stream::iter(by_label.into_values())
            .map(|uploads| async move {
                let mut done = Vec::new();
                for (at, step) in uploads {
                    done.push((at, self.step(step.into(), self.upload(step)).await));
                }
                done
            })
            .buffer_unordered(self.worker.context.parallelism.max(1))
            .collect::<Vec<_>>()
            .await;
        ended.extend(done.into_iter().flatten());
    }

    async fn upload(&self, step: &Step) -> Result<Outcome, LedgerError> {
        let Op::UploadPush(upload) = &step.op else { return Ok(Outcome::Nothing) };
        let PushUpload { push, file, texts, sha256, why: _, switch_off } = &**upload;
        let label = &step.label;
        let skipped = |why: &str| Ok(Outcome::Skipped { why: why.to_owned() });
        // What is recorded from before is gone where the plan creates it.
        let old = self
            .worker
            .context
            .recorded
            .keysets
            .get(label)
            .filter(|_| step.id.is_none())
            .map(|keyset| &keyset.id);
        let Some(mut keyset) = self.worker.record(label).filter(|keyset| Some(&keyset.id) != old)
        else {
            return skipped("its keyset was not created");
        };
        let Some(content) = self.worker.context.push.get(file) else {
            return skipped("its file was not read");
        };
        let _permit = self.requests.acquire().await;
        let upload = Upload { push: *push, texts, sha256, content, switch_off: *switch_off };
        let outcome = push::upload(self.ports, label, &mut keyset, &upload).await;
        self.worker.note(label, keyset);
        outcome
    }

    /// Notes in the state what may be deleted one day.
    pub(super) async fn protections(&self, ended: &mut Vec<Ended>) {
        for (at, step) in self.plan.iter().enumerate() {
            let Op::ProtectKeyset { protect } = &step.op else { continue };
            let label = &step.label;
            let work = async {
                let Some(keyset) = self.worker.record(label) else { return Ok(Outcome::Nothing) };
                let keyset = RecordedKeyset { protect: Some(*protect), ..keyset };
                self.worker.note(label, keyset.clone());
                let entry =
                    Entry::Keyset { label: label.clone(), keyset: Box::new(keyset), intent: None };
                self.ports
                    .ledger
                    .append(entry)
                    .await
                    .map(|()| Outcome::Protected { protect: *protect })
            };
            ended.push((at, self.step(step.into(), work).await));
        }
    }
}
