//! A create, from wherever it stands to its end: one loop over the proofs of `ports`.
//!
//! *Guarantees*: at most one POST per proof of absence; an id that is known is recorded, with or without its secret.
//! *Assumptions*: `Ledger::append` returns after the disk has it; a complete listing shows what exists.
//! *Caveats*: a keyset found by listing is recorded with its secret missing.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use super::context::Ports;
use super::report::{Outcome, differing};
use super::resume::{self, Resolution};
use crate::keyset::views::{LiveApp, LiveKeyset};
use crate::keyset::wire::observed_of;
use crate::keyset::{FieldId, KeysetId, Value};
use crate::ports::{
    self, Api, Body, Clock, Creation, Entry, Escrow, Fresh, Intent, Ledger, LedgerError, Posted, PostedApp, Probed, SecretName, Sink,
    Stored, Unknown,
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
    /// As it is declared now; an intent of an earlier run may say something else.
    pub intent: &'a Intent,
    pub body: &'a Body,
    pub settings: &'a [(FieldId, Value)],
    /// Ids that belong to other labels.
    pub taken: &'a RefCell<BTreeSet<KeysetId>>,
    /// How long a lost create may take to show up in listings.
    pub settle: Duration,
    /// Once true, nothing is posted again.
    pub stop: &'a dyn Fn() -> bool,
}

/// Carries a keyset's create to its end. `Err`: the journal failed, and no further work may be begun.
pub async fn keyset<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    sink: Probed<'_, S>,
    entered: Entered,
    order: Order<'_>,
    searching: impl Fn(),
) -> Result<Outcome, LedgerError> {
    to_its_end(
        entered,
        "keysets",
        order.stop,
        async |fresh| posted(ports, sink, ports::renew(ports.ledger, fresh, order.intent).await?, &order).await,
        async |unknown| {
            searching();
            resume::keyset(ports.api, ports.clock, unknown, order.taken, order.settle).await
        },
        async |unknown, live| found(ports, unknown, live, order.settings).await,
    )
    .await
}

/// Carries an app's create to its end.
pub async fn app<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    entered: Entered,
    intent: &Intent,
    settle: Duration,
    stop: &dyn Fn() -> bool,
    searching: impl Fn(),
) -> Result<Outcome, LedgerError> {
    to_its_end(
        entered,
        "apps",
        stop,
        async |fresh| {
            let fresh = ports::renew(ports.ledger, fresh, intent).await?;
            Ok(match ports::post_app(ports.api, ports.ledger, fresh).await? {
                PostedApp::Made(app) => Ok(Outcome::App { id: app.id }),
                PostedApp::Refused(error) => Ok(Outcome::failed(&error)),
                PostedApp::Unknown(unknown, error) => Err((unknown, error.to_string())),
            })
        },
        async |unknown| {
            searching();
            resume::app(ports.api, ports.clock, unknown, settle).await
        },
        async |unknown, app| found_app(ports, unknown, app).await,
    )
    .await
}

/// Resolves an intent of an earlier run that no action of the plan takes up: records what it made, or that it made nothing.
pub async fn leftover<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    unknown: Unknown,
    taken: &RefCell<BTreeSet<KeysetId>>,
    settle: Duration,
) -> Result<Outcome, LedgerError> {
    let is_app = matches!(unknown.intent().what, Creation::App { .. });
    let entered = Entered::Unknown(unknown);
    // Nobody wants it any more: what is proved absent is not posted again.
    let void = async |fresh: Fresh| {
        ports.ledger.append(Entry::Void { intent: fresh.intent().id }).await?;
        Ok(Ok(Outcome::Nothing))
    };
    if is_app {
        let find = async |unknown| resume::app(ports.api, ports.clock, unknown, settle).await;
        to_its_end(entered, "apps", &|| false, void, find, async |unknown, app| found_app(ports, unknown, app).await).await
    } else {
        let find = async |unknown| resume::keyset(ports.api, ports.clock, unknown, taken, settle).await;
        to_its_end(entered, "keysets", &|| false, void, find, async |unknown, live| found(ports, unknown, live, &[]).await).await
    }
}

/// The loop: post what is fresh, look for what is unknown, post again only what is proved absent.
async fn to_its_end<T>(
    mut entered: Entered,
    noun: &str,
    stop: &dyn Fn() -> bool,
    post: impl AsyncFn(Fresh) -> Result<Result<Outcome, (Unknown, String)>, LedgerError>,
    find: impl AsyncFn(Unknown) -> Resolution<T>,
    record: impl AsyncFn(Unknown, T) -> Result<Outcome, LedgerError>,
) -> Result<Outcome, LedgerError> {
    let mut posts = 0;
    loop {
        let (unknown, why) = match entered {
            Entered::Unknown(unknown) => (unknown, "an earlier run ended before its answer came".to_owned()),
            Entered::Fresh(_) if posts == MOST_POSTS => {
                return Ok(Outcome::Unknown { why: "its answer was lost again and again".to_owned() });
            }
            Entered::Fresh(fresh) => {
                posts += 1;
                match post(fresh).await? {
                    Ok(outcome) => return Ok(outcome),
                    Err(lost) => lost,
                }
            }
        };
        match find(unknown).await {
            Resolution::Mine(unknown, entry) => return record(unknown, *entry).await,
            // No new work after an interrupt, and another post is new work.
            Resolution::Absent(_) if stop() => return Ok(Outcome::Unknown { why: format!("{why}; interrupted before it was sent again") }),
            Resolution::Absent(fresh) => entered = Entered::Fresh(fresh),
            Resolution::Ambiguous(_, ids) => return Ok(ambiguous(&why, noun, &ids)),
            Resolution::NotAsked(_, error) => return Ok(Outcome::Unknown { why: format!("{why}; looking for it failed: {error}") }),
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
        Posted::Refused(error) => return Ok(Ok(Outcome::failed(&error))),
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

/// An app that the listing shows to be the intent's own.
async fn found_app<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    unknown: Unknown,
    app: LiveApp,
) -> Result<Outcome, LedgerError> {
    let id = app.id.clone();
    ports::found_app(ports.ledger, unknown, app).await.map(|()| Outcome::App { id })
}

async fn committed<L: Ledger>(ledger: &L, stored: Stored, settings: &[(FieldId, Value)], found: bool) -> Result<Outcome, LedgerError> {
    let (id, keys, secret) = (stored.live.id.clone(), stored.live.keys.clone(), stored.secret.clone());
    let differing = differing(settings, &stored.live.observed);
    let applied = observed_of(settings.iter().filter(|(f, _)| differing.iter().all(|d| d.field != *f)).map(|(f, v)| (*f, v)));
    ports::commit(ledger, stored, applied).await?;
    Ok(Outcome::Created { id, keys, secret, differing, found })
}

fn ambiguous(why: &str, noun: &str, ids: &[String]) -> Outcome {
    Outcome::Failed {
        why: format!("{why}, and {} {noun} could be the one that was made: {}", ids.len(), ids.join(", ")),
        help: Some("delete or rename in the portal those that are not wanted, then apply again".to_owned()),
    }
}
