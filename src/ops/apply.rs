//! `apply`: takes up what earlier runs left, makes the plan, has it agreed to, and carries it out.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::account::ConnectOptions;
use super::clock::SystemClock;
use super::error::{Cause, Failure};
use super::mirrors::{self, Sender};
use super::plan::{self, Planned};
use super::saved::{self, Loaded};
use super::secrets::recover::{Asking, recover};
use super::workspace::Workspace;
use super::writer::{Changes, Finished, Writer, Writing};
use super::{push, sinks};
use crate::api::Client;
use crate::apply::PushContents;
use crate::apply::custody::InHand;
use crate::apply::mirror::{self, Copy};
use crate::apply::relabel::Relabelling;
use crate::apply::{
    self, Approved, Consent, Context, Custody, Event, Outcome, Ports, Report, Search, StepRef,
};
use crate::keyset::Label;
use crate::keyset::views::Live;
use crate::plan::{Op, OpKind, Plan, Policy};
use crate::ports::{Clock, Creation, Intent, Probed};
use crate::render::saved::PlanHash;
use crate::secrets::{AnySink, Envelope, Github};
use crate::state::Snapshot;
use crate::storage::Room;

/// Bytes that one create leaves on disk at most: three journal records, a stanza of the state, a
/// sealed file.
const PER_CREATE: u64 = 16 << 10;
/// What an apply writes at least.
const AT_LEAST: u64 = 1 << 20;

/// What is asked for.
pub struct Request {
    /// A plan that was saved: exactly that is done, or nothing.
    pub saved: Option<PathBuf>,
    /// The hash of the plan that was reviewed: if the plan of now has another one, nothing is done.
    pub approve: Option<PlanHash>,
    /// Without a saved plan, which has its own.
    pub policy: Policy,
    pub connect: ConnectOptions,
    /// How long a create whose answer was lost may take to show up in the account.
    pub settle: Duration,
}

/// Whoever asked for the apply, while it runs.
pub trait Attendant {
    /// The plan that is about to be carried out, before anybody is asked.
    fn planned(&self, planned: &Planned);
    /// Asks for consent; without it the apply ends with the error.
    fn consent(&self) -> anyhow::Result<Consent>;
    /// It was agreed to: from now on `stopped` is asked.
    fn begin(&self, steps: usize) -> anyhow::Result<()>;
    /// Whether no new work is to be begun.
    fn stopped(&self) -> bool;
    /// What is done, before `begin` too.
    fn event(&self, event: &Event);
}

/// How it ended.
pub enum Applied {
    /// The plan holds a refusal: nothing was done.
    Refused(Planned),
    /// There was nothing to do.
    Nothing(Planned),
    /// It did what it could.
    Done(Report),
}

/// Applies. An error says that nothing was done, or why it went no further.
pub async fn run(
    workspace: &Workspace,
    request: &Request,
    writing: Writing<'_>,
    attendant: &impl Attendant,
) -> anyhow::Result<Finished<Applied>> {
    let saved = request.saved.as_deref();
    let loaded = saved.map(|path| Loaded::read(path, workspace)).transpose()?;
    Writer::run(workspace, writing, async |writer, snapshot| {
        if let Some(loaded) = &loaded {
            loaded.same_state(&snapshot)?;
        }
        let client = writer.account_to_change(&request.connect, Changes::Planned).await?;
        let loaded = loaded.as_ref();
        Run { workspace, request, loaded, attendant, writer, client }.act(snapshot).await
    })
    .await
}

/// One apply, under the lock.
struct Run<'a, A> {
    workspace: &'a Workspace,
    request: &'a Request,
    loaded: Option<&'a Loaded>,
    attendant: &'a A,
    writer: &'a Writer<'a>,
    client: &'a Client,
}

/// A plan, and what is needed to carry it out.
struct Made {
    planned: Planned,
    live: Live,
    /// Of the files that it uploads.
    contents: PushContents,
}

/// What a plan is carried out with, found usable before anybody is asked.
struct Means<'a> {
    sink: Option<Probed<'a, AnySink>>,
    envelope: Envelope,
    copies: Vec<Copy>,
    github: Option<Github>,
}

/// What earlier runs left, and the state after it was looked into.
struct Earlier {
    steps: Vec<(StepRef, Outcome)>,
    snapshot: Snapshot,
}

