//! Values of fields: what the user declared and what the server showed. Two types, compared by one
//! method.

use std::collections::BTreeMap;
use std::fmt;

use super::field::{Field, Kind, Life, Section, Tier, TierRule};
use super::table::SECTIONS;

/// A row of the table. Ordered as the table is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldId {
    section: u8,
    field: u8,
}

impl FieldId {
    pub fn find(section: &str, field: &str) -> Option<FieldId> {
        let s = SECTIONS.iter().position(|s| s.name == section)?;
        FieldId::within(s, field)
    }
    /// `section`: index into [`SECTIONS`].
    pub fn within(section: usize, field: &str) -> Option<FieldId> {
        let f = SECTIONS.get(section)?.fields.iter().position(|f| f.name == field)?;
        Some(FieldId { section: section as u8, field: f as u8 })
    }
    /// Every row, in the order of the table.
    pub fn all() -> impl Iterator<Item = FieldId> {
        SECTIONS.iter().enumerate().flat_map(|(s, section)| {
            (0..section.fields.len()).map(move |f| FieldId { section: s as u8, field: f as u8 })
        })
    }
    pub fn section(self) -> &'static Section {
        &SECTIONS[usize::from(self.section)]
    }
    pub fn field(self) -> &'static Field {
        &self.section().fields[usize::from(self.field)]
    }
    /// The `enabled` row of the same section.
    pub fn switch(self) -> Option<FieldId> {
        FieldId::within(usize::from(self.section), "enabled")
    }
    /// Rows that this row, being the switch, cannot do without when it is on.
    pub fn companions(self) -> impl Iterator<Item = FieldId> {
        let names = if self.field().name == "enabled" { self.section().when_enabled } else { &[] };
        names.iter().filter_map(move |name| FieldId::within(usize::from(self.section), name))
    }
}

impl fmt::Display for FieldId {
    /// `files.region`; for the keyset's own fields just `name`, `type`, `appId`, as they stand in
    /// TOML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.section().call {
            super::field::Call::Keyset => f.write_str(self.field().name),
            super::field::Call::Config => {
                write!(f, "{}.{}", self.section().name, self.field().name)
            }
        }
    }
}
impl fmt::Debug for FieldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One value. Text is boxed: these are kept by the hundred thousand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Text(Box<str>),
}

impl Value {
    /// What TOML and JSON call it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Text(_) => "a string",
        }
    }
}

impl fmt::Display for Value {
    /// As TOML writes it: text in quotes. Control and format characters come out escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Int(i) => write!(f, "{i}"),
            Value::Text(t) => write!(f, "{t:?}"),
        }
    }
}

/// Where a declared value stands: a file of the project and a byte range in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Index into the project's list of files.
    pub file: u32,
    pub start: u32,
    pub end: u32,
}

/// Why a value was not accepted for a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// Another type than the field's.
    WrongType { expected: &'static str },
    /// Outside the range or list.
    OutOfRange,
    /// Empty, too long, or with control, format or line-breaking characters.
    BadText(&'static str),
    /// Only the server writes it.
    ReadOnly,
}

impl Field {
    /// The one way from a value to an acceptable one.
    pub fn accept(&self, value: Value) -> Result<Value, Rejected> {
        if self.life == Life::ReadOnly {
            return Err(Rejected::ReadOnly);
        }
        match (self.kind, &value) {
            (Kind::Flag, Value::Bool(_)) => Ok(value),
            (Kind::Int { min, max }, Value::Int(i))
                if *i >= min && max.is_none_or(|max| *i <= max) =>
            {
                Ok(value)
            }
            (Kind::OneOf(values), Value::Int(i)) if values.contains(i) => Ok(value),
            (Kind::Choice(words), Value::Text(t)) if words.contains(&&**t) => Ok(value),
            (Kind::Text { max }, Value::Text(t)) => match bad_text(t, max) {
                Some(why) => Err(Rejected::BadText(why)),
                None => Ok(value),
            },
            (Kind::Int { .. } | Kind::OneOf(_), Value::Int(_))
            | (Kind::Choice(_), Value::Text(_)) => Err(Rejected::OutOfRange),
            (Kind::Flag, _) => Err(Rejected::WrongType { expected: "a boolean" }),
            (Kind::Int { .. } | Kind::OneOf(_), _) => {
                Err(Rejected::WrongType { expected: "an integer" })
            }
            (Kind::Choice(_) | Kind::Text { .. }, _) => {
                Err(Rejected::WrongType { expected: "a string" })
            }
        }
    }

    /// The lowest tier on which the value is allowed, where one is known.
    pub fn tier_for(&self, value: &Value) -> Option<Tier> {
        self.tiers.iter().find_map(|rule| match (rule, value) {
            (TierRule::Ints(values, tier), Value::Int(i)) if values.contains(i) => Some(*tier),
            (TierRule::Above(limit, tier), Value::Int(i)) if i > limit => Some(*tier),
            (TierRule::Words(words, tier), Value::Text(t)) if words.contains(&&**t) => Some(*tier),
            _ => None,
        })
    }

    /// The legal values in words, for messages and the reference.
    pub fn legal(&self) -> String {
        match self.kind {
            Kind::Flag => "true or false".to_owned(),
            Kind::Int { min, max: Some(max) } => format!("{min} to {max}"),
            Kind::Int { min, max: None } => format!("{min} or more"),
            Kind::OneOf(values) => values.iter().map(i64::to_string).collect::<Vec<_>>().join(", "),
            Kind::Choice(words) => {
                words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(", ")
            }
            Kind::Text { max } => format!("text of 1 to {max} characters"),
        }
    }
}

/// Why a text is not fit to be a name, if it is not: `None` is good.
pub fn bad_text(text: &str, max: usize) -> Option<&'static str> {
    if text.trim().is_empty() {
        return Some("is empty");
    }
    if text.chars().take(max + 1).count() > max {
        return Some("is too long");
    }
    if text.chars().any(|c| c.is_control() || is_format(c)) {
        return Some("holds control, line-breaking or text-direction characters");
    }
    None
}

