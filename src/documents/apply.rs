//! `keyform apply --format json`, and the steps of other commands that act.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Document, FieldName, FieldValue};
use crate::keyset::{AppId, KeysetId, Label, MirrorTarget};

/// What an apply did and did not do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Apply {
    /// Stopped by a signal: what is left was not begun.
    pub interrupted: bool,
    /// Why the journal could not be written: nothing new was begun after that.
    pub journal_error: Option<String>,
    /// In the order of the plan.
    pub steps: Vec<Step>,
}

impl Document for Apply {
    const KIND: &'static str = "apply";
}

/// A step that ended. Its members stand among those of an event too, so its schema has no name.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Step {
    #[serde(flatten)]
    pub what: StepName,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What was done, to what.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct StepName {
    /// The kind of step, such as `create_keyset`.
    pub step: &'static str,
    pub label: Label,
    /// Which push credentials: of an upload, when it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push: Option<&'static str>,
}

/// How it ended.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[schemars(rename = "outcome")]
pub enum Outcome {
    /// The app is as it should be.
    Done {
        id: AppId,
    },
    /// An earlier run turned out to have made this keyset, which is recorded now.
    Found {
        id: KeysetId,
    },
    /// It has a new secret key.
    Rotated {
        id: KeysetId,
        secret: Secret,
    },
    /// A secret key of its own was there already, in a sink or sealed in the journal.
    Kept {
        id: KeysetId,
        secret: Secret,
    },
    #[serde(rename_all = "camelCase")]
    Created {
        id: KeysetId,
        publish_key: String,
        subscribe_key: String,
        secret: Secret,
        /// It had been made before, by a request whose answer was lost.
        found: bool,
        differing: Vec<Differing>,
    },
    Updated {
        differing: Vec<Differing>,
    },
    Uploaded {
        differing: Vec<Differing>,
    },
    /// A copy of its secret key is there.
    Mirrored {
        to: MirrorTarget,
    },
    /// It has another label now.
    Moved {
        from: Label,
        /// The label that its secret keeps in the sink, where that could not be read.
        secret_kept_under: Option<Label>,
    },
    /// The state knows whether it may be deleted.
    Noted {
        protect: bool,
    },
    Deleted {
        id: String,
        #[serde(rename = "publishKey")]
        publish_key: Option<String>,
        #[serde(rename = "subscribeKey")]
        subscribe_key: Option<String>,
        /// Why its secret key, which is of no more use, is still in the sink.
        secret_left: Option<String>,
    },
    /// It was gone already, and is recorded no more.
    Forgotten {
        id: String,
    },
    /// There was nothing to do after all.
    Nothing,
    Failed {
        /// For people; it may be worded in another way one day.
        message: String,
        /// What to do about it, for people.
        help: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<RequestError>,
    },
    /// Whether it was done is not known. The next apply finds out.
    Unknown {
        /// For people; it may be worded in another way one day.
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<RequestError>,
    },
    /// It was not begun.
    Skipped {
        /// For people; it may be worded in another way one day.
        message: String,
    },
}

/// The request that did not end well.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "request_error")]
pub struct RequestError {
    pub method: &'static str,
    /// Path and query, without host.
    pub path: String,
    /// Of the answer; null where there was none, or none that makes sense.
    pub status: Option<u16>,
    /// The API's own name of the error, where it gives one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The API's own words.
    pub messages: Vec<String>,
    /// Times it was sent or tried to be sent.
    pub tries: u32,
    /// Whether the same may go well another time.
    pub retryable: bool,
}

/// What became of a secret key.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
#[schemars(rename = "secret")]
pub enum Secret {
    Stored {
        sink: String,
        fingerprint: String,
    },
    /// It waits in the journal until a sink takes it.
    Sealed {
        why: String,
    },
    Missing {
        why: String,
    },
    Unknown,
}

/// The server answered with another value than was sent.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "differing")]
pub struct Differing {
    pub field: FieldName,
    pub asked: FieldValue,
    pub got: Option<FieldValue>,
}
