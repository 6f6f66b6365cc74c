//! What an interrupted run left sealed in the journal.

use std::time::Duration;

use super::super::clock::SystemClock;
use super::super::sinks;
use super::super::workspace::Workspace;
use super::super::writer::{Writer, Writing};
use crate::api::Client;
use crate::apply::{Recovered, Recovery, Report};
use crate::secrets::AnySink;
use crate::state::{Snapshot, Store};

/// Stores and records what is sealed. The account is not asked.
pub async fn run(workspace: &Workspace, writing: Writing<'_>) -> anyhow::Result<Report> {
    let finished = Writer::run(workspace, writing, async |writer, snapshot| {
        if snapshot.open.iter().all(|open| open.sealed.is_none()) {
            return Ok(Recovered::default());
        }
        let sinks = sinks::all(workspace)?;
        recover(workspace, writer.store(), &snapshot, &sinks, Asking::nobody()).await
    });
    Ok(Report { steps: finished.await?.whole()?.steps, ..Report::default() })
}

/// Whom to ask where the state contradicts what is sealed.
pub struct Asking<'a> {
    pub api: Option<&'a Client>,
    /// How long a new key may take to be listed.
    pub settle: Duration,
}

impl Asking<'_> {
    pub fn nobody() -> Asking<'static> {
        Asking { api: None, settle: Duration::ZERO }
    }
}

/// The same in a scope that is there already. Needs a sink.
pub async fn recover(
    workspace: &Workspace,
    store: &Store,
    snapshot: &Snapshot,
    sinks: &[AnySink],
    asking: Asking<'_>,
) -> anyhow::Result<Recovered> {
    let sink = sinks::first_usable(sinks).await?;
    let envelope = sinks::opener(workspace, sink, sinks).await?;
    let homes = sinks::homes(workspace);
    let custody = sinks::custody(workspace, &homes, snapshot);
    let recovery = Recovery {
        api: asking.api,
        ledger: store,
        escrow: &envelope,
        clock: &SystemClock,
        sink,
        sinks,
        custody: &custody,
        settle: asking.settle,
        recorded: &snapshot.recorded,
        desired: &workspace.project.desired,
    };
    Ok(recovery.run(&snapshot.open).await?)
}