/// Characters that are not seen but change how text around them is shown.
pub fn is_format(c: char) -> bool {
    matches!(c,
        '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// One declared value and where it was declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub field: FieldId,
    pub value: Value,
    pub origin: Origin,
}

/// What the user declared for a keyset: accepted values only, one per field, in the order of the
/// table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared(Vec<Setting>);

impl Declared {
    /// Accepts `value` for `field`; replaces what was there, so profiles are set first and the
    /// keyset's own table last.
    pub fn set(&mut self, field: FieldId, value: Value, origin: Origin) -> Result<(), Rejected> {
        let value = field.field().accept(value)?;
        let setting = Setting { field, value, origin };
        match self.0.binary_search_by_key(&field, |s| s.field) {
            Ok(at) => self.0[at] = setting,
            Err(at) => self.0.insert(at, setting),
        }
        Ok(())
    }
    pub fn get(&self, field: FieldId) -> Option<&Setting> {
        self.0.binary_search_by_key(&field, |s| s.field).ok().map(|at| &self.0[at])
    }
    pub fn unset(&mut self, field: FieldId) {
        self.0.retain(|setting| setting.field != field);
    }
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.0.iter()
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    pub fn shrink_to_fit(&mut self) {
        self.0.shrink_to_fit();
    }
}

/// What the server showed: known fields as values, everything else kept as it came, never sent
/// back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    known: Vec<(FieldId, Value)>,
    /// Section (empty for what is no section of the table) and name to its JSON, where the table
    /// has no row or the value is no scalar.
    unknown: BTreeMap<(&'static str, String), serde_json::Value>,
}

impl Observed {
    /// Only [`super::wire`] makes one. Later values win.
    pub(super) fn put(&mut self, field: FieldId, value: Value) {
        match self.known.binary_search_by_key(&field, |(f, _)| *f) {
            Ok(at) => self.known[at].1 = value,
            Err(at) => self.known.insert(at, (field, value)),
        }
    }
    /// A secret key in a field that nobody knows must not get into state, which holds these values;
    /// nor what is nested so deeply that the state, which nests it deeper, could not be read again.
    pub(super) fn put_unknown(
        &mut self,
        section: &'static str,
        name: String,
        mut json: serde_json::Value,
    ) {
        withhold(&mut json, DEPTH_MAX);
        self.unknown.insert((section, name), json);
    }
    /// `None`: the server did not mention it, which differs from `null`.
    pub fn get(&self, field: FieldId) -> Option<&Value> {
        self.known.binary_search_by_key(&field, |(f, _)| *f).ok().map(|at| &self.known[at].1)
    }
    pub fn iter(&self) -> impl Iterator<Item = (FieldId, &Value)> {
        self.known.iter().map(|(f, v)| (*f, v))
    }
    /// Section (empty: none that is known), name and JSON.
    pub fn unknown(&self) -> impl Iterator<Item = (&'static str, &str, &serde_json::Value)> {
        self.unknown.iter().map(|((section, name), json)| (*section, name.as_str(), json))
    }
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && self.unknown.is_empty()
    }
    /// The same with only the fields that `keep` wants; for projects so large that memory matters.
    pub fn retain(&mut self, keep: impl Fn(FieldId) -> bool) {
        self.known.retain(|(f, _)| keep(*f));
        self.known.shrink_to_fit();
        self.unknown.clear();
    }
    /// Takes over every value of `newer`, leaving what it does not mention.
    pub fn absorb(&mut self, newer: &Observed) {
        for (field, value) in &newer.known {
            self.put(*field, value.clone());
        }
        for (path, json) in &newer.unknown {
            self.unknown.insert(path.clone(), json.clone());
        }
    }
}

impl Declared {
    /// What ownership means: the declared settings whose value the server does not show. Undeclared
    /// fields are nobody's.
    pub fn differing<'a>(
        &'a self,
        observed: &'a Observed,
    ) -> impl Iterator<Item = (&'a Setting, Option<&'a Value>)> {
        self.0.iter().filter_map(|setting| {
            let seen = observed.get(setting.field);
            (seen != Some(&setting.value)).then_some((setting, seen))
        })
    }
}

/// Deepest nesting kept of a field that nobody knows. JSON is read down to 128, the state's own
/// levels included.
const DEPTH_MAX: usize = 64;

/// Takes out every text with a secret key in it, and everything below `depth` levels.
fn withhold(json: &mut serde_json::Value, depth: usize) {
    match json {
        serde_json::Value::String(text) if text.contains("sec-c-") => "(withheld)".clone_into(text),
        serde_json::Value::Array(_) | serde_json::Value::Object(_) if depth == 0 => {
            *json = "(nested too deeply)".into()
        }
        serde_json::Value::Array(items) => {
            items.iter_mut().for_each(|item| withhold(item, depth - 1))
        }
        serde_json::Value::Object(fields) => {
            fields.values_mut().for_each(|field| withhold(field, depth - 1))
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_key_in_an_unknown_field_is_not_kept() {
        let answer = r#"{"newSection": {"keys": [{"secretKey": "sec-c-canary"}]}, "presence": {"newField": "sec-c-canary", "other": "kept"}}"#;
        let observed: Observed = serde_json::from_str(answer).expect("is an answer");
        let kept = serde_json::to_string(&observed).expect("is written");
        assert!(!kept.contains("canary") && kept.contains("kept"), "{kept}");
    }
}
