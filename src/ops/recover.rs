//! What an interrupted run left sealed in the journal.

use std::time::Duration;

use super::clock::SystemClock;
use super::sinks;
use super::workspace::Workspace;
use crate::api::Client;
use crate::apply::{Recovered, Recovery};
use crate::secrets::AnySink;
use crate::state::{Snapshot, Store};

/// Stores and records what is sealed. Needs a sink; and where the state contradicts what is sealed,
/// the account, if `api` is there to ask it. `settle`: how long a new key may take to be listed.
pub async fn recover(
    workspace: &Workspace,
    store: &Store,
    snapshot: &Snapshot,
    sinks: &[AnySink],
    api: Option<&Client>,
    settle: Duration,
) -> anyhow::Result<Recovered> {
    let sink = sinks::first_usable(sinks).await?;
    let envelope = sinks::opener(workspace, sink, sinks).await?;
    let desired = &workspace.project.desired;
    let homes = sinks::homes(workspace);
    let custody = sinks::custody(workspace, &homes, snapshot);
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
