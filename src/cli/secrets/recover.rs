//! `secrets recover`: what an interrupted run left sealed in the journal.

use super::super::error::Exit;
use super::super::lock::LockArgs;
use super::super::output::Output;
use super::super::session::Session;
use super::super::sinks;
use std::time::Duration;

use super::super::clock::SystemClock;
use crate::api::Client;
use crate::apply::{Recovered, Recovery, Report};
use crate::render::report;
use crate::secrets::AnySink;
use crate::state::{Snapshot, Store};

pub async fn run(session: &Session, lock: &LockArgs, output: &Output) -> anyhow::Result<Exit> {
    session.prepare_state_folder()?;
    let (store, snapshot) = lock.open(session, "secrets recover", output).await?;
    let sealed = snapshot.open.iter().any(|open| open.sealed.is_some());
    let recovered = if sealed {
        recover(session, &store, &snapshot, &sinks::all(session)?, None, Duration::ZERO).await
    } else {
        Ok(Recovered::default())
    };
    let folded = store.fold().await;
    let report = Report { steps: recovered?.steps, ..Report::default() };
    folded?;
    let exit = if report.all_good() { Exit::Done } else { Exit::Partial };
    if output.is_json() {
        output.json(&report::json(&report, exit as u8));
    } else if report.steps.is_empty() {
        output.result("Nothing is sealed in the journal.\n");
    } else {
        for (step, outcome) in &report.steps {
            output.result(&format!("{}\n", report::line(step, outcome)));
        }
    }
    Ok(exit)
}

/// Stores and records what is sealed. Needs a sink; and where the state contradicts what is sealed,
/// the account, if `api` is there to ask it. `settle`: how long a new key may take to be listed.
pub async fn recover(
    session: &Session,
    store: &Store,
    snapshot: &Snapshot,
    sinks: &[AnySink],
    api: Option<&Client>,
    settle: Duration,
) -> anyhow::Result<Recovered> {
    let sink = sinks::first_usable(sinks).await?;
    let envelope = sinks::opener(session, sink, sinks).await?;
    let desired = &session.project.desired;
    let homes = sinks::homes(session);
    let custody = sinks::custody(session, &homes, snapshot);
    let (ledger, escrow, recorded) = (store, &envelope, &snapshot.recorded);
    let recovery = Recovery {
        api,
        ledger,
        escrow,
        clock: &SystemClock,
        sink,
        sinks,
        custody: &custody,
        settle,
        recorded,
        desired,
    };
    Ok(recovery.run(&snapshot.open).await?)
}
