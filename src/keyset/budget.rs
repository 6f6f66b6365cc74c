//! How much one apply may do: a number, or a share of what is managed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `20`, or `10%` of the keysets that the state records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Budget {
    Count(usize),
    /// 0 to 100.
    Percent(u8),
}

impl Budget {
    /// A whole number, with or without `%`.
    pub fn parse(text: &str) -> Option<Budget> {
        let whole = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        match text.strip_suffix('%') {
            Some(share) if whole(share) => {
                share.parse().ok().filter(|share| *share <= 100).map(Budget::Percent)
            }
            None if whole(text) => text.parse().ok().map(Budget::Count),
            _ => None,
        }
    }
    /// How many that is, where so many keysets are recorded; a part of one is none.
    pub fn of(self, managed: usize) -> usize {
        match self {
            Budget::Count(count) => count,
            Budget::Percent(share) => managed * usize::from(share) / 100,
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Budget::Count(count) => write!(f, "{count}"),
            Budget::Percent(share) => write!(f, "{share}%"),
        }
    }
}
impl From<Budget> for String {
    fn from(budget: Budget) -> String {
        budget.to_string()
    }
}
impl TryFrom<String> for Budget {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Budget, &'static str> {
        Budget::parse(&text).ok_or("not a number or percentage")
    }
}

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bounded {
    /// Keysets to create.
    Create,
    /// Keysets to update.
    Update,
    /// Fields of keysets that exist to be set once and for ever.
    Irreversible,
    /// Keysets and apps to delete.
    Delete,
}

impl Bounded {
    pub const ALL: [Bounded; 4] =
        [Bounded::Create, Bounded::Update, Bounded::Irreversible, Bounded::Delete];
    /// As `[limits]` and `--limit` have it.
    pub fn name(self) -> &'static str {
        match self {
            Bounded::Create => "create",
            Bounded::Update => "update",
            Bounded::Irreversible => "irreversible",
            Bounded::Delete => "delete",
        }
    }
    pub fn find(name: &str) -> Option<Bounded> {
        Bounded::ALL.into_iter().find(|bounded| bounded.name() == name)
    }
}
