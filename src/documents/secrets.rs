//! What `keyform secrets` prints as JSON. Never a secret: where it is, and what tells two apart.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Document;
use crate::keyset::KeyPrefix;
use crate::keyset::views::{Recorded, SecretRecord};
use crate::keyset::{Fingerprint, KeysetId, Label};

/// `keyform secrets list --format json`
#[derive(Debug, Serialize, JsonSchema)]
pub struct SecretsList {
    pub keysets: Vec<ListedSecret>,
}

impl Document for SecretsList {
    const KIND: &'static str = "secrets";
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "listed_secret")]
pub struct ListedSecret {
    pub label: Label,
    pub id: KeysetId,
    pub secret: SecretStatus,
}

/// Where the secret key is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
#[schemars(rename = "secret_status")]
pub enum SecretStatus {
    Stored {
        sink: String,
        fingerprint: Fingerprint,
    },
    /// No sink has it.
    Missing {
        why: String,
    },
    /// The keyset was adopted, and its secret key is in other hands.
    Unknown,
}

impl From<&SecretRecord> for SecretStatus {
    fn from(secret: &SecretRecord) -> SecretStatus {
        match secret {
            SecretRecord::Stored { sink, fingerprint } => {
                SecretStatus::Stored { sink: sink.to_string(), fingerprint: fingerprint.clone() }
            }
            SecretRecord::Missing { why, .. } => SecretStatus::Missing { why: why.to_string() },
            SecretRecord::Unknown => SecretStatus::Unknown,
        }
    }
}

impl SecretsList {
    pub fn of(recorded: &Recorded) -> SecretsList {
        let one = |(label, keyset): (&Label, &crate::keyset::views::RecordedKeyset)| ListedSecret {
            label: label.clone(),
            id: keyset.id.clone(),
            secret: SecretStatus::from(&keyset.secret),
        };
        SecretsList { keysets: recorded.keysets.iter().map(one).collect() }
    }
}

/// `keyform secrets doctor --format json`
#[derive(Debug, Serialize, JsonSchema)]
pub struct SecretsDoctor {
    pub keysets: Vec<Examined>,
}

impl Document for SecretsDoctor {
    const KIND: &'static str = "doctor";
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "examined")]
pub struct Examined {
    pub label: Label,
    pub status: Health,
    /// For people; it may be worded in another way one day.
    pub message: String,
}

/// How it is with a keyset's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Health {
    /// It is where the state says.
    Sound,
    /// It was not, and is now.
    Repaired,
    /// It could be repaired, and was only looked at.
    Repairable,
    /// The account has another current key.
    Stale,
    /// The account did not tell which key is the current one.
    #[serde(rename = "not asked")]
    NotAsked,
    /// The keyset was adopted, and its secret key is in other hands.
    Unknown,
    /// Its sink gives nothing back here.
    Unreadable,
    /// Its sink has another one than the state records.
    Conflict,
    /// No sink has it.
    Lost,
}

impl Health {
    /// As JSON and terminal show it.
    pub fn name(self) -> &'static str {
        match self {
            Health::Sound => "sound",
            Health::Repaired => "repaired",
            Health::Repairable => "repairable",
            Health::Stale => "stale",
            Health::NotAsked => "not asked",
            Health::Unknown => "unknown",
            Health::Unreadable => "unreadable",
            Health::Conflict => "conflict",
            Health::Lost => "lost",
        }
    }
}

/// `keyform secrets keys LABEL --format json`
#[derive(Debug, Serialize, JsonSchema)]
pub struct SecretKeys {
    pub label: Label,
    pub keys: Vec<SecretKey>,
}

impl Document for SecretKeys {
    const KIND: &'static str = "keys";
}

/// A secret key that works.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "secret_key")]
pub struct SecretKey {
    /// How it begins, which is no secret. Null: the account does not tell.
    pub prefix: Option<KeyPrefix>,
    /// Null: it works until it is ended.
    pub expires_at: Option<Timestamp>,
    /// Whether it is the one that the sink has. Null: that is not known.
    pub stored: Option<bool>,
}

/// `keyform secrets expire --format json`
#[derive(Debug, Serialize, JsonSchema)]
pub struct SecretExpire {
    pub label: Label,
    /// How the key begins, which is no secret.
    pub prefix: KeyPrefix,
    /// Null: it works no more.
    pub expires_at: Option<Timestamp>,
}

impl Document for SecretExpire {
    const KIND: &'static str = "expire";
}

/// `keyform secrets import --format json`
#[derive(Debug, Serialize, JsonSchema)]
pub struct SecretImport {
    pub label: String,
    /// Where it is now.
    pub sink: String,
}

impl Document for SecretImport {
    const KIND: &'static str = "import";
}

/// `keyform secrets copy --format json`
#[derive(Debug, Serialize, JsonSchema)]
pub struct SecretsCopy {
    /// The sink.
    pub to: String,
    pub keysets: Vec<Copied>,
}

impl Document for SecretsCopy {
    const KIND: &'static str = "copy";
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "copied")]
pub struct Copied {
    pub label: Label,
    #[serde(flatten)]
    pub outcome: CopyOutcome,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CopyOutcome {
    Copied,
    ThereAlready,
    Failed { message: String },
}
