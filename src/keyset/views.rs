//! The three pictures of a project: desired (TOML), recorded (state file), live (API).

use std::collections::BTreeMap;
use std::time::Duration;

use super::key_prefix::KeyPrefix;
use super::mirror::MirrorTarget;
use super::names::{AppId, Fingerprint, KeysetId, Label, ProjectName, PublicKeys};
use super::push::{DeclaredPush, Push, RecordedPush};
use super::settings::{Declared, FieldId, Observed, Origin, Value};

/// What the TOML says, after profiles are merged. Every value is acceptable by construction.
#[derive(Clone, Debug)]
pub struct Desired {
    pub project: ProjectName,
    pub apps: BTreeMap<Label, DesiredApp>,
    pub keysets: BTreeMap<Label, DesiredKeyset>,
    /// Of the whole project.
    pub freeze: Option<Freeze>,
}

/// `freeze = "reason"`: planned, and never applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    pub reason: Box<str>,
    pub origin: Origin,
}

impl Desired {
    /// Why this keyset, which is in the app of that label, may not be touched: the widest reason
    /// there is.
    pub fn keyset_freeze(&self, label: &Label, app: &Label) -> Option<&Freeze> {
        let own = || self.keysets.get(label).and_then(|keyset| keyset.freeze.as_ref());
        self.app_freeze(app).or_else(own)
    }
    pub fn app_freeze(&self, label: &Label) -> Option<&Freeze> {
        self.freeze.as_ref().or_else(|| self.apps.get(label)?.freeze.as_ref())
    }
}

#[derive(Clone, Debug)]
pub struct DesiredApp {
    pub source: AppSource,
    pub freeze: Option<Freeze>,
    /// Labels that it had before, newest first.
    pub moved_from: Box<[Label]>,
    /// Of the table's name.
    pub origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppSource {
    /// `name = "..."`: keyform creates and renames it.
    Managed { name: Box<str>, origin: Origin },
    /// `id = "..."`: exists, keyform only puts keysets in it.
    Existing { id: AppId, origin: Origin },
}

#[derive(Clone, Debug)]
pub struct DesiredKeyset {
    /// Label of a declared app.
    pub app: Label,
    pub app_origin: Origin,
    /// Holds `name` and `type` (always) and the configuration.
    pub settings: Declared,
    /// Default: true for production.
    pub protect: bool,
    pub freeze: Option<Freeze>,
    /// Where copies of its secret key go, each once, in order.
    pub mirrors: Box<[MirrorTarget]>,
    /// Labels that it had before, newest first.
    pub moved_from: Box<[Label]>,
    /// Fields that others may change: set at creation, and left alone from then on. Each once, in
    /// the order of the table.
    pub ignored: Box<[Ignored]>,
    /// How often it gets a new secret key.
    pub rotate: Option<Rotate>,
    /// Credentials to upload, each service once, in the order of the table.
    pub push: Box<[DeclaredPush]>,
    /// Of the table's name.
    pub origin: Origin,
}

/// A field that is left alone once the keyset exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    pub field: FieldId,
    pub reason: Option<Box<str>>,
    pub origin: Origin,
}

/// `rotate = { every = "90d", overlap = "24h" }`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotate {
    pub every: Duration,
    /// How long the key of before goes on working: 60 s to 366 days, and shorter than `every`.
    pub overlap: Duration,
    pub origin: Origin,
}

impl DesiredKeyset {
    pub fn ignores(&self, field: FieldId) -> Option<&Ignored> {
        self.ignored
            .binary_search_by_key(&field, |ignored| ignored.field)
            .ok()
            .map(|at| &self.ignored[at])
    }

    /// [`Self::protect`], where that is not what its type says.
    pub fn protect_note(&self) -> Option<bool> {
        let kind = FieldId::find("keyset", "type").and_then(|kind| self.settings.get(kind));
        (self.protect != kind.is_some_and(|kind| is_protected_type(&kind.value)))
            .then_some(self.protect)
    }
}

/// What the state file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    pub apps: BTreeMap<Label, RecordedApp>,
    pub keysets: BTreeMap<Label, RecordedKeyset>,
}

