//! What more than one document is made of.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value as Json;

use crate::audit::RecordHash;
use crate::config::Sources;
use crate::keyset::KeyPrefix;
use crate::keyset::push::Push;
use crate::keyset::{
    self, AppId, FieldId, Fingerprint, KeysetId, Label, MirrorTarget, Origin, ProjectName, wire,
};

/// A place in a file of the configuration. `line` and `column` count from 1, in characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "place")]
pub struct Place {
    pub path: String,
    pub line: usize,
    pub column: usize,
}

impl Place {
    /// `None`: it stands in no file that was read.
    pub fn of(origin: Origin, sources: &Sources) -> Option<Place> {
        let place = sources.place(origin)?;
        Some(Place { path: place.path.to_owned(), line: place.line, column: place.column })
    }
}

/// A field's value as the API writes it: null, a boolean, a whole number or a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct FieldValue(Json);

impl From<&keyset::Value> for FieldValue {
    fn from(value: &keyset::Value) -> FieldValue {
        FieldValue(wire::to_json(value))
    }
}

impl JsonSchema for FieldValue {
    fn schema_name() -> Cow<'static, str> {
        "value".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["null", "boolean", "integer", "string"] })
    }
}

/// The name of a field as documents write it, such as `files.region`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldName(pub FieldId);

impl Serialize for FieldName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Names and the like are texts; what they may hold is the vocabulary's business.
macro_rules! text {
    ($($name:ident),* $(,)?) => {
        $(impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string" })
            }
        })*
    };
}
text!(
    AppId,
    FieldName,
    Fingerprint,
    KeyPrefix,
    KeysetId,
    Label,
    MirrorTarget,
    ProjectName,
    Push,
    RecordHash,
);
