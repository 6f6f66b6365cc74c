//! The floor between the verbs and the effects: narrow traits that move plain data, and the proofs made around them.
//!
//! A create walks one chain, and each step takes by value what only the step before can make:
//!
//! ```text
//! Probed::of(sink)                     the sink can be written, read back, and survives a restart
//! intend(ledger, ..)   -> Fresh        journalled and synced; not posted
//! post(api, Fresh)     -> Answered     posted, the answer is here
//!                       | Refused      the server said no: nothing was made
//!                       | Unknown      maybe posted: can only be resolved by listing
//! seal(escrow, Answered) -> Sealed     the raw answer is in escrow, not yet parsed
//! open(escrow, Sealed) -> Opened       parsed
//! store(Probed, Opened) -> Stored      in the sink, read back, compared; or known to be missing
//! commit(ledger, Stored)               journalled and synced; the escrow lets go
//! ```
//!
//! Posting twice does not compile: `post` consumes the only `Fresh`, and only [`intend`] and [`absent`] make one.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::keyset::views::{LiveApp, LiveKeyset, RecordedApp, RecordedKeyset, SecretRecord};
use crate::keyset::wire::{self, AppPage, BadAnswer, KeysetPage};
use crate::keyset::{AppId, Fingerprint, KeysetId, Label, Observed, ProjectName, RawAnswer, Secret};

// ---------------------------------------------------------------------------------------------------------- Api

/// A JSON object to send.
pub type Body = serde_json::Map<String, serde_json::Value>;

/// The Admin API, one method per call. GET and PATCH may be repeated by the adapter; a POST is sent at most once.
pub trait Api: Send + Sync {
    /// `GET /v2/apps`; `page` from 1.
    fn apps_page(&self, page: u64) -> impl Future<Output = Result<AppPage, ApiError>> + Send;
    /// `GET /v2/keysets`; `page` from 1.
    fn keysets_page(&self, page: u64) -> impl Future<Output = Result<KeysetPage, ApiError>> + Send;
    /// `GET /v2/keysets/{id}/config`
    fn config(&self, id: &KeysetId) -> impl Future<Output = Result<Observed, ApiError>> + Send;
    /// `POST /v2/apps`
    fn post_app(&self, name: &str) -> impl Future<Output = Result<LiveApp, ApiError>> + Send;
    /// `PATCH /v2/apps/{id}`
    fn patch_app(&self, id: &AppId, name: &str) -> impl Future<Output = Result<LiveApp, ApiError>> + Send;
    /// `POST /v2/keysets`
    fn post_keyset(&self, body: &Body) -> impl Future<Output = Result<RawAnswer, ApiError>> + Send;
    /// `PATCH /v2/keysets/{id}`
    fn patch_keyset(&self, id: &KeysetId, body: &Body) -> impl Future<Output = Result<LiveKeyset, ApiError>> + Send;
    /// `PATCH /v2/keysets/{id}/config`
    fn patch_config(&self, id: &KeysetId, body: &Body) -> impl Future<Output = Result<Observed, ApiError>> + Send;
}

/// A request that did not end well.
#[derive(Clone, Debug)]
pub struct ApiError {
    pub method: &'static str,
    /// Path and query, without host.
    pub path: String,
    /// Times it was sent or tried to be sent.
    pub tries: u32,
    pub kind: ApiErrorKind,
}

#[derive(Clone, Debug)]
pub enum ApiErrorKind {
    /// No connection: the request never left.
    NotSent(String),
    /// Sent (in whole or in part), and no whole answer came: cut, reset or out of time.
    NoAnswer(String),
    /// An answer with a status outside 2xx; `messages` are the API's own words.
    Status { status: u16, error: String, messages: Vec<String>, retry_after: Option<Duration> },
    /// A body longer than `limit` bytes.
    TooLarge { limit: usize },
    /// 2xx, and not what the contract says.
    BadAnswer(BadAnswer),
    /// Pages that cannot all be true at once.
    Inconsistent(String),
    /// `{"success": false}`, or an answer about something else than asked for.
    NotDone(String),
}

impl ApiError {
    /// Whether a POST that ended like this certainly did nothing. Everything else may have been carried out.
    pub fn certainly_not_done(&self) -> bool {
        match &self.kind {
            ApiErrorKind::NotSent(_) => true,
            // 408, 425 and 429 may come from something in front of the service, after it was reached.
            ApiErrorKind::Status { status, .. } => (400..500).contains(status) && !matches!(status, 408 | 425 | 429),
            ApiErrorKind::NoAnswer(_)
            | ApiErrorKind::TooLarge { .. }
            | ApiErrorKind::BadAnswer(_)
            | ApiErrorKind::Inconsistent(_)
            | ApiErrorKind::NotDone(_) => false,
        }
    }
}

