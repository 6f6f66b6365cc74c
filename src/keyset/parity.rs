//! What is compared with what: two keysets, two apps, or all whose labels differ in one part.

use std::collections::BTreeMap;
use std::fmt;

use super::names::{BadName, Label};
use super::settings::{FieldId, Value};
use super::views::{DesiredKeyset, Ignored};

/// Most rules of a project: each goes through all labels.
pub const RULES_MAX: usize = 200;

/// How an app is named as a side.
const APP: &str = "app:";

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// `chat-prod`
    Keyset(Label),
    /// `app:chat`: its keysets, paired by their names.
    App(Label),
    /// `*-prod`: the keysets with such labels, paired by what `*` stands for.
    Pattern { before: Box<str>, after: Box<str> },
}

impl Side {
    pub fn parse(text: &str) -> Result<Side, BadName> {
        let bad = |why| Err(BadName { what: "a pattern", why });
        if let Some(app) = text.strip_prefix(APP) {
            return Label::parse(app).map(Side::App);
        }
        let Some((before, after)) = text.split_once('*') else {
            return Label::parse(text).map(Side::Keyset);
        };
        if after.contains('*') {
            return bad("has one `*`: what pairs the labels");
        }
        if !before
            .bytes()
            .chain(after.bytes())
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        {
            return bad("may hold letters, digits, `.`, `_`, `-` and one `*` only");
        }
        Ok(Side::Pattern { before: before.into(), after: after.into() })
    }

    /// What `*` stands for in a label.
    pub fn stands_for<'l>(&self, label: &'l Label) -> Option<&'l str> {
        match self {
            Side::Pattern { before, after } => {
                label.as_str().strip_prefix(&**before)?.strip_suffix(&**after)
            }
            Side::Keyset(_) | Side::App(_) => None,
        }
    }

    /// Whether a keyset of that label, in that app, is of this side.
    pub fn has(&self, label: &Label, app: &Label) -> bool {
        match self {
            Side::Keyset(keyset) => keyset == label,
            Side::App(of) => of == app,
            Side::Pattern { .. } => self.stands_for(label).is_some(),
        }
    }

    /// What pairs a keyset of this side with one of the other.
    fn key<'k>(&self, label: &'k Label, keyset: &'k DesiredKeyset) -> Option<&'k str> {
        match self {
            Side::Keyset(of) => (of == label).then_some(""),
            Side::App(of) => (*of == keyset.app).then(|| name(keyset)).flatten(),
            Side::Pattern { .. } => self.stands_for(label),
        }
    }

    /// How much of a label it gives.
    fn given(&self) -> usize {
        match self {
            Side::Pattern { before, after } => before.len() + after.len(),
            Side::Keyset(label) | Side::App(label) => label.as_str().len(),
        }
    }
}

fn name(keyset: &DesiredKeyset) -> Option<&str> {
    match &keyset.settings.get(FieldId::find("keyset", "name")?)?.value {
        Value::Text(name) => Some(name),
        Value::Null | Value::Bool(_) | Value::Int(_) => None,
    }
}

impl fmt::Display for Side {
    /// As it is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Side::Keyset(label) => write!(f, "{label}"),
            Side::App(label) => write!(f, "{APP}{label}"),
            Side::Pattern { before, after } => write!(f, "{before}*{after}"),
        }
    }
}

/// Two different sides of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Between([Side; 2]);

impl Between {
    /// Or why these are not to be compared.
    pub fn new(a: Side, b: Side) -> Result<Between, &'static str> {
        if a == b {
            return Err("is compared with itself");
        }
        if std::mem::discriminant(&a) != std::mem::discriminant(&b) {
            return Err(
                "a keyset is compared with a keyset, an app with an app, a pattern with a pattern",
            );
        }
        Ok(Between([a, b]))
    }

    pub fn sides(&self) -> &[Side; 2] {
        &self.0
    }

    /// Whether the same two are compared, in either order.
    pub fn is_same(&self, other: &Between) -> bool {
        let ([a, b], [c, d]) = (&self.0, &other.0);
        (a, b) == (c, d) || (a, b) == (d, c)
    }

    /// Who is compared with whom. A keyset that both patterns fit is of the one that gives more of
    /// its label.
    pub fn pairs<'k>(&self, keysets: &'k BTreeMap<Label, DesiredKeyset>) -> Pairs<'k> {
        let [a, b] = &self.0;
        let others = |side: &Side, other: &Side, label: &Label| {
            other.given() > side.given() && other.stands_for(label).is_some()
        };
        let members = |side: &Side, other: &Side| -> BTreeMap<&'k str, &'k Label> {
            let own = keysets.iter().filter(|(label, _)| !others(side, other, label));
            own.filter_map(|(label, keyset)| Some((side.key(label, keyset)?, label))).collect()
        };
        let (ours, mut theirs) = (members(a, b), members(b, a));
        let mut pairs = Pairs::default();
        for (key, label) in ours {
            match theirs.remove(key) {
                Some(other) => pairs.both.push([label, other]),
                None => pairs.only_a.push((key, label)),
            }
        }
        pairs.only_b = theirs.into_iter().collect();
        pairs
    }
}

/// Keysets of two sides; those without a partner by what would have paired them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs<'k> {
    pub both: Vec<[&'k Label; 2]>,
    pub only_a: Vec<(&'k str, &'k Label)>,
    pub only_b: Vec<(&'k str, &'k Label)>,
}

/// What is to be the same on two sides, and what is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParityRule {
    pub between: Between,
    /// Fields that may differ. Each once, in the order of the table.
    pub ignored: Box<[Ignored]>,
}

impl ParityRule {
    pub fn ignores(&self, field: FieldId) -> Option<&Ignored> {
        self.ignored.iter().find(|ignored| ignored.field == field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_written_as_they_are_read() {
        for text in ["chat-prod", "app:chat", "*-prod", "prod.*", "a*b", "*"] {
            assert_eq!(Side::parse(text).map(|side| side.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "app:", "app:*", "app:a b", "*-*", "a b", "-a", "*/x", "a|*", "ü*"] {
            assert!(Side::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_star_stands_for_any_part_even_for_none() {
        let side = |text| Side::parse(text).expect("a side");
        let label = |text| Label::parse(text).expect("a label");
        assert_eq!(side("*-prod").stands_for(&label("chat-prod")), Some("chat"));
        assert_eq!(side("prod*").stands_for(&label("prod")), Some(""));
        assert_eq!(side("ab*bc").stands_for(&label("abc")), None, "no part counts twice");
    }

    #[test]
    fn only_what_is_alike_is_compared() {
        let between = |a: &str, b: &str| {
            Between::new(Side::parse(a).expect("a side"), Side::parse(b).expect("a side"))
        };
        assert!(
            between("a", "b").is_ok()
                && between("app:a", "app:b").is_ok()
                && between("*-a", "*-b").is_ok()
        );
        assert!(
            between("a", "a").is_err()
                && between("a", "app:b").is_err()
                && between("*-a", "b").is_err()
        );
        let (one, other) =
            (between("*-a", "*-b").expect("two"), between("*-b", "*-a").expect("two"));
        assert!(
            one.is_same(&other)
                && one.is_same(&one)
                && !one.is_same(&between("*-a", "*-c").expect("two"))
        );
    }
}
