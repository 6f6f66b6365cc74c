use std::collections::BTreeSet;
use std::io::BufRead;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Global;
use super::error::{Cause, Exit, Failure, exit_of};
use super::format::Format;
use super::notify::notify;
use super::output::{self, Output};
use super::plan::{self, PolicyArgs, View};
use super::progress::Progress;
use super::project::LockArgs;
use super::project::{self, ConnectArgs};
use super::push;
use super::saved::{self, Loaded};
use super::signals::stop_on_signals;
use crate::api::Client;
use crate::apply::custody::InHand;
use crate::apply::mirror;
use crate::apply::relabel::Relabelling;
use crate::apply::{self, Consent, Context, Custody, Event, Outcome, Ports, Search, StepRef};
use crate::config::Occasion;
use crate::keyset::Label;
use crate::ops::SystemClock;
use crate::ops::Workspace;
use crate::ops::mirrors::{self, Sender};
use crate::ops::secrets::recover::{Asking, recover};
use crate::ops::{Changes, Writer, sinks};
use crate::plan::{Op, OpKind, Plan, Policy};
use crate::ports::{Clock, Creation, Intent};
use crate::render::saved::PlanHash;
use crate::render::style::BOLD;
use crate::render::view::Applied;
use crate::render::{events, report};
use crate::secrets::{AnySink, Envelope};
use crate::state::{Snapshot, Store};
use crate::storage::Room;

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
    let loaded = args.plan.as_deref().map(|path| Loaded::read(path, &workspace)).transpose()?;
    let writing = args.lock.writing("apply", output);
    let finished = Writer::run(&workspace, writing, async |writer, snapshot| {
        if let Some(loaded) = &loaded {
            loaded.same_state(&snapshot)?;
        }
        apply(global, args, loaded.as_ref(), output, &workspace, writer, snapshot).await
    });
    finished.await?.whole()
}