impl Recorded {
    pub fn is_empty(&self) -> bool {
        self.apps.is_empty() && self.keysets.is_empty()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedApp {
    pub id: AppId,
    pub name: Box<str>,
    /// Whether keyform made it or only refers to it.
    pub managed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedKeyset {
    pub id: KeysetId,
    /// Label of the app at the time of the create.
    pub app: Label,
    pub app_id: AppId,
    pub keys: PublicKeys,
    pub created_at: Option<jiff::Timestamp>,
    /// Values last sent by an apply, `name` and `type` among them.
    pub applied: Observed,
    /// Values last seen at the server.
    pub seen: Observed,
    pub secret: SecretRecord,
    /// Where a copy was sent, and of which secret key.
    pub mirrors: BTreeMap<MirrorTarget, Fingerprint>,
    /// When the secret key that is stored was asked for; `None`: it is not known, and not later
    /// than [`Self::created_at`] tells.
    pub secret_since: Option<jiff::Timestamp>,
    /// Under which label the sink has it, where that is not the keyset's own: it got another one
    /// where the sink could not be read.
    pub secret_label: Option<Label>,
    /// Declared as protected (or not), where that is not what its type says.
    pub protect: Option<bool>,
    /// When keyform created or changed it last.
    pub applied_at: Option<jiff::Timestamp>,
    /// What was uploaded last.
    pub push: BTreeMap<Push, RecordedPush>,
}

impl SecretRecord {
    /// The sink that has it.
    pub fn sink(&self) -> Option<&str> {
        match self {
            SecretRecord::Stored { sink, .. } => Some(sink),
            SecretRecord::Missing { .. } | SecretRecord::Unknown => None,
        }
    }
    /// Of the key that the sink has under the keyset's name, as far as the state knows.
    pub fn held(&self) -> Option<&Fingerprint> {
        match self {
            SecretRecord::Stored { fingerprint, .. } => Some(fingerprint),
            SecretRecord::Missing { held, .. } => held.as_ref(),
            SecretRecord::Unknown => None,
        }
    }
}

impl RecordedKeyset {
    /// Whether it may never be deleted, as was declared last.
    pub fn is_protected(&self) -> bool {
        self.protect.unwrap_or_else(|| {
            let kind = FieldId::find("keyset", "type");
            kind.and_then(|kind| self.applied.get(kind).or_else(|| self.seen.get(kind)))
                .is_some_and(is_protected_type)
        })
    }
    /// The label that names its secret in the sink.
    pub fn sink_label<'a>(&'a self, label: &'a Label) -> &'a Label {
        self.secret_label.as_ref().unwrap_or(label)
    }
}

/// Keysets of this type are protected unless they say otherwise.
pub fn is_protected_type(kind: &Value) -> bool {
    matches!(kind, Value::Text(text) if **text == *"production")
}

/// What is known about a keyset's secret key. Never the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRecord {
    /// Written to the sink, read back, compared.
    Stored { sink: Box<str>, fingerprint: Fingerprint },
    /// The API handed it out and it could not be stored, or the answer was lost. `current`: which
    /// key was the current one then, where the account told; another one since is somebody else's.
    /// `held`: the key of before that the sink may still have under its name.
    Missing { why: Box<str>, current: Option<KeyPrefix>, held: Option<Fingerprint> },
    /// The keyset was adopted: whoever made it may have its secret key, and keyform never had it.
    Unknown,
}

/// What the API says now. Complete, or it would not exist.
#[derive(Clone, Debug, Default)]
pub struct Live {
    pub apps: BTreeMap<AppId, LiveApp>,
    pub keysets: BTreeMap<KeysetId, LiveKeyset>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveApp {
    pub id: AppId,
    pub name: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveKeyset {
    pub id: KeysetId,
    pub app_id: AppId,
    pub keys: PublicKeys,
    pub created_at: Option<jiff::Timestamp>,
    /// `name` and `type` always (where the server tells them); the configuration where it was
    /// fetched.
    pub observed: Observed,
    /// Whether the configuration was fetched.
    pub with_config: bool,
}
