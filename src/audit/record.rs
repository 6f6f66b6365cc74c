//! What one line of the log says. No secret: bodies of requests hold none, those of answers are not
//! noted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RecordHash;
use crate::keyset::{Fingerprint, Label, ProjectName};

/// One line of the log, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// The records that nothing followed yet when this one was written: one, none for the first,
    /// several once two branches of version control were merged.
    pub prev: Vec<RecordHash>,
    pub at: jiff::Timestamp,
    /// Of one command; the same in all of its records.
    pub run: uuid::Uuid,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// The first record of a run.
    Run {
        format_version: u64,
        keyform: Box<str>,
        project: ProjectName,
        command: Box<str>,
        #[serde(flatten)]
        origin: Origin,
        /// Of the state that the run began with.
        lineage: uuid::Uuid,
        serial: u64,
    },
    /// What is carried out from here on, and who consented to it: `asked`, `yes`, `file`, or
    /// `hash`.
    Plan { hash: Box<str>, consent: Box<str> },
    /// About to be sent: every POST, PATCH and DELETE. What an upload carries is not in `body`.
    Request {
        request: u64,
        method: Box<str>,
        path: Box<str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<serde_json::Map<String, serde_json::Value>>,
    },
    /// What became of it. A request without one: the run was killed before the answer came.
    Answer {
        request: u64,
        outcome: Ended,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Box<str>>,
    },
    /// The state says this of an app or keyset from now on.
    Recorded {
        kind: Box<str>,
        label: Label,
        id: Box<str>,
        /// Where its secret key is; of keysets.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sink: Option<Box<str>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<Fingerprint>,
    },
    /// The state says nothing of it any more.
    Forgotten { kind: Box<str>, label: Label },
}

/// Where a run came from, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    pub actor: Box<str>,
    pub host: Box<str>,
    /// Of the project's repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Box<str>>,
    /// Where requests go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    Done,
    /// Certainly not carried out.
    Refused,
    /// It may have been carried out.
    Unknown,
}
