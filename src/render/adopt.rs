//! TOML for what exists already: what an account shows, as somebody would have declared it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::keyset::names::LABEL_MAX;
use crate::keyset::views::{LiveApp, LiveKeyset};
use crate::keyset::{AppId, Call, Declared, FieldId, KeysetId, Label, Life, Origin, Value};

/// What is to be declared.
pub struct Found<'a> {
    /// Apps that no file declares yet, in order.
    pub apps: Vec<&'a LiveApp>,
    /// Names that several apps of the account have.
    pub ambiguous: BTreeSet<&'a str>,
    /// With their configuration, in order.
    pub keysets: Vec<&'a LiveKeyset>,
    /// Labels of apps that are declared already, by id.
    pub known_apps: &'a BTreeMap<AppId, Label>,
    /// Labels that are taken: of apps, keysets and profiles, declared or recorded.
    pub taken: BTreeSet<String>,
}

/// The text, and what its labels stand for.
#[derive(Default)]
pub struct Declaration {
    pub toml: String,
    pub apps: Vec<(Label, AppId)>,
    pub keysets: Vec<(Label, KeysetId)>,
    /// What could not be declared as the account shows it, in words.
    pub notes: Vec<String>,
}

/// Declares what differs from what the account shows of a keyset that nobody has configured:
/// switches that are on, and values that are set. What all of several keysets share becomes a
/// profile. The same account gives the same text.
pub fn declare(found: &Found<'_>) -> Declaration {
    let mut taken = found.taken.clone();
    let mut out = Declaration::default();
    let mut app_labels = found.known_apps.clone();
    for app in &found.apps {
        let Some(label) = label(&app.name, "app", &mut taken) else { continue };
        // Two apps of one name can be told apart by their ids only.
        let by = if found.ambiguous.contains(&*app.name) {
            ("id", app.id.as_str())
        } else {
            ("name", &*app.name)
        };
        let _ = write!(out.toml, "\n[app.{label}]\n{} = {}\n", by.0, text(by.1));
        out.apps.push((label.clone(), app.id.clone()));
        app_labels.insert(app.id.clone(), label);
    }
    let settings: Vec<Declared> =
        found.keysets.iter().map(|keyset| settings(keyset, &mut out.notes)).collect();
    let shared = shared(&settings);
    let profile = if shared.is_empty() { None } else { label("adopted", "profile", &mut taken) };
    if let Some(profile) = &profile {
        let _ = write!(out.toml, "\n[profile.{profile}]\n");
        shared.iter().for_each(|(field, value)| line(&mut out.toml, *field, value));
    }
    for (keyset, settings) in found.keysets.iter().zip(&settings) {
        let name =
            match FieldId::find("keyset", "name").and_then(|field| keyset.observed.get(field)) {
                Some(Value::Text(name)) => name.clone(),
                _ => keyset.id.as_str().into(),
            };
        let Some(app) = app_labels.get(&keyset.app_id) else {
            out.notes.push(format!(
                "keyset {}: its app {} is not shown by the account",
                keyset.id, keyset.app_id
            ));
            continue;
        };
        let Some(label) = label(&name, "keyset", &mut taken) else { continue };
        let _ = write!(out.toml, "\n[keyset.{label}]\napp = {}\n", text(app.as_str()));
        if let Some(profile) = &profile {
            let _ = writeln!(out.toml, "profiles = [{}]", text(profile.as_str()));
        }
        for setting in settings.iter() {
            let is_label = setting.value == Value::Text(label.as_str().into())
                && setting.field.field().name == "name";
            if shared.get(&setting.field) != Some(&setting.value) && !is_label {
                line(&mut out.toml, setting.field, &setting.value);
            }
        }
        out.keysets.push((label, keyset.id.clone()));
    }
    out
}

/// What is worth declaring of one keyset.
fn settings(keyset: &LiveKeyset, notes: &mut Vec<String>) -> Declared {
    let nowhere = Origin { file: 0, start: 0, end: 0 };
    let mut declared = Declared::default();
    for (field, value) in keyset.observed.iter() {
        let own = field.section().call == Call::Keyset;
        let unset = matches!(value, Value::Null | Value::Bool(false));
        if field.field().life == Life::ReadOnly
            || field.field().life == Life::Fixed
            || (unset && !own)
        {
            continue;
        }
        if declared.set(field, value.clone(), nowhere).is_err() {
            notes.push(format!(
                "keyset {}: {field} is {value} in the account, which cannot be \
                                declared; it is left alone",
                keyset.id
            ));
        }
    }
    // A switch that is on asks for its companions; one without them could not be declared.
    let on: Vec<FieldId> = declared
        .iter()
        .filter(|setting| setting.value == Value::Bool(true))
        .map(|setting| setting.field)
        .collect();
    for switch in on {
        for companion in switch.companions().collect::<Vec<_>>() {
            if declared.get(companion).is_some() {
                continue;
            }
            let shown = keyset.observed.get(companion).filter(|value| **value != Value::Null);
            if shown.is_none_or(|value| declared.set(companion, value.clone(), nowhere).is_err()) {
                notes.push(format!(
                    "keyset {}: {switch} is on, and {companion} is not shown; \
                                    {switch} is left alone",
                    keyset.id
                ));
                declared.unset(switch);
            }
        }
    }
    declared
}

/// Values of the configuration that several keysets, all of them, have.
fn shared(all: &[Declared]) -> BTreeMap<FieldId, Value> {
    let [first, others @ ..] = all else { return BTreeMap::new() };
    if others.is_empty() {
        return BTreeMap::new();
    }
    let is_shared = |field: FieldId, value: &Value| {
        field.section().call == Call::Config
            && others
                .iter()
                .all(|other| other.get(field).is_some_and(|setting| setting.value == *value))
    };
    first
        .iter()
        .filter(|s| is_shared(s.field, &s.value))
        .map(|s| (s.field, s.value.clone()))
        .collect()
}

fn line(toml: &mut String, field: FieldId, value: &Value) {
    let value = match value {
        Value::Text(value) => text(value),
        other => other.to_string(),
    };
    let _ = writeln!(toml, "{field} = {value}");
}

/// A string as TOML writes it.
fn text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A label out of a name, which nobody has yet. `None`: so many have it that something is wrong.
fn label(name: &str, otherwise: &str, taken: &mut BTreeSet<String>) -> Option<Label> {
    const MOST: usize = 100_000;
    let mut slug = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() || c == '_' {
            slug.push(c);
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    // With room for a number behind it.
    let slug = if slug.is_empty() { otherwise } else { &slug[..slug.len().min(LABEL_MAX - 8)] };
    let free = (1..MOST)
        .map(|n| if n == 1 { slug.to_owned() } else { format!("{slug}-{n}") })
        .find(|label| !taken.contains(label))?;
    let label = Label::parse(&free).ok()?;
    taken.insert(free);
    Some(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_made_of_names() {
        let mut taken = BTreeSet::new();
        let mut of = |name: &str| label(name, "keyset", &mut taken).expect("a label").to_string();
        assert_eq!(of("Chat (prod)"), "chat-prod");
        assert_eq!(of("chat.prod"), "chat-prod-2");
        assert_eq!(of("日本"), "keyset");
        assert_eq!(of("--x_1--"), "x_1");
        assert_eq!(of(&"a".repeat(300)).len(), LABEL_MAX - 8);
    }
}
