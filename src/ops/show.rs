//! `show`: what is managed, from the state alone.

use std::collections::BTreeSet;

use super::find::{find, find_app};
use super::workspace::Workspace;
use crate::keyset::views::Recorded;
use crate::plan::{Inventory, inventory};

/// What is asked for.
pub struct Request<'a> {
    /// Only these keysets; none: all.
    pub labels: &'a [String],
    /// Only this app and its keysets.
    pub app: Option<&'a str>,
}

/// What is recorded, and whether it is declared. No network, no credentials, no secret.
pub fn run<'r>(
    workspace: &Workspace,
    recorded: &'r Recorded,
    request: &Request<'_>,
) -> anyhow::Result<Inventory<'r>> {
    let labels = request
        .labels
        .iter()
        .map(|text| Ok(find(recorded, text)?.0))
        .collect::<anyhow::Result<BTreeSet<_>>>()?;
    let app = request.app.map(|text| find_app(recorded, text)).transpose()?;
    let mut inventory = inventory(&workspace.project.desired, recorded);
    inventory.limit(&labels, app.map(|(label, _)| label));
    Ok(inventory)
}
