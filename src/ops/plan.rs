//! `plan`: what apply would do, and the same saved for a review.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::account::ConnectOptions;
use super::clock::SystemClock;
use super::error::{Cause, Failure};
use super::workspace::Workspace;
use super::{push, saved};
use crate::apply;
use crate::keyset::push::PushFiles;
use crate::keyset::views::Live;
use crate::keyset::{Bounded, Budget};
use crate::plan::{self, Inputs, Limit, OpenCreates, Plan, Policy};
use crate::ports::{Api, Clock, Creation, Open};
use crate::render::saved::PlanHash;
use crate::state::Snapshot;

/// What is asked for.
pub struct Request {
    pub policy: Policy,
    /// How the live account is looked at; `None`: it is not (no network, no credentials).
    pub refresh: Option<ConnectOptions>,
    /// Where the plan is saved.
    pub out: Option<PathBuf>,
}

/// A plan, and what it was made of.
pub struct Planned {
    pub plan: Plan,
    pub snapshot: Snapshot,
    pub policy: Policy,
    /// The hash of the plan that was saved. `None`: none was, since a plan with refusals is no plan
    /// to review.
    pub saved: Option<PlanHash>,
}

/// Makes the plan. Changes nothing in state and account, takes no lock.
pub async fn run(workspace: &Workspace, request: Request) -> anyhow::Result<Planned> {
    let snapshot = workspace.snapshot().await?;
    let live = match &request.refresh {
        None => None,
        Some(options) => Some(look(workspace, &snapshot, options).await?),
    };
    let (policy, now) = (request.policy, SystemClock.now());
    let (files, _) = push::read(workspace);
    let plan = make(workspace, &snapshot, live.as_ref(), &policy, now, &files)?;
    let saved = match &request.out {
        Some(path) if plan.refusals.is_empty() => {
            Some(saved::write(path, workspace, &snapshot, &policy, &plan, now)?)
        }
        _ => None,
    };
    Ok(Planned { plan, snapshot, policy, saved })
}

/// The live account, read completely over a connection of its own.
pub async fn look(
    workspace: &Workspace,
    snapshot: &Snapshot,
    options: &ConnectOptions,
) -> anyhow::Result<Live> {
    let connection = workspace.connect(options).await?;
    let live = refresh(&connection.client, snapshot, options).await;
    connection.close().await?;
    live
}

/// The live account, read completely.
pub async fn refresh(
    api: &impl Api,
    snapshot: &Snapshot,
    options: &ConnectOptions,
) -> anyhow::Result<Live> {
    Ok(apply::refresh(api, &SystemClock, &snapshot.recorded, options.parallelism).await?)
}

/// How much one apply may do: as the project says, but for what is raised.
pub fn limits(workspace: &Workspace, raised: &[(Bounded, Budget)]) -> BTreeMap<Bounded, Limit> {
    let mut limits: BTreeMap<Bounded, Limit> = BTreeMap::new();
    let declared = workspace.project.limits.iter();
    limits.extend(
        declared.map(|(kind, (budget, origin))| {
            (*kind, Limit { budget: *budget, origin: Some(*origin) })
        }),
    );
    // Of several of one kind the last one counts.
    let raised = raised.iter();
    limits.extend(raised.map(|(kind, budget)| (*kind, Limit { budget: *budget, origin: None })));
    limits
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
        return Err(anyhow::anyhow!(
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
