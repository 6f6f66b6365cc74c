//! `keyform log --format json`

use schemars::JsonSchema;
use serde::Serialize;

use super::Document;
use crate::audit::{Record, RecordHash};

/// The audit log.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Log {
    /// Whether it is as it was written.
    pub whole: bool,
    /// The records that nothing follows yet.
    pub heads: Vec<RecordHash>,
    /// What shows that it is not as it was written, for people.
    pub flaws: Vec<String>,
    /// Run by run, oldest first.
    pub records: Vec<Recorded>,
}

impl Document for Log {
    const KIND: &'static str = "log";
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "record")]
pub struct Recorded {
    /// Hash of the record, which those after it name.
    pub record: RecordHash,
    #[serde(flatten)]
    pub content: Record,
}