impl ApiError {
    /// What a person can do about it, where that is known.
    pub fn help(&self) -> Option<String> {
        let ApiErrorKind::Status { status, messages, .. } = &self.kind else { return None };
        let help = match status {
            401 => "the API key is wrong, expired or revoked: make a new one under Service Integrations in the portal",
            403 if self.method == "POST" && self.path == "/v2/keysets" => {
                "creating a keyset needs the permissions `keyset:write` and `keyset-secret:read` on the app (documented); \
                 permissions of a Service Integration cannot be edited: make a new one that has them"
            }
            403 => "the API key lacks a permission; those of a Service Integration cannot be edited: make a new one that has it",
            404 => "it is not in the account that the API key belongs to",
            400 if messages.is_empty() => "the server gave no reason; `-v` shows the request's path and status",
            _ => return None,
        };
        Some(help.to_owned())
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.method, self.path)?;
        match &self.kind {
            ApiErrorKind::NotSent(why) => write!(f, "no connection: {why}")?,
            ApiErrorKind::NoAnswer(why) => write!(f, "no complete answer: {why}")?,
            ApiErrorKind::Status { status, error, messages, .. } => {
                write!(f, "{status}")?;
                if !error.is_empty() {
                    write!(f, " {error}")?;
                }
                if !messages.is_empty() {
                    write!(f, ": {}", messages.join("; "))?;
                }
            }
            ApiErrorKind::TooLarge { limit } => write!(f, "the answer is longer than {} MiB", limit >> 20)?,
            ApiErrorKind::BadAnswer(bad) => write!(f, "not an answer of the Admin API: {bad}")?,
            ApiErrorKind::Inconsistent(why) => write!(f, "the listing cannot be trusted: {why}")?,
            ApiErrorKind::NotDone(why) => write!(f, "not carried out: {why}")?,
        }
        if self.tries > 1 {
            write!(f, " (after {} tries)", self.tries)?;
        }
        Ok(())
    }
}
impl std::error::Error for ApiError {}

// ------------------------------------------------------------------------------------------------------- Ledger

/// What is about to be created, written down before it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// Unique for ever.
    pub id: uuid::Uuid,
    pub at: jiff::Timestamp,
    pub what: Creation,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "create")]
pub enum Creation {
    #[serde(rename_all = "camelCase")]
    App { label: Label, name: Box<str>, known: BTreeSet<AppId> },
    #[serde(rename_all = "camelCase")]
    Keyset {
        label: Label,
        app: Label,
        app_id: AppId,
        name: Box<str>,
        r#type: Box<str>,
        /// SHA-256 of the body, in hex.
        body_digest: Box<str>,
        /// Keysets of that app that existed before: none of them can be the new one.
        known: BTreeSet<KeysetId>,
    },
}

impl Creation {
    pub fn label(&self) -> &Label {
        match self {
            Creation::App { label, .. } | Creation::Keyset { label, .. } => label,
        }
    }
}

/// One record of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Intend(Intent),
    /// The intent led to nothing, for certain.
    Void {
        intent: uuid::Uuid,
    },
    /// An app is as recorded; ends the intent that led to it.
    App {
        label: Label,
        app: RecordedApp,
        intent: Option<uuid::Uuid>,
    },
    /// A keyset is as recorded; ends the intent that led to it.
    Keyset {
        label: Label,
        keyset: Box<RecordedKeyset>,
        intent: Option<uuid::Uuid>,
    },
}

/// Where it is written down. When `append` returns `Ok`, the record survives a power cut.
pub trait Ledger: Send + Sync {
    fn append(&self, entry: Entry) -> impl Future<Output = Result<(), LedgerError>> + Send;
}

/// The journal could not be written; `what` names file and operation.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct LedgerError {
    pub what: String,
    pub why: String,
}

// ------------------------------------------------------------------------------------------------------- Escrow

/// Keeps raw answers between their arrival and their commit.
pub trait Escrow: Send + Sync {
    fn keep(&self, intent: &Intent, raw: RawAnswer) -> impl Future<Output = Result<(), EscrowError>> + Send;
    /// `None`: nothing is kept for it.
    fn take(&self, intent: &Intent) -> impl Future<Output = Result<Option<RawAnswer>, EscrowError>> + Send;
}

#[derive(Clone, Debug, thiserror::Error)]
#[error("the escrow failed: {0}")]
pub struct EscrowError(pub String);

// --------------------------------------------------------------------------------------------------------- Sink

/// Whose secret it is. `namespace` keeps a project's sandbox apart from its real account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretName {
    pub namespace: Namespace,
    pub project: ProjectName,
    pub label: Label,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    Account,
    Sandbox,
}

