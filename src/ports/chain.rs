//! The proofs: how a create or rotation goes from an intent to a record.
//!
//! A create walks one chain, and each step takes by value what only the step before can make:
//!
//! ```text
//! Probed::of(sink)                     the sink can be written, read back, and survives a restart
//! intend(ledger, ..)   -> Fresh        journalled and synced; not posted
//! post(api, Fresh)     -> Answered     posted, the answer is here
//!                       | Refused      the server said no: nothing was made
//!                       | Unknown      maybe posted: can only be resolved by listing
//! seal(escrow, ledger, Answered) -> Sealed   the raw answer is sealed in the journal, not yet parsed
//! open(Sealed)         -> Opened       parsed
//! store(Claim, Opened) -> Stored       in the sink, read back, compared; or known to be missing
//! commit(ledger, Stored)               journalled and synced; the sealed answer is of no more use
//! ```
//!
//! Posting twice does not compile: `post` consumes the only `Fresh`, and only [`intend`] and
//! [`absent`] make one. A rotation of a secret key walks the same chain ([`rotate`] in the place of
//! [`post`]). A run that ended half-way is taken up where the journal stops: [`left_sealed`] or
//! [`left_open`].

// Longer than 500 lines: only files of one module can see the proofs' fields, and that is the point.

use std::collections::BTreeMap;

use super::{
    Api, ApiError, Body, Creation, Entry, Escrow, EscrowError, Held, Intent, Ledger, LedgerError,
    Owner, SecretName, Sink, SinkError, SinkType, held,
};
use crate::keyset::views::{LiveApp, LiveKeyset, RecordedApp, RecordedKeyset, SecretRecord};
use crate::keyset::wire::{self, BadAnswer};
use crate::keyset::{
    Fingerprint, KeyPrefix, KeysetId, Label, Observed, PublicKeys, RawAnswer, Secret,
};
use crate::protocol::{self, Point};

/// A sink that has passed its probe in this run.
pub struct Probed<'a, S>(&'a S);

impl<'a, S: Sink> Probed<'a, S> {
    pub async fn of(sink: &'a S) -> Result<Probed<'a, S>, SinkError> {
        sink.probe().await.map(|()| Probed(sink))
    }
    pub fn kind(&self) -> SinkType {
        self.0.kind()
    }
    pub fn name(&self) -> &'static str {
        self.0.name()
    }
    pub fn sink(&self) -> &'a S {
        self.0
    }
    /// A put under this name overwrites nothing that is to be kept. Callers: `apply::custody` only,
    /// reviewed by hand.
    pub fn claim(self, name: &SecretName) -> Claim<'a, S> {
        Claim { sink: self, name: name.clone() }
    }
    /// What it has under this name.
    pub async fn holds(&self, name: &SecretName) -> Result<Held, SinkError> {
        held(self.0, name).await
    }
    pub fn readable(&self) -> bool {
        self.0.readable()
    }
    pub async fn get(&self, name: &SecretName) -> Result<Option<Secret>, SinkError> {
        self.0.get(name).await
    }
}

/// An entry of a probed sink that may be written. Cannot be cloned.
pub struct Claim<'a, S> {
    sink: Probed<'a, S>,
    name: SecretName,
}

impl<S> Clone for Probed<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S> Copy for Probed<'_, S> {}

/// Journalled and synced; certainly not posted. Cannot be cloned.
pub struct Fresh(Intent);

/// Posted, and the answer is here, unread.
pub struct Answered(Intent, RawAnswer);

/// Maybe posted. Can only be resolved by listing: see `apply::resolve`.
pub struct Unknown(Box<Intent>);

/// Sealed in the journal; or the journal has failed, and memory is all there is.
pub struct Sealed {
    intent: Intent,
    raw: RawAnswer,
    /// Whether the journal has it.
    kept: bool,
}

/// Out of the envelope: what was made, and its secret if the answer held one.
pub struct Opened {
    intent: Intent,
    kept: bool,
    made: Made,
    secret: Result<Secret, String>,
}

impl Opened {
    pub fn made(&self) -> &Made {
        &self.made
    }
    /// The keyset that the answer is about.
    pub fn keyset_id(&self) -> &KeysetId {
        match &self.made {
            Made::Keyset(live) => &live.id,
            Made::SecretKey(id) => id,
        }
    }
    /// Of the secret key, if the answer held one.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.secret.as_ref().ok().map(Secret::fingerprint)
    }
    /// Which of the keyset's keys the answer told of.
    pub fn prefix(&self) -> Option<KeyPrefix> {
        self.secret.as_ref().ok().and_then(Secret::prefix)
    }
}

