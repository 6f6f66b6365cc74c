//! `keyform show --format json`

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Document;
use crate::keyset::{AppId, KeysetId, Label};

/// What is managed, as the state has it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Inventory {
    pub apps: Vec<App>,
    pub keysets: Vec<Keyset>,
}

impl Document for Inventory {
    const KIND: &'static str = "inventory";
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "app")]
pub struct App {
    pub label: Label,
    pub id: AppId,
    pub name: String,
    /// Whether keyform creates and renames it. Otherwise it is only referred to.
    pub managed: bool,
    pub declared: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "keyset")]
pub struct Keyset {
    pub label: Label,
    pub id: KeysetId,
    /// Label of its app.
    pub app: Label,
    /// Null: it is not known.
    pub name: Option<String>,
    /// Null: it is not known.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub publish_key: String,
    pub subscribe_key: String,
    pub secret: SecretSince,
    pub protected: bool,
    /// Null: it is not known.
    pub created_at: Option<Timestamp>,
    /// Null: it was never applied.
    pub last_apply: Option<Timestamp>,
    pub declared: bool,
}

/// Where the secret key is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
#[schemars(rename = "secret_since")]
pub enum SecretSince {
    Stored {
        sink: String,
        /// Null: it is not known.
        since: Option<Timestamp>,
    },
    /// No sink has it.
    Missing { why: String },
    /// The keyset was adopted, and its secret key is in other hands.
    Unknown,
}
