//! Carries an approved plan out: apps first, then keysets, several at a time.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};

use super::context::{Context, Ports};
use super::create::{self, Entered, Order};
use super::gate::Approved;
use super::report::{Event, Outcome, Report, Step, Verb};
use super::update;
use crate::keyset::views::{Live, RecordedApp, SecretRecord};
use crate::keyset::wire::body;
use crate::keyset::{AppId, Call, FieldId, KeysetId, Label, Value};
use crate::plan::Action;
use crate::ports::{self, Api, Body, Clock, Creation, Entry, Escrow, Intent, Ledger, LedgerError, Namespace, Probed, SecretName, Sink};

/// Why no new step is begun. The first reason stays.
#[derive(Default)]
struct Brake {
    ledger: Cell<Option<String>>,
    sink: Cell<Option<String>>,
    interrupted: Cell<bool>,
}

impl Brake {
    fn of(cell: &Cell<Option<String>>) -> Option<String> {
        let text = cell.take();
        cell.set(text.clone());
        text
    }
}

/// Carries the plan out and says what happened to each step. One failure does not stop the others; a journal that
/// cannot be written stops everything, a sink that fails stops the creates.
pub async fn run<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    approved: &Approved,
    mut context: Context<'_>,
) -> Report {
    let open: BTreeMap<(bool, Label), Intent> = context.open.drain(..).map(|i| ((is_app(&i.what), i.what.label().clone()), i)).collect();
    let brake = Brake::default();
    let worker = Worker { ports, context: &context, brake: &brake, taken: RefCell::new(taken(&context)), names: names(context.live) };
    let mut steps = Vec::new();
    let mut apps: BTreeMap<Label, AppId> = context.recorded.apps.iter().map(|(label, app)| (label.clone(), app.id.clone())).collect();

    // What no action of the plan takes up comes first: afterwards a create of this run could be taken for it.
    let taken_up: BTreeSet<(bool, &Label)> = approved.plan().actions.iter().map(|a| (a.is_app(), a.label())).collect();
    let (taken_up, left) = open.into_iter().partition::<BTreeMap<_, _>, _>(|((is_app, label), _)| taken_up.contains(&(*is_app, label)));
    let mut open = taken_up;
    for ((_, label), intent) in left {
        let step = Step { verb: Verb::Resolve, label };
        let outcome = worker.guarded(&step, create::leftover(ports, ports::left_open(intent), &worker.taken, context.settle)).await;
        steps.push((step, outcome));
    }

    // Few, and what follows needs them: one after the other.
    for action in &approved.plan().actions {
        let Some(verb) = app_verb(action) else { continue };
        let intent = open.remove(&(true, action.label().clone()));
        let step = Step { verb, label: action.label().clone() };
        let outcome = worker.guarded(&step, worker.app(action, intent, &step)).await;
        if !matches!(action, Action::RenameApp { .. }) {
            // What the label stood for before is not what the plan puts keysets into.
            apps.remove(&step.label);
        }
        if let Outcome::App { id } = &outcome {
            apps.insert(step.label.clone(), id.clone());
        }
        steps.push((step, outcome));
    }

    let (worker, apps) = (&worker, &apps);
    let keysets: Vec<(&Action, Option<Intent>)> =
        approved.plan().actions.iter().filter(|a| app_verb(a).is_none()).map(|a| (a, open.remove(&(false, a.label().clone())))).collect();
    let mut done: Vec<(usize, (Step, Outcome))> = stream::iter(keysets.into_iter().enumerate())
        .map(|(n, (action, intent))| async move {
            let verb = if matches!(action, Action::CreateKeyset { .. }) { Verb::CreateKeyset } else { Verb::UpdateKeyset };
            let step = Step { verb, label: action.label().clone() };
            let outcome = worker.guarded(&step, worker.keyset(action, intent, &step, apps)).await;
            (n, (step, outcome))
        })
        .buffer_unordered(context.parallelism.max(1))
        .collect()
        .await;
    done.sort_by_key(|(n, _)| *n);
    steps.extend(done.into_iter().map(|(_, step)| step));

    Report { steps, interrupted: brake.interrupted.get(), ledger_failed: brake.ledger.take() }
}

struct Worker<'a, A, L, E, S, C> {
    ports: &'a Ports<'a, A, L, E, S, C>,
    context: &'a Context<'a>,
    brake: &'a Brake,
    /// Ids that belong to labels: of the state, and of this run so far.
    taken: RefCell<BTreeSet<KeysetId>>,
    names: Names<'a>,
}