/// What an answer tells of.
pub enum Made {
    Keyset(LiveKeyset),
    /// A new secret key of this keyset.
    SecretKey(KeysetId),
}

/// In the sink, or known not to be.
pub struct Stored {
    intent: Intent,
    /// The sealed answer in the journal holds the only copy of the secret.
    pub waits: bool,
    pub made: Made,
    pub secret: SecretRecord,
    /// The secret itself, where it is stored, for whoever wants a copy of it.
    pub key: Option<Secret>,
}

/// How a post ended.
pub enum Posted {
    Answered(Answered),
    /// The server said no: nothing was made, and the journal says so.
    Refused(ApiError),
    Unknown(Unknown, ApiError),
}

/// Writes the intent down. The only beginning of a create.
pub async fn intend<L: Ledger>(ledger: &L, intent: Intent) -> Result<Fresh, LedgerError> {
    ledger.append(Entry::Intend(intent.clone())).await?;
    protocol::reached(match intent.what {
        Creation::App { .. } => Point::AppIntended,
        Creation::Keyset { .. } => Point::CreateIntended,
        Creation::SecretKey { .. } => Point::RotateIntended,
    });
    Ok(Fresh(intent))
}

/// What a start finds in the journal without an answer. Whether it was posted is not known, so no
/// [`Fresh`].
pub fn left_open(intent: Intent) -> Unknown {
    Unknown(Box::new(intent))
}

/// What a start finds in the journal with its answer.
pub fn left_sealed<E: Escrow>(
    escrow: &E,
    intent: Intent,
    sealed: &str,
) -> Result<Sealed, (Unknown, EscrowError)> {
    match escrow.open(sealed) {
        Ok(raw) => Ok(Sealed { intent, raw, kept: true }),
        Err(error) => Err((Unknown(Box::new(intent)), error)),
    }
}

impl Unknown {
    pub fn intent(&self) -> &Intent {
        &self.0
    }
}

/// A complete listing after the settle time shows nothing that could be the intent's: it may be
/// posted again. Callers: `apply::resolve` only, reviewed by hand.
pub fn absent(unknown: Unknown) -> Fresh {
    Fresh(*unknown.0)
}

/// An absent create of an earlier run is begun anew: what is declared, and so what is sent and
/// looked for, may have changed since. The old intent ends, and `now` takes its place. One that is
/// `now` already stays as it is.
pub async fn renew<L: Ledger>(
    ledger: &L,
    fresh: Fresh,
    now: &Intent,
) -> Result<Fresh, LedgerError> {
    let Fresh(old) = fresh;
    if old.id == now.id {
        return Ok(Fresh(old));
    }
    ledger.append(Entry::Void { intent: old.id }).await?;
    intend(ledger, now.clone()).await
}

impl Fresh {
    pub fn intent(&self) -> &Intent {
        &self.0
    }
}

/// Sends a keyset's create, once.
pub async fn post<A: Api, L: Ledger>(
    api: &A,
    ledger: &L,
    fresh: Fresh,
    body: &Body,
) -> Result<Posted, LedgerError> {
    let Fresh(intent) = fresh;
    let answer = api.post_keyset(body).await;
    posted(ledger, intent, answer, Point::CreateAnswered).await
}

/// How the creation of an app ended.
pub enum PostedApp {
    Made(LiveApp),
    Refused(ApiError),
    Unknown(Unknown, ApiError),
}

/// Sends an app's create, once, and records what came of it.
pub async fn post_app<A: Api, L: Ledger>(
    api: &A,
    ledger: &L,
    fresh: Fresh,
) -> Result<PostedApp, LedgerError> {
    let Fresh(intent) = fresh;
    let Creation::App { label, name, .. } = &intent.what else {
        // An intent of the other kind was made by the same crate: a programming error, and nothing
        // was sent.
        return Err(LedgerError {
            what: "post_app".into(),
            why: "the intent is for a keyset".into(),
        });
    };
    let answer = api.post_app(name).await;
    protocol::reached(Point::AppAnswered);
    match answer {
        Ok(app) => {
            let recorded =
                RecordedApp { id: app.id.clone(), name: app.name.clone(), managed: true };
            ledger
                .append(Entry::App { label: label.clone(), app: recorded, intent: Some(intent.id) })
                .await?;
            Ok(PostedApp::Made(app))
        }
        Err(error) if error.certainly_not_done() => {
            ledger.append(Entry::Void { intent: intent.id }).await?;
            Ok(PostedApp::Refused(error))
        }
        Err(error) => Ok(PostedApp::Unknown(Unknown(Box::new(intent)), error)),
    }
}

