//! A create, from wherever it stands to its end: one loop over the proofs of `ports`.
//!
//! *Guarantees*: at most one POST per proof of absence; an id that is known is recorded, with or without its secret.
//! *Assumptions*: `Ledger::append` returns after the disk has it; a complete listing shows what exists.
//! *Caveats*: a keyset found by listing is recorded with its secret missing.

use std::collections::BTreeSet;
use std::time::Duration;

use super::report::{Differing, Outcome};
use super::resume::{self, Resolution};
use super::run::Ports;
use crate::keyset::views::{LiveKeyset, SecretRecord};
use crate::keyset::wire::observed_of;
use crate::keyset::{FieldId, KeysetId, Observed, Value};
use crate::ports::{
    self, Api, ApiError, Body, Clock, Entry, Escrow, Fresh, Ledger, LedgerError, Posted, PostedApp, Probed, SecretName, Sink, Stored,
    Unknown,
};

/// Posts of one create in one run: the first, and one more after its absence was proved.
const MOST_POSTS: u32 = 2;

/// Where a create enters.
pub enum Entered {
    Fresh(Fresh),
    /// From an earlier run.
    Unknown(Unknown),
}

/// What is to be created.
pub struct Order<'a> {
    pub name: &'a SecretName,
    pub body: &'a Body,
    pub settings: &'a [(FieldId, Value)],
    /// Ids that belong to other labels.
    pub taken: &'a BTreeSet<KeysetId>,
    /// How long a lost create may take to show up in listings.
    pub settle: Duration,
}

/// Carries a keyset's create to its end. `Err`: the journal failed, and no further work may be begun.
pub async fn keyset<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    sink: Probed<'_, S>,
    entered: Entered,
    order: Order<'_>,
    searching: impl Fn(),
) -> Result<Outcome, LedgerError> {
    let mut posts = 0;
    let mut entered = entered;
    loop {
        let (unknown, why) = match entered {
            Entered::Unknown(unknown) => (unknown, "an earlier run ended before its answer came".to_owned()),
            Entered::Fresh(_) if posts == MOST_POSTS => {
                return Ok(Outcome::Unknown { why: "its answer was lost again and again".to_owned() });
            }
            Entered::Fresh(fresh) => {
                posts += 1;
                match posted(ports, sink, fresh, &order).await? {
                    Ok(outcome) => return Ok(outcome),
                    Err(lost) => lost,
                }
            }
        };
        searching();
        match resume::keyset(ports.api, ports.clock, unknown, order.taken, order.settle).await {
            Resolution::Mine(unknown, live) => return found(ports, unknown, *live, order.settings).await,
            Resolution::Absent(fresh) => entered = Entered::Fresh(fresh),
            Resolution::Ambiguous(_, ids) => return Ok(ambiguous(&why, "keysets", &ids)),
            Resolution::NotAsked(_, error) => return Ok(Outcome::Unknown { why: format!("{why}; looking for it failed: {error}") }),
        }
    }
}

/// Carries an app's create to its end.
pub async fn app<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    entered: Entered,
    settle: Duration,
    searching: impl Fn(),
) -> Result<Outcome, LedgerError> {
    let mut posts = 0;
    let mut entered = entered;
    loop {
        let (unknown, why) = match entered {
            Entered::Unknown(unknown) => (unknown, "an earlier run ended before its answer came".to_owned()),
            Entered::Fresh(_) if posts == MOST_POSTS => {
                return Ok(Outcome::Unknown { why: "its answer was lost again and again".to_owned() });
            }
            Entered::Fresh(fresh) => {
                posts += 1;
                match ports::post_app(ports.api, ports.ledger, fresh).await? {
                    PostedApp::Made(app) => return Ok(Outcome::App { id: app.id }),
                    PostedApp::Refused(error) => return Ok(failed(&error)),
                    PostedApp::Unknown(unknown, error) => (unknown, error.to_string()),
                }
            }
        };
        searching();
        match resume::app(ports.api, ports.clock, unknown, settle).await {
            Resolution::Mine(unknown, app) => {
                let id = app.id.clone();
                ports::found_app(ports.ledger, unknown, *app).await?;
                return Ok(Outcome::App { id });
            }
            Resolution::Absent(fresh) => entered = Entered::Fresh(fresh),
            Resolution::Ambiguous(_, ids) => return Ok(ambiguous(&why, "apps", &ids)),
            Resolution::NotAsked(_, error) => return Ok(Outcome::Unknown { why: format!("{why}; looking for it failed: {error}") }),
        }
    }
}

