//! Settings and entities to and from JSON, one shape for API, state and plan file alike: `{section:
//! {field: value}}`. The one place where JSON becomes an observed value.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::field::Call;
use super::key_prefix::KeyPrefix;
use super::names::{AppId, KeysetId, PublicKeys};
use super::secret::{RawAnswer, Secret};
use super::settings::{FieldId, Observed, Setting, Value};
use super::table::SECTIONS;
use super::views::{LiveApp, LiveKeyset};

/// The part of a request body that one call carries: `{section: {field: value}}` for
/// [`Call::Config`], `{field: value}` for [`Call::Keyset`]. `settings` in any order; other calls'
/// fields are left out.
pub fn body<'a>(
    call: Call,
    settings: impl IntoIterator<Item = (FieldId, &'a Value)>,
) -> serde_json::Map<String, serde_json::Value> {
    let mut body = serde_json::Map::new();
    for (field, value) in settings {
        if field.section().call != call {
            continue;
        }
        let target = match call {
            Call::Keyset => &mut body,
            Call::Config => body
                .entry(field.section().name)
                .or_insert_with(|| serde_json::Value::Object(serde_json::Map::new()))
                .as_object_mut()
                .expect("sections are objects"),
        };
        target.insert(field.field().name.to_owned(), to_json(value));
    }
    body
}

/// The settings of a declaration, as [`body`] takes them.
pub fn pair(setting: &Setting) -> (FieldId, &Value) {
    (setting.field, &setting.value)
}

pub fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(b) => (*b).into(),
        Value::Int(i) => (*i).into(),
        Value::Text(t) => (**t).into(),
    }
}

/// A scalar as a value; anything else (objects, arrays, fractions) has no [`Value`].
fn scalar(json: &serde_json::Value) -> Option<Value> {
    Some(match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(b) => Value::Bool(*b),
        serde_json::Value::Number(n) => Value::Int(n.as_i64()?),
        serde_json::Value::String(s) => Value::Text(s.as_str().into()),
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => return None,
    })
}

/// Builds an [`Observed`] from pairs that are known already (what an apply has sent).
pub fn observed_of<'a>(settings: impl IntoIterator<Item = (FieldId, &'a Value)>) -> Observed {
    let mut observed = Observed::default();
    for (field, value) in settings {
        observed.put(field, value.clone());
    }
    observed
}

impl Serialize for Observed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sections: serde_json::Map<String, serde_json::Value> = serde_json::Map::new();
        for (field, value) in self.iter() {
            sections
                .entry(field.section().name)
                .or_insert_with(|| serde_json::Value::Object(serde_json::Map::new()))
                .as_object_mut()
                .expect("sections are objects")
                .insert(field.field().name.to_owned(), to_json(value));
        }
        for (section, name, json) in self.unknown() {
            let object = match section {
                "" => Some(&mut sections),
                section => sections
                    .entry(section)
                    .or_insert_with(|| serde_json::Value::Object(serde_json::Map::new()))
                    .as_object_mut(),
            };
            if let Some(object) = object {
                object.insert(name.to_owned(), json.clone());
            }
        }
        let mut map = serializer.serialize_map(Some(sections.len()))?;
        for (section, fields) in &sections {
            map.serialize_entry(section, fields)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Observed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sections;
        impl<'de> Visitor<'de> for Sections {
            type Value = Observed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of sections")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Observed, A::Error> {
                let mut observed = Observed::default();
                while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    match SECTIONS.iter().position(|s| s.name == name) {
                        Some(section) => {
                            map.next_value_seed(Fields { section, into: &mut observed })?
                        }
                        None => observed.put_unknown("", name.into_owned(), map.next_value()?),
                    }
                }
                Ok(observed)
            }
        }

        struct Fields<'a> {
            section: usize,
            into: &'a mut Observed,
        }
        impl<'de> DeserializeSeed<'de> for Fields<'_> {
            type Value = ();
            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.deserialize_any(self)
            }
        }
        impl<'de> Visitor<'de> for Fields<'_> {
            type Value = ();
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of fields")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
                while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    let json: serde_json::Value = map.next_value()?;
                    match (FieldId::within(self.section, &name), scalar(&json)) {
                        (Some(field), Some(value)) => self.into.put(field, value),
                        _ => self.into.put_unknown(
                            SECTIONS[self.section].name,
                            name.into_owned(),
                            json,
                        ),
                    }
                }
                Ok(())
            }
            // A section that is null is a section without news.
            fn visit_unit<E>(self) -> Result<(), E> {
                Ok(())
            }
        }
        deserializer.deserialize_map(Sections)
    }
}

