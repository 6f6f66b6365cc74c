//! Carries an approved plan out: apps, then keysets several at a time, then what got lost on the
//! way, then secret keys. What earlier runs left was looked for before the plan was made.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::Semaphore;

use super::context::{Context, Ports};
use super::create::{self, Tried};
use super::custody::{Purpose, Request};
use super::failure::StepError;
use super::gate::Approved;
use super::push::{self, Upload};
use super::remove;
use super::report::{Outcome, Report, StepRef};
use super::resolve::{self, Lost, Resolution, unresolved};
use super::rotate;
use super::update;
use super::worker::Worker;
use crate::keyset::views::{LiveKeyset, RecordedApp, RecordedKeyset, SecretRecord};
use crate::keyset::wire::body;
use crate::keyset::{AppId, Call, FieldId, Label, Sha256Hash, Value};
use crate::plan::{Op, OpKind, PushUpload, Reason, Rotation, Step};
use crate::ports::{
    self, Api, Body, Claim, Clock, Creation, Entry, Escrow, Fresh, Intent, Ledger, LedgerError,
    SecretName, Sink, Unknown,
};

/// Posts of one create in one run: the first, and one more after its absence was proved.
const MOST_POSTS: u32 = 2;
/// Creates under way: while some wait for the disk or the sink, others send. One request at a time
/// is one create at a time.
fn under_way(parallelism: usize) -> usize {
    if parallelism <= 1 { 1 } else { 4 * parallelism }
}

/// Carries the plan out and says what happened to each step. One failure does not stop the others;
/// a journal that cannot be written stops everything, a sink that fails stops the creates.
pub async fn run<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    approved: &Approved,
    mut context: Context<'_>,
) -> Report {
    let open = std::mem::take(&mut context.open);
    let worker = Worker::new(&context);
    let run = Run {
        ports,
        worker: &worker,
        requests: Semaphore::new(context.parallelism.max(1)),
        plan: &approved.plan().steps,
    };
    let steps = run.all(open).await;
    Report { steps, interrupted: worker.interrupted(), ledger_failed: worker.ledger_failed() }
}

struct Run<'a, A, L, E, S, C> {
    ports: &'a Ports<'a, A, L, E, S, C>,
    worker: &'a Worker<'a>,
    /// One permit for each request in flight.
    requests: Semaphore,
    plan: &'a [Step],
}

/// A step's place in the report, and how it ended.
type Ended = (usize, (StepRef, Outcome));

/// A create under way: its place, what is sent, and what is known of it.
struct Order<'a, S> {
    at: usize,
    step: StepRef,
    claim: Claim<'a, S>,
    settings: Vec<(FieldId, Value)>,
    body: Body,
    what: Creation,
}

/// How far a create got.
enum Far<'a, S> {
    Ended(Ended),
    /// Its answer, at that time by the monotonic clock.
    Lost(Box<Order<'a, S>>, Unknown, StepError, Duration),
}

impl<'a, A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock> Run<'a, A, L, E, S, C> {
    async fn all(&self, open: Vec<Intent>) -> Vec<(StepRef, Outcome)> {
        let mut ended: Vec<Ended> = Vec::new();
        let mut apps: BTreeMap<Label, AppId> = self
            .worker
            .context
            .recorded
            .apps
            .iter()
            .map(|(label, app)| (label.clone(), app.id.clone()))
            .collect();
        self.apps(&mut apps, &mut ended).await;

        // Before what turns it on is sent.
        self.uploads(true, &mut ended).await;
        let keysets =
            |step: &Step| matches!(step.op, Op::CreateKeyset { .. } | Op::UpdateKeyset { .. });
        let apps = &apps;
        let far = stream::iter(self.plan.iter().enumerate().filter(|(_, step)| keysets(step)))
            .map(|(at, step)| async move { self.keyset(at, step, apps).await })
            .buffer_unordered(under_way(self.worker.context.parallelism))
            .collect::<Vec<_>>()
            .await;
        self.look_for_the_lost(far, &mut ended).await;
        self.uploads(false, &mut ended).await;
        self.secret_keys(open, &mut ended).await;
        self.protections(&mut ended).await;
        self.removals(&mut ended).await;

        ended.sort_by_key(|(at, _)| *at);
        ended.into_iter().map(|(_, step)| step).collect()
    }