async fn apply(
    global: &Global,
    args: &Args,
    loaded: Option<&Loaded>,
    output: &Output,
    workspace: &Workspace,
    writer: &Writer<'_>,
    snapshot: Snapshot,
) -> anyhow::Result<Exit> {
    let (store, connect) = (writer.store(), args.connect.options());
    let client = writer.account_to_change(&connect, Changes::Planned).await?;
    let sinks = sinks::all(workspace)?;
    let Earlier { steps: earlier, snapshot } =
        earlier_runs(args, output, workspace, client, store, snapshot, &sinks).await?;
    let live = plan::refresh(client, &snapshot, &connect).await?;
    let (policy, now) = match loaded {
        // What was due then is due, and nothing else.
        Some(loaded) => (loaded.saved.policy.clone(), loaded.saved.made_at),
        None => (args.policy.policy(workspace), SystemClock.now()),
    };
    // A hash is given for what was shown, and that is shown.
    let policy = Policy {
        allow_irreversible: policy.allow_irreversible || args.approve.is_some(),
        ..policy
    };
    let (files, contents) = push::read(workspace);
    let plan = plan::make(workspace, &snapshot, Some(&live), &policy, now, &files)?;
    if let Some(loaded) = loaded {
        loaded.same_plan(&plan)?;
    }
    let view = View { workspace, snapshot: &snapshot, policy: &policy, global };
    let show =
        |exit| output.show(output.format().view().plan_of_apply(), view.of(&plan, false, exit));
    if !plan.refusals.is_empty() {
        show(Exit::Refused)?;
        return Ok(Exit::Refused);
    }
    if let Some(hash) = &args.approve {
        saved::approved(hash, &plan, workspace)?;
    }
    if plan.is_empty() && snapshot.open.is_empty() && earlier.is_empty() {
        show(Exit::Done)?;
        return Ok(Exit::Done);
    }
    // In the other formats the report is the one document on stdout.
    if matches!(output.format(), Format::Human | Format::Jsonl) {
        show(Exit::Done)?;
    }

    let unsealed =
        snapshot.open.iter().filter(|open| open.sealed.is_none()).map(|open| open.intent.clone());
    let rotations: Vec<Intent> = unsealed
        .filter(|intent| matches!(intent.what, Creation::SecretKey { .. }))
        .map(|intent| under_the_new_label(intent, &plan))
        .filter(|intent| policy.covers(intent.what.label()))
        .collect();

    // Before anybody is asked: a plan that cannot be carried out is no question.
    let probed =
        if needs_sink(&plan, &rotations) { Some(sinks::first_usable(&sinks).await?) } else { None };
    let envelope = match probed {
        Some(sink) => sinks::envelope(workspace, sink).await?,
        None => Envelope::none(),
    };
    enough_room(workspace, &plan)?;
    let copies = mirror::planned(&plan.steps);
    let github = mirrors::reach(&workspace.environment, &copies).await?;
    // What earlier runs began is not a question any more.
    let reviewed = loaded.is_some() || args.approve.is_some();
    let consent = if reviewed || plan.steps.is_empty() && rotations.is_empty() {
        Consent::Flag
    } else {
        consent(args, workspace, output)?
    };
    let how = match consent {
        _ if loaded.is_some() => "file",
        _ if args.approve.is_some() => "hash",
        Consent::Flag => "yes",
        Consent::Person => "asked",
    };
    store
        .log()
        .plan(&PlanHash::of(&plan, &workspace.project.desired.project).to_string(), how)
        .await?;
    let approved = apply::approve(plan, consent)
        .map_err(|_| Failure::new(Cause::Refused, "the plan holds a refusal"))?;

    let stop = stop_on_signals(output)?;
    let homes = sinks::homes(workspace);
    // Everything else goes by the labels of now.
    let custody = sinks::custody(workspace, &homes, &snapshot);
    let moves = Relabelling { ledger: store, custody: &custody };
    let moved = moves.run(&approved.plan().steps).await?;
    let snapshot = if moved.is_empty() { &snapshot } else { &store.snapshot() };
    let in_hand = InHand::for_labels(copies.iter().map(|copy| &copy.label));
    let custody = Custody { in_hand, ..sinks::custody(workspace, &homes, snapshot) };
    let progress = Progress::new(output, approved.plan().steps.len());
    for (step, outcome) in &moved {
        progress.event(&Event::Finished { step: step.clone(), outcome: outcome.clone() });
    }
    let ports = Ports {
        api: client,
        ledger: store,
        escrow: &envelope,
        sink: probed,
        clock: &SystemClock,
        custody: &custody,
    };
    let context = Context {
        recorded: &snapshot.recorded,
        live: &live,
        push: &contents,
        open: rotations,
        parallelism: connect.parallelism,
        settle: Duration::from_secs(args.settle),
        timeout: connect.timeout,
        stop: &|| stop.load(Ordering::SeqCst),
        on_event: &|event| progress.event(&event),
    };
    let mut done = apply::run(&ports, &approved, context).await;
    if let (Some(github), None) = (&github, &done.ledger_failed) {
        let stop = || stop.load(Ordering::SeqCst);
        let sender = Sender {
            store,
            custody: &custody,
            again: false,
            stop: &stop,
            on_event: &|event| progress.event(&event),
        };
        let (steps, ended) = sender.send(github, &copies).await;
        done.interrupted |=
            stop() && steps.iter().any(|(_, outcome)| matches!(outcome, Outcome::Skipped { .. }));
        done.steps.extend(steps);
        done.ledger_failed = ended.err().map(|error| error.to_string());
    }
    progress.finish();
    done.steps.splice(0..0, earlier.into_iter().chain(moved));
    let exit = exit_of(&done);
    let shown = Applied { report: &done, exit_code: exit as u8 };
    output.show(output.format().view().report(), shown)?;
    notify(workspace, Occasion::Apply, exit, output, || {
        (report::summary(&done), report::entries(&done))
    })
    .await;
    Ok(exit)
}

/// A rotation that was begun under a label that changes goes on under the new one.
fn under_the_new_label(mut intent: Intent, plan: &Plan) -> Intent {
    if let Creation::SecretKey { label, .. } = &mut intent.what {
        let to = plan.steps.iter().find_map(|step| match &step.op {
            Op::MoveKeyset { from } if from == label => Some(step.label.clone()),
            _ => None,
        });
        *label = to.unwrap_or_else(|| label.clone());
    }
    intent
}

