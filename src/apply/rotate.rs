//! A new secret key: for a keyset whose own is in no hand, or because somebody asks for one.
//!
//! A rotation cannot be looked for by listing keysets, but the list of a keyset's secret keys tells
//! the first five characters of the permanent one, and so whether it is still the one of before.

use std::time::Duration;

use super::context::Ports;
use super::custody::{Purpose, Request};
use super::failure::StepError;
use super::report::Outcome;
use super::resolve::Patience;
use crate::keyset::KeyPrefix;
use crate::keyset::duration::{EXPIRING_MAX, OVERLAP_UNASKED};
use crate::keyset::views::{RecordedKeyset, SecretRecord};
use crate::keyset::{KeysetId, Label, Secret};
use crate::ports::{
    self, Api, ApiError, Clock, Creation, Escrow, Intent, Ledger, LedgerError, Posted, Probed,
    SecretName, Sink, Unknown,
};

/// Requests of one rotation in one run.
const MOST_POSTS: u32 = 3;
/// Between two looks at the list.
const PAUSE: Duration = Duration::from_millis(500);

/// What is rotated, and where its new key goes.
pub struct Order<'a> {
    pub label: &'a Label,
    pub name: &'a SecretName,
    /// Until when the key of before goes on working; `None`: it ends at once.
    pub expires_at: Option<jiff::Timestamp>,
    pub patience: Patience<'a>,
    /// Also over something of which nobody knows whose it is.
    pub overwrite: bool,
}

/// Whether a rotation whose answer is lost was done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    NotDone,
    NotKnown,
}

/// Rotates, stores and records. An answer that is lost is not the end of it: another key is asked
/// for, until one is in the sink. `keyset` is the record before, and afterwards the one of now.
/// `older`: rotations whose end is not known; they end with the one that is recorded, and stay open
/// if none is.
pub async fn rotate<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    sink: Probed<'_, S>,
    keyset: &mut RecordedKeyset,
    order: &Order<'_>,
    mut older: Vec<Unknown>,
) -> Result<Outcome, LedgerError> {
    let request = Request {
        purpose: Purpose::Renew,
        label: order.label,
        keyset: Some(keyset),
        coming: None,
        overwrite: order.overwrite,
    };
    let claim = match ports.custody.claim(sink, order.name, &request).await {
        Ok(claim) => claim,
        Err(refusal) => return Ok(refusal.into()),
    };
    let mut expires_at = order.expires_at;
    let mut why = StepError::new("");
    for n in 1..=MOST_POSTS {
        if n > 1 && (order.patience.stop)() {
            why = why.and("interrupted before it was asked for again");
            break;
        }
        let before = permanent(ports.api, &keyset.id).await;
        let from = match &keyset.secret {
            SecretRecord::Stored { fingerprint, .. } => Some(fingerprint.clone()),
            SecretRecord::Missing { .. } | SecretRecord::Unknown => None,
        };
        let (label, id, over) = (order.label.clone(), keyset.id.clone(), before.clone());
        let what = Creation::SecretKey { label, id, expires_at, from, over };
        let intent = Intent { id: uuid::Uuid::new_v4(), at: ports.clock.now(), what };
        let fresh = ports::intend(ports.ledger, intent).await?;
        let answered = match ports::rotate(ports.api, ports.ledger, fresh).await? {
            Posted::Answered(answered) => answered,
            Posted::Refused(error) => return Ok(Outcome::failed(&error)),
            Posted::Unknown(unknown, error) => {
                why = error.into();
                let fate = fate(ports, &keyset.id, before.as_ref(), &order.patience).await;
                lost(ports, unknown, keyset, fate, &mut expires_at, &mut older).await?;
                continue;
            }
        };
        let sealed = ports::seal(ports.escrow, ports.ledger, answered).await;
        let opened = match ports::open(sealed) {
            Ok(opened) => opened,
            Err((unknown, bad)) => {
                why = format!("not an answer of the Admin API: {bad}").into();
                let fate = fate(ports, &keyset.id, before.as_ref(), &order.patience).await;
                lost(ports, unknown, keyset, fate, &mut expires_at, &mut older).await?;
                continue;
            }
        };
        let new = opened.prefix();
        let mut stored = ports::store(&claim, Some(&keyset.keys), opened).await;
        let (waits, key) = (stored.waits, stored.key.take());
        *keyset = ports::commit_rotation(ports.ledger, order.label, stored, keyset).await?;
        for unknown in older.drain(..) {
            ports::void(ports.ledger, unknown).await?;
        }
        // A request of before that was given up may have been carried out since, and then it is the
        // last one that counts.
        match (permanent(ports.api, &keyset.id).await, new) {
            (Some(now), Some(new)) if now != new && n > 1 => {
                why = "another key took its place meanwhile".into();
                *keyset =
                    ports::no_longer(ports.ledger, order.label, keyset, &why.message, Some(now))
                        .await?;
                expires_at = None;
            }
            _ => {
                ports.custody.keep_in_hand(order.label, key);
                return Ok(Outcome::Rotated {
                    id: keyset.id.clone(),
                    secret: keyset.secret.clone(),
                    waits,
                    found: false,
                });
            }
        }
    }
    Ok(Outcome::unknown(why))
}

