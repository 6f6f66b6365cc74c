//! Copies of secrets go to where the configuration wants them, again.

use std::sync::atomic::Ordering;

use super::super::error::{Cause, Failure};
use super::super::find::find;
use super::super::mirrors::{self, Sender};
use super::super::sinks;
use super::super::workspace::Workspace;
use super::super::writer::{Writer, Writing};
use super::HoldInterrupts;
use crate::apply::mirror::Copy;
use crate::apply::{Outcome, Report};
use crate::keyset::Label;

/// `labels`: of keysets; all of them if there is none.
pub async fn mirror(
    workspace: &Workspace,
    writing: Writing<'_>,
    labels: &[String],
    hold_interrupts: HoldInterrupts<'_>,
) -> anyhow::Result<Report> {
    let finished = Writer::run(workspace, writing, async |writer, snapshot| {
        let labels: Vec<&Label> = if labels.is_empty() {
            snapshot.recorded.keysets.keys().collect()
        } else {
            let find = |text: &String| find(&snapshot.recorded, text).map(|(label, _)| label);
            labels.iter().map(find).collect::<anyhow::Result<_>>()?
        };
        let copies: Vec<Copy> =
            labels.into_iter().flat_map(|label| mirrors::wanted(workspace, label)).collect();
        let Some(github) = mirrors::reach(&workspace.environment, &copies).await? else {
            let told =
                "no `[secrets.mirror.github]` covers a keyset that is recorded: nothing was sent";
            return Err(Failure::new(Cause::Error, told).into());
        };
        let stop = hold_interrupts()?;
        let stop = || stop.load(Ordering::SeqCst);
        let homes = sinks::homes(workspace);
        let custody = sinks::custody(workspace, &homes, &snapshot);
        let sender = Sender {
            store: writer.store(),
            custody: &custody,
            again: true,
            stop: &stop,
            on_event: &|_| {},
        };
        let (steps, ended) = sender.send(&github, &copies).await;
        let interrupted =
            stop() && steps.iter().any(|(_, outcome)| matches!(outcome, Outcome::Skipped { .. }));
        Ok(Report { steps, interrupted, ledger_failed: ended.err().map(|error| error.to_string()) })
    });
    finished.await?.whole()
}
