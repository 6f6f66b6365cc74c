//! What every document begins with.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};

/// Raised when something that was there changes its meaning or goes. New members alone do not raise
/// it.
pub const FORMAT_VERSION: u32 = 1;

/// The members of one kind of document, without those that every document has.
pub trait Document: Serialize + JsonSchema {
    /// The member `kind`.
    const KIND: &'static str;
}

/// A whole document: `format_version`, `kind` and `exit_code`, then the members of its own.
#[derive(Serialize)]
pub struct Envelope<D> {
    format_version: Version,
    kind: &'static str,
    /// Of the command.
    exit_code: u8,
    #[serde(flatten)]
    document: D,
}

impl<D: Document> Envelope<D> {
    pub fn new(document: D, exit_code: u8) -> Envelope<D> {
        Envelope { format_version: Version, kind: D::KIND, exit_code, document }
    }
    pub fn to_json(&self) -> Json {
        to_json(self)
    }
}

impl<D: Document> JsonSchema for Envelope<D> {
    fn schema_name() -> Cow<'static, str> {
        D::KIND.into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = D::json_schema(generator);
        let common = [
            ("format_version", json!({ "const": FORMAT_VERSION })),
            ("kind", json!({ "const": D::KIND })),
            ("exit_code", json!({ "type": "integer", "minimum": 0, "maximum": 255 })),
        ];
        let all = schema.ensure_object();
        let required = all.entry("required").or_insert_with(|| json!([]));
        if let Json::Array(names) = required {
            names.extend(common.iter().map(|(name, _)| Json::from(*name)));
        }
        let properties = all.entry("properties").or_insert_with(|| json!({}));
        if let Json::Object(members) = properties {
            members.extend(common.map(|(name, of)| (name.to_owned(), of)));
        }
        schema
    }
}

/// The member `format_version`: there is one value of it, [`FORMAT_VERSION`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version;

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        FORMAT_VERSION.serialize(serializer)
    }
}

impl JsonSchema for Version {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "version".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "const": FORMAT_VERSION })
    }
}

/// A document as JSON. Its members stand in the order of the alphabet, as in all that keyform
/// prints.
pub fn to_json(document: &impl Serialize) -> Json {
    // Only a map whose keys are no texts could fail, and no document has one.
    serde_json::to_value(document).unwrap_or(Json::Null)
}