/// Resolves an intent of an earlier run that no action of the plan takes up: records what it made, or that it made nothing.
pub async fn leftover<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    unknown: Unknown,
    taken: &BTreeSet<KeysetId>,
    settle: Duration,
) -> Result<Outcome, LedgerError> {
    let why = "an earlier run ended before its answer came";
    let id = unknown.intent().id;
    let is_app = matches!(unknown.intent().what, ports::Creation::App { .. });
    let nothing = async |_: Fresh| ports.ledger.append(Entry::Void { intent: id }).await.map(|()| Outcome::Nothing);
    if is_app {
        match resume::app(ports.api, ports.clock, unknown, settle).await {
            Resolution::Mine(unknown, app) => {
                let id = app.id.clone();
                ports::found_app(ports.ledger, unknown, *app).await?;
                Ok(Outcome::App { id })
            }
            Resolution::Absent(fresh) => nothing(fresh).await,
            Resolution::Ambiguous(_, ids) => Ok(ambiguous(why, "apps", &ids)),
            Resolution::NotAsked(_, error) => Ok(Outcome::Unknown { why: format!("{why}; looking for it failed: {error}") }),
        }
    } else {
        match resume::keyset(ports.api, ports.clock, unknown, taken, settle).await {
            Resolution::Mine(unknown, live) => found(ports, unknown, *live, &[]).await,
            Resolution::Absent(fresh) => nothing(fresh).await,
            Resolution::Ambiguous(_, ids) => Ok(ambiguous(why, "keysets", &ids)),
            Resolution::NotAsked(_, error) => Ok(Outcome::Unknown { why: format!("{why}; looking for it failed: {error}") }),
        }
    }
}

/// One POST and what follows from its answer; `Err`: the answer is lost or makes no sense, with the reason.
async fn posted<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    sink: Probed<'_, S>,
    fresh: Fresh,
    order: &Order<'_>,
) -> Result<Result<Outcome, (Unknown, String)>, LedgerError> {
    let answered = match ports::post(ports.api, ports.ledger, fresh, order.body).await? {
        Posted::Answered(answered) => answered,
        Posted::Refused(error) => return Ok(Ok(failed(&error))),
        Posted::Unknown(unknown, error) => return Ok(Err((unknown, error.to_string()))),
    };
    let sealed = match ports::seal(ports.escrow, answered).await {
        Ok(sealed) => sealed,
        Err((unknown, error)) => return Ok(Err((unknown, error.to_string()))),
    };
    let opened = match ports::open(ports.escrow, sealed).await {
        Ok(opened) => opened,
        Err((unknown, error)) => return Ok(Err((unknown, error.to_string()))),
    };
    let stored = ports::store(sink, order.name, opened).await;
    committed(ports.ledger, stored, order.settings, false).await.map(Ok)
}

/// A keyset that the listing shows to be the intent's own.
async fn found<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    unknown: Unknown,
    mut live: LiveKeyset,
    settings: &[(FieldId, Value)],
) -> Result<Outcome, LedgerError> {
    // Without its configuration the next plan compares anew; the id must be recorded in any case.
    if let Ok(config) = ports.api.config(&live.id).await {
        live.observed.absorb(&config);
        live.with_config = true;
    }
    committed(ports.ledger, ports::found(unknown, live), settings, true).await
}

async fn committed<L: Ledger>(ledger: &L, stored: Stored, settings: &[(FieldId, Value)], found: bool) -> Result<Outcome, LedgerError> {
    let (id, keys, secret) = (stored.live.id.clone(), stored.live.keys.clone(), stored.secret.clone());
    let differing = differing(settings, &stored.live.observed);
    let applied = observed_of(settings.iter().filter(|(f, _)| differing.iter().all(|d| d.field != *f)).map(|(f, v)| (*f, v)));
    ports::commit(ledger, stored, applied).await?;
    Ok(Outcome::Created { id, keys, secret, differing, found })
}

/// What was asked for and is not what the answer shows. A field that the answer does not mention cannot be judged.
pub fn differing(asked: &[(FieldId, Value)], got: &Observed) -> Vec<Differing> {
    asked
        .iter()
        .filter_map(|(field, asked)| {
            let got = got.get(*field)?;
            (got != asked).then(|| Differing { field: *field, asked: asked.clone(), got: Some(got.clone()) })
        })
        .collect()
}

/// The keyring stopped working in mid-run: whoever creates now creates without a place for the secret.
pub fn lost_its_secret(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Created { secret: SecretRecord::Missing { .. }, found: false, .. })
}

pub fn failed(error: &ApiError) -> Outcome {
    Outcome::Failed { why: error.to_string(), help: error.help() }
}

fn ambiguous(why: &str, noun: &str, ids: &[String]) -> Outcome {
    Outcome::Failed {
        why: format!("{why}, and {} {noun} could be the one that was made: {}", ids.len(), ids.join(", ")),
        help: Some("delete or rename in the portal those that are not wanted, then apply again".to_owned()),
    }
}
