use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::anyhow;

use super::Global;
use super::error::{Cause, Exit, Failure};
use super::output::Output;
use super::project::{self, ConnectArgs};
use super::push;
use super::saved;
use crate::apply;
use crate::keyset::push::PushFiles;
use crate::keyset::views::Live;
use crate::keyset::{Bounded, Budget};
use crate::ops::SystemClock;
use crate::ops::Workspace;
use crate::ops::account::ConnectOptions;
use crate::plan::{self, Inputs, Limit, OpenCreates, Plan, Policy};
use crate::ports::{Clock, Creation, Open};
use crate::render::view::Planned;
use crate::state::Snapshot;

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
    /// Create this keyset again although so many are gone that it looks like the wrong account; may
    /// be repeated
    #[arg(long, value_name = "LABEL")]
    recreate: Vec<String>,
    /// Delete what is not declared any more, as far as `[limits] delete` (0 by default) or --limit
    /// delete=N allows; never what is protected
    #[arg(long)]
    delete: bool,
    /// Allow more than `[limits]` does: create=N, update=N, irreversible=N or delete=N, or N% of
    /// what is managed; may be repeated
    #[arg(long, value_name = "KIND=N", value_parser = limit)]
    limit: Vec<(Bounded, Budget)>,
}

fn limit(text: &str) -> Result<(Bounded, Budget), String> {
    let parsed = text
        .split_once('=')
        .and_then(|(kind, budget)| Some((Bounded::find(kind)?, Budget::parse(budget)?)));
    parsed.ok_or_else(|| {
        "expected KIND=N or KIND=N%, KIND being create, update, irreversible or delete".to_owned()
    })
}

impl PolicyArgs {
    pub fn policy(&self, workspace: &Workspace) -> Policy {
        let mut limits: BTreeMap<Bounded, Limit> = BTreeMap::new();
        limits.extend(workspace.project.limits.iter().map(|(kind, (budget, origin))| {
            (*kind, Limit { budget: *budget, origin: Some(*origin) })
        }));
        // Of several of one kind the last one counts.
        limits.extend(
            self.limit
                .iter()
                .map(|(kind, budget)| (*kind, Limit { budget: *budget, origin: None })),
        );
        Policy {
            allow_irreversible: self.allow_irreversible,
            targets: (!self.target.is_empty())
                .then(|| self.target.iter().cloned().collect::<BTreeSet<_>>()),
            recreate: self.recreate.iter().cloned().collect(),
            delete: self.delete,
            limits,
        }
    }
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
    let snapshot = workspace.snapshot().await?;
    let live = match args.refresh {
        Refresh::None => None,
        Refresh::Full => {
            let connection = workspace.connect(&args.connect.options()).await?;
            let live = refresh(&connection.client, &snapshot, &args.connect.options()).await;
            connection.close().await?;
            Some(live?)
        }
    };
    let (policy, now) = (args.policy.policy(&workspace), SystemClock.now());
    let (push, _) = push::read(&workspace);
    let plan = make(&workspace, &snapshot, live.as_ref(), &policy, now, &push)?;
    let exit = exit_of(&plan, args.detailed_exitcode);
    let saved = match &args.out {
        // What is refused is no plan to review.
        Some(path) if plan.refusals.is_empty() => {
            Some((path, saved::write(path, &workspace, &snapshot, &policy, &plan, now)?))
        }
        _ => None,
    };
    let view = View { workspace: &workspace, snapshot: &snapshot, policy: &policy, global };
    output.show(output.format().view().plan(), view.of(&plan, !plan.is_empty(), exit))?;
    if let Some((path, hash)) = saved {
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

/// The live account, read completely.
pub async fn refresh(
    api: &impl crate::ports::Api,
    snapshot: &Snapshot,
    options: &ConnectOptions,
) -> anyhow::Result<Live> {
    Ok(apply::refresh(api, &SystemClock, &snapshot.recorded, options.parallelism).await?)
}

/// The plan, proved against its invariants.
pub fn make(
    workspace: &Workspace,
    snapshot: &Snapshot,
    live: Option<&Live>,
    policy: &Policy,
    now: jiff::Timestamp,
    push: &PushFiles,
) -> anyhow::Result<Plan> {
    let open = open_creates(snapshot);
    let (desired, recorded) = (&workspace.project.desired, &snapshot.recorded);
    let inputs = Inputs { desired, recorded, live, open: &open, policy, now, push };
    let plan = plan::make(&inputs);
    let notes = plan::check(&plan, &inputs);
    if let Some(note) = notes.first() {
        return Err(anyhow!(
            Failure::new(
                Cause::Error,
                format!("the plan contradicts itself, which is a bug in keyform: {note}")
            )
            .help("nothing was done; please report it with the TOML and the state file")
        ));
    }
    Ok(plan)
}

fn open_creates(snapshot: &Snapshot) -> OpenCreates {
    let mut open = OpenCreates::default();
    for Open { intent, sealed } in &snapshot.open {
        // A label may stand for another keyset by now.
        if let (Creation::SecretKey { label, id, .. }, None) = (&intent.what, sealed)
            && snapshot.recorded.keysets.get(label).is_some_and(|keyset| keyset.id != *id)
        {
            continue;
        }
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
    pub workspace: &'a Workspace,
    pub snapshot: &'a Snapshot,
    pub policy: &'a Policy,
    pub global: &'a Global,
}

impl<'a> View<'a> {
    /// `exit`: what the command will exit with; `changed`: what the next steps of a workflow hear.
    pub fn of<'p>(&self, plan: &'p Plan, changed: bool, exit: Exit) -> Planned<'p>
    where
        'a: 'p,
    {
        Planned {
            plan,
            sources: &self.workspace.sources,
            project: &self.workspace.project.desired.project,
            desired: &self.workspace.project.desired,
            recorded: &self.snapshot.recorded,
            policy: self.policy,
            verbose: self.global.verbose > 0,
            changed,
            exit_code: exit as u8,
        }
    }
}