impl<A: Attendant> Run<'_, A> {
    async fn act(&self, snapshot: Snapshot) -> anyhow::Result<Applied> {
        let sinks = sinks::all(self.workspace)?;
        let earlier = self.earlier_runs(snapshot, &sinks).await?;
        let Made { planned, live, contents } = self.plan(earlier.snapshot).await?;
        if !planned.plan.refusals.is_empty() {
            return Ok(Applied::Refused(planned));
        }
        if let Some(hash) = &self.request.approve {
            saved::approved(hash, &planned.plan, self.workspace)?;
        }
        let nothing_open = planned.snapshot.open.is_empty();
        if planned.plan.is_empty() && nothing_open && earlier.steps.is_empty() {
            return Ok(Applied::Nothing(planned));
        }
        self.attendant.planned(&planned);
        let rotations = rotations(&planned);
        let means = self.means(&planned.plan, &rotations, &sinks).await?;
        let Planned { plan, snapshot, .. } = planned;
        let approved = self.agreed(plan, &rotations).await?;
        let work = Work { approved, snapshot, live, contents, rotations };
        let mut report = self.carry_out(work, means).await?;
        report.steps.splice(0..0, earlier.steps);
        Ok(Applied::Done(report))
    }

    async fn plan(&self, snapshot: Snapshot) -> anyhow::Result<Made> {
        let Run { workspace, request, .. } = self;
        let live = plan::refresh(self.client, &snapshot, &request.connect).await?;
        let (policy, now) = match self.loaded {
            // What was due then is due, and nothing else.
            Some(loaded) => (loaded.saved.policy.clone(), loaded.saved.made_at),
            None => (request.policy.clone(), SystemClock.now()),
        };
        // A hash is given for what was shown, and that is shown.
        let policy = Policy {
            allow_irreversible: policy.allow_irreversible || request.approve.is_some(),
            ..policy
        };
        let (files, contents) = push::read(workspace);
        let plan = plan::make(workspace, &snapshot, Some(&live), &policy, now, &files)?;
        if let Some(loaded) = self.loaded {
            loaded.same_plan(&plan)?;
        }
        Ok(Made { planned: Planned { plan, snapshot, policy, saved: None }, live, contents })
    }

    /// Before anybody is asked: a plan that cannot be carried out is no question.
    async fn means<'s>(
        &self,
        plan: &Plan,
        rotations: &[Intent],
        sinks: &'s [AnySink],
    ) -> anyhow::Result<Means<'s>> {
        let sink = match needs_sink(plan, rotations) {
            true => Some(sinks::first_usable(sinks).await?),
            false => None,
        };
        let envelope = match sink {
            Some(sink) => sinks::envelope(self.workspace, sink).await?,
            None => Envelope::none(),
        };
        enough_room(self.workspace, plan)?;
        let copies = mirror::planned(&plan.steps);
        let github = mirrors::reach(&self.workspace.environment, &copies).await?;
        Ok(Means { sink, envelope, copies, github })
    }

    /// Somebody agreed, and the audit log says who.
    async fn agreed(&self, plan: Plan, rotations: &[Intent]) -> anyhow::Result<Approved> {
        let (from_file, by_hash) = (self.loaded.is_some(), self.request.approve.is_some());
        // What earlier runs began is not a question any more.
        let asked_for = plan.steps.is_empty() && rotations.is_empty();
        let consent = match from_file || by_hash || asked_for {
            true => Consent::Flag,
            false => self.attendant.consent()?,
        };
        let how = match consent {
            _ if from_file => "file",
            _ if by_hash => "hash",
            Consent::Flag => "yes",
            Consent::Person => "asked",
        };
        let hash = PlanHash::of(&plan, &self.workspace.project.desired.project).to_string();
        self.writer.store().log().plan(&hash, how).await?;
        let approved = apply::approve(plan, consent)
            .map_err(|_| Failure::new(Cause::Refused, "the plan holds a refusal"))?;
        Ok(approved)
    }

    async fn carry_out(&self, work: Work, means: Means<'_>) -> anyhow::Result<Report> {
        let Work { approved, snapshot, live, contents, rotations } = work;
        let (workspace, store) = (self.workspace, self.writer.store());
        let steps = &approved.plan().steps;
        let stop = || self.attendant.stopped();
        let on_event = |event: Event| self.attendant.event(&event);
        self.attendant.begin(steps.len())?;
        let homes = sinks::homes(workspace);
        // Everything else goes by the labels of now.
        let custody = sinks::custody(workspace, &homes, &snapshot);
        let moved = Relabelling { ledger: store, custody: &custody }.run(steps).await?;
        let snapshot = if moved.is_empty() { &snapshot } else { &store.snapshot() };
        let in_hand = InHand::for_labels(means.copies.iter().map(|copy| &copy.label));
        let custody = Custody { in_hand, ..sinks::custody(workspace, &homes, snapshot) };
        for (step, outcome) in &moved {
            on_event(Event::Finished { step: step.clone(), outcome: outcome.clone() });
        }
        let ports = Ports {
            api: self.client,
            ledger: store,
            escrow: &means.envelope,
            sink: means.sink,
            clock: &SystemClock,
            custody: &custody,
        };
        let context = Context {
            recorded: &snapshot.recorded,
            live: &live,
            push: &contents,
            open: rotations,
            parallelism: self.request.connect.parallelism,
            settle: self.request.settle,
            timeout: self.request.connect.timeout,
            stop: &stop,
            on_event: &on_event,
        };
        let mut done = apply::run(&ports, &approved, context).await;
        if let (Some(github), None) = (&means.github, &done.ledger_failed) {
            let (custody, again) = (&custody, false);
            let sender = Sender { store, custody, again, stop: &stop, on_event: &on_event };
            let (steps, ended) = sender.send(github, &means.copies).await;
            let skipped =
                steps.iter().any(|(_, outcome)| matches!(outcome, Outcome::Skipped { .. }));
            done.interrupted |= stop() && skipped;
            done.steps.extend(steps);
            done.ledger_failed = ended.err().map(|error| error.to_string());
        }
        done.steps.splice(0..0, moved);
        Ok(done)
    }

    /// Before anything is planned on top of what is not recorded yet: puts the secrets of sealed
    /// answers where they belong, and looks for what was made without an answer. An answer that
    /// cannot be opened counts as lost.
    async fn earlier_runs(&self, snapshot: Snapshot, sinks: &[AnySink]) -> anyhow::Result<Earlier> {
        let mut earlier = Earlier { steps: Vec::new(), snapshot };
        let mut lost = BTreeSet::new();
        if earlier.snapshot.open.iter().any(|open| open.sealed.is_some()) {
            lost = self.store_sealed(&mut earlier, sinks).await?;
        }
        self.look_for_creates(&mut earlier, &lost).await?;
        for open in earlier.snapshot.open.iter_mut().filter(|open| lost.contains(&open.intent.id)) {
            open.sealed = None;
        }
        Ok(earlier)
    }

    /// Gives back which answers cannot be opened.
    async fn store_sealed(
        &self,
        earlier: &mut Earlier,
        sinks: &[AnySink],
    ) -> anyhow::Result<BTreeSet<uuid::Uuid>> {
        let store = self.writer.store();
        let snapshot = &earlier.snapshot;
        let asking = Asking { api: Some(self.client), settle: self.request.settle };
        let recovered = recover(self.workspace, store, snapshot, sinks, asking).await?;
        for (step, outcome) in &recovered.steps {
            self.attendant.event(&Event::Finished { step: step.clone(), outcome: outcome.clone() });
        }
        let lost = recovered.lost;
        let looked_for = |label: &Label| {
            let mut open = snapshot.open.iter();
            open.any(|open| lost.contains(&open.intent.id) && open.intent.what.label() == label)
        };
        // What is looked for from here on has a step of its own.
        let told = recovered
            .steps
            .into_iter()
            .filter(|(step, outcome)| outcome.is_done() || !looked_for(&step.label));
        let told: Vec<_> = told.collect();
        earlier.steps.extend(told);
        earlier.snapshot = store.snapshot();
        Ok(lost)
    }

    async fn look_for_creates(
        &self,
        earlier: &mut Earlier,
        lost: &BTreeSet<uuid::Uuid>,
    ) -> anyhow::Result<()> {
        let open = earlier.snapshot.open.iter();
        let creates: Vec<Intent> = open
            .filter(|open| open.sealed.is_none() || lost.contains(&open.intent.id))
            .map(|open| open.intent.clone())
            .filter(|intent| !matches!(intent.what, Creation::SecretKey { .. }))
            .collect();
        if creates.is_empty() {
            return Ok(());
        }
        let store = self.writer.store();
        let search = Search {
            api: self.client,
            ledger: store,
            clock: &SystemClock,
            recorded: &earlier.snapshot.recorded,
            desired: &self.workspace.project.desired,
            timeout: self.request.connect.timeout,
            settle: self.request.settle,
            on_event: &|event| self.attendant.event(&event),
        };
        let steps = search.run(creates).await?;
        earlier.steps.extend(steps);
        earlier.snapshot = store.snapshot();
        Ok(())
    }
}

/// What is carried out, and what it stands on.
struct Work {
    approved: Approved,
    snapshot: Snapshot,
    live: Live,
    contents: PushContents,
    rotations: Vec<Intent>,
}

/// Rotations that earlier runs began and that got no answer, as far as this run is about them.
fn rotations(planned: &Planned) -> Vec<Intent> {
    let open = planned.snapshot.open.iter().filter(|open| open.sealed.is_none());
    open.map(|open| open.intent.clone())
        .filter(|intent| matches!(intent.what, Creation::SecretKey { .. }))
        .map(|intent| under_the_new_label(intent, &planned.plan))
        .filter(|intent| planned.policy.covers(intent.what.label()))
        .collect()
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