/// Asks for a new secret key, once. As [`post`].
pub async fn rotate<A: Api, L: Ledger>(
    api: &A,
    ledger: &L,
    fresh: Fresh,
) -> Result<Posted, LedgerError> {
    let Fresh(intent) = fresh;
    let Creation::SecretKey { id, expires_at, .. } = &intent.what else {
        return Err(LedgerError {
            what: "rotate".into(),
            why: "the intent is for something else".into(),
        });
    };
    let answer = api.rotate_secret_key(id, *expires_at).await;
    posted(ledger, intent, answer, Point::RotateAnswered).await
}

async fn posted<L: Ledger>(
    ledger: &L,
    intent: Intent,
    answer: Result<RawAnswer, ApiError>,
    point: Point,
) -> Result<Posted, LedgerError> {
    protocol::reached(point);
    match answer {
        Ok(raw) => Ok(Posted::Answered(Answered(intent, raw))),
        Err(error) if error.certainly_not_done() => {
            ledger.append(Entry::Void { intent: intent.id }).await?;
            Ok(Posted::Refused(error))
        }
        Err(error) => Ok(Posted::Unknown(Unknown(Box::new(intent)), error)),
    }
}

/// Seals the raw answer into the journal before anybody parses it. A journal that fails does not
/// stop the answer on its way to the sink: the commit will tell.
pub async fn seal<E: Escrow, L: Ledger>(escrow: &E, ledger: &L, answered: Answered) -> Sealed {
    let Answered(intent, raw) = answered;
    let kept = match escrow.seal(&raw) {
        Ok(Some(answer)) => {
            ledger.append(Entry::Sealed { intent: intent.id, answer }).await.is_ok()
        }
        Ok(None) => false,
        Err(error) => {
            tracing::warn!(%error, "an answer is not in escrow");
            false
        }
    };
    protocol::reached(if rotates(&intent) { Point::RotateSealed } else { Point::CreateSealed });
    Sealed { intent, raw, kept }
}

fn rotates(intent: &Intent) -> bool {
    matches!(intent.what, Creation::SecretKey { .. })
}

/// Parses an answer. One that makes no sense leaves the create unknown: it has to be looked for.
pub fn open(sealed: Sealed) -> Result<Opened, (Unknown, BadAnswer)> {
    let Sealed { intent, raw, kept } = sealed;
    if let Creation::SecretKey { id, .. } = &intent.what {
        let made = Made::SecretKey(id.clone());
        return match wire::rotated(&raw) {
            Ok(secret) => Ok(Opened { intent, kept, made, secret: Ok(secret) }),
            Err(bad) => Err((Unknown(Box::new(intent)), bad)),
        };
    }
    match wire::created(&raw) {
        Ok((live, secret)) => Ok(Opened {
            intent,
            kept,
            made: Made::Keyset(live),
            secret: secret.map_err(|bad| bad.to_string()),
        }),
        Err(bad) => Err((Unknown(Box::new(intent)), bad)),
    }
}

/// Writes the secret to the sink, reads it back and compares. What could not be stored is recorded
/// as missing, with the reason: the keyset exists and its id must not be lost with its secret.
///
/// `keys`: the public keys of the keyset whose secret key was rotated.
pub async fn store<S: Sink>(
    claim: &Claim<'_, S>,
    keys: Option<&PublicKeys>,
    opened: Opened,
) -> Stored {
    let Claim { sink, name } = claim;
    let Opened { intent, kept, made, secret } = opened;
    let owner = match &made {
        Made::Keyset(live) => Some(Owner { id: &live.id, keys: &live.keys }),
        Made::SecretKey(id) => keys.map(|keys| Owner { id, keys }),
    };
    let (secret, waits, key) = match secret {
        Err(why) => {
            let why = format!("the answer to the create held none: {why}").into();
            (SecretRecord::Missing { why, current: None, held: None }, false, None)
        }
        Ok(secret) => match put_and_compare(sink.0, name, owner, &secret).await {
            Ok(()) => (
                SecretRecord::Stored {
                    sink: sink.name().into(),
                    fingerprint: secret.fingerprint(),
                },
                false,
                Some(secret),
            ),
            Err(error) => {
                tracing::warn!(label = %intent.what.label(), %error, "a secret could not be stored");
                (
                    SecretRecord::Missing {
                        why: error.recorded().into(),
                        current: secret.prefix(),
                        held: None,
                    },
                    kept,
                    None,
                )
            }
        },
    };
    protocol::reached(if rotates(&intent) { Point::RotateStored } else { Point::CreateStored });
    Stored { intent, waits, made, secret, key }
}

