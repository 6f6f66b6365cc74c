//! Keysets of a plan: creates, several under way at a time, and updates.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::{AGAIN, Ended, MOST_POSTS, Run, UNRESOLVED, interrupted};
use crate::apply::create::{self, Tried};
use crate::apply::custody::{Purpose, Request};
use crate::apply::failure::StepError;
use crate::apply::report::{Outcome, StepRef};
use crate::apply::resolve::{self, Lost, Resolution, unresolved};
use crate::apply::{rotate, update};
use crate::keyset::views::{LiveKeyset, SecretRecord};
use crate::keyset::wire::body;
use crate::keyset::{AppId, Call, FieldId, Label, Sha256Hash, Value};
use crate::plan::{Op, OpKind, Reason, Step};
use crate::ports::{
    self, Api, Body, Claim, Clock, Creation, Escrow, Fresh, Ledger, LedgerError, Sink, Unknown,
};

/// A create under way: its place, what is sent, and what is known of it.
pub(super) struct Order<'a, S> {
    at: usize,
    step: StepRef,
    claim: Claim<'a, S>,
    settings: Vec<(FieldId, Value)>,
    body: Body,
    what: Creation,
}

/// A create that was sent, or an update.
pub(super) enum Attempt<'a, S> {
    Ended(Ended),
    /// The answer to the create was lost, at that time by the monotonic clock.
    Lost(Box<Order<'a, S>>, Unknown, StepError, Duration),
}

impl<'a, A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock> Run<'a, A, L, E, S, C> {
    /// One create or update of the plan.
    pub(super) async fn keyset(
        &self,
        at: usize,
        planned: &Step,
        apps: &BTreeMap<Label, AppId>,
    ) -> Attempt<'a, S> {
        let label = &planned.label;
        let step = StepRef::from(planned);
        let (Op::CreateKeyset { reason, .. }, Some(app)) = (&planned.op, &planned.app) else {
            return Attempt::Ended((at, self.step(step, self.update(planned)).await));
        };
        let skip = |why: String| {
            Attempt::Ended((at, self.worker.end(step.clone(), Outcome::Skipped { why })))
        };
        if matches!(reason, Reason::Unfinished { .. }) {
            return skip(UNRESOLVED.to_owned());
        }
        if let Err(skipped) = self.worker.begin(&step) {
            return Attempt::Ended((at, self.worker.end(step, *skipped)));
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
            Err(refusal) => Attempt::Ended((at, self.worker.end(step, refusal.into()))),
        }
    }

    /// Writes the intent down and sends it, once, unless something speaks against it by now.
    async fn post(&self, order: Order<'a, S>, proof: Option<Fresh>) -> Attempt<'a, S> {
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
                Attempt::Ended((order.at, self.worker.end(order.step, outcome)))
            }
            Ok(Tried::Lost(unknown, why)) => {
                self.worker.searching(&order.step);
                Attempt::Lost(Box::new(order), unknown, why, self.ports.clock.monotonic())
            }
            Err(error) => {
                Attempt::Ended((order.at, self.worker.end(order.step, self.worker.broken(&error))))
            }
        }
    }

    /// Looks for the creates whose answers got lost, all together, and sends again what is proved
    /// absent.
    pub(super) async fn look_for_the_lost(
        &self,
        mut attempts: Vec<Attempt<'a, S>>,
        ended: &mut Vec<Ended>,
    ) {
        for posts in 1..=MOST_POSTS {
            let (mut lost, mut about) = (Vec::new(), Vec::new());
            for one in attempts {
                match one {
                    Attempt::Ended(end) => ended.push(end),
                    Attempt::Lost(order, unknown, why, since) => {
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
            attempts = stream::iter(about.into_iter().zip(resolutions))
                .map(|((order, why), resolution)| async move {
                    match resolution {
                        Resolution::Mine(unknown, live) => {
                            let outcome = self
                                .found(&order.step.label, unknown, *live, &order.settings)
                                .await;
                            Attempt::Ended((order.at, self.end(order.step, outcome)))
                        }
                        // No new work after an interrupt, and another post is new work.
                        Resolution::Absent(_)
                            if self.worker.stopped(OpKind::CreateKeyset).is_some() =>
                        {
                            Attempt::Ended((
                                order.at,
                                self.worker.end(order.step, interrupted(why)),
                            ))
                        }
                        Resolution::Absent(_) if posts == MOST_POSTS => Attempt::Ended((
                            order.at,
                            self.worker.end(order.step, Outcome::unknown(AGAIN)),
                        )),
                        Resolution::Absent(proof) => self.post(*order, Some(proof)).await,
                        other => Attempt::Ended((
                            order.at,
                            self.worker.end(order.step, unresolved(why, "keysets", &other)),
                        )),
                    }
                })
                .buffer_unordered(self.worker.context.parallelism.max(1))
                .collect()
                .await;
        }
        ended.extend(attempts.into_iter().filter_map(|one| match one {
            Attempt::Ended(end) => Some(end),
            Attempt::Lost(..) => None,
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
}

fn settings(step: &Step) -> Vec<(FieldId, Value)> {
    match &step.op {
        Op::CreateKeyset { settings, .. } => {
            settings.iter().map(|c| (c.field, c.to.clone())).collect()
        }
        _ => Vec::new(),
    }
}