/// Also where an earlier run may have made a secret key that is still to be had.
fn needs_sink(plan: &Plan, rotations: &[Intent]) -> bool {
    !rotations.is_empty() || plan.steps.iter().any(|step| step.row().makes_secret)
}

/// What earlier runs left, and the state after it was looked into.
struct Earlier {
    steps: Vec<(StepRef, Outcome)>,
    snapshot: Snapshot,
}

/// Before anything is planned on top of what is not recorded yet: puts the secrets of sealed
/// answers where they belong, and looks for what was made without an answer. An answer that cannot
/// be opened counts as lost.
async fn earlier_runs(
    args: &Args,
    output: &Output,
    workspace: &Workspace,
    client: &Client,
    store: &Store,
    snapshot: Snapshot,
    sinks: &[AnySink],
) -> anyhow::Result<Earlier> {
    let mut earlier = Earlier { steps: Vec::new(), snapshot };
    let tell = |event: &Event| {
        output.event(|| events::step(event));
        report::event(event).into_iter().for_each(|line| output.say(&line));
    };
    let mut lost = BTreeSet::new();
    if earlier.snapshot.open.iter().any(|open| open.sealed.is_some()) {
        let recovered = recover(
            workspace,
            store,
            &earlier.snapshot,
            sinks,
            Asking { api: Some(client), settle: Duration::from_secs(args.settle) },
        )
        .await?;
        for (step, outcome) in &recovered.steps {
            tell(&Event::Finished { step: step.clone(), outcome: outcome.clone() });
        }
        lost = recovered.lost;
        let looked_for = |label: &Label| {
            earlier
                .snapshot
                .open
                .iter()
                .any(|open| lost.contains(&open.intent.id) && open.intent.what.label() == label)
        };
        // What is looked for from here on has a step of its own.
        let told = recovered
            .steps
            .into_iter()
            .filter(|(step, outcome)| outcome.is_done() || !looked_for(&step.label));
        earlier.steps.extend(told.collect::<Vec<_>>());
        earlier.snapshot = store.snapshot();
    }
    let creates: Vec<Intent> = earlier
        .snapshot
        .open
        .iter()
        .filter(|open| open.sealed.is_none() || lost.contains(&open.intent.id))
        .map(|open| open.intent.clone())
        .filter(|intent| !matches!(intent.what, Creation::SecretKey { .. }))
        .collect();
    if !creates.is_empty() {
        let search = Search {
            api: client,
            ledger: store,
            clock: &SystemClock,
            recorded: &earlier.snapshot.recorded,
            desired: &workspace.project.desired,
            timeout: args.connect.options().timeout,
            settle: Duration::from_secs(args.settle),
            on_event: &|event| tell(&event),
        };
        let steps = search.run(creates).await?;
        earlier.steps.extend(steps);
        earlier.snapshot = store.snapshot();
    }
    for open in earlier.snapshot.open.iter_mut().filter(|open| lost.contains(&open.intent.id)) {
        open.sealed = None;
    }
    Ok(earlier)
}

/// Bytes that one create leaves on disk at most: three journal records, a stanza of the state, a
/// sealed file.
const PER_CREATE: u64 = 16 << 10;
/// What an apply writes at least.
const AT_LEAST: u64 = 1 << 20;

/// A disk that cannot hold what is about to be made is told before the first create.
fn enough_room(workspace: &Workspace, plan: &Plan) -> anyhow::Result<()> {
    let creates = plan.summary().count(OpKind::CreateKeyset) as u64;
    let needed = AT_LEAST + creates * PER_CREATE;
    match workspace.storage().room() {
        Some(Room { bytes: free, place }) if creates > 0 && free < needed => {
            let told = format!(
                "the disk of {} has {} KiB left, and this may need {} KiB",
                place,
                free >> 10,
                needed >> 10
            );
            Err(Failure::new(Cause::Error, format!("{told}: nothing was done"))
                .help("make room, or do a part of it: --target LABEL")
                .into())
        }
        _ => Ok(()),
    }
}

/// `--yes`, or a person who types `yes`.
fn consent(args: &Args, workspace: &Workspace, output: &Output) -> anyhow::Result<Consent> {
    if args.yes {
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
