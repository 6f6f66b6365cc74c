//! `log`: what was changed, when and by whom; and whether anybody changed the log.

use std::path::Path;

use super::Global;
use super::error::{Cause, Exit, Failure};
use super::output::Output;
use super::project;
use crate::audit::RecordHash;
use crate::render::log::Runs;
use crate::render::view::Logged;
use crate::state;

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
    let storage = workspace.storage();
    let snapshot = workspace.snapshot().await?;
    let mut chain = state::read_log(&*storage, &snapshot.log).await?.unwrap_or_default();
    chain.expect(&args.has);
    let runs = Runs::of(&chain, &args.labels, args.runs);
    if !args.labels.is_empty() && runs.is_empty() && chain.flaws.is_empty() {
        let failure = Failure::new(
            Cause::Error,
            format!("nothing in the log is about {}", args.labels.join(", ")),
        );
        return Err(failure
            .help("`keyform log` shows all of it; keysets and apps are named by their labels")
            .into());
    }
    let exit = if chain.flaws.is_empty() { Exit::Done } else { Exit::Error };
    let shown = Logged {
        chain: &chain,
        runs: &runs,
        path: Path::new(&*storage.places().log),
        exit_code: exit as u8,
    };
    output.show(output.format().view().log(), shown);
    Ok(exit)
}
