//! What commands print that take over what is there: `adopt` and `drift --accept`.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Document, FieldValue};
use crate::keyset::{KeysetId, Label};

/// `keyform adopt --format json`
#[derive(Debug, Serialize, JsonSchema)]
pub struct Adopt {
    /// Keysets that are recorded now.
    pub keysets: Vec<Adopted>,
    /// How many keysets the TOML declares that was written.
    pub declared: usize,
    /// What could not be declared as the account shows it, for people.
    pub notes: Vec<String>,
}

impl Document for Adopt {
    const KIND: &'static str = "adopt";
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "adopted")]
pub struct Adopted {
    pub label: Label,
    pub id: KeysetId,
}

/// `keyform drift --accept --format json`
#[derive(Debug, Serialize, JsonSchema)]
pub struct Accept {
    pub accepted: Vec<Accepted>,
    /// What was left as it is, for people.
    pub notes: Vec<String>,
}

impl Document for Accept {
    const KIND: &'static str = "accept";
}

/// A value that was written into the TOML.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "accepted")]
pub struct Accepted {
    pub kind: AcceptedKind,
    pub label: Label,
    /// `name` of an app, or a field of a keyset.
    pub field: String,
    pub from: FieldValue,
    pub to: FieldValue,
    /// The file that was changed.
    pub path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum AcceptedKind {
    App,
    Keyset,
}