/// A secret key for a keyset that has none on record, or that may have become another one: the one
/// that the sink has already, or else a new one.
pub async fn repair<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    sink: Probed<'_, S>,
    keyset: &mut RecordedKeyset,
    order: &Order<'_>,
    mut begun: Vec<Unknown>,
) -> Result<Outcome, LedgerError> {
    if let Some(outcome) = there_already(ports, sink, keyset, order, &mut begun).await? {
        return Ok(outcome);
    }
    let SecretRecord::Missing { current: lost, .. } = &keyset.secret else {
        return match begun.is_empty() {
            true => rotate(ports, sink, keyset, order, begun).await,
            false => left(ports, sink, begun, keyset, order).await,
        };
    };
    match (permanent(ports.api, &keyset.id).await, lost) {
        (None, _) => Ok(not_told(order.label)),
        // In nobody's hand.
        (Some(now), Some(lost)) if now == *lost => rotate(ports, sink, keyset, order, begun).await,
        (Some(_), Some(_)) if begun.is_empty() => {
            let why = "the secret key that was lost is not the account's current one any more: \
                       somebody made another, and may be using it";
            let help = format!(
                "if another clone of the project did, pull its state; else `keyform secrets import \
                 {0}` takes the new key, and `keyform \
                 secrets rotate {0} --overlap 24h` makes one",
                order.label
            );
            Ok(Outcome::failed(StepError::new(why).help(help)))
        }
        // A rotation of ours that was begun may have made it, or somebody else.
        (Some(_), _) => {
            let expires_at = order.expires_at.or_else(|| a_day_on(ports.clock.now()));
            with_overlap(ports, sink, keyset, order, expires_at, begun).await
        }
    }
}

fn not_told(label: &Label) -> Outcome {
    let why = "the account does not tell which key is the present one, so nobody can say whose \
               would end: no other one was asked for";
    Outcome::failed(StepError::new(why).help(format!("apply again; or {}", way_out(label))))
}

/// When a key ends of which nobody can say who uses it.
fn a_day_on(now: jiff::Timestamp) -> Option<jiff::Timestamp> {
    now.checked_add(OVERLAP_UNASKED).ok()
}

