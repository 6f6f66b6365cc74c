//! The floor between the verbs and the effects: narrow traits that move plain data, and in `chain`
//! the proofs made around them.

mod chain;
mod sink_type;

pub use chain::*;
pub use sink_type::SinkType;

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::audit::Ended;
use crate::keyset::KeyPrefix;
use crate::keyset::push::{Push, PushTexts};
use crate::keyset::views::{LiveApp, LiveKeyset, RecordedApp, RecordedKeyset};
use crate::keyset::wire::{AppPage, BadAnswer, KeysetPage, ListedKey};
use crate::keyset::{
    AppId, Fingerprint, KeysetId, Label, MirrorTarget, Observed, ProjectName, PublicKeys,
    PushContent, RawAnswer, Secret,
};

// -------------------------------------------------------------------------------------------------
// Api

/// A JSON object to send.
pub type Body = serde_json::Map<String, serde_json::Value>;

/// The Admin API, one method per call. GET, PATCH and DELETE may be repeated by the adapter; a POST
/// is sent at most once.
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
    fn patch_app(
        &self,
        id: &AppId,
        name: &str,
    ) -> impl Future<Output = Result<LiveApp, ApiError>> + Send;
    /// `POST /v2/keysets`
    fn post_keyset(&self, body: &Body) -> impl Future<Output = Result<RawAnswer, ApiError>> + Send;
    /// `PATCH /v2/keysets/{id}`
    fn patch_keyset(
        &self,
        id: &KeysetId,
        body: &Body,
    ) -> impl Future<Output = Result<LiveKeyset, ApiError>> + Send;
    /// `POST /v2/keysets/{id}/secret-keys`. `expires_at`: until when the key of before goes on
    /// working; `None`: it ends now.
    fn rotate_secret_key(
        &self,
        id: &KeysetId,
        expires_at: Option<jiff::Timestamp>,
    ) -> impl Future<Output = Result<RawAnswer, ApiError>> + Send;
    /// `GET /v2/keysets/{id}/secret-keys?activeOnly=true`. Of each key no more than its public
    /// prefix.
    fn secret_keys(
        &self,
        id: &KeysetId,
    ) -> impl Future<Output = Result<Vec<ListedKey>, ApiError>> + Send;
    /// `PATCH /v2/keysets/{id}/secret-keys/{prefix}`: a key that waits for its end gets another
    /// one.
    fn expire_secret_key(
        &self,
        id: &KeysetId,
        prefix: &KeyPrefix,
        expires_at: jiff::Timestamp,
    ) -> impl Future<Output = Result<(), ApiError>> + Send;
    /// `DELETE /v2/keysets/{id}/secret-keys/{prefix}`: a key that waits for its end ends now.
    fn delete_secret_key(
        &self,
        id: &KeysetId,
        prefix: &KeyPrefix,
    ) -> impl Future<Output = Result<(), ApiError>> + Send;
    /// `DELETE /v2/keysets/{id}`
    fn delete_keyset(&self, id: &KeysetId) -> impl Future<Output = Result<(), ApiError>> + Send;
    /// `DELETE /v2/apps/{id}`
    fn delete_app(&self, id: &AppId) -> impl Future<Output = Result<(), ApiError>> + Send;
    /// How many seconds the server's clock is ahead of ours, as it told with its last answer;
    /// `None`: it does not tell.
    fn clock_offset(&self) -> Option<i64>;
    /// `POST /v2/keysets/{id}/config/{push}`: replaces what is there, so it may be repeated.
    fn upload_push(
        &self,
        id: &KeysetId,
        push: Push,
        texts: &PushTexts,
        content: &PushContent,
    ) -> impl Future<Output = Result<(), ApiError>> + Send;
    /// `PATCH /v2/keysets/{id}/config`
    fn patch_config(
        &self,
        id: &KeysetId,
        body: &Body,
    ) -> impl Future<Output = Result<Observed, ApiError>> + Send;
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
    /// Whether a POST that ended like this certainly did nothing. Everything else may have been
    /// carried out.
    pub fn certainly_not_done(&self) -> bool {
        match &self.kind {
            ApiErrorKind::NotSent(_) => true,
            // 408, 425 and 429 may come from something in front of the service, after it was
            // reached.
            ApiErrorKind::Status { status, .. } => {
                (400..500).contains(status) && !matches!(status, 408 | 425 | 429)
            }
            ApiErrorKind::NoAnswer(_)
            | ApiErrorKind::TooLarge { .. }
            | ApiErrorKind::BadAnswer(_)
            | ApiErrorKind::Inconsistent(_)
            | ApiErrorKind::NotDone(_) => false,
        }
    }
}

