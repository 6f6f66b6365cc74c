use std::path::PathBuf;

use super::Global;
use super::arguments::{PolicyArgs, Refresh};
use super::error::{Cause, Exit, Failure};
use super::output::Output;
use super::plan_view::View;
use super::project::{self, ConnectArgs};
use crate::ops;
use crate::plan::Plan;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    connect: ConnectArgs,
    /// Look at the live account first, or work from TOML and state alone (no network, no
    /// credentials)
    #[arg(long, value_enum, default_value_t = Refresh::Full)]
    refresh: Refresh,
    /// Exit with 2 if there is something to do
    #[arg(long)]
    detailed_exitcode: bool,
    /// Save the plan for `apply FILE`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub async fn run(global: &Global, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    if args.out.is_some() && args.refresh == Refresh::None {
        let failure = Failure::new(
            Cause::Error,
            "a plan that did not look at the account cannot be saved: nothing was written",
        );
        return Err(failure.help("leave --refresh=none out").into());
    }
    let workspace = project::open(global, output)?;
    let request = ops::plan::Request {
        policy: args.policy.policy(&workspace),
        refresh: (args.refresh == Refresh::Full).then(|| args.connect.options()),
        out: args.out.clone(),
    };
    let planned = ops::plan::run(&workspace, request).await?;
    let exit = exit_of(&planned.plan, args.detailed_exitcode);
    View { workspace: &workspace, global, output }.show(&planned, !planned.plan.is_empty(), exit);
    if let (Some(path), Some(hash)) = (&args.out, &planned.saved) {
        let (path, sandbox) = (path.display(), if workspace.sandbox { " --sandbox" } else { "" });
        output.result(&format!(
            "\nSaved to {path}, hash {hash}.\n`keyform apply{sandbox} {path}` \
                                does exactly this, or nothing.\n"
        ));
    } else if let Some(path) = &args.out {
        output.error(&format!(
            "A plan with refusals is not saved: {} was not written.",
            path.display()
        ));
    }
    Ok(exit)
}

fn exit_of(plan: &Plan, detailed: bool) -> Exit {
    if !plan.refusals.is_empty() {
        Exit::Refused
    } else if detailed && !plan.is_empty() {
        Exit::Differences
    } else {
        Exit::Done
    }
}
