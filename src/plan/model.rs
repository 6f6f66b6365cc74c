//! What a plan is made of: data, without a line that decides anything.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::step::Step;
use crate::keyset::push::Push;
use crate::keyset::{AppId, Bounded, Budget, FieldId, KeysetId, Label, Origin, Value};

/// A finished plan: what apply will do, in order, and what it will not and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Whether the live account was looked at.
    pub refreshed: bool,
    /// Apps first, then keysets, each by label; see [`Step::rank`].
    pub steps: Vec<Step>,
    /// One is enough for nothing to be applied.
    pub refusals: Vec<Refusal>,
    /// Recorded, not declared any more, and left alone.
    pub orphans: Vec<Orphan>,
    pub notes: Vec<Note>,
    /// Keysets and apps looked at that need nothing.
    pub unchanged: usize,
}

/// A difference that keyform will not carry out.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// `None` for a refusal of the whole plan.
    pub label: Option<Label>,
    pub why: Refused,
    pub origin: Option<Origin>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Refused {
    /// A once-set or fixed field has another value already.
    Immutable { field: FieldId, from: Value, to: Value },
    /// The keyset would have to move to another app.
    AppChanged { from: Label, to: Label },
    /// The app label now means another app.
    AppReplaced { app: Label, from: AppId, to: AppId },
    /// A once-set field would be set on an existing keyset: final, and not consented to.
    NeedsConsent { field: FieldId, to: Value },
    /// The server does not show this app.
    AppNotVisible { id: AppId },
    /// So many recorded keysets are gone at once that it looks like another account. `gone`: all of
    /// them, in order; `recorded`: how many are declared and recorded.
    Vanished { gone: Vec<Label>, recorded: usize },
    /// It is to get another label while an answer about it is sealed in the journal under the old
    /// one.
    MovedWhileSealed { from: Label, since: jiff::Timestamp },
    /// Not declared any more, and protected when it was declared last.
    Protected { id: KeysetId },
    /// The account's keyset of that id has other keys than the one that is recorded.
    OtherKeys { id: KeysetId },
    /// More of a kind than `[limits]` or `--limit` allows. `limit`: what `budget` comes to.
    OverLimit { kind: Bounded, planned: usize, limit: usize, budget: Budget },
    /// Push credentials have to be uploaded, and their file cannot be read, for this reason.
    NoPushFile { push: Push, file: Box<str>, why: Box<str> },
    /// It, its app or the project is not to be changed for now.
    Frozen { reason: Box<str>, app: bool },
    /// A keyset in the account has this app and name already: a create would double it.
    /// `recorded_as`: the state knows it under this label, which is not declared any more (a label
    /// that was renamed in TOML); `None`: not in the state.
    NameTaken { app: Label, name: Box<str>, id: KeysetId, recorded_as: Option<Label> },
    /// An app in the account has the name of an app to be created already: a create would double
    /// it.
    AppNameTaken { name: Box<str>, id: AppId, recorded_as: Option<Label> },
    /// `--target` or `--recreate` names a label that is neither declared nor recorded.
    UnknownLabel { label: String, nearest: Option<Label> },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Orphan {
    pub label: Label,
    pub id: KeysetId,
    /// Whether the server still has it; `None` without a refresh.
    pub live: Option<bool>,
    /// A declared label under which the same keyset is recorded too.
    pub declared_as: Option<Label>,
}

/// Worth saying, no reason to stop.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// The answer to its create or rotation is sealed in the journal: the next apply stores the
    /// secret and records it.
    Sealed { label: Label, since: jiff::Timestamp },
    /// An app that keyform made, not declared any more. `holds`: keysets that keep it from being
    /// deleted.
    OrphanApp { label: Label, id: AppId, holds: usize },
    /// A file with push credentials is not here, so it was not compared with what was uploaded from
    /// it.
    NotCompared { label: Label, file: Box<str> },
    /// Live differs from recorded on a declared field: somebody else changed it; apply puts it
    /// back.
    ChangedOutside { label: Label, field: FieldId, recorded: Value, live: Option<Value> },
    /// A create of a keyset that is not declared any more was begun and its end is not known: there
    /// may be one in the account.
    Unfinished { label: Label, since: jiff::Timestamp },
}

impl Note {
    /// Whether an apply has something to do about it.
    fn is_work(&self) -> bool {
        matches!(self, Note::Sealed { .. } | Note::Unfinished { .. })
    }
}

/// What the caller allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// `--allow-irreversible`
    pub allow_irreversible: bool,
    /// `--target`: only these labels (of keysets; their apps come along). `None`: everything.
    pub targets: Option<BTreeSet<String>>,
    /// `--recreate`: labels that may be created again although many are gone.
    pub recreate: BTreeSet<String>,
    /// `--delete`: what is not declared any more is deleted.
    pub delete: bool,
    /// What is not named has no limit, but for deletions: none is allowed unless it is said.
    pub limits: BTreeMap<Bounded, Limit>,
}

/// How much of a kind one apply may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    pub budget: Budget,
    /// In `[limits]`; `None`: the command line says so.
    #[serde(skip)]
    pub origin: Option<Origin>,
}

impl Policy {
    pub fn limit(&self, bounded: Bounded) -> Option<Limit> {
        let none = (bounded == Bounded::Delete)
            .then_some(Limit { budget: Budget::Count(0), origin: None });
        self.limits.get(&bounded).copied().or(none)
    }
    /// Whether `--target` leaves it to this run.
    pub fn covers(&self, label: &Label) -> bool {
        self.targets.as_ref().is_none_or(|targets| targets.contains(label.as_str()))
    }
}

/// Creates that were begun and whose end is not known, with the time of their beginning. An app and
/// a keyset may have the same label, so they are kept apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenCreates {
    pub apps: BTreeMap<Label, jiff::Timestamp>,
    pub keysets: BTreeMap<Label, jiff::Timestamp>,
    pub secret_keys: BTreeMap<Label, jiff::Timestamp>,
    /// Keysets about which an answer came and is sealed in the journal; they are in none of the
    /// others.
    pub sealed: BTreeMap<Label, jiff::Timestamp>,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.refusals.is_empty() && !self.notes.iter().any(Note::is_work)
    }
}

impl Refused {
    /// Whether [`Refusal::label`] is an app's.
    pub fn is_app(&self) -> bool {
        match self {
            Refused::AppReplaced { .. }
            | Refused::AppNotVisible { .. }
            | Refused::AppNameTaken { .. } => true,
            Refused::Frozen { app, .. } => *app,
            Refused::Immutable { .. }
            | Refused::AppChanged { .. }
            | Refused::NoPushFile { .. }
            | Refused::NeedsConsent { .. }
            | Refused::MovedWhileSealed { .. }
            | Refused::Protected { .. }
            | Refused::OtherKeys { .. }
            | Refused::Vanished { .. }
            | Refused::OverLimit { .. }
            | Refused::NameTaken { .. }
            | Refused::UnknownLabel { .. } => false,
        }
    }
}
