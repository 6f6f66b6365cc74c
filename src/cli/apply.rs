use std::cell::OnceCell;
use std::io::BufRead;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Global;
use super::arguments::PolicyArgs;
use super::error::{Cause, Exit, Failure, exit_of};
use super::format::Format;
use super::notify::notify;
use super::output::{self, Output};
use super::plan_view::View;
use super::progress::Progress;
use super::project::{self, ConnectArgs, LockArgs};
use super::signals::stop_on_signals;
use crate::apply::{Consent, Event, Report};
use crate::config::Occasion;
use crate::ops::Workspace;
use crate::ops::apply::{self, Applied, Attendant, Request};
use crate::ops::plan::Planned;
use crate::render::saved::PlanHash;
use crate::render::style::BOLD;
use crate::render::{events, report, view};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A plan that `plan --out` saved: exactly that is done, without asking, or nothing
    #[arg(value_name = "FILE", conflicts_with_all = ["target", "allow_irreversible", "recreate", "delete", "limit", "approve"])]
    plan: Option<PathBuf>,
    /// The hash of the plan that was reviewed (`plan --format json` tells it): if the plan of now
    /// has another one, nothing is done
    #[arg(long, value_name = "HASH", value_parser = PlanHash::parse)]
    approve: Option<PlanHash>,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    connect: ConnectArgs,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Seconds that a create whose answer was lost may take to show up in the account, before it
    /// counts as not made
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3600))]
    settle: u64,
    #[command(flatten)]
    lock: LockArgs,
}

pub async fn run(global: &Global, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let workspace = project::open(global, output)?;
    output.event(|| {
        events::begin(workspace.project.desired.project.as_str(), env!("CARGO_PKG_VERSION"))
    });
    let request = Request {
        saved: args.plan.clone(),
        approve: args.approve.clone(),
        policy: args.policy.policy(&workspace),
        connect: args.connect.options(),
        settle: Duration::from_secs(args.settle),
    };
    let view = View { workspace: &workspace, global, output };
    let (running, yes) = (OnceCell::new(), args.yes);
    let user = User { view, yes, running };
    let writing = args.lock.writing("apply", output);
    let finished = apply::run(&workspace, &request, writing, &user).await?;
    let exit = match finished.value {
        Applied::Refused(planned) => {
            view.show_of_apply(&planned, Exit::Refused);
            Exit::Refused
        }
        Applied::Nothing(planned) => {
            view.show_of_apply(&planned, Exit::Done);
            Exit::Done
        }
        Applied::Done(report) => {
            if let Some(running) = user.running.get() {
                running.progress.finish();
            }
            told(&workspace, &report, output).await
        }
    };
    finished.closed?;
    Ok(exit)
}

/// Prints the report, and sends it where it is wanted.
async fn told(workspace: &Workspace, done: &Report, output: &Output) -> Exit {
    let exit = exit_of(done);
    let shown = view::Applied { report: done, exit_code: exit as u8 };
    output.show(output.format().view().report(), shown);
    notify(workspace, Occasion::Apply, exit, output, || {
        (report::summary(done), report::entries(done))
    })
    .await;
    exit
}

/// The user at the terminal, or the pipeline.
struct User<'a> {
    view: View<'a>,
    /// `--yes`
    yes: bool,
    running: OnceCell<Running<'a>>,
}

struct Running<'a> {
    stop: Arc<AtomicBool>,
    progress: Progress<'a>,
}

impl Attendant for User<'_> {
    fn planned(&self, planned: &Planned) {
        // In the other formats the report is the one document on stdout.
        if matches!(self.view.output.format(), Format::Human | Format::Jsonl) {
            self.view.show_of_apply(planned, Exit::Done);
        }
    }

    fn consent(&self) -> anyhow::Result<Consent> {
        consent(self.yes, self.view.workspace, self.view.output)
    }

    fn begin(&self, steps: usize) -> anyhow::Result<()> {
        let output = self.view.output;
        let stop = stop_on_signals(output)?;
        let progress = Progress::new(output, steps);
        // It begins once.
        let _ = self.running.set(Running { stop, progress });
        Ok(())
    }

    fn stopped(&self) -> bool {
        self.running.get().is_some_and(|running| running.stop.load(Ordering::SeqCst))
    }

    fn event(&self, event: &Event) {
        if let Some(running) = self.running.get() {
            return running.progress.event(event);
        }
        let output = self.view.output;
        output.event(|| events::step(event));
        report::event(event).into_iter().for_each(|line| output.say(&line));
    }
}

/// `--yes`, or a person who types `yes`.
fn consent(yes: bool, workspace: &Workspace, output: &Output) -> anyhow::Result<Consent> {
    if yes {
        return Ok(Consent::Flag);
    }
    if !output::can_ask() || !output.is_human() {
        return Err(Failure::new(
            Cause::Refused,
            "apply needs consent, and there is nobody to ask: nothing was done",
        )
        .help("look at the plan (`keyform plan`) and add --yes")
        .into());
    }
    let whose = if workspace.sandbox { " in the sandbox" } else { "" };
    output.error(&format!("{BOLD}Apply this plan{whose}?{BOLD:#} Only `yes` is taken as consent:"));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == "yes" {
        return Ok(Consent::Person);
    }
    Err(Failure::new(Cause::Refused, "not applied: the answer was not `yes`").into())
}
