//! `show`: what is managed, from the state alone. No network, no credentials, no secret.

use super::Global;
use super::error::Exit;
use super::output::Output;
use super::project;
use crate::ops;

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
    let request = ops::show::Request { labels: &args.labels, app: args.app.as_deref() };
    let inventory = ops::show::run(&workspace, &recorded, &request)?;
    output.show(output.format().view().inventory(), &inventory);
    Ok(Exit::Done)
}