/// Where secrets go. Every call returns within a deadline of the adapter's own.
pub trait Sink: Send + Sync {
    /// As `secrets.sinks` names it.
    fn name(&self) -> &'static str;
    /// Writes, reads back and deletes a canary, and finds out whether what is written survives a restart.
    fn probe(&self) -> impl Future<Output = Result<(), SinkError>> + Send;
    fn put(&self, name: &SecretName, secret: &Secret) -> impl Future<Output = Result<(), SinkError>> + Send;
    /// `None`: there is no such entry.
    fn get(&self, name: &SecretName) -> impl Future<Output = Result<Option<Secret>, SinkError>> + Send;
}

/// The sink cannot be used. Texts come from keyform and the platform, never from an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    #[error("there is no keyring service: {0}")]
    Unavailable(String),
    #[error("the keyring is locked: {0}")]
    Locked(String),
    #[error("the keyring keeps entries in memory only: {0}")]
    Volatile(String),
    #[error("the keyring did not answer within {} s", .0.as_secs())]
    Hanging(Duration),
    #[error("the keyring returned another value than was written")]
    Mismatch,
    #[error("the keyring failed: {0}")]
    Failed(String),
}

// -------------------------------------------------------------------------------------------------------- Clock

/// The time, and waiting for it.
pub trait Clock: Send + Sync {
    fn now(&self) -> jiff::Timestamp;
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

// ------------------------------------------------------------------------------------------------------- Proofs

/// A sink that has passed its probe in this run.
pub struct Probed<'a, S>(&'a S);

