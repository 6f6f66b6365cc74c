//! What the API takes: JSON against the table. Every mistake is collected; messages name fields,
//! never values.

use serde_json::Value as Json;

use crate::keyset::field::{Call, Kind, Life};
use crate::keyset::{Field, FieldId, Observed, Section, Tier, Value, table::SECTIONS};

/// Fields of one `config` object, as far as they are acceptable by themselves.
pub fn config(json: &Json, problems: &mut Vec<String>) -> Vec<(FieldId, Value)> {
    let mut accepted = Vec::new();
    let Some(sections) = json.as_object() else {
        problems.push("config must be an object".to_owned());
        return accepted;
    };
    for (name, fields) in sections {
        let Some(section) = SECTIONS.iter().position(|s| s.name == name && s.call == Call::Config)
        else {
            problems.push(format!("{} is not a section", short(name)));
            continue;
        };
        let Some(fields) = fields.as_object() else {
            problems.push(format!("{name} must be an object"));
            continue;
        };
        for (field, json) in fields {
            let Some(id) = FieldId::within(section, field) else {
                problems.push(format!("{name}.{} is not a field", short(field)));
                continue;
            };
            if let Some(value) = value(id.field(), &id.to_string(), json, problems) {
                accepted.push((id, value));
            }
        }
    }
    accepted
}

/// Fields of the keyset's own section in `json`. `whole`: all of them, as a create needs; else any
/// that may change.
pub fn identity<'a>(
    section: &'static Section,
    json: &'a Json,
    whole: bool,
    problems: &mut Vec<String>,
) -> Vec<(&'static str, &'a str)> {
    let mut accepted = Vec::new();
    let Some(object) = json.as_object() else {
        problems.push(format!("{} must be an object", section.name));
        return accepted;
    };
    let may_be_sent = |field: &Field| whole || field.life != Life::Fixed;
    for name in object.keys() {
        match section.fields.iter().find(|f| f.name == name) {
            None => problems.push(format!("{} is not a field", short(name))),
            Some(field) if !may_be_sent(field) => {
                problems.push(format!("{name} cannot be changed"))
            }
            Some(_) => {}
        }
    }
    for field in section.fields.iter().filter(|f| may_be_sent(f)) {
        let Some(json) = object.get(field.name) else {
            if whole {
                problems.push(format!("{} is required", field.name));
            }
            continue;
        };
        if value(field, field.name, json, problems).is_some() {
            match json.as_str() {
                Some("") => problems.push(format!("{} must not be empty", field.name)),
                Some(text) => accepted.push((field.name, text)),
                None => {}
            }
        }
    }
    accepted
}

/// Whether `wanted` may replace `stored`: a once-set field is free until it is set.
pub fn once_set(stored: &Observed, wanted: &[(FieldId, Value)], problems: &mut Vec<String>) {
    for (id, value) in wanted {
        if id.field().life == Life::OnceSet
            && stored.get(*id).is_some_and(|old| *old != Value::Null && old != value)
        {
            problems.push(format!("{id} cannot be changed after it was set"));
        }
    }
}

/// Rules on the state that results from a write.
pub fn resulting(config: &Observed, problems: &mut Vec<String>) {
    for switch in FieldId::all().filter(|id| config.get(*id) == Some(&Value::Bool(true))) {
        for companion in switch.companions() {
            if matches!(config.get(companion), None | Some(Value::Null)) {
                problems.push(format!("{switch} needs {companion}"));
            }
        }
    }
}

/// What the account's plan does not allow.
pub fn plan<'a>(
    tier: Tier,
    wanted: impl IntoIterator<Item = (&'static Field, String, &'a Value)>,
    problems: &mut Vec<String>,
) {
    for (field, path, value) in wanted {
        if let Some(needed) = field.tier_for(value).filter(|needed| *needed > tier) {
            problems.push(format!(
                "this {path} needs the {} plan; the account is on {}",
                needed.name(),
                tier.name()
            ));
        }
    }
}

/// An object with exactly these members, each a text that is not empty.
pub fn texts<const N: usize>(
    json: &Json,
    names: [&'static str; N],
) -> Result<[String; N], Vec<String>> {
    let Some(object) = json.as_object() else {
        return Err(vec!["the body must be an object".to_owned()]);
    };
    let mut problems = Vec::new();
    only(object, &names, &mut problems);
    let texts = names.map(|name| match object.get(name) {
        Some(Json::String(text)) if !text.is_empty() => text.clone(),
        Some(Json::String(_)) => {
            problems.push(format!("{name} must not be empty"));
            String::new()
        }
        Some(_) => {
            problems.push(format!("{name} must be a string"));
            String::new()
        }
        None => {
            problems.push(format!("{name} is required"));
            String::new()
        }
    });
    if problems.is_empty() { Ok(texts) } else { Err(problems) }
}

/// Complains of members that are not among `names`.
pub fn only(object: &serde_json::Map<String, Json>, names: &[&str], problems: &mut Vec<String>) {
    problems.extend(
        object
            .keys()
            .filter(|key| !names.contains(&key.as_str()))
            .map(|key| format!("{} is not a field", short(key))),
    );
}

fn value(field: &Field, path: &str, json: &Json, problems: &mut Vec<String>) -> Option<Value> {
    let value = match json {
        Json::Null => Some(Value::Null),
        Json::Bool(b) => Some(Value::Bool(*b)),
        // JSON has one kind of number: 80.0 is a whole one.
        Json::Number(n) => n
            .as_i64()
            .or_else(|| n.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15).map(|f| f as i64))
            .map(Value::Int),
        Json::String(s) => Some(Value::Text(s.as_str().into())),
        Json::Array(_) | Json::Object(_) => None,
    };
    let accepted = match (value, field.kind) {
        (_, _) if field.life == Life::ReadOnly => {
            problems.push(format!("{path} is set by an upload only"));
            return None;
        }
        (Some(Value::Null), _) if field.nullable => Some(Value::Null),
        // The API documents no limit of its texts; keyform's own is stricter.
        (Some(text @ Value::Text(_)), Kind::Text { .. }) => Some(text),
        (Some(value), _) => field.accept(value).ok(),
        (None, _) => None,
    };
    if accepted.is_none() {
        let null = if field.nullable { ", or null" } else { "" };
        problems.push(format!("{path} must be {}{null}", field.legal()));
    }
    accepted
}

/// Names in a message come from the request: enough of them to recognise.
fn short(name: &str) -> String {
    let mut text: String = name.chars().take(40).collect();
    if text.len() < name.len() {
        text.push('…');
    }
    format!("{text:?}")
}