/// Live keysets by app and name.
type Names<'a> = HashMap<(&'a AppId, &'a str), Vec<&'a KeysetId>>;

fn names(live: &Live) -> Names<'_> {
    let mut names = Names::new();
    let field = FieldId::find("keyset", "name");
    for keyset in live.keysets.values() {
        // One whose name the server does not tell matches no name here; the time of its creation tells it apart.
        if let Some(Value::Text(name)) = field.and_then(|f| keyset.observed.get(f)) {
            names.entry((&keyset.app_id, &**name)).or_default().push(&keyset.id);
        }
    }
    names
}

impl<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock> Worker<'_, A, L, E, S, C> {
    /// Runs a step unless something speaks against beginning it, and draws the brake if it says so.
    async fn guarded(&self, step: &Step, work: impl Future<Output = Result<Outcome, LedgerError>>) -> Outcome {
        if (self.context.stop)() {
            self.brake.interrupted.set(true);
        }
        let reason = if self.brake.interrupted.get() {
            Some("interrupted before it was begun".to_owned())
        } else if let Some(why) = Brake::of(&self.brake.ledger) {
            Some(format!("the journal cannot be written: {why}"))
        } else if step.verb == Verb::CreateKeyset {
            Brake::of(&self.brake.sink).map(|why| format!("no secret can be stored any more: {why}"))
        } else {
            None
        };
        let outcome = match reason {
            Some(why) => Outcome::Skipped { why },
            None => {
                (self.context.on_event)(Event::Started { step: step.clone() });
                match work.await {
                    Ok(outcome) => outcome,
                    Err(error) => {
                        self.brake.ledger.set(Some(error.to_string()));
                        let why = format!("{error}: what was done is not recorded; the next run looks for it");
                        Outcome::Unknown { why }
                    }
                }
            }
        };
        if matches!(outcome, Outcome::Unknown { .. }) && (self.context.stop)() {
            self.brake.interrupted.set(true);
        }
        if let Outcome::Created { id, .. } = &outcome {
            self.taken.borrow_mut().insert(id.clone());
        }
        if let Some(why) = outcome.lost_secret() {
            self.brake.sink.set(Some(why.to_owned()));
        }
        (self.context.on_event)(Event::Finished { step: step.clone(), outcome: outcome.clone() });
        outcome
    }

    async fn app(&self, action: &Action, open: Option<Intent>, step: &Step) -> Result<Outcome, LedgerError> {
        let record = async |label: &Label, app: RecordedApp| {
            let id = app.id.clone();
            self.ports.ledger.append(Entry::App { label: label.clone(), app, intent: None }).await.map(|()| Outcome::App { id })
        };
        match action {
            Action::CreateApp { label, name, .. } => {
                let known = self.context.live.apps.values().filter(|a| a.name == *name).map(|a| a.id.clone()).collect();
                let intent = self.intent(Creation::App { label: label.clone(), name: name.clone(), known });
                let entered = self.enter(open, &intent).await?;
                create::app(self.ports, entered, &intent, self.context.settle, self.context.stop, || self.searching(step)).await
            }
            Action::RenameApp { label, id, to, .. } => match self.ports.api.patch_app(id, to).await {
                Ok(app) => record(label, RecordedApp { id: app.id, name: app.name, managed: true }).await,
                Err(error) => Ok(Outcome::failed(&error)),
            },
            Action::AdoptApp { label, id, name, .. } => {
                record(label, RecordedApp { id: id.clone(), name: name.clone(), managed: false }).await
            }
            Action::CreateKeyset { .. } | Action::UpdateKeyset { .. } => Ok(Outcome::Nothing),
        }
    }

    async fn keyset(
        &self,
        action: &Action,
        open: Option<Intent>,
        step: &Step,
        apps: &BTreeMap<Label, AppId>,
    ) -> Result<Outcome, LedgerError> {
        match action {
            Action::CreateKeyset { label, app, settings, .. } => {
                let Some(app_id) = apps.get(app) else {
                    return Ok(Outcome::Skipped { why: format!("its app `{app}` could not be created") });
                };
                let Some(sink) = self.ports.sink else {
                    return Ok(Outcome::Skipped { why: "no sink was probed for its secret".to_owned() });
                };
                let settings: Vec<(FieldId, Value)> = settings.iter().map(|c| (c.field, c.to.clone())).collect();
                let (body, what) = self.order(label, app, app_id, &settings);
                let name = SecretName { namespace: self.context.namespace, project: self.context.project.clone(), label: label.clone() };
                if open.is_none()
                    && let Some(refused) = self.would_overwrite(sink, &name).await
                {
                    return Ok(refused);
                }
                let intent = self.intent(what);
                let entered = self.enter(open, &intent).await?;
                let order = Order {
                    name: &name,
                    intent: &intent,
                    body: &body,
                    settings: &settings,
                    taken: &self.taken,
                    settle: self.context.settle,
                    stop: self.context.stop,
                };
                create::keyset(self.ports, sink, entered, order, || self.searching(step)).await
            }
            Action::UpdateKeyset { label, changes, .. } => match self.context.recorded.keysets.get(label) {
                Some(recorded) => update::keyset(self.ports, label, recorded.clone(), changes).await,
                None => Ok(Outcome::Skipped { why: "it is not in the state".to_owned() }),
            },
            Action::CreateApp { .. } | Action::RenameApp { .. } | Action::AdoptApp { .. } => Ok(Outcome::Nothing),
        }
    }

    /// The request of a create and what is written down about it.
    fn order(&self, label: &Label, app: &Label, app_id: &AppId, settings: &[(FieldId, Value)]) -> (Body, Creation) {
        let text = |field: &str| match settings.iter().find(|(f, _)| Some(*f) == FieldId::find("keyset", field)) {
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
        // Only what could be taken for the new keyset later, so that an apply of N creates writes O(N) bytes.
        let known = self.names.get(&(app_id, &*name)).into_iter().flatten().map(|id| (*id).clone()).collect();
        let digest = Sha256::digest(serde_json::Value::Object(request.clone()).to_string());
        let body_digest = digest.iter().map(|b| format!("{b:02x}")).collect::<String>().into();
        let what = Creation::Keyset { label: label.clone(), app: app.clone(), app_id: app_id.clone(), name, r#type, body_digest, known };
        (request, what)
    }

    /// A secret that the state does not know may be the only copy of another keyset's: it is not overwritten. What the
    /// sandbox gave out is worth nothing.
    async fn would_overwrite(&self, sink: Probed<'_, S>, name: &SecretName) -> Option<Outcome> {
        if name.namespace == Namespace::Sandbox {
            return None;
        }
        let SecretName { project, label, .. } = name;
        let found = match sink.holds(name).await {
            Ok(found) => found?,
            Err(error) => return Some(Outcome::Failed { why: error.to_string(), help: None }),
        };
        let ours = self.context.recorded.keysets.get(label).map(|keyset| &keyset.secret);
        if matches!(ours, Some(SecretRecord::Stored { fingerprint, .. }) if *fingerprint == found) {
            return None;
        }
        let sink = sink.name();
        Some(Outcome::Failed {
            why: format!("the {sink} holds a secret for `{label}` of project `{project}` already that this state does not know"),
            help: Some(format!(
                "it may be the only copy of another keyset's secret key: bring back the state that belongs to it, or give this project \
                 another name; if it is of no more use, delete the entry (service keyform:{project}, user {label}) with the {sink}'s own tool"
            )),
        })
    }

    /// An intent of an earlier run has to be resolved first; else `intent` is written down.
    async fn enter(&self, open: Option<Intent>, intent: &Intent) -> Result<Entered, LedgerError> {
        match open {
            Some(open) => Ok(Entered::Unknown(ports::left_open(open))),
            None => ports::intend(self.ports.ledger, intent.clone()).await.map(Entered::Fresh),
        }
    }

    fn intent(&self, what: Creation) -> Intent {
        Intent { id: uuid::Uuid::new_v4(), at: self.ports.clock.now(), what }
    }

    fn searching(&self, step: &Step) {
        (self.context.on_event)(Event::Searching { step: step.clone() });
    }
}

fn is_app(what: &Creation) -> bool {
    matches!(what, Creation::App { .. })
}

fn app_verb(action: &Action) -> Option<Verb> {
    match action {
        Action::CreateApp { .. } => Some(Verb::CreateApp),
        Action::RenameApp { .. } => Some(Verb::RenameApp),
        Action::AdoptApp { .. } => Some(Verb::AdoptApp),
        Action::CreateKeyset { .. } | Action::UpdateKeyset { .. } => None,
    }
}

/// Ids that belong to labels of the state.
fn taken(context: &Context<'_>) -> BTreeSet<KeysetId> {
    context.recorded.keysets.values().map(|k| k.id.clone()).collect()
}