impl<'a, S: Sink> Probed<'a, S> {
    pub async fn of(sink: &'a S) -> Result<Probed<'a, S>, SinkError> {
        sink.probe().await.map(|()| Probed(sink))
    }
    pub fn name(&self) -> &'static str {
        self.0.name()
    }
    /// Fingerprint of the secret that a create under this name would overwrite.
    pub async fn holds(&self, name: &SecretName) -> Result<Option<Fingerprint>, SinkError> {
        self.0.get(name).await.map(|found| found.map(|secret| secret.fingerprint()))
    }
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

/// Maybe posted. Can only be resolved by listing: see `apply::resume`.
pub struct Unknown(Intent);

/// In escrow.
pub struct Sealed(Intent);

/// Out of the envelope: what was made, and its secret if the answer held one.
pub struct Opened {
    intent: Intent,
    pub live: LiveKeyset,
    secret: Result<Secret, String>,
}

/// In the sink, or known not to be.
pub struct Stored {
    intent: Intent,
    pub live: LiveKeyset,
    pub secret: SecretRecord,
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
    Ok(Fresh(intent))
}

/// What a start finds in the journal: intents without an end. Whether they were posted is not known, so no [`Fresh`].
pub fn left_open(intent: Intent) -> Unknown {
    Unknown(intent)
}

impl Unknown {
    pub fn intent(&self) -> &Intent {
        &self.0
    }
}

/// A complete listing after the settle time shows nothing that could be the intent's: it may be posted again.
/// Callers: `apply::resume` only, reviewed by hand.
pub fn absent(unknown: Unknown) -> Fresh {
    Fresh(unknown.0)
}

/// An absent create of an earlier run is begun anew: what is declared, and so what is sent and looked for, may have
/// changed since. The old intent ends, and `now` takes its place. One that is `now` already stays as it is.
pub async fn renew<L: Ledger>(ledger: &L, fresh: Fresh, now: &Intent) -> Result<Fresh, LedgerError> {
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
pub async fn post<A: Api, L: Ledger>(api: &A, ledger: &L, fresh: Fresh, body: &Body) -> Result<Posted, LedgerError> {
    let Fresh(intent) = fresh;
    match api.post_keyset(body).await {
        Ok(raw) => Ok(Posted::Answered(Answered(intent, raw))),
        Err(error) if error.certainly_not_done() => {
            ledger.append(Entry::Void { intent: intent.id }).await?;
            Ok(Posted::Refused(error))
        }
        Err(error) => Ok(Posted::Unknown(Unknown(intent), error)),
    }
}

/// How the creation of an app ended.
pub enum PostedApp {
    Made(LiveApp),
    Refused(ApiError),
    Unknown(Unknown, ApiError),
}

/// Sends an app's create, once, and records what came of it.
pub async fn post_app<A: Api, L: Ledger>(api: &A, ledger: &L, fresh: Fresh) -> Result<PostedApp, LedgerError> {
    let Fresh(intent) = fresh;
    let Creation::App { label, name, .. } = &intent.what else {
        // An intent of the other kind was made by the same crate: a programming error, and nothing was sent.
        return Err(LedgerError { what: "post_app".into(), why: "the intent is for a keyset".into() });
    };
    match api.post_app(name).await {
        Ok(app) => {
            let recorded = RecordedApp { id: app.id.clone(), name: app.name.clone(), managed: true };
            ledger.append(Entry::App { label: label.clone(), app: recorded, intent: Some(intent.id) }).await?;
            Ok(PostedApp::Made(app))
        }
        Err(error) if error.certainly_not_done() => {
            ledger.append(Entry::Void { intent: intent.id }).await?;
            Ok(PostedApp::Refused(error))
        }
        Err(error) => Ok(PostedApp::Unknown(Unknown(intent), error)),
    }
}

/// Puts the raw answer into escrow before anybody parses it.
pub async fn seal<E: Escrow>(escrow: &E, answered: Answered) -> Result<Sealed, (Unknown, EscrowError)> {
    let Answered(intent, raw) = answered;
    match escrow.keep(&intent, raw).await {
        Ok(()) => Ok(Sealed(intent)),
        Err(error) => Err((Unknown(intent), error)),
    }
}

/// Why a sealed answer could not be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unopened {
    #[error(transparent)]
    Escrow(#[from] EscrowError),
    #[error("the escrow holds nothing for this create")]
    Empty,
    #[error("not an answer of the Admin API: {0}")]
    BadAnswer(BadAnswer),
}

/// Parses a sealed answer. An answer that makes no sense leaves the create unknown: it has to be looked for.
pub async fn open<E: Escrow>(escrow: &E, sealed: Sealed) -> Result<Opened, (Unknown, Unopened)> {
    let Sealed(intent) = sealed;
    let raw = match escrow.take(&intent).await {
        Ok(Some(raw)) => raw,
        Ok(None) => return Err((Unknown(intent), Unopened::Empty)),
        Err(error) => return Err((Unknown(intent), error.into())),
    };
    match wire::created(&raw) {
        Ok((live, secret)) => Ok(Opened { intent, live, secret: secret.map_err(|bad| bad.to_string()) }),
        Err(bad) => Err((Unknown(intent), Unopened::BadAnswer(bad))),
    }
}

/// Writes the secret to the sink, reads it back and compares. What could not be stored is recorded as missing, with the
/// reason: the keyset exists and its id must not be lost with its secret.
pub async fn store<S: Sink>(sink: Probed<'_, S>, name: &SecretName, opened: Opened) -> Stored {
    let Opened { intent, live, secret } = opened;
    let secret = match secret {
        Err(why) => SecretRecord::Missing { why: format!("the answer to the create held none: {why}").into() },
        Ok(secret) => match put_and_compare(sink.0, name, &secret).await {
            Ok(()) => SecretRecord::Stored { sink: sink.name().into(), fingerprint: secret.fingerprint() },
            Err(error) => SecretRecord::Missing { why: error.to_string().into() },
        },
    };
    Stored { intent, live, secret }
}

async fn put_and_compare<S: Sink>(sink: &S, name: &SecretName, secret: &Secret) -> Result<(), SinkError> {
    sink.put(name, secret).await?;
    match sink.get(name).await? {
        Some(back) if back.same(secret) => Ok(()),
        _ => Err(SinkError::Mismatch),
    }
}

/// A keyset that turned out to be the intent's own, found by listing. Its secret went with the lost answer.
pub fn found(unknown: Unknown, live: LiveKeyset) -> Stored {
    let why = "the answer to the create was lost, and the API shows a secret only once".into();
    Stored { intent: unknown.0, live, secret: SecretRecord::Missing { why } }
}

/// Records an app that turned out to be the intent's own.
pub async fn found_app<L: Ledger>(ledger: &L, unknown: Unknown, app: LiveApp) -> Result<(), LedgerError> {
    let Unknown(intent) = unknown;
    let recorded = RecordedApp { id: app.id, name: app.name, managed: true };
    ledger.append(Entry::App { label: intent.what.label().clone(), app: recorded, intent: Some(intent.id) }).await
}

/// Records the keyset; ends the intent. `applied`: what was sent.
pub async fn commit<L: Ledger>(ledger: &L, stored: Stored, applied: Observed) -> Result<RecordedKeyset, LedgerError> {
    let Stored { intent, live, secret } = stored;
    let Creation::Keyset { label, app, app_id, .. } = intent.what else {
        return Err(LedgerError { what: "commit".into(), why: "the intent is for an app".into() });
    };
    let keyset =
        RecordedKeyset { id: live.id, app, app_id, keys: live.keys, created_at: live.created_at, applied, seen: live.observed, secret };
    ledger.append(Entry::Keyset { label, keyset: Box::new(keyset.clone()), intent: Some(intent.id) }).await?;
    Ok(keyset)
}
