//! `drift`: what is not as declared, applied or known, and who changed it.

use super::account::ConnectOptions;
use super::plan::look;
use super::push;
use super::workspace::Workspace;
use crate::plan::{Drift, drift};

/// Compares TOML, record and account. Changes nothing, takes no lock. `unmanaged`: keysets and apps
/// too that nobody manages.
pub async fn run(
    workspace: &Workspace,
    options: &ConnectOptions,
    unmanaged: bool,
) -> anyhow::Result<Drift> {
    let snapshot = workspace.snapshot().await?;
    let live = look(workspace, &snapshot, options).await?;
    let (files, _) = push::read(workspace);
    Ok(drift(&workspace.project.desired, &snapshot.recorded, &live, &files, unmanaged))
}
