//! `keyform parity --format json`

use schemars::JsonSchema;
use serde::Serialize;

use super::{Document, FieldName, FieldValue, Place};
use crate::keyset::Label;

/// Where two sides that are to be alike differ.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Parity {
    /// Whether the account was looked at.
    pub live: bool,
    pub comparisons: Vec<Comparison>,
}

impl Document for Parity {
    const KIND: &'static str = "parity";
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "comparison")]
pub struct Comparison {
    /// The two sides, as they were asked for.
    pub between: [String; 2],
    /// Labels that belong together.
    pub pairs: Vec<[Label; 2]>,
    /// How many pairs have no difference.
    pub alike: usize,
    pub findings: Vec<Disparity>,
    /// What `ignore` allows: no findings.
    pub ignored: Vec<IgnoredDisparity>,
    /// What could not be compared in the account.
    pub notes: Vec<NotLive>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "disparity")]
pub struct Disparity {
    /// For people; it may be worded in another way one day.
    pub message: String,
    /// Where the values are declared.
    pub places: Vec<Place>,
    #[serde(flatten)]
    pub what: DisparityKind,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum DisparityKind {
    /// A field of a pair.
    Field(FieldDisparity),
    /// A keyset that has no partner on the other side.
    OnlyOn {
        label: Label,
        /// One of `between`.
        side: String,
        /// The part of the label, or the name, that the other side does not have.
        key: String,
    },
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct FieldDisparity {
    pub pair: [Label; 2],
    pub field: FieldName,
    /// Null: both declare the same, or nothing. Null in it: that one does not declare it.
    pub declared: Option<[Option<FieldValue>; 2]>,
    /// Null: both have the same, or it is not shown, or nobody looked.
    pub live: Option<[FieldValue; 2]>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ignored_disparity")]
pub struct IgnoredDisparity {
    #[serde(flatten)]
    pub differs: FieldDisparity,
    pub reason: Option<String>,
}

/// A keyset of which only what is declared was compared.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "not_live")]
pub struct NotLive {
    pub what: NotLiveKind,
    pub label: Label,
    /// For people; it may be worded in another way one day.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum NotLiveKind {
    /// It is not created yet.
    NotCreated,
    /// It was recorded, and is gone in the account.
    Gone,
}