/// A key that is in no record and in the sink: an earlier run put it there and could not write it
/// down. It is taken if the account says that it is the current one; to end it would be to end one
/// that somebody may have read.
async fn there_already<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    sink: Probed<'_, S>,
    keyset: &mut RecordedKeyset,
    order: &Order<'_>,
    begun: &mut Vec<Unknown>,
) -> Result<Option<Outcome>, LedgerError> {
    let known = match &keyset.secret {
        // Somebody asks for another one, and nothing is in doubt.
        SecretRecord::Stored { .. } | SecretRecord::Unknown if begun.is_empty() => return Ok(None),
        SecretRecord::Stored { fingerprint, .. } => Some(fingerprint),
        SecretRecord::Missing { .. } | SecretRecord::Unknown => None,
    };
    let Some((home, secret)) = held(ports, sink, keyset, order).await else { return Ok(None) };
    if known == Some(&secret.fingerprint()) || secret.prefix().is_none() {
        return Ok(None);
    }
    if permanent(ports.api, &keyset.id).await != secret.prefix() {
        return Ok(None);
    }
    let record = SecretRecord::Stored { sink: home.into(), fingerprint: secret.fingerprint() };
    *keyset = ports::found_secret(ports.ledger, order.label, keyset, record).await?;
    for unknown in begun.drain(..) {
        ports::void(ports.ledger, unknown).await?;
    }
    ports.custody.keep_in_hand(order.label, Some(secret));
    Ok(Some(Outcome::Rotated {
        id: keyset.id.clone(),
        secret: keyset.secret.clone(),
        waits: false,
        found: true,
    }))
}

/// What the sink that the record names holds under the keyset's name, or else the sink of this run.
async fn held<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    sink: Probed<'_, S>,
    keyset: &RecordedKeyset,
    order: &Order<'_>,
) -> Option<(&'static str, Secret)> {
    let home = match &keyset.secret {
        SecretRecord::Stored { sink, .. } => ports.custody.sink(sink).ok(),
        SecretRecord::Missing { .. } | SecretRecord::Unknown => None,
    };
    match home {
        Some(home) => home.get(order.name).await.ok().flatten().map(|secret| (home.name(), secret)),
        None => sink.get(order.name).await.ok().flatten().map(|secret| (sink.name(), secret)),
    }
}

/// What to make of rotations that earlier runs began, without their answers, oldest first; at least
/// one.
async fn left<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    sink: Probed<'_, S>,
    begun: Vec<Unknown>,
    keyset: &mut RecordedKeyset,
    order: &Order<'_>,
) -> Result<Outcome, LedgerError> {
    let mut expires_at = order.expires_at;
    let recorded = match &keyset.secret {
        SecretRecord::Stored { fingerprint, .. } => Some(Some(fingerprint)),
        // Which key was the one before is not known either.
        SecretRecord::Unknown => Some(None),
        SecretRecord::Missing { .. } => None,
    };
    if let Some(fingerprint) = recorded {
        let old = held(ports, sink, keyset, order).await.map(|(_, secret)| secret);
        let old = old.filter(|secret| Some(&secret.fingerprint()) == fingerprint);
        let before = old
            .and_then(|secret| secret.prefix())
            .or_else(|| begun.first().and_then(|first| present_then(first.intent())));
        match fate(ports, &keyset.id, before.as_ref(), &order.patience).await {
            Fate::NotDone => {
                for unknown in begun {
                    ports::void(ports.ledger, unknown).await?;
                }
                return Ok(Outcome::Nothing);
            }
            Fate::NotKnown => {
                let why = "an earlier run ended before the answer to a rotation came, and whether it was \
                     done cannot be found out";
                return Ok(Outcome::failed(StepError::new(why).help(way_out(order.label))));
            }
            // Whose key it is that took the place of the recorded one is not told: it lives on for
            // as long as was asked then, or for a day.
            Fate::Done => {
                let now = ports.clock.now();
                expires_at = begun
                    .last()
                    .and_then(|last| asked_overlap(last.intent(), now))
                    .or_else(|| a_day_on(now));
            }
        }
    }
    with_overlap(ports, sink, keyset, order, expires_at, begun).await
}

/// Rotates, and leaves the present key alive for a while: somebody may be using it.
async fn with_overlap<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    sink: Probed<'_, S>,
    keyset: &mut RecordedKeyset,
    order: &Order<'_>,
    expires_at: Option<jiff::Timestamp>,
    begun: Vec<Unknown>,
) -> Result<Outcome, LedgerError> {
    let order = Order { expires_at, patience: Patience { ..order.patience }, ..*order };
    Ok(match rotate(ports, sink, keyset, &order, begun).await? {
        // The account takes no overlap: its plan has none, or as many keys as can be wait for their
        // end.
        Outcome::Failed(error) if error.help.is_none() => {
            Outcome::failed(error.help(way_out(order.label)))
        }
        other => other,
    })
}