/// Writes a secret and proves, as far as the sink can be read here, that it is there.
pub async fn put_and_compare<S: Sink>(
    sink: &S,
    name: &SecretName,
    owner: Option<Owner<'_>>,
    secret: &Secret,
) -> Result<(), SinkError> {
    let failed =
        |error: std::io::Error| SinkError::Broken { sink: sink.name(), why: error.to_string() };
    protocol::about_to(Point::SinkPut).map_err(failed)?;
    sink.put(name, owner, secret).await?;
    if !sink.readable() {
        return Ok(());
    }
    match sink.get(name).await? {
        Some(back) if back.same(secret) => Ok(()),
        _ => Err(SinkError::Mismatch(sink.name())),
    }
}

/// A keyset that turned out to be the intent's own, found by listing. Its secret went with the lost
/// answer.
pub fn found(unknown: Unknown, live: LiveKeyset, current: Option<KeyPrefix>) -> Stored {
    protocol::reached(Point::CreateFound);
    let secret = SecretRecord::Missing { why: LOST.into(), current, held: None };
    Stored { intent: *unknown.0, waits: false, made: Made::Keyset(live), secret, key: None }
}

/// A keyset whose answer tells of a key that is not its present one any more: whoever made another
/// has that one.
pub fn outdated(opened: Opened) -> Stored {
    let why =
        "the key that the create gave out is not the present one any more: somebody made another";
    let secret = SecretRecord::Missing { why: why.into(), current: opened.prefix(), held: None };
    Stored { intent: opened.intent, waits: false, made: opened.made, secret, key: None }
}

/// Why a keyset that was found has no secret.
const LOST: &str = "the answer to the create was lost, and the API shows a secret only once";

/// Records an app that turned out to be the intent's own.
pub async fn found_app<L: Ledger>(
    ledger: &L,
    unknown: Unknown,
    app: LiveApp,
) -> Result<(), LedgerError> {
    let Unknown(intent) = unknown;
    let recorded = RecordedApp { id: app.id, name: app.name, managed: true };
    ledger
        .append(Entry::App {
            label: intent.what.label().clone(),
            app: recorded,
            intent: Some(intent.id),
        })
        .await
}

impl Stored {
    pub fn label(&self) -> &Label {
        self.intent.what.label()
    }
    fn ends(&self) -> Option<uuid::Uuid> {
        (!self.waits).then_some(self.intent.id)
    }
}

/// Records the keyset; ends the intent, unless the sealed answer holds the only copy of its secret.
/// `applied`: what was sent.
pub async fn commit<L: Ledger>(
    ledger: &L,
    stored: Stored,
    applied: Observed,
) -> Result<RecordedKeyset, LedgerError> {
    let ends = stored.ends();
    let Stored { intent, made, secret, .. } = stored;
    let (Creation::Keyset { label, app, app_id, protect, .. }, Made::Keyset(live)) =
        (intent.what, made)
    else {
        return Err(LedgerError {
            what: "commit".into(),
            why: "the intent is for something else".into(),
        });
    };
    let keyset = RecordedKeyset {
        id: live.id,
        app,
        app_id,
        keys: live.keys,
        created_at: live.created_at,
        applied,
        seen: live.observed,
        secret,
        mirrors: BTreeMap::new(),
        secret_since: Some(intent.at),
        secret_label: None,
        protect,
        applied_at: Some(intent.at),
        push: BTreeMap::new(),
    };
    ledger.append(Entry::Keyset { label, keyset: Box::new(keyset.clone()), intent: ends }).await?;
    protocol::reached(Point::CreateCommitted);
    Ok(keyset)
}

