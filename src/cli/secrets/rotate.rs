//! `secrets rotate`: a new secret key because somebody asks for one.

use std::time::Duration;

use super::super::error::{Exit, exit_of};
use super::super::output::Output;
use super::super::project::{ConnectArgs, LockArgs, duration};
use super::super::signals::stop_on_signals;
use crate::apply::Outcome;
use crate::ops::Workspace;
use crate::ops::secrets::rotate::{self, Order, Rotated};
use crate::render::report;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The keyset's label
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    label: Option<String>,
    /// Every keyset whose secret key keyform has; those that were adopted need to be named
    #[arg(long)]
    all: bool,
    /// How long the present key goes on working: 60s to 366 days, such as 24h; needs a paid plan
    #[arg(long, value_name = "DURATION", value_parser = duration, required_unless_present = "now", conflicts_with = "now")]
    overlap: Option<Duration>,
    /// The present key ends at once: whatever uses it stops working
    #[arg(long)]
    now: bool,
    /// Put the new key also over what the sink may have under its name, if the state records none
    /// there
    #[arg(long)]
    overwrite: bool,
    /// Seconds that a rotation whose answer was lost may take to show
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3600))]
    settle: u64,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    lock: LockArgs,
}

pub async fn run(workspace: &Workspace, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let order = Order {
        label: args.label.as_deref(),
        overlap: args.overlap,
        overwrite: args.overwrite,
        settle: Duration::from_secs(args.settle),
        connect: args.connect.options(),
        hold_interrupts: &|| stop_on_signals(output),
    };
    let writing = args.lock.writing("secrets rotate", output);
    let rotated = rotate::rotate(workspace, writing, &order).await?;
    let exit = exit_of(&rotated.report);
    if output.is_json() {
        output.json(&report::json(&rotated.report, exit as u8));
    } else {
        output.result(&told(&rotated));
    }
    Ok(exit)
}

fn told(Rotated { report, until }: &Rotated) -> String {
    let mut text = report::lines(report);
    let rotated = report.count(|_, outcome| matches!(outcome, Outcome::Rotated { .. }));
    if let Some(at) = until {
        let keys = if rotated == 1 { "The key of before works" } else { "The keys of before work" };
        text.push_str(&format!("{keys} until {at:.0}.\n"));
    }
    text
}
