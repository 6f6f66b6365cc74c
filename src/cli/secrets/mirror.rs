//! `secrets mirror`: copies of secrets to where the configuration wants them, again.

use super::super::error::exit_of;
use super::super::error::{Exit, Failure};
use super::super::lock::LockArgs;
use super::super::mirrors::{self, Sender};
use super::super::output::Output;
use super::super::session::Session;
use super::super::signals::stop_on_signals;
use super::super::sinks;
use super::find;
use crate::apply::mirror::Copy;
use crate::apply::{Outcome, Report};
use crate::keyset::Label;
use crate::render::report;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Labels of keysets; all of them if none is named
    labels: Vec<String>,
    #[command(flatten)]
    lock: LockArgs,
}

pub async fn run(session: &Session, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    session.prepare_state_folder()?;
    let (store, snapshot) = args.lock.open(session, "secrets mirror", output).await?;
    let labels: Vec<&Label> = if args.labels.is_empty() {
        snapshot.recorded.keysets.keys().collect()
    } else {
        args.labels
            .iter()
            .map(|text| find(&snapshot.recorded, text).map(|(label, _)| label))
            .collect::<anyhow::Result<_>>()?
    };
    let copies: Vec<Copy> =
        labels.into_iter().flat_map(|label| mirrors::wanted(session, label)).collect();
    let Some(github) = mirrors::reach(&copies).await? else {
        let failure = Failure::new(
            Exit::Error,
            "no `[secrets.mirror.github]` covers a keyset that is recorded: nothing was sent",
        );
        return Err(failure.into());
    };
    let stop = stop_on_signals(output)?;
    let stop = || stop.load(std::sync::atomic::Ordering::SeqCst);
    let homes = sinks::homes(session);
    let custody = sinks::custody(session, &homes, &snapshot);
    let sender =
        Sender { store: &store, custody: &custody, again: true, stop: &stop, on_event: &|_| {} };
    let (steps, ended) = sender.send(&github, &copies).await;
    store.fold().await?;
    let interrupted =
        stop() && steps.iter().any(|(_, outcome)| matches!(outcome, Outcome::Skipped { .. }));
    let report =
        Report { steps, interrupted, ledger_failed: ended.err().map(|error| error.to_string()) };
    let exit = exit_of(&report);
    if output.is_json() {
        output.json(&report::json(&report, exit as u8));
    } else {
        output.result(&report::lines(&report));
    }
    Ok(exit)
}
