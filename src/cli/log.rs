//! `log`: what was changed, when and by whom; and whether anybody changed the log.

use std::path::Path;

use super::Global;
use super::error::Exit;
use super::output::Output;
use super::project;
use crate::audit::RecordHash;
use crate::ops;
use crate::render::view::Logged;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only what was done to these keysets and apps
    #[arg(value_name = "LABEL")]
    labels: Vec<String>,
    /// Only the last N runs
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    runs: Option<u64>,
    /// A record that has to be there: one of `heads` (--format json) of another time, kept where
    /// nobody who can change the log can change it too
    #[arg(long, value_name = "HASH", value_parser = RecordHash::parse)]
    has: Vec<RecordHash>,
}

/// Changes nothing, takes no lock. A log that is not as it was written is an error, after it is
/// shown.
pub async fn run(global: &Global, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let workspace = project::open(global, output)?;
    let request =
        ops::log::Request { labels: args.labels.clone(), last: args.runs, has: args.has.clone() };
    let log = ops::log::run(&workspace, &request).await?;
    let (chain, runs) = (&log.chain, log.runs(&request));
    let exit = if chain.flaws.is_empty() { Exit::Done } else { Exit::Error };
    let shown = Logged { chain, runs: &runs, path: Path::new(&log.path), exit_code: exit as u8 };
    output.show(output.format().view().log(), shown);
    Ok(exit)
}