/// What a person can do where nobody can say whose the present key is.
fn way_out(label: &Label) -> String {
    format!(
        "`keyform secrets rotate {label} --overlap 24h` makes a new key and keeps the present one \
         alive for a day; where the plan has no \
         overlap, or five keys wait for their end, `keyform secrets rotate {label} --now` ends it \
         at once, whoever uses it"
    )
}

/// The account's present key when that rotation began.
fn present_then(intent: &Intent) -> Option<KeyPrefix> {
    match &intent.what {
        Creation::SecretKey { over, .. } => over.clone(),
        _ => None,
    }
}

/// The overlap that a rotation asked for, from now on.
fn asked_overlap(intent: &Intent, now: jiff::Timestamp) -> Option<jiff::Timestamp> {
    match &intent.what {
        Creation::SecretKey { expires_at: Some(at), .. } => {
            now.checked_add(at.duration_since(intent.at)).ok()
        }
        _ => None,
    }
}

/// What to do about a rotation whose answer is lost, and how the next one is to treat the key of
/// now.
async fn lost<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    unknown: Unknown,
    keyset: &mut RecordedKeyset,
    fate: Fate,
    expires_at: &mut Option<jiff::Timestamp>,
    older: &mut Vec<Unknown>,
) -> Result<(), LedgerError> {
    if fate == Fate::NotDone {
        return ports::void(ports.ledger, unknown).await;
    }
    if fate == Fate::NotKnown && expires_at.is_some() {
        // Asking again with the same overlap is safe whatever happened; this one stays open until
        // another is recorded.
        older.push(unknown);
        return Ok(());
    }
    // The key that was asked for is in no hand; the one of before lives as long as was asked.
    let current = match fate {
        Fate::Done => permanent(ports.api, &keyset.id).await,
        Fate::NotDone | Fate::NotKnown => None,
    };
    *keyset = ports::lost_rotation(ports.ledger, unknown, keyset, current).await?;
    *expires_at = None;
    Ok(())
}

/// Watches the permanent key until it is another than `before` or has had the time to become one.
async fn fate<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    id: &KeysetId,
    before: Option<&KeyPrefix>,
    patience: &Patience<'_>,
) -> Fate {
    let Some(before) = before else { return Fate::NotKnown };
    let mut waited = Duration::ZERO;
    loop {
        match permanent(ports.api, id).await {
            Some(now) if now != *before => return Fate::Done,
            Some(_) if waited >= patience.settle => return Fate::NotDone,
            None if waited >= patience.settle => return Fate::NotKnown,
            _ if (patience.stop)() => return Fate::NotKnown,
            _ => {}
        }
        let nap = PAUSE.min(patience.settle - waited);
        ports.clock.sleep(nap).await;
        waited += nap;
    }
}

/// How many keys wait for their end, where that is as many as the API allows: none can be let work
/// on beside them.
pub async fn too_many_expiring<A: Api>(api: &A, id: &KeysetId) -> Result<Option<usize>, ApiError> {
    let keys = api.secret_keys(id).await?;
    let expiring = keys.iter().filter(|key| key.expires_at.is_some()).count();
    Ok(Some(expiring).filter(|expiring| *expiring >= EXPIRING_MAX))
}

/// Which key is the permanent one; `None` where the list does not tell or cannot be read.
pub async fn permanent<A: Api>(api: &A, id: &KeysetId) -> Option<KeyPrefix> {
    let keys = match api.secret_keys(id).await {
        Ok(keys) => keys,
        Err(error) => {
            tracing::debug!(%error, "the secret keys are not told");
            return None;
        }
    };
    let mut permanent = keys.into_iter().filter(|key| key.expires_at.is_none());
    match (permanent.next(), permanent.next()) {
        (Some(key), None) => key.prefix,
        _ => None,
    }
}
