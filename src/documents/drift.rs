//! `keyform drift --format json`

use schemars::JsonSchema;
use serde::Serialize;

use super::{Document, FieldName, FieldValue, Place};
use crate::keyset::{AppId, KeysetId, Label, Push};

/// Where TOML, state and account differ.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Drift {
    /// How many declared apps and keysets are as they should be.
    pub in_order: usize,
    pub findings: Vec<Finding>,
    /// What `ignore` leaves alone: no findings.
    pub ignored: Vec<Ignored>,
}

impl Document for Drift {
    const KIND: &'static str = "drift";
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "finding")]
pub struct Finding {
    /// For people; it may be worded in another way one day.
    pub message: String,
    /// Who made it differ, for people.
    pub who: String,
    pub place: Option<Place>,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// A declared field of a keyset has another value in the account.
    Field {
        label: Label,
        id: KeysetId,
        field: FieldName,
        by: Who,
        declared: FieldValue,
        /// What was applied last. Null: it was never applied.
        applied: Option<FieldValue>,
        live: FieldValue,
    },
    /// Push credentials are not those that are declared.
    Push { label: Label, id: KeysetId, push: Push, by: Who },
    /// The name of an app that keyform manages is another one.
    AppName { label: Label, id: AppId, by: Who, declared: String, applied: String, live: String },
    /// The keyset is recorded, and gone in the account.
    Gone { label: Label, id: KeysetId },
    /// The app is recorded, and gone in the account.
    AppGone { label: Label, id: AppId },
    /// The keyset is in another app than the state says.
    Moved { label: Label, id: KeysetId, from: AppId, to: AppId },
    /// The keyset is declared, and not created yet.
    NotApplied { label: Label },
    /// The app is declared, and not created yet.
    AppNotApplied { label: Label },
    /// The keyset is recorded and there, and not declared any more.
    NotDeclared { label: Label, id: KeysetId },
    /// The app is recorded and there, and not declared any more.
    AppNotDeclared { label: Label, id: AppId },
    /// The account has a keyset that keyform does not know.
    Unmanaged {
        id: KeysetId,
        name: Option<String>,
        /// Id of its app.
        app: AppId,
    },
    /// The account has an app that keyform does not know.
    AppUnmanaged { id: AppId, name: String },
}

/// Who changed a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Who {
    /// The TOML was changed since the last apply.
    Toml,
    /// The account was changed.
    Account,
    /// Both were changed, to different values.
    Both,
    /// Nobody: it was never applied, and the account has the server's own value.
    Server,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ignored")]
pub struct Ignored {
    pub label: Label,
    pub field: FieldName,
    pub declared: FieldValue,
    pub live: FieldValue,
    pub reason: Option<String>,
}