/// An answer that was not what the contract says. Never holds text of the answer: it may hold a
/// secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at line {line}, column {column} of the answer")]
pub struct BadAnswer {
    pub what: &'static str,
    pub line: usize,
    pub column: usize,
}

impl BadAnswer {
    fn of(error: &serde_json::Error) -> BadAnswer {
        let what = match error.classify() {
            serde_json::error::Category::Eof => "the JSON ends too early",
            serde_json::error::Category::Syntax => "this is not JSON",
            serde_json::error::Category::Data => "a field is missing or of the wrong type",
            serde_json::error::Category::Io => "the answer could not be read",
        };
        BadAnswer { what, line: error.line(), column: error.column() }
    }
    const fn whole(what: &'static str) -> BadAnswer {
        BadAnswer { what, line: 1, column: 1 }
    }
}

/// Parses an answer that holds no secret.
pub fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, BadAnswer> {
    serde_json::from_slice(bytes).map_err(|e| BadAnswer::of(&e))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireApp {
    id: AppId,
    name: Box<str>,
}

impl<'de> Deserialize<'de> for LiveApp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let WireApp { id, name } = WireApp::deserialize(deserializer)?;
        Ok(LiveApp { id, name })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireKeyset {
    id: KeysetId,
    app_id: AppId,
    name: Option<Box<str>>,
    r#type: Option<Box<str>>,
    publish_key: Box<str>,
    subscribe_key: Box<str>,
    created_at: Option<Box<str>>,
}

impl From<WireKeyset> for LiveKeyset {
    fn from(wire: WireKeyset) -> LiveKeyset {
        let mut observed = Observed::default();
        for (field, value) in [("name", wire.name), ("type", wire.r#type)] {
            let field = FieldId::find("keyset", field).expect("the table has it");
            if let Some(text) = value {
                observed.put(field, Value::Text(text));
            }
        }
        LiveKeyset {
            id: wire.id,
            app_id: wire.app_id,
            keys: PublicKeys { publish_key: wire.publish_key, subscribe_key: wire.subscribe_key },
            // ISO 8601 by documentation, RFC 3339 by assumption: a time that does not parse is no
            // reason to fail.
            created_at: wire.created_at.and_then(|t| t.parse().ok()),
            observed,
            with_config: false,
        }
    }
}

impl<'de> Deserialize<'de> for LiveKeyset {
    /// A bare keyset as the list and get calls answer it: without configuration.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        WireKeyset::deserialize(deserializer).map(LiveKeyset::from)
    }
}

/// One page of `GET /v2/apps`.
#[derive(Deserialize)]
pub struct AppPage {
    pub apps: Vec<LiveApp>,
    pub total: u64,
}

/// One page of `GET /v2/keysets`.
#[derive(Deserialize)]
pub struct KeysetPage {
    pub keysets: Vec<LiveKeyset>,
    pub total: u64,
}

/// The one shape of an error answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    #[serde(default)]
    pub error: String,
    #[serde(default)]
    pub message: Messages,
}

/// `message` is documented as an array; a server that answers a bare string is understood too.
#[derive(Default, Deserialize)]
#[serde(untagged)]
pub enum Messages {
    Many(Vec<String>),
    One(String),
    #[default]
    None,
}

impl From<Messages> for Vec<String> {
    fn from(messages: Messages) -> Vec<String> {
        match messages {
            Messages::Many(many) => many,
            Messages::One(one) => vec![one],
            Messages::None => Vec::new(),
        }
    }
}