impl ApiErrorKind {
    /// Whether it is about the moment, and not about what was asked for.
    pub fn is_passing(&self) -> bool {
        match self {
            ApiErrorKind::NotSent(_) | ApiErrorKind::NoAnswer(_) => true,
            ApiErrorKind::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            ApiErrorKind::TooLarge { .. }
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
            401 => {
                "the API key is wrong, expired or revoked: make a new one under Service \
                 Integrations in the portal"
            }
            403 if self.method == "POST" && self.path == "/v2/keysets" => {
                "creating a keyset needs the permissions `keyset:write` and `keyset-secret:read` \
                 on the app (documented); \
                 permissions of a Service Integration cannot be edited: make a new one that has \
                 them"
            }
            403 => {
                "the API key lacks a permission; those of a Service Integration cannot be edited: \
                 make a new one that has it"
            }
            404 => "it is not in the account that the API key belongs to",
            400 if messages.is_empty() => {
                "the server gave no reason; `-v` shows the request's path and status"
            }
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
            ApiErrorKind::TooLarge { limit } => {
                write!(f, "the answer is longer than {} MiB", limit >> 20)?
            }
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

// -------------------------------------------------------------------------------------------------
// Ledger

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
        /// What was recorded under the label and is gone at the server.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<KeysetId>,
        /// Declared as protected (or not), where that is not what its type says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        protect: Option<bool>,
    },
    /// A new secret key for a keyset that is recorded.
    #[serde(rename_all = "camelCase")]
    SecretKey {
        label: Label,
        id: KeysetId,
        /// Until when the key of before goes on working; `None`: nobody holds it, or it is to end
        /// at once.
        expires_at: Option<jiff::Timestamp>,
        /// The key that was recorded when it began; `None`: none was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Fingerprint>,
        /// The key that was the account's present one when it began, where the account told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        over: Option<KeyPrefix>,
    },
}

/// What was begun and has no end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    pub intent: Intent,
    /// The answer, sealed by the escrow: it came, and was not committed.
    pub sealed: Option<Box<str>>,
}

impl Creation {
    pub fn label(&self) -> &Label {
        match self {
            Creation::App { label, .. }
            | Creation::Keyset { label, .. }
            | Creation::SecretKey { label, .. } => label,
        }
    }
}

/// One record of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Intend(Intent),
    /// The raw answer to it, sealed by the escrow.
    Sealed {
        intent: uuid::Uuid,
        answer: Box<str>,
    },
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
    /// Nothing is recorded under the label of an app or keyset any more. What it stood for is left
    /// alone.
    Forgotten {
        label: Label,
        app: bool,
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

/// The audit log, as those write it that send requests.
#[async_trait]
pub trait Notes: Send + Sync {
    /// Notes a request before it is sent; it is not sent if that fails. Gives back its number.
    async fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Body>,
    ) -> Result<u64, LedgerError>;
    /// What became of it.
    async fn answer(&self, request: u64, outcome: Ended, error: Option<String>);
}

// -------------------------------------------------------------------------------------------------
// Escrow

/// Seals raw answers to a key that only those hold who may read the secrets. Pure: where the sealed
/// text is kept is the ledger's.
pub trait Escrow: Send + Sync {
    /// `None`: there is nobody to seal it to; it lives in memory only.
    fn seal(&self, raw: &RawAnswer) -> Result<Option<Box<str>>, EscrowError>;
    fn open(&self, sealed: &str) -> Result<RawAnswer, EscrowError>;
}

/// Texts come from keyform, never from what was sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EscrowError {
    #[error("the sealed answer is for another key than there is here")]
    OtherKey,
    #[error("there is no key to open it with")]
    NoKey,
    #[error("the sealed answer is damaged")]
    Damaged,
}

// -------------------------------------------------------------------------------------------------
// Sink

