use std::collections::BTreeSet;

use anyhow::anyhow;

use super::clock::SystemClock;
use super::error::{Exit, Failure};
use super::format::Format;
use super::output::Output;
use super::session::{ConnectOptions, Session};
use super::{Global, github as step};
use crate::apply;
use crate::keyset::views::Live;
use crate::plan::{self, Inputs, OpenCreates, Plan, Policy};
use crate::ports::{Clock, Creation, Open};
use crate::render::terraform::{self, Picture};
use crate::render::{events, github, gitlab, plan_human, plan_json, plan_markdown};
use crate::state::{self, Snapshot};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    connect: ConnectOptions,
    /// Look at the live account first, or work from TOML and state alone (no network, no credentials)
    #[arg(long, value_enum, default_value_t = Refresh::Full)]
    refresh: Refresh,
    /// Exit with 2 if there is something to do
    #[arg(long)]
    detailed_exitcode: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Refresh {
    None,
    Full,
}

/// What the user allows; the same for plan and apply, so that a plan shows what apply would refuse.
#[derive(Debug, clap::Args)]
pub struct PolicyArgs {
    /// Only this keyset and its app; may be repeated
    #[arg(long, value_name = "LABEL")]
    target: Vec<String>,
    /// Allow setting a region that can never be changed afterwards, on keysets that exist
    #[arg(long)]
    allow_irreversible: bool,
    /// Create this keyset again although so many are gone that it looks like the wrong account; may be repeated
    #[arg(long, value_name = "LABEL")]
    recreate: Vec<String>,
    /// Delete what is not declared any more, as far as `[limits] delete` (0 by default) or --limit delete=N allows; never what is protected
    #[arg(long)]
    delete: bool,
    /// Allow more than `[limits]` does: create=N, update=N or delete=N; may be repeated
    #[arg(long, value_name = "KIND=N", value_parser = limit)]
    limit: Vec<(Limited, usize)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limited {
    Create,
    Update,
    Delete,
}

fn limit(text: &str) -> Result<(Limited, usize), String> {
    let parsed = match text.split_once('=') {
        Some(("create", n)) => n.parse().ok().map(|n| (Limited::Create, n)),
        Some(("update", n)) => n.parse().ok().map(|n| (Limited::Update, n)),
        Some(("delete", n)) => n.parse().ok().map(|n| (Limited::Delete, n)),
        _ => None,
    };
    parsed.ok_or_else(|| "expected create=N, update=N or delete=N".to_owned())
}

impl PolicyArgs {
    fn policy(&self, session: &Session) -> Policy {
        let limit = |which: Limited, configured: Option<usize>| {
            self.limit.iter().rev().find(|(kind, _)| *kind == which).map(|(_, n)| *n).or(configured)
        };
        Policy {
            allow_irreversible: self.allow_irreversible,
            targets: (!self.target.is_empty()).then(|| self.target.iter().cloned().collect::<BTreeSet<_>>()),
            recreate: self.recreate.iter().cloned().collect(),
            limit_create: limit(Limited::Create, session.project.limits.create),
            limit_update: limit(Limited::Update, session.project.limits.update),
            delete: self.delete,
            limit_delete: limit(Limited::Delete, Some(session.project.limits.delete)).unwrap_or_default(),
        }
    }
}

pub async fn run(global: &Global, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let session = Session::open(global, output)?;
    let snapshot = state::read(&session.state_paths(), &session.project.desired.project)?;
    let live = match args.refresh {
        Refresh::None => None,
        Refresh::Full => {
            let connection = session.connect(&args.connect).await?;
            let live = refresh(&connection.client, &snapshot, &args.connect).await;
            connection.close().await?;
            Some(live?)
        }
    };
    let plan = make(&session, &snapshot, live.as_ref(), &args.policy)?;
    let exit = exit_of(&plan, args.detailed_exitcode);
    View { session: &session, snapshot: &snapshot, args: &args.policy, global, output }.show(&plan, !plan.is_empty(), exit);
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

/// The live account, read completely.
pub async fn refresh(api: &impl crate::ports::Api, snapshot: &Snapshot, options: &ConnectOptions) -> anyhow::Result<Live> {
    Ok(apply::refresh(api, &SystemClock, &snapshot.recorded, usize::from(options.parallelism)).await?)
}

/// The plan, proved against its invariants.
pub fn make(session: &Session, snapshot: &Snapshot, live: Option<&Live>, policy: &PolicyArgs) -> anyhow::Result<Plan> {
    let open = open_creates(&snapshot.open);
    let policy = policy.policy(session);
    let (desired, recorded, now) = (&session.project.desired, &snapshot.recorded, SystemClock.now());
    let inputs = Inputs { desired, recorded, live, open: &open, policy: &policy, now };
    let plan = plan::make(&inputs);
    let notes = plan::check(&plan, &inputs);
    if let Some(note) = notes.first() {
        return Err(anyhow!(
            Failure::new(Exit::Error, format!("the plan contradicts itself, which is a bug in keyform: {note}"))
                .help("nothing was done; please report it with the TOML and the state file")
        ));
    }
    Ok(plan)
}

fn open_creates(all: &[Open]) -> OpenCreates {
    let mut open = OpenCreates::default();
    for Open { intent, sealed } in all {
        let of = match &intent.what {
            Creation::App { .. } => &mut open.apps,
            _ if sealed.is_some() => &mut open.sealed,
            Creation::Keyset { .. } => &mut open.keysets,
            Creation::SecretKey { .. } => &mut open.secret_keys,
        };
        of.insert(intent.what.label().clone(), intent.at);
    }
    open
}

/// What a plan is shown with.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub session: &'a Session,
    pub snapshot: &'a Snapshot,
    pub args: &'a PolicyArgs,
    pub global: &'a Global,
    pub output: &'a Output,
}

impl View<'_> {
    /// Prints the plan as the user wants it. `exit`: what the command will exit with; `changed`: what the next steps of a workflow hear.
    pub fn show(self, plan: &Plan, changed: bool, exit: Exit) {
        let View { session, snapshot, args, global, output } = self;
        let sources = &session.sources;
        let policy = args.policy(session);
        let picture = || Picture { plan, desired: &session.project.desired, recorded: &snapshot.recorded, policy: &policy };
        match output.format() {
            Format::Json => {
                let mut json = plan_json::plan(plan, sources);
                json["exit_code"] = (exit as u8).into();
                output.json(&json);
            }
            Format::Jsonl => events::plan(plan, sources).into_iter().for_each(|event| output.event(|| event)),
            Format::Markdown => output.raw(&plan_markdown::plan(plan, sources)),
            Format::Github => {
                let annotations = github::plan(plan, sources, &plan_human::summary_line(plan));
                let outputs = step::outputs(&plan_json::summary(plan), changed, exit);
                step::tell(output, &annotations, &plan_markdown::plan(plan, sources), &outputs);
            }
            Format::Gitlab => output.json(&gitlab::plan(terraform::tally(picture()))),
            // On one line, as Terraform prints it: some readers want that.
            Format::TerraformJson => output.json_line(&terraform::plan(picture(), env!("CARGO_PKG_VERSION"))),
            _ => output.result(&plan_human::plan(plan, sources, plan_human::Options { verbose: global.verbose > 0 })),
        }
    }
}
