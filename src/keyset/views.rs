//! The three pictures of a project: desired (TOML), recorded (state file), live (API).

use std::collections::BTreeMap;

use super::mirror::MirrorTarget;
use super::names::{AppId, Fingerprint, KeysetId, Label, ProjectName, PublicKeys};
use super::settings::{Declared, Observed, Origin};
use super::wire::KeyPrefix;

/// What the TOML says, after profiles are merged. Every value is acceptable by construction.
#[derive(Clone, Debug)]
pub struct Desired {
    pub project: ProjectName,
    pub apps: BTreeMap<Label, DesiredApp>,
    pub keysets: BTreeMap<Label, DesiredKeyset>,
}

#[derive(Clone, Debug)]
pub struct DesiredApp {
    pub source: AppSource,
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
    /// Where copies of its secret key go, each once, in order.
    pub mirrors: Box<[MirrorTarget]>,
    /// Of the table's name.
    pub origin: Origin,
}

/// What the state file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    pub apps: BTreeMap<Label, RecordedApp>,
    pub keysets: BTreeMap<Label, RecordedKeyset>,
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
}

/// What is known about a keyset's secret key. Never the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRecord {
    /// Written to the sink, read back, compared.
    Stored { sink: Box<str>, fingerprint: Fingerprint },
    /// The API handed it out and it could not be stored, or the answer was lost.
    /// `current`: which key was the current one then, where the account told; another one since is somebody else's.
    Missing { why: Box<str>, current: Option<KeyPrefix> },
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
    /// `name` and `type` always (where the server tells them); the configuration where it was fetched.
    pub observed: Observed,
    /// Whether the configuration was fetched.
    pub with_config: bool,
}
