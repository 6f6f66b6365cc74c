//! `secrets recover`: what an interrupted run left sealed in the journal.

use super::super::error::Exit;
use super::super::output::Output;
use super::super::project::LockArgs;
use crate::ops::Workspace;
use crate::ops::sinks;
use std::time::Duration;

use crate::apply::{Recovered, Report};
use crate::ops::Writer;
use crate::ops::recover::recover;
use crate::render::report;

pub async fn run(workspace: &Workspace, lock: &LockArgs, output: &Output) -> anyhow::Result<Exit> {
    let writing = lock.writing("secrets recover", output);
    let finished = Writer::run(workspace, writing, async |writer, snapshot| {
        if snapshot.open.iter().all(|open| open.sealed.is_none()) {
            return Ok(Recovered::default());
        }
        let sinks = sinks::all(workspace)?;
        recover(workspace, writer.store(), &snapshot, &sinks, None, Duration::ZERO).await
    });
    let report = Report { steps: finished.await?.whole()?.steps, ..Report::default() };
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