/// Text that is wiped when dropped; only to read secrets out of answers.
struct WipedText(Zeroizing<String>);

impl<'de> Deserialize<'de> for WipedText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| WipedText(Zeroizing::new(text)))
    }
}

/// Takes an answer to a create apart: the public picture, and the permanent secret key (the one
/// without expiry). A secret that is missing or broken does not hide the id: the keyset exists and
/// must be recorded.
pub fn created(raw: &RawAnswer) -> Result<(LiveKeyset, Result<Secret, BadAnswer>), BadAnswer> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        keyset: KeysetWithSecrets,
        #[serde(borrow)]
        config: Option<&'a serde_json::value::RawValue>,
    }
    #[derive(Deserialize)]
    struct KeysetWithSecrets {
        #[serde(flatten)]
        keyset: WireKeyset,
        #[serde(rename = "secretKeys", default)]
        secret_keys: Vec<Key>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Key {
        secret_key: WipedText,
        expires_at: Option<serde::de::IgnoredAny>,
    }

    let answer: Answer = parse(raw.expose_bytes())?;
    let mut live = LiveKeyset::from(answer.keyset.keyset);
    // A configuration that makes no sense can be read again later; the secret beside it cannot.
    if let Some(config) = answer.config.and_then(|raw| parse::<Observed>(raw.get().as_bytes()).ok())
    {
        live.observed.absorb(&config);
        live.with_config = true;
    }
    let mut permanent = answer.keyset.secret_keys.into_iter().filter(|k| k.expires_at.is_none());
    let secret = match (permanent.next(), permanent.next()) {
        (Some(key), None) => Secret::parse(key.secret_key.0)
            .map_err(|_| BadAnswer::whole("the secret key is no key")),
        _ => Err(BadAnswer::whole("there is not exactly one secret key without expiry")),
    };
    Ok((live, secret))
}

/// A secret key as the list shows it: whether in whole or masked is not documented (API notes, C6),
/// so no more than the eleven characters are kept that the API itself uses in paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedKey {
    /// `sec-c-` and five characters; `None` if what is shown does not begin like that.
    pub prefix: Option<KeyPrefix>,
    /// `None`: the permanent key.
    pub expires_at: Option<jiff::Timestamp>,
}

/// `GET /v2/keysets/{id}/secret-keys`
pub fn listed_keys(bytes: &[u8]) -> Result<Vec<ListedKey>, BadAnswer> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        secret_keys: Vec<Key>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Key {
        secret_key: WipedText,
        #[serde(default)]
        expires_at: Option<jiff::Timestamp>,
    }
    let answer: Answer = parse(bytes)?;
    Ok(answer
        .secret_keys
        .into_iter()
        .map(|key| ListedKey {
            prefix: KeyPrefix::of(&key.secret_key.0),
            expires_at: key.expires_at,
        })
        .collect())
}

/// Takes an answer to a rotate apart: the new permanent secret key.
pub fn rotated(raw: &RawAnswer) -> Result<Secret, BadAnswer> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        secret_key: WipedText,
    }
    let answer: Answer = parse(raw.expose_bytes())?;
    Secret::parse(answer.secret_key.0).map_err(|_| BadAnswer::whole("the secret key is no key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_makes_no_sense_does_not_cost_the_secret() {
        for (config, understood) in [
            (r#"{"files": {"enabled": true}}"#, true),
            (r#"{"files": 7}"#, false),
            ("[]", false),
            ("null", false),
        ] {
            let answer = format!(
                r#"{{"keyset": {{"id": "1", "appId": "7", "publishKey": "p", "subscribeKey": "s",
                    "secretKeys": [{{"secretKey": "sec-c-1", "expiresAt": null}}]}}, "config": {config}}}"#
            );
            let (live, secret) =
                created(&RawAnswer::new(answer.into_bytes().into())).expect("the keyset is told");
            assert!(secret.is_ok_and(|secret| secret.expose_secret() == "sec-c-1"), "{config}");
            assert_eq!(live.with_config, understood, "{config}");
        }
    }
}
