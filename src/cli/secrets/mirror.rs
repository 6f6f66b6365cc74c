//! `secrets mirror`: copies of secrets to where the configuration wants them, again.

use super::super::error::{Exit, exit_of};
use super::super::output::Output;
use super::super::project::LockArgs;
use super::super::signals::stop_on_signals;
use crate::ops::Workspace;
use crate::ops::secrets::mirror;
use crate::render::report;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Labels of keysets; all of them if none is named
    labels: Vec<String>,
    #[command(flatten)]
    lock: LockArgs,
}

pub async fn run(workspace: &Workspace, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let writing = args.lock.writing("secrets mirror", output);
    let hold_interrupts = || stop_on_signals(output);
    let report = mirror::mirror(workspace, writing, &args.labels, &hold_interrupts).await?;
    let exit = exit_of(&report);
    if output.is_json() {
        output.json(&report::json(&report, exit as u8));
    } else {
        output.result(&report::lines(&report));
    }
    Ok(exit)
}