    // ---------------------------------------------------------------------------------------------
    // apps

    /// Few, and what follows needs them: one after the other.
    async fn apps(&self, apps: &mut BTreeMap<Label, AppId>, ended: &mut Vec<Ended>) {
        let makes = |step: &Step| {
            matches!(step.op, Op::CreateApp { .. } | Op::RenameApp { .. } | Op::AdoptApp { .. })
        };
        for (at, step) in self.plan.iter().enumerate().filter(|(_, step)| makes(step)) {
            let label = &step.label;
            let (name, outcome) = self.step(step.into(), self.app_step(step)).await;
            if !matches!(step.op, Op::RenameApp { .. }) {
                // What the label stood for before is not what the plan puts keysets into.
                apps.remove(label);
            }
            if let Outcome::App { id } = &outcome {
                apps.insert(label.clone(), id.clone());
            }
            ended.push((at, (name, outcome)));
        }
    }

    async fn app_step(&self, step: &Step) -> Result<Outcome, LedgerError> {
        let record = async |label: &Label, app: RecordedApp| {
            let id = app.id.clone();
            self.ports
                .ledger
                .append(Entry::App { label: label.clone(), app, intent: None })
                .await
                .map(|()| Outcome::App { id })
        };
        let label = &step.label;
        match (&step.op, step.app_id()) {
            (Op::CreateApp { reason: Reason::Unfinished { .. }, .. }, _) => {
                Ok(Outcome::Skipped { why: UNRESOLVED.to_owned() })
            }
            (Op::CreateApp { name, .. }, _) => {
                let known = self
                    .worker
                    .context
                    .live
                    .apps
                    .values()
                    .filter(|a| a.name == *name)
                    .map(|a| a.id.clone())
                    .collect();
                let intent =
                    self.intent(Creation::App { label: label.clone(), name: name.clone(), known });
                self.app(ports::intend(self.ports.ledger, intent).await?).await
            }
            (Op::RenameApp { to, .. }, Some(id)) => match self.ports.api.patch_app(id, to).await {
                Ok(app) => {
                    record(label, RecordedApp { id: app.id, name: app.name, managed: true }).await
                }
                Err(error) => Ok(Outcome::failed(&error)),
            },
            (Op::AdoptApp { name }, Some(id)) => {
                record(label, RecordedApp { id: id.clone(), name: name.clone(), managed: false })
                    .await
            }
            _ => Ok(Outcome::Nothing),
        }
    }

    /// Carries an app's create to its end: post it, look for it if its answer is lost, post again
    /// only what is proved absent.
    async fn app(&self, mut fresh: Fresh) -> Result<Outcome, LedgerError> {
        for posts in 1.. {
            let (unknown, why) = match create::app(self.ports, fresh).await? {
                Tried::Done(outcome, _) => return Ok(outcome),
                Tried::Lost(unknown, why) => (unknown, why),
            };
            let lost = Lost::now(unknown, self.ports.clock, self.ports.clock.monotonic());
            match resolve::apps(
                self.ports.api,
                self.ports.clock,
                vec![lost],
                self.worker.patience(),
            )
            .await
            .pop()
            {
                Some(Resolution::Mine(unknown, app)) => {
                    return create::found_app(self.ports.ledger, unknown, *app).await;
                }
                // No new work after an interrupt, and another post is new work.
                Some(Resolution::Absent(_)) if (self.worker.context.stop)() => {
                    return Ok(interrupted(why));
                }
                Some(Resolution::Absent(_)) if posts == MOST_POSTS => {
                    return Ok(Outcome::unknown(AGAIN));
                }
                Some(Resolution::Absent(proof)) => fresh = proof,
                Some(other) => return Ok(unresolved(why, "apps", &other)),
                None => return Ok(Outcome::unknown(why)),
            }
        }
        Ok(Outcome::unknown(AGAIN))
    }

    // ---------------------------------------------------------------------------------------------
    // keysets

