//! `keyform plan --format json`

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use super::{Document, FieldName, FieldValue, Place};
use crate::keyset::{AppId, KeysetId, Label, Push};
use crate::plan::{self, ROWS};

/// What apply would do, and what it would not and why. It holds no secret.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Plan {
    /// Whether the account was looked at.
    pub refreshed: bool,
    pub summary: Summary,
    /// In the order of apply.
    pub actions: Vec<Action>,
    /// One is enough for nothing to be applied.
    pub refusals: Vec<Refusal>,
    /// Recorded, not declared any more, and left alone.
    pub orphans: Vec<Orphan>,
    pub notes: Vec<Note>,
    /// What `apply --approve` takes; null where something is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

impl Document for Plan {
    const KIND: &'static str = "plan";
}

/// Counts, each under a name of its own.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(transparent)]
pub struct Summary(pub plan::Summary);

impl JsonSchema for Summary {
    fn schema_name() -> Cow<'static, str> {
        "summary".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> =
            plan::Summary::default().named().into_iter().map(|(name, _)| name).collect();
        let count = json!({ "type": "integer", "minimum": 0 });
        let properties: Map<String, Json> =
            names.iter().map(|name| ((*name).to_owned(), count.clone())).collect();
        json_schema!({ "type": "object", "required": names, "properties": properties })
    }
}

/// One step. Which members it has beside the first four goes by its `action` and `kind`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "action", transform = by_kind)]
pub struct Action {
    pub action: &'static str,
    pub kind: &'static str,
    pub label: Label,
    /// Null for what nobody declares any more.
    pub place: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<Label>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protect: Option<bool>,
    #[serde(rename = "publishKey", skip_serializing_if = "Option::is_none")]
    pub publish_key: Option<String>,
    #[serde(rename = "subscribeKey", skip_serializing_if = "Option::is_none")]
    pub subscribe_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<Change>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// Says for each kind of step which members are there: the rows know it.
fn by_kind(schema: &mut Schema) {
    let kinds = ROWS.iter().filter_map(|row| {
        let (action, kind) = row.planned?;
        Some(json!({
            "properties": { "action": { "const": action }, "kind": { "const": kind } },
            "required": row.members,
        }))
    });
    schema.insert("oneOf".to_owned(), kinds.collect());
}

/// Push credentials that are uploaded.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "upload")]
pub struct Upload {
    pub push: Push,
    /// Relative to the project's folder.
    pub file: String,
    /// Of the file, in hex.
    pub sha256: String,
    pub texts: BTreeMap<String, String>,
    /// The switch that an upload turns on is turned off again.
    pub switch_off: bool,
}

/// Why there is such a step.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "why", rename_all = "snake_case")]
#[schemars(rename = "reason")]
pub enum Reason {
    /// It is declared, and not there yet.
    New,
    /// It was recorded under this id, and is gone in the account.
    DeletedOutside { id: String },
    /// An earlier run began it, and what became of that is not known.
    Unfinished { since: String },
    /// No sink has the secret key.
    Missing { message: String },
    /// `rotate` asks for a new secret key by now.
    Due { since: String, every_seconds: u64, overlap_seconds: u64 },
    /// What is declared is not what was uploaded last.
    Changed,
    /// The account has something else than was uploaded.
    ChangedOutside { field: FieldName, live: FieldValue },
    /// The copy is of another secret key.
    Outdated,
}

/// One field to be sent. `from: null` with `from_known: true` is the API's null; with `false` the
/// value before is not known.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "change")]
pub struct Change {
    pub field: FieldName,
    pub from: Option<FieldValue>,
    pub to: FieldValue,
    pub from_known: bool,
    /// Once sent, never changeable again.
    pub irreversible: bool,
    /// Sent along because the API wants it with another change.
    pub companion: bool,
}

/// A difference that keyform will not carry out.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "refusal")]
pub struct Refusal {
    pub kind: RefusalOf,
    pub label: Option<Label>,
    pub place: Option<Place>,
    /// What is refused, in one line, for people.
    pub message: String,
    /// Why, for people.
    pub reason: String,
    /// What can be done instead, best first, for people.
    pub instead: Vec<String>,
    #[serde(flatten)]
    pub why: Refused,
}

/// What a refusal is about.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum RefusalOf {
    App,
    Keyset,
    /// All of it.
    Plan,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "why", rename_all = "snake_case")]
#[schemars(rename = "refused")]
pub enum Refused {
    /// A field that cannot change any more has another value.
    Immutable {
        field: FieldName,
        from: FieldValue,
        to: FieldValue,
    },
    /// A field would be set for ever, and nobody agreed to that.
    NeedsConsent {
        field: FieldName,
        to: FieldValue,
    },
    /// The keyset would have to move to another app.
    AppChanged {
        from: Label,
        to: Label,
    },
    /// The label means another app now.
    AppReplaced {
        from: AppId,
        to: AppId,
    },
    AppNotVisible {
        id: AppId,
    },
    /// It is to get another label while an answer about it is sealed in the journal.
    MovedWhileSealed {
        from: Label,
        since: String,
    },
    Protected {
        id: KeysetId,
    },
    /// The account's keyset of that id has other keys.
    OtherKeys {
        id: KeysetId,
    },
    /// So many are gone at once that it looks like another account.
    Vanished {
        gone: Vec<Label>,
        recorded: usize,
    },
    OverLimit {
        limit_of: &'static str,
        planned: usize,
        limit: usize,
        budget: String,
    },
    /// Push credentials have to be uploaded, and their file cannot be read.
    NoPushFile {
        push: Push,
        file: String,
        error: String,
    },
    Frozen {
        freeze: String,
    },
    NameTaken {
        app: Label,
        name: String,
        id: KeysetId,
        recorded_as: Option<Label>,
    },
    AppNameTaken {
        name: String,
        id: AppId,
        recorded_as: Option<Label>,
    },
    /// `--target` or `--recreate` names what is neither declared nor recorded.
    UnknownLabel {
        asked: String,
        nearest: Option<Label>,
    },
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "orphan")]
pub struct Orphan {
    pub label: Label,
    pub id: KeysetId,
    /// Whether the account still has it; null without a refresh.
    pub live: Option<bool>,
    /// A declared label under which the same keyset is recorded too.
    pub declared_as: Option<Label>,
    pub message: String,
}

/// Worth knowing, and no reason to stop.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "note")]
pub struct Note {
    pub message: String,
    #[serde(flatten)]
    pub note: Noted,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "note", rename_all = "snake_case")]
#[schemars(rename = "noted")]
pub enum Noted {
    /// The answer to its create or rotation is sealed in the journal.
    Sealed { label: Label, since: String },
    /// What earlier runs began, and whose end is not known.
    Unfinished { label: Label, since: String },
    /// An app that keyform made and nobody declares any more; `holds`: keysets in it.
    OrphanApp { label: Label, id: AppId, holds: usize },
    /// A file with push credentials is not here.
    NotCompared { label: Label, file: String },
    /// Somebody changed it in the account; apply puts it back.
    ChangedOutside {
        label: Label,
        field: FieldName,
        recorded: FieldValue,
        live: Option<FieldValue>,
    },
}
