//! `secrets recover`: what an interrupted run left sealed in the journal.

use super::super::error::Exit;
use super::super::output::Output;
use super::super::project::LockArgs;
use crate::ops::Workspace;
use crate::ops::secrets::recover;
use crate::render::report;

pub async fn run(workspace: &Workspace, lock: &LockArgs, output: &Output) -> anyhow::Result<Exit> {
    let writing = lock.writing("secrets recover", output);
    let report = recover::run(workspace, writing).await?;
    let exit = if report.all_good() { Exit::Done } else { Exit::Partial };
    if output.is_json() {
        output.json(&report::json(&report, exit as u8));
    } else if report.steps.is_empty() {
        output.result("Nothing is sealed in the journal.\n");
    } else {
        for (step, outcome) in &report.steps {
            output.result(&format!("{}\n", report::line(step, outcome)));
        }
    }
    Ok(exit)
}
