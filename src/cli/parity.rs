//! `parity`: where two sides that are to be the same are not.

use super::Global;
use super::arguments::Refresh;
use super::error::Exit;
use super::output::Output;
use super::project::{self, ConnectArgs};
use crate::ops;
use crate::render::view::Compared;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A keyset, an app (app:LABEL) or a pattern ('*-staging'); without it every [[parity]] of the
    /// TOML
    #[arg(requires = "b")]
    a: Option<String>,
    /// What it is compared with: another one of the same kind
    b: Option<String>,
    /// Look at the live account too, or compare what is declared alone (no network, no credentials)
    #[arg(long, value_enum, default_value_t = Refresh::Full)]
    refresh: Refresh,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub async fn run(global: &Global, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let workspace = project::open(global, output)?;
    let request = ops::parity::Request {
        sides: args.a.clone().zip(args.b.clone()),
        refresh: (args.refresh == Refresh::Full).then(|| args.connect.options()),
    };
    let parity = ops::parity::run(&workspace, &request).await?;
    let exit = if parity.is_empty() { Exit::Done } else { Exit::Differences };
    let shown = Compared { parity: &parity, sources: &workspace.sources, exit_code: exit as u8 };
    output.show(output.format().view().parity(), shown);
    Ok(exit)
}
