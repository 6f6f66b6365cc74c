//! A new secret key: for a keyset whose own is in no hand, or because somebody asks for one.
//!
//! A rotation cannot be looked for by listing keysets, but the list of a keyset's secret keys tells the first five
//! characters of the permanent one, and so whether it is still the one of before.

use std::time::Duration;

use super::context::Ports;
use super::report::Outcome;
use super::resolve::Patience;
use crate::keyset::views::{RecordedKeyset, SecretRecord};
use crate::keyset::wire::KeyPrefix;
use crate::keyset::{KeysetId, Label};
use crate::ports::{self, Api, Clock, Creation, Escrow, Intent, Item, Ledger, LedgerError, Posted, Probed, SecretName, Sink, Unknown};

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
}

/// Whether a rotation whose answer is lost was done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    NotDone,
    NotKnown,
}

/// Rotates, stores and records. An answer that is lost is not the end of it: the key that it told of is in no hand, so it is
/// replaced at once. `keyset` is the record before, and afterwards the one of now.
pub async fn rotate<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    sink: Probed<'_, S>,
    keyset: &mut RecordedKeyset,
    order: &Order<'_>,
) -> Result<Outcome, LedgerError> {
    let mut expires_at = order.expires_at;
    let mut why = String::new();
    for n in 0..MOST_POSTS {
        if n > 0 && (order.patience.stop)() {
            why.push_str("; interrupted before it was asked for again");
            break;
        }
        let before = permanent(ports.api, &keyset.id).await;
        let what = Creation::SecretKey { label: order.label.clone(), id: keyset.id.clone(), expires_at };
        let intent = Intent { id: uuid::Uuid::new_v4(), at: ports.clock.now(), what };
        let fresh = ports::intend(ports.ledger, intent).await?;
        let answered = match ports::rotate(ports.api, ports.ledger, fresh).await? {
            Posted::Answered(answered) => answered,
            Posted::Refused(error) => return Ok(Outcome::failed(&error)),
            Posted::Unknown(unknown, error) => {
                why = error.to_string();
                let fate = fate(ports, &keyset.id, before.as_ref(), &order.patience).await;
                expires_at = lost(ports, unknown, keyset, fate, expires_at).await?;
                continue;
            }
        };
        let sealed = ports::seal(ports.escrow, ports.ledger, answered).await;
        let opened = match ports::open(sealed) {
            Ok(opened) => opened,
            Err((unknown, bad)) => {
                why = format!("not an answer of the Admin API: {bad}");
                let fate = fate(ports, &keyset.id, before.as_ref(), &order.patience).await;
                expires_at = lost(ports, unknown, keyset, fate, expires_at).await?;
                continue;
            }
        };
        let new = opened.prefix();
        let mut stored = ports::store(sink, order.name, Some(&keyset.keys), opened).await;
        let (waits, key) = (stored.waits, stored.key.take());
        *keyset = ports::commit_rotation(ports.ledger, stored, keyset).await?;
        ports.kept.keep(order.label, key);
        // A request of before that was given up may have been carried out since, and then it is the last one that counts.
        match (permanent(ports.api, &keyset.id).await, new) {
            (Some(now), Some(new)) if now != new && n > 0 => {
                why = "another key took its place meanwhile".to_owned();
                expires_at = None;
            }
            _ => return Ok(Outcome::Rotated { id: keyset.id.clone(), secret: keyset.secret.clone(), waits }),
        }
    }
    Ok(Outcome::Unknown { why })
}

/// What to make of a rotation that an earlier run began, without its answer.
pub async fn left<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    sink: Probed<'_, S>,
    unknown: Unknown,
    keyset: &mut RecordedKeyset,
    order: &Order<'_>,
) -> Result<Outcome, LedgerError> {
    if let SecretRecord::Stored { fingerprint, .. } = &keyset.secret {
        let old = sink.get(order.name).await.ok().flatten().filter(|secret| secret.fingerprint() == *fingerprint);
        match fate(ports, &keyset.id, old.and_then(|secret| secret.prefix()).as_ref(), &order.patience).await {
            Fate::NotDone => {
                ports::void(ports.ledger, unknown).await?;
                return Ok(Outcome::Nothing);
            }
            Fate::NotKnown => {
                let why =
                    "an earlier run ended before the answer to a rotation came, and whether it was done cannot be found out".to_owned();
                let help = format!(
                    "`keyform secrets rotate {} --overlap 24h` makes a new key and keeps the present one alive for a day",
                    order.label
                );
                return Ok(Outcome::Failed { why, help: Some(help) });
            }
            Fate::Done => {}
        }
    }
    *keyset = ports::lost_rotation(ports.ledger, unknown, keyset).await?;
    rotate(ports, sink, keyset, order).await
}

/// Ends the intent of a lost rotation as its fate asks for; says how the next one is to treat the key of now.
async fn lost<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    unknown: Unknown,
    keyset: &mut RecordedKeyset,
    fate: Fate,
    expires_at: Option<jiff::Timestamp>,
) -> Result<Option<jiff::Timestamp>, LedgerError> {
    // With an overlap, asking again with the same overlap is safe whatever happened.
    if fate == Fate::NotDone || (fate == Fate::NotKnown && expires_at.is_some()) {
        ports::void(ports.ledger, unknown).await?;
        return Ok(expires_at);
    }
    // The key that was asked for is in no hand; the one of before lives as long as was asked.
    *keyset = ports::lost_rotation(ports.ledger, unknown, keyset).await?;
    Ok(None)
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

/// The entry of a keyset's secret key.
pub fn entry(namespace: ports::Namespace, project: &crate::keyset::ProjectName, label: &Label) -> SecretName {
    SecretName { namespace, project: project.clone(), item: Item::Keyset(label.clone()) }
}
