//! `show`: what is managed, from the state alone. No network, no credentials, no secret.

use std::collections::BTreeSet;

use super::Global;
use super::error::Exit;
use super::output::Output;
use super::project;

use crate::ops::find::{find, find_app};
use crate::plan::inventory;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these keysets
    #[arg(value_name = "LABEL")]
    labels: Vec<String>,
    /// Only this app and its keysets
    #[arg(long, value_name = "LABEL")]
    app: Option<String>,
}

/// Changes nothing, takes no lock.
pub async fn run(global: &Global, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let workspace = project::open(global, output)?;
    let recorded = workspace.snapshot().await?.recorded;
    let labels = args
        .labels
        .iter()
        .map(|text| Ok(find(&recorded, text)?.0))
        .collect::<anyhow::Result<BTreeSet<_>>>()?;
    let app = args.app.as_ref().map(|text| find_app(&recorded, text)).transpose()?;
    let mut inventory = inventory(&workspace.project.desired, &recorded);
    inventory.limit(&labels, app.map(|(label, _)| label));
    output.show(output.format().view().inventory(), &inventory);
    Ok(Exit::Done)
}