/// Which entry of the sink it is. `namespace` keeps a project's sandbox apart from its real
/// account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretName {
    pub namespace: Namespace,
    pub project: ProjectName,
    pub item: Item,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The secret key of the keyset with this label.
    Keyset(Label),
    /// What opens the escrow: one a project.
    EscrowKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    Account,
    Sandbox,
}

/// Whose secret key it is, for sinks that keep it beside the secret.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    pub id: &'a KeysetId,
    pub keys: &'a PublicKeys,
}

/// Where secrets go. Every call returns within a deadline of the adapter's own.
pub trait Sink: Send + Sync {
    fn kind(&self) -> SinkType;
    /// As the state file and messages name it.
    fn name(&self) -> &'static str {
        self.kind().name()
    }
    /// Proves that it can be written, and finds out whether what is written survives a restart.
    fn probe(&self) -> impl Future<Output = Result<(), SinkError>> + Send;
    /// Whether what was written can be read back here. Known after the probe.
    fn readable(&self) -> bool;
    /// `owner`: of a keyset's secret key.
    fn put(
        &self,
        name: &SecretName,
        owner: Option<Owner<'_>>,
        secret: &Secret,
    ) -> impl Future<Output = Result<(), SinkError>> + Send;
    /// `None`: there is no such entry.
    fn get(
        &self,
        name: &SecretName,
    ) -> impl Future<Output = Result<Option<Secret>, SinkError>> + Send;
    /// Takes the entry away; `false`: there is none.
    fn remove(&self, name: &SecretName) -> impl Future<Output = Result<bool, SinkError>> + Send;
    /// Whether there is such an entry, also where it cannot be read. `None`: nobody can tell.
    fn has(
        &self,
        name: &SecretName,
    ) -> impl Future<Output = Result<Option<bool>, SinkError>> + Send {
        async move {
            match self.readable() {
                true => self.get(name).await.map(|found| Some(found.is_some())),
                false => Ok(None),
            }
        }
    }
}

/// What a sink has under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    Nothing,
    Secret(Fingerprint),
    /// Something that cannot be read here.
    Unread,
    NotKnown,
}

/// What would be overwritten.
pub async fn held<S: Sink>(sink: &S, name: &SecretName) -> Result<Held, SinkError> {
    if sink.readable() {
        return Ok(sink
            .get(name)
            .await?
            .map_or(Held::Nothing, |secret| Held::Secret(secret.fingerprint())));
    }
    Ok(match sink.has(name).await? {
        Some(true) => Held::Unread,
        Some(false) => Held::Nothing,
        None => Held::NotKnown,
    })
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
    #[error("the {sink} did not answer within {} s", .deadline.as_secs())]
    Hanging { sink: &'static str, deadline: Duration },
    #[error("the {0} returned another value than was written")]
    Mismatch(&'static str),
    #[error("the keyring failed: {0}")]
    Failed(String),
    #[error("the {sink} sink failed: {why}")]
    Broken { sink: &'static str, why: String },
    /// `words` are the program's own, and go to people only: never into state or journal, which are
    /// committed and read by others.
    #[error("the {sink} sink failed: {why}: {words}")]
    Complaint { sink: &'static str, why: String, words: String },
    /// It takes secrets and gives none back, here.
    #[error("the {sink} sink cannot be read here: {why}")]
    WriteOnly { sink: &'static str, why: String },
}

impl SinkError {
    /// For state and journal: without the words of a foreign program.
    pub fn recorded(&self) -> String {
        match self {
            SinkError::Complaint { sink, why, .. } => format!("the {sink} sink failed: {why}"),
            other => other.to_string(),
        }
    }
}

// -------------------------------------------------------------------------------------------------
// Mirror

/// Takes copies of secrets that a sink has already. Gives none back.
pub trait Mirror: Send + Sync {
    /// Puts it there, in the place of one that is there. May be repeated.
    fn put(
        &self,
        to: &MirrorTarget,
        secret: &Secret,
    ) -> impl Future<Output = Result<(), CopyFailed>> + Send;
}

/// A copy was not taken. Never tells of the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyFailed {
    pub why: String,
    pub help: Option<String>,
}

// -------------------------------------------------------------------------------------------------
// Clock

/// The time, and waiting for it.
pub trait Clock: Send + Sync {
    fn now(&self) -> jiff::Timestamp;
    /// Since some moment; never goes back and is not set.
    fn monotonic(&self) -> Duration;
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}