    /// One create or update of the plan.
    async fn keyset(&self, at: usize, planned: &Step, apps: &BTreeMap<Label, AppId>) -> Far<'a, S> {
        let label = &planned.label;
        let step = StepRef::from(planned);
        let (Op::CreateKeyset { reason, .. }, Some(app)) = (&planned.op, &planned.app) else {
            return Far::Ended((at, self.step(step, self.update(planned)).await));
        };
        let skip =
            |why: String| Far::Ended((at, self.worker.end(step.clone(), Outcome::Skipped { why })));
        if matches!(reason, Reason::Unfinished { .. }) {
            return skip(UNRESOLVED.to_owned());
        }
        if let Err(skipped) = self.worker.begin(&step) {
            return Far::Ended((at, self.worker.end(step, *skipped)));
        }
        let Some(app_id) = apps.get(app) else {
            return skip(format!("its app `{app}` could not be created"));
        };
        let Some(sink) = self.ports.sink else {
            return skip("no sink was probed for its secret".to_owned());
        };
        let request = Request {
            purpose: Purpose::Create,
            label,
            keyset: self.worker.context.recorded.keysets.get(label),
            coming: None,
            overwrite: false,
        };
        match self.ports.custody.claim(sink, &self.entry(label), &request).await {
            Ok(claim) => self.post(self.order(at, planned, (app, app_id), claim), None).await,
            Err(refusal) => Far::Ended((at, self.worker.end(step, refusal.into()))),
        }
    }

    /// Writes the intent down and sends it, once, unless something speaks against it by now.
    async fn post(&self, order: Order<'a, S>, proof: Option<Fresh>) -> Far<'a, S> {
        let tried = async {
            let intent = self.intent(order.what.clone());
            let fresh = match proof {
                Some(proof) => ports::renew(self.ports.ledger, proof, &intent).await?,
                None => ports::intend(self.ports.ledger, intent).await?,
            };
            let permit = self.requests.acquire().await;
            if let Some(why) = self.worker.stopped(OpKind::CreateKeyset) {
                ports::withdraw(self.ports.ledger, fresh).await?;
                return Ok(Tried::Done(Outcome::Skipped { why }, None));
            }
            create::keyset(self.ports, &order.claim, fresh, &order.body, &order.settings, permit)
                .await
        };
        match tried.await {
            Ok(Tried::Done(outcome, keyset)) => {
                if let Some(keyset) = keyset {
                    self.worker.note(&order.step.label, *keyset);
                }
                Far::Ended((order.at, self.worker.end(order.step, outcome)))
            }
            Ok(Tried::Lost(unknown, why)) => {
                self.worker.searching(&order.step);
                Far::Lost(Box::new(order), unknown, why, self.ports.clock.monotonic())
            }
            Err(error) => {
                Far::Ended((order.at, self.worker.end(order.step, self.worker.broken(&error))))
            }
        }
    }

    /// Looks for the creates whose answers got lost, all together, and sends again what is proved
    /// absent.
    async fn look_for_the_lost(&self, mut far: Vec<Far<'a, S>>, ended: &mut Vec<Ended>) {
        for posts in 1..=MOST_POSTS {
            let (mut lost, mut about) = (Vec::new(), Vec::new());
            for one in far {
                match one {
                    Far::Ended(end) => ended.push(end),
                    Far::Lost(order, unknown, why, since) => {
                        lost.push(Lost::now(unknown, self.ports.clock, since));
                        about.push((order, why));
                    }
                }
            }
            if lost.is_empty() {
                return;
            }
            let resolutions = resolve::keysets(
                self.ports.api,
                self.ports.clock,
                lost,
                &self.worker.taken,
                self.worker.patience(),
            )
            .await;
            far = stream::iter(about.into_iter().zip(resolutions))
                .map(|((order, why), resolution)| async move {
                    match resolution {
                        Resolution::Mine(unknown, live) => {
                            let outcome = self
                                .found(&order.step.label, unknown, *live, &order.settings)
                                .await;
                            Far::Ended((order.at, self.end(order.step, outcome)))
                        }
                        // No new work after an interrupt, and another post is new work.
                        Resolution::Absent(_)
                            if self.worker.stopped(OpKind::CreateKeyset).is_some() =>
                        {
                            Far::Ended((order.at, self.worker.end(order.step, interrupted(why))))
                        }
                        Resolution::Absent(_) if posts == MOST_POSTS => Far::Ended((
                            order.at,
                            self.worker.end(order.step, Outcome::unknown(AGAIN)),
                        )),
                        Resolution::Absent(proof) => self.post(*order, Some(proof)).await,
                        other => Far::Ended((
                            order.at,
                            self.worker.end(order.step, unresolved(why, "keysets", &other)),
                        )),
                    }
                })
                .buffer_unordered(self.worker.context.parallelism.max(1))
                .collect()
                .await;
        }
        ended.extend(far.into_iter().filter_map(|one| match one {
            Far::Ended(end) => Some(end),
            Far::Lost(..) => None,
        }));
    }

    /// Records a keyset that turned out to be ours, and makes it a secret key, since nobody has
    /// seen the one it has.
    async fn found(
        &self,
        label: &Label,
        unknown: Unknown,
        live: LiveKeyset,
        settings: &[(FieldId, Value)],
    ) -> Result<Outcome, LedgerError> {
        let (mut outcome, keyset) =
            create::found(self.ports.api, self.ports.ledger, unknown, live, settings).await?;
        let (Some(mut keyset), Some(sink)) = (keyset, self.ports.sink) else { return Ok(outcome) };
        self.worker.note(label, (*keyset).clone());
        // A secret key that nobody could keep helps nobody.
        if self.worker.stopped(OpKind::RotateSecret).is_some() {
            return Ok(outcome);
        }
        let rotated = rotate::repair(
            self.ports,
            sink,
            &mut keyset,
            &self.rotation(label, &self.entry(label)),
            Vec::new(),
        )
        .await?;
        self.worker.note(label, *keyset);
        if let Outcome::Created { secret, waits, .. } = &mut outcome {
            match rotated {
                Outcome::Rotated { secret: new, waits: sealed, .. } => {
                    (*secret, *waits) = (new, sealed)
                }
                Outcome::Failed(error) | Outcome::Unknown(error) => {
                    let why = error.message;
                    *secret = SecretRecord::Missing {
                        current: None,
                        held: None,
                        why: format!(
                            "the answer to the create was lost, and a new secret key \
                                      could not be made: {why}"
                        )
                        .into(),
                    };
                }
                _ => {}
            }
        }
        Ok(outcome)
    }

    async fn update(&self, step: &Step) -> Result<Outcome, LedgerError> {
        let Op::UpdateKeyset { changes } = &step.op else { return Ok(Outcome::Nothing) };
        let label = &step.label;
        let Some(mut keyset) = self.worker.record(label) else {
            return Ok(Outcome::Skipped { why: "it is not in the state".to_owned() });
        };
        let _permit = self.requests.acquire().await;
        let outcome = update::keyset(self.ports, label, &mut keyset, changes).await;
        self.worker.note(label, keyset);
        outcome
    }

    /// Uploads push credentials: to keysets that exist, or to those that this run made.
    async fn uploads(&self, exist: bool, ended: &mut Vec<Ended>) {
        let wanted = |(_, step): &(usize, &Step)| {
            matches!(step.op, Op::UploadPush(_)) && step.id.is_some() == exist
        };
        let mut by_label: BTreeMap<&Label, Vec<(usize, &Step)>> = BTreeMap::new();
        for (at, step) in self.plan.iter().enumerate().filter(wanted) {
            by_label.entry(&step.label).or_default().push((at, step));
        }
        // One keyset's own one after the other: each reads and writes its record.
        let done = stream::iter(by_label.into_values())
            .map(|uploads| async move {
                let mut done = Vec::new();
                for (at, step) in uploads {
                    done.push((at, self.step(step.into(), self.upload(step)).await));
                }
                done
            })
            .buffer_unordered(self.worker.context.parallelism.max(1))
            .collect::<Vec<_>>()
            .await;
        ended.extend(done.into_iter().flatten());
    }

    async fn upload(&self, step: &Step) -> Result<Outcome, LedgerError> {
        let Op::UploadPush(upload) = &step.op else { return Ok(Outcome::Nothing) };
        let PushUpload { push, file, texts, sha256, why: _, switch_off } = &**upload;
        let label = &step.label;
        let skipped = |why: &str| Ok(Outcome::Skipped { why: why.to_owned() });
        // What is recorded from before is gone where the plan creates it.
        let old = self
            .worker
            .context
            .recorded
            .keysets
            .get(label)
            .filter(|_| step.id.is_none())
            .map(|keyset| &keyset.id);
        let Some(mut keyset) = self.worker.record(label).filter(|keyset| Some(&keyset.id) != old)
        else {
            return skipped("its keyset was not created");
        };
        let Some(content) = self.worker.context.push.get(file) else {
            return skipped("its file was not read");
        };
        let _permit = self.requests.acquire().await;
        let upload = Upload { push: *push, texts, sha256, content, switch_off: *switch_off };
        let outcome = push::upload(self.ports, label, &mut keyset, &upload).await;
        self.worker.note(label, keyset);
        outcome
    }

    /// Notes in the state what may be deleted one day.
    async fn protections(&self, ended: &mut Vec<Ended>) {
        for (at, step) in self.plan.iter().enumerate() {
            let Op::ProtectKeyset { protect } = &step.op else { continue };
            let label = &step.label;
            let work = async {
                let Some(keyset) = self.worker.record(label) else { return Ok(Outcome::Nothing) };
                let keyset = RecordedKeyset { protect: Some(*protect), ..keyset };
                self.worker.note(label, keyset.clone());
                let entry =
                    Entry::Keyset { label: label.clone(), keyset: Box::new(keyset), intent: None };
                self.ports
                    .ledger
                    .append(entry)
                    .await
                    .map(|()| Outcome::Protected { protect: *protect })
            };
            ended.push((at, self.step(step.into(), work).await));
        }
    }

    /// Deletes and forgets what nobody declares any more: last, so that nothing is gone before what
    /// takes its place is there.
    async fn removals(&self, ended: &mut Vec<Ended>) {
        self.removals_of(false, ended).await;
        self.removals_of(true, ended).await;
    }

    /// Keysets, or apps: these only when all of those are gone.
    async fn removals_of(&self, apps: bool, ended: &mut Vec<Ended>) {
        let wanted = |(_, step): &(usize, &Step)| step.is_removal() && step.is_app() == apps;
        if let Some(why) = self.not_all_good(ended) {
            let skipped = |why: &String| Outcome::Skipped { why: why.clone() };
            let steps = self.plan.iter().enumerate().filter(wanted);
            return ended
                .extend(steps.map(|(at, step)| (at, self.worker.end(step.into(), skipped(&why)))));
        }
        let done = stream::iter(self.plan.iter().enumerate().filter(wanted))
            .map(|(at, step)| async move { (at, self.removal(step).await) })
            .buffer_unordered(self.worker.context.parallelism.max(1))
            .collect::<Vec<_>>()
            .await;
        ended.extend(done);
    }

    async fn removal(&self, step: &Step) -> (StepRef, Outcome) {
        let label = &step.label;
        let forgotten = async |app| {
            let id = step.id.as_ref().map_or_else(String::new, ToString::to_string);
            self.ports
                .ledger
                .append(Entry::Forgotten { label: label.clone(), app })
                .await
                .map(|()| Outcome::Forgotten { id })
        };
        let work = async {
            match (&step.op, step.app_id()) {
                (Op::DeleteKeyset { .. }, _) => {
                    let Some(keyset) = self.worker.record(label) else {
                        return Ok(Outcome::Nothing);
                    };
                    let _permit = self.requests.acquire().await;
                    remove::keyset(self.ports, label, &keyset).await
                }
                (Op::DeleteApp { .. }, Some(id)) => remove::app(self.ports, label, id).await,
                (Op::ForgetKeyset | Op::ForgetApp, _) => forgotten(step.is_app()).await,
                _ => Ok(Outcome::Nothing),
            }
        };
        self.step(step.into(), work).await
    }

    /// Why nothing is deleted: something that was to be there is not.
    fn not_all_good(&self, ended: &[Ended]) -> Option<String> {
        let failed = ended.iter().find(|(_, (_, outcome))| !outcome.is_good());
        failed.map(|(_, (step, _))| {
            format!("nothing is deleted while something else is not done: {}", step.label)
        })
    }

    // ---------------------------------------------------------------------------------------------
    // secret keys

    /// Makes the secret keys that are missing, and ends the rotations that earlier runs began.
    async fn secret_keys(&self, open: Vec<Intent>, ended: &mut Vec<Ended>) {
        let planned = self.plan.iter().enumerate().filter_map(|(at, step)| match &step.op {
            Op::RotateSecret { why } => match **why {
                Rotation::Due { overlap, .. } => Some((at, &step.label, Some(overlap))),
                Rotation::Missing { .. } | Rotation::Unfinished { .. } => {
                    Some((at, &step.label, None))
                }
            },
            _ => None,
        });
        let mut wanted: Vec<(usize, OpKind, Label, Vec<Intent>)> = Vec::new();
        let mut overlaps: BTreeMap<&Label, Duration> = BTreeMap::new();
        for (at, label, overlap) in planned {
            wanted.push((at, OpKind::RotateSecret, label.clone(), Vec::new()));
            overlaps.extend(overlap.map(|overlap| (label, overlap)));
        }
        let overlaps = &overlaps;
        for (n, intent) in open
            .into_iter()
            .enumerate()
            .filter(|(_, i)| matches!(i.what, Creation::SecretKey { .. }))
        {
            let label = intent.what.label().clone();
            match wanted.iter_mut().find(|(_, _, l, _)| *l == label) {
                Some((.., intents)) => intents.push(intent),
                None => wanted.push((self.plan.len() + n, OpKind::Resolve, label, vec![intent])),
            }
        }
        let done = stream::iter(wanted)
            .map(|(at, kind, label, left)| async move {
                let step = StepRef::new(kind, &label);
                let planned = at < self.plan.len();
                (
                    at,
                    self.step(
                        step,
                        self.secret_key(&label, left, overlaps.get(&label).copied(), planned),
                    )
                    .await,
                )
            })
            .buffer_unordered(self.worker.context.parallelism.max(1))
            .collect::<Vec<_>>()
            .await;
        ended.extend(done);
    }

    /// `overlap`: how long the key of before works on, where somebody is using it. `planned`: or
    /// only what earlier runs left.
    async fn secret_key(
        &self,
        label: &Label,
        left: Vec<Intent>,
        overlap: Option<Duration>,
        planned: bool,
    ) -> Result<Outcome, LedgerError> {
        let Some(mut keyset) = self.worker.record(label) else {
            for intent in left {
                ports::void(self.ports.ledger, ports::left_open(intent)).await?;
            }
            return Ok(Outcome::Nothing);
        };
        let (left, others): (Vec<Intent>, Vec<Intent>) = left
            .into_iter()
            .partition(|i| matches!(&i.what, Creation::SecretKey { id, .. } if *id == keyset.id));
        for intent in others {
            // Its keyset is not recorded any more, and the label stands for another one.
            ports::void(self.ports.ledger, ports::left_open(intent)).await?;
        }
        if left.is_empty() && !planned {
            return Ok(Outcome::Nothing);
        }
        let Some(sink) = self.ports.sink else {
            return Ok(Outcome::Skipped { why: "no sink was probed for its secret".to_owned() });
        };
        let name = self.entry(keyset.sink_label(label));
        let expires_at =
            overlap.and_then(|overlap| self.ports.clock.now().checked_add(overlap).ok());
        if overlap.is_some() && expires_at.is_none() {
            return Ok(Outcome::Skipped {
                why: "the overlap ends after the end of time".to_owned(),
            });
        }
        let order = rotate::Order { expires_at, ..self.rotation(label, &name) };
        let _permit = self.requests.acquire().await;
        if overlap.is_some() {
            match rotate::too_many_expiring(self.ports.api, &keyset.id).await {
                Ok(None) => {}
                Ok(Some(expiring)) => return Ok(no_room(expiring, label)),
                Err(error) => return Ok(Outcome::failed(&error)),
            }
        }
        let left: Vec<Unknown> = left.into_iter().map(ports::left_open).collect();
        let outcome = rotate::repair(self.ports, sink, &mut keyset, &order, left).await;
        self.worker.note(label, keyset);
        outcome
    }

    // ---------------------------------------------------------------------------------------------
    // helpers

    /// A step from its beginning to its end, unless something speaks against beginning it.
    async fn step(
        &self,
        step: StepRef,
        work: impl Future<Output = Result<Outcome, LedgerError>>,
    ) -> (StepRef, Outcome) {
        match self.worker.begin(&step) {
            Ok(()) => {
                let outcome = work.await;
                self.end(step, outcome)
            }
            Err(skipped) => self.worker.end(step, *skipped),
        }
    }

    fn end(&self, step: StepRef, outcome: Result<Outcome, LedgerError>) -> (StepRef, Outcome) {
        let outcome = outcome.unwrap_or_else(|error| self.worker.broken(&error));
        self.worker.end(step, outcome)
    }

    /// The request of a create and what is written down about it.
    fn order(
        &self,
        at: usize,
        planned: &Step,
        (app, app_id): (&Label, &AppId),
        claim: Claim<'a, S>,
    ) -> Order<'a, S> {
        let step = StepRef::from(planned);
        let settings = settings(planned);
        let text = |field: &str| match settings
            .iter()
            .find(|(f, _)| Some(*f) == FieldId::find("keyset", field))
        {
            Some((_, Value::Text(text))) => text.clone(),
            _ => "".into(),
        };
        let (name, r#type) = (text("name"), text("type"));
        let pairs = || settings.iter().map(|(f, v)| (*f, v));
        let mut keyset = body(Call::Keyset, pairs());
        keyset.insert("appId".to_owned(), app_id.as_str().into());
        let config = body(Call::Config, pairs());
        let mut request = Body::new();
        request.insert("keyset".to_owned(), keyset.into());
        if !config.is_empty() {
            request.insert("config".to_owned(), config.into());
        }
        // Only what could be taken for the new keyset later, so that an apply of N creates writes
        // O(N) bytes.
        let known = self.worker.known(app_id, &name);
        let body_digest = Sha256Hash::of(serde_json::Value::Object(request.clone()).to_string())
            .to_string()
            .into();
        let label = step.label.clone();
        // A plan creates under a label that is recorded only if that one is gone.
        let replaces =
            self.worker.context.recorded.keysets.get(&label).map(|keyset| keyset.id.clone());
        let protect = match &planned.op {
            Op::CreateKeyset { protect, .. } => *protect,
            _ => None,
        };
        let (app, app_id) = (app.clone(), app_id.clone());
        let what = Creation::Keyset {
            label: label.clone(),
            app,
            app_id,
            name,
            r#type,
            body_digest,
            known,
            replaces,
            protect,
        };
        Order { at, claim, step, settings, body: request, what }
    }

    fn entry(&self, label: &Label) -> SecretName {
        self.ports.custody.entry(label)
    }

    fn rotation<'r>(&'r self, label: &'r Label, name: &'r SecretName) -> rotate::Order<'r> {
        rotate::Order {
            label,
            name,
            expires_at: None,
            patience: self.worker.patience(),
            overwrite: false,
        }
    }

    fn intent(&self, what: Creation) -> Intent {
        Intent { id: uuid::Uuid::new_v4(), at: self.ports.clock.now(), what }
    }
}

const UNRESOLVED: &str = "what became of an earlier create of it is not known: see above";
const AGAIN: &str = "its answer was lost again and again";

fn no_room(expiring: usize, label: &Label) -> Outcome {
    let why = format!(
        "{expiring} of its keys wait for their end, and the API takes no more: nothing was done"
    );
    let help = format!(
        "`keyform secrets keys {label}` shows them; wait, or end one: keyform secrets expire \
         {label} PREFIX --now"
    );
    Outcome::failed(StepError::new(why).help(help))
}

fn settings(step: &Step) -> Vec<(FieldId, Value)> {
    match &step.op {
        Op::CreateKeyset { settings, .. } => {
            settings.iter().map(|c| (c.field, c.to.clone())).collect()
        }
        _ => Vec::new(),
    }
}

fn interrupted(lost: StepError) -> Outcome {
    Outcome::unknown(lost.and("interrupted before it was sent again"))
}
