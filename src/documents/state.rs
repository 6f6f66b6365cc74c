//! What `keyform state` prints as JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::Document;
use crate::keyset::KeyPrefix;
use crate::keyset::push::RecordedPush;
use crate::keyset::views::{Recorded, RecordedKeyset, SecretRecord};
use crate::keyset::{
    AppId, Fingerprint, KeysetId, Label, MirrorTarget, Observed, PublicKeys, Push,
};

/// `keyform state list --format json`
#[derive(Debug, Serialize, JsonSchema)]
pub struct StateList {
    pub apps: Vec<ListedApp>,
    pub keysets: Vec<ListedKeyset>,
}

impl Document for StateList {
    const KIND: &'static str = "state";
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "listed_app")]
pub struct ListedApp {
    pub label: Label,
    pub id: AppId,
    /// Whether keyform creates and renames it. Otherwise it is only referred to.
    pub managed: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "listed_keyset")]
pub struct ListedKeyset {
    pub label: Label,
    pub id: KeysetId,
    /// Label of its app.
    pub app: Label,
}

impl StateList {
    pub fn of(Recorded { apps, keysets }: &Recorded) -> StateList {
        let apps = apps.iter().map(|(label, app)| ListedApp {
            label: label.clone(),
            id: app.id.clone(),
            managed: app.managed,
        });
        let keysets = keysets.iter().map(|(label, keyset)| ListedKeyset {
            label: label.clone(),
            id: keyset.id.clone(),
            app: keyset.app.clone(),
        });
        StateList { apps: apps.collect(), keysets: keysets.collect() }
    }
}

/// `keyform state show LABEL`: all that is recorded of one keyset.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateShow {
    pub label: Label,
    pub id: KeysetId,
    /// Label of its app.
    pub app: Label,
    pub app_id: AppId,
    pub publish_key: String,
    pub subscribe_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Values that were sent last, by section.
    #[schemars(with = "BTreeMap<String, Map<String, Json>>")]
    pub applied: Observed,
    /// Values that the account showed last, by section.
    #[schemars(with = "BTreeMap<String, Map<String, Json>>")]
    pub seen: Observed,
    pub secret: SecretRecorded,
    /// Where a copy of the secret key was sent, and of which one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub mirrors: BTreeMap<MirrorTarget, Fingerprint>,
    /// When the secret key was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_since: Option<Timestamp>,
    /// Under which label the sink has it, where that is not the keyset's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_label: Option<Label>,
    /// Declared as protected or not, where that is not what its type says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protect: Option<bool>,
    /// When keyform created or changed it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_at: Option<Timestamp>,
    /// Push credentials that were uploaded last, by service.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, BTreeMap<String, String>>")]
    pub push: BTreeMap<Push, RecordedPush>,
}

impl Document for StateShow {
    const KIND: &'static str = "state_keyset";
}

/// Where the secret key is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
#[schemars(rename = "secret_recorded")]
pub enum SecretRecorded {
    Stored {
        sink: String,
        fingerprint: Fingerprint,
    },
    /// No sink has it.
    Missing {
        why: String,
        /// How the key begins that the account has.
        #[serde(skip_serializing_if = "Option::is_none")]
        current: Option<KeyPrefix>,
        /// Of an older key, which the sink has.
        #[serde(skip_serializing_if = "Option::is_none")]
        held: Option<Fingerprint>,
    },
    /// The keyset was adopted, and its secret key is in other hands.
    Unknown,
}

impl From<&SecretRecord> for SecretRecorded {
    fn from(secret: &SecretRecord) -> SecretRecorded {
        match secret {
            SecretRecord::Stored { sink, fingerprint } => {
                SecretRecorded::Stored { sink: sink.to_string(), fingerprint: fingerprint.clone() }
            }
            SecretRecord::Missing { why, current, held } => SecretRecorded::Missing {
                why: why.to_string(),
                current: current.clone(),
                held: held.clone(),
            },
            SecretRecord::Unknown => SecretRecorded::Unknown,
        }
    }
}

impl StateShow {
    pub fn of(label: &Label, keyset: &RecordedKeyset) -> StateShow {
        let RecordedKeyset { id, app, app_id, keys, created_at, applied, seen, secret, .. } =
            keyset.clone();
        let RecordedKeyset {
            mirrors, secret_since, secret_label, protect, applied_at, push, ..
        } = keyset.clone();
        let PublicKeys { publish_key, subscribe_key } = keys;
        StateShow {
            label: label.clone(),
            id,
            app,
            app_id,
            publish_key: publish_key.into(),
            subscribe_key: subscribe_key.into(),
            created_at,
            applied,
            seen,
            secret: SecretRecorded::from(&secret),
            mirrors,
            secret_since,
            secret_label,
            protect,
            applied_at,
            push,
        }
    }
}

/// `keyform state mv --format json`
#[derive(Debug, Serialize, JsonSchema)]
pub struct StateMoved {
    /// For people; it may be worded in another way one day.
    pub message: String,
}

impl Document for StateMoved {
    const KIND: &'static str = "state_mv";
}

/// `keyform state rm --format json`
#[derive(Debug, Serialize, JsonSchema)]
pub struct StateRemoved {
    /// For people; it may be worded in another way one day.
    pub message: String,
}

impl Document for StateRemoved {
    const KIND: &'static str = "state_rm";
}

/// `keyform state merge --format json`
#[derive(Debug, Serialize, JsonSchema)]
pub struct StateMerged {
    /// For people; it may be worded in another way one day.
    pub message: String,
}

impl Document for StateMerged {
    const KIND: &'static str = "state_merge";
}