/// Records the secret key of the keyset that is recorded as `keyset` under `label`: a new one, or
/// the one of a sealed create.
pub async fn commit_rotation<L: Ledger>(
    ledger: &L,
    label: &Label,
    stored: Stored,
    keyset: &RecordedKeyset,
) -> Result<RecordedKeyset, LedgerError> {
    let (ends, rotated) = (stored.ends(), rotates(&stored.intent));
    let secret = still_holding(stored.secret, keyset);
    let keyset = RecordedKeyset { secret, secret_since: Some(stored.intent.at), ..keyset.clone() };
    let label = label.clone();
    ledger.append(Entry::Keyset { label, keyset: Box::new(keyset.clone()), intent: ends }).await?;
    protocol::reached(if rotated { Point::RotateCommitted } else { Point::CreateCommitted });
    Ok(keyset)
}

/// What could not be stored took nothing out of the sink.
fn still_holding(secret: SecretRecord, before: &RecordedKeyset) -> SecretRecord {
    match secret {
        SecretRecord::Missing { why, current, held: None } => {
            SecretRecord::Missing { why, current, held: before.secret.held().cloned() }
        }
        other => other,
    }
}

/// A rotation of unknown fate after which the key that may be the current one is in no hand: `why`
/// is recorded, and the next rotation may end it at once.
pub async fn lost_rotation<L: Ledger>(
    ledger: &L,
    unknown: Unknown,
    keyset: &RecordedKeyset,
    current: Option<KeyPrefix>,
) -> Result<RecordedKeyset, LedgerError> {
    let Unknown(intent) = unknown;
    let why = "the answer to the rotation was lost, and the API shows a secret only once";
    let secret =
        still_holding(SecretRecord::Missing { why: why.into(), current, held: None }, keyset);
    let keyset = RecordedKeyset { secret, ..keyset.clone() };
    let label = intent.what.label().clone();
    ledger
        .append(Entry::Keyset { label, keyset: Box::new(keyset.clone()), intent: Some(intent.id) })
        .await?;
    Ok(keyset)
}

/// Records a secret that turned out to be in a sink already, and to be the account's current one.
pub async fn found_secret<L: Ledger>(
    ledger: &L,
    label: &Label,
    keyset: &RecordedKeyset,
    secret: SecretRecord,
) -> Result<RecordedKeyset, LedgerError> {
    let keyset = RecordedKeyset { secret, secret_since: None, ..keyset.clone() };
    ledger
        .append(Entry::Keyset {
            label: label.clone(),
            keyset: Box::new(keyset.clone()),
            intent: None,
        })
        .await?;
    Ok(keyset)
}

/// The secret that is recorded is not the account's current one, and the current one is in no hand.
pub async fn no_longer<L: Ledger>(
    ledger: &L,
    label: &Label,
    keyset: &RecordedKeyset,
    why: &str,
    current: Option<KeyPrefix>,
) -> Result<RecordedKeyset, LedgerError> {
    found_secret(
        ledger,
        label,
        keyset,
        still_holding(SecretRecord::Missing { why: why.into(), current, held: None }, keyset),
    )
    .await
}

/// What was begun led to nothing, or what it led to is of no use to anybody.
pub async fn void<L: Ledger>(ledger: &L, unknown: Unknown) -> Result<(), LedgerError> {
    ledger.append(Entry::Void { intent: unknown.0.id }).await
}

/// It was not posted after all.
pub async fn withdraw<L: Ledger>(ledger: &L, fresh: Fresh) -> Result<(), LedgerError> {
    ledger.append(Entry::Void { intent: fresh.0.id }).await
}

/// The key of the project's escrow, out of the sink; made and read back if there is none yet.
pub async fn escrow_key<S: Sink>(
    sink: Probed<'_, S>,
    name: &SecretName,
    new: impl Fn() -> Result<Secret, EscrowError>,
) -> Result<Secret, SinkError> {
    if let Some(key) = sink.0.get(name).await? {
        return Ok(key);
    }
    let failed =
        |error: EscrowError| SinkError::Broken { sink: sink.name(), why: error.to_string() };
    put_and_compare(sink.0, name, None, &new().map_err(failed)?).await?;
    protocol::reached(Point::EscrowKey);
    // Of two runs that made one at the same time, one is left: its key is the key.
    sink.0.get(name).await?.ok_or(SinkError::Mismatch(sink.name()))
}
