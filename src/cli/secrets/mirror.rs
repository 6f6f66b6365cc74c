//! `secrets mirror`: copies of secrets to where the configuration wants them, again.

use super::super::error::exit_of;
use super::super::error::{Cause, Exit, Failure};
use super::super::output::Output;
use super::super::project::LockArgs;
use super::super::signals::stop_on_signals;
use crate::apply::mirror::Copy;
use crate::apply::{Outcome, Report};
use crate::keyset::Label;
use crate::ops::Workspace;
use crate::ops::Writer;
use crate::ops::find::find;
use crate::ops::mirrors::{self, Sender};
use crate::ops::sinks;
use crate::render::report;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Labels of keysets; all of them if none is named
    labels: Vec<String>,
    #[command(flatten)]
    lock: LockArgs,
}

pub async fn run(workspace: &Workspace, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let writing = args.lock.writing("secrets mirror", output);
    let finished = Writer::run(workspace, writing, async |writer, snapshot| {
        let labels: Vec<&Label> = if args.labels.is_empty() {
            snapshot.recorded.keysets.keys().collect()
        } else {
            args.labels
                .iter()
                .map(|text| find(&snapshot.recorded, text).map(|(label, _)| label))
                .collect::<anyhow::Result<_>>()?
        };
        let copies: Vec<Copy> =
            labels.into_iter().flat_map(|label| mirrors::wanted(workspace, label)).collect();
        let Some(github) = mirrors::reach(&workspace.environment, &copies).await? else {
            let failure = Failure::new(
                Cause::Error,
                "no `[secrets.mirror.github]` covers a keyset that is recorded: nothing was sent",
            );
            return Err(failure.into());
        };
        let stop = stop_on_signals(output)?;
        let stop = || stop.load(std::sync::atomic::Ordering::SeqCst);
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
    let report = finished.await?.whole()?;
    let exit = exit_of(&report);
    if output.is_json() {
        output.json(&report::json(&report, exit as u8));
    } else {
        output.result(&report::lines(&report));
    }
    Ok(exit)
}
