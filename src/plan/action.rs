//! What a plan is made of: data, without a line that decides anything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::keyset::push::{Push, PushTexts};
use crate::keyset::{
    AppId, Bounded, Budget, FieldId, KeysetId, Label, Life, MirrorTarget, Origin, PublicKeys, Value,
};

/// A finished plan: what apply will do, in order, and what it will not and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Whether the live account was looked at.
    pub refreshed: bool,
    /// Apps first, then keysets, each by label.
    pub actions: Vec<Action>,
    /// One is enough for nothing to be applied.
    pub refusals: Vec<Refusal>,
    /// Recorded, not declared any more, and left alone.
    pub orphans: Vec<Orphan>,
    pub notes: Vec<Note>,
    /// Keysets and apps looked at that need nothing.
    pub unchanged: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    CreateApp {
        label: Label,
        name: Box<str>,
        reason: Reason,
        origin: Origin,
    },
    RenameApp {
        label: Label,
        id: AppId,
        from: Box<str>,
        to: Box<str>,
        origin: Origin,
    },
    /// An app that exists and is only referred to becomes known to the state. No API call.
    AdoptApp {
        label: Label,
        id: AppId,
        /// As the server shows it; without a refresh the id stands in for it.
        name: Box<str>,
        origin: Origin,
    },
    CreateKeyset {
        label: Label,
        app: Label,
        settings: Vec<Change>,
        reason: Reason,
        /// As [`crate::keyset::views::RecordedKeyset::protect`].
        protect: Option<bool>,
        origin: Origin,
    },
    UpdateKeyset {
        label: Label,
        id: KeysetId,
        app: Label,
        changes: Vec<Change>,
        origin: Origin,
    },
    /// Push credentials are uploaded, which replaces those that are there.
    UploadPush {
        label: Label,
        /// `None`: it is created by the same plan.
        id: Option<KeysetId>,
        app: Label,
        push: Push,
        /// Relative to the project's folder.
        file: Box<str>,
        texts: PushTexts,
        /// Of the file, in hex.
        sha256: Box<str>,
        why: Upload,
        /// The switch that an upload turns on is declared as off, and is turned off again.
        switch_off: bool,
        origin: Origin,
    },
    /// It gets a new secret key; why tells what becomes of the one of before.
    RotateSecret {
        label: Label,
        id: KeysetId,
        app: Label,
        why: Rotation,
        origin: Origin,
    },
    /// What is recorded under one label is recorded under another from then on, as `moved` says. No
    /// API call.
    MoveApp {
        label: Label,
        from: Label,
        id: AppId,
        origin: Origin,
    },
    MoveKeyset {
        label: Label,
        from: Label,
        id: KeysetId,
        origin: Origin,
    },
    /// Whether it may be deleted becomes known to the state, for the time when nobody declares it
    /// any more. No API call.
    ProtectKeyset {
        label: Label,
        id: KeysetId,
        protect: bool,
        origin: Origin,
    },
    /// Not declared any more, and `--delete`: its keys stop working for ever, and its data is gone.
    DeleteKeyset {
        label: Label,
        id: KeysetId,
        app: Label,
        keys: PublicKeys,
    },
    /// Not declared any more, and empty by then.
    DeleteApp {
        label: Label,
        id: AppId,
        name: Box<str>,
    },
    /// Not declared any more, and gone at the server: the record goes too. No API call.
    ForgetKeyset {
        label: Label,
        id: KeysetId,
    },
    ForgetApp {
        label: Label,
        id: AppId,
    },
    /// A copy of its secret key goes where the TOML wants one, once the sink has the secret.
    MirrorSecret {
        label: Label,
        to: MirrorTarget,
        why: Mirroring,
        origin: Origin,
    },
}

/// Why a copy is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mirroring {
    /// None was sent there.
    New,
    /// The one that was sent there is of another secret key, or is about to be.
    Outdated,
}

/// Why push credentials are uploaded.
#[derive(Clone, Debug, PartialEq)]
pub enum Upload {
    New,
    /// The file, or what the TOML says of it, is another than was uploaded last.
    Changed,
    /// The account shows other credentials than were uploaded.
    ChangedOutside {
        field: FieldId,
        live: Value,
    },
}

/// Why a secret key is rotated.
#[derive(Clone, Debug, PartialEq)]
pub enum Rotation {
    /// No sink has it, for this reason.
    Missing { why: Box<str> },
    /// An earlier rotation was begun and its end is not known.
    Unfinished { since: jiff::Timestamp },
    /// `rotate` asks for a new one by now; the one of before works on for the overlap.
    Due { since: jiff::Timestamp, every: Duration, overlap: Duration },
}

/// Why an action is there. For people; nothing branches on it later.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// Declared and not recorded.
    New,
    /// Recorded under this id, and gone at the server: new keys, old data gone.
    DeletedOutside { id: String },
    /// An earlier create was begun and its end is not known: it is looked for first, and made only
    /// if it is not there.
    Unfinished { since: jiff::Timestamp },
}

/// One field to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub field: FieldId,
    /// The value before; `None` where it is not known (a create, a field the server does not
    /// mention).
    pub from: Option<Value>,
    pub to: Value,
    pub origin: Origin,
    /// Sent along because the API wants it with another change; equal to what is there.
    pub companion: bool,
}

impl Change {
    /// Once sent, never changeable again.
    pub fn is_irreversible(&self) -> bool {
        self.field.field().life == Life::OnceSet && !self.companion
    }
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

/// Counts for the summary line. Apps and keysets are counted apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub create_apps: usize,
    pub rename_apps: usize,
    pub adopt_apps: usize,
    pub create: usize,
    pub update: usize,
    pub upload: usize,
    pub rotate: usize,
    pub mirror: usize,
    pub moved: usize,
    pub protect: usize,
    /// Keysets; then apps.
    pub delete: usize,
    pub delete_apps: usize,
    pub forget: usize,
    /// Once-set fields that updates set; what a create sets is part of the create.
    pub irreversible: usize,
    pub refused: usize,
    pub orphans: usize,
    pub unchanged: usize,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty() && self.refusals.is_empty() && !self.notes.iter().any(Note::is_work)
    }

    pub fn summary(&self) -> Summary {
        let mut sum = Summary {
            refused: self.refusals.len(),
            orphans: self.orphans.len(),
            unchanged: self.unchanged,
            ..Summary::default()
        };
        for action in &self.actions {
            match action {
                Action::CreateApp { .. } => sum.create_apps += 1,
                Action::RenameApp { .. } => sum.rename_apps += 1,
                Action::AdoptApp { .. } => sum.adopt_apps += 1,
                Action::CreateKeyset { .. } => sum.create += 1,
                Action::UpdateKeyset { changes, .. } => {
                    sum.update += 1;
                    sum.irreversible += changes.iter().filter(|c| c.is_irreversible()).count();
                }
                Action::UploadPush { .. } => sum.upload += 1,
                Action::RotateSecret { .. } => sum.rotate += 1,
                Action::MirrorSecret { .. } => sum.mirror += 1,
                Action::MoveApp { .. } | Action::MoveKeyset { .. } => sum.moved += 1,
                Action::ProtectKeyset { .. } => sum.protect += 1,
                Action::DeleteKeyset { .. } => sum.delete += 1,
                Action::DeleteApp { .. } => sum.delete_apps += 1,
                Action::ForgetKeyset { .. } | Action::ForgetApp { .. } => sum.forget += 1,
            }
        }
        sum
    }
}

impl Action {
    pub fn label(&self) -> &Label {
        match self {
            Action::CreateApp { label, .. }
            | Action::RenameApp { label, .. }
            | Action::AdoptApp { label, .. }
            | Action::CreateKeyset { label, .. }
            | Action::UpdateKeyset { label, .. }
            | Action::UploadPush { label, .. }
            | Action::RotateSecret { label, .. }
            | Action::MoveApp { label, .. }
            | Action::MoveKeyset { label, .. }
            | Action::ProtectKeyset { label, .. }
            | Action::DeleteKeyset { label, .. }
            | Action::DeleteApp { label, .. }
            | Action::ForgetKeyset { label, .. }
            | Action::ForgetApp { label, .. }
            | Action::MirrorSecret { label, .. } => label,
        }
    }

    /// Whether it is about an app; apps and keysets have labels of their own.
    pub fn is_app(&self) -> bool {
        match self {
            Action::CreateApp { .. }
            | Action::RenameApp { .. }
            | Action::AdoptApp { .. }
            | Action::MoveApp { .. }
            | Action::DeleteApp { .. }
            | Action::ForgetApp { .. } => true,
            Action::CreateKeyset { .. }
            | Action::UpdateKeyset { .. }
            | Action::UploadPush { .. }
            | Action::RotateSecret { .. }
            | Action::MoveKeyset { .. }
            | Action::ProtectKeyset { .. }
            | Action::DeleteKeyset { .. }
            | Action::ForgetKeyset { .. }
            | Action::MirrorSecret { .. } => false,
        }
    }

    /// Whether it is about what nobody declares any more.
    pub fn is_removal(&self) -> bool {
        matches!(
            self,
            Action::DeleteKeyset { .. }
                | Action::DeleteApp { .. }
                | Action::ForgetKeyset { .. }
                | Action::ForgetApp { .. }
        )
    }

    /// The order of a plan: apps first, each label's steps together, its secret key and then the
    /// copies of it last; then keysets that go, and last the apps that held them.
    pub fn rank(&self) -> (u8, &Label, u8, Option<Push>, Option<&MirrorTarget>) {
        let part = match (self.is_removal(), self.is_app()) {
            (false, true) => 0,
            (false, false) => 1,
            (true, false) => 2,
            (true, true) => 3,
        };
        let (step, to) = match self {
            Action::MoveApp { .. } | Action::MoveKeyset { .. } => (0, None),
            Action::UploadPush { .. } => (2, None),
            Action::ProtectKeyset { .. } => (3, None),
            Action::RotateSecret { .. } => (4, None),
            Action::MirrorSecret { to, .. } => (5, Some(to)),
            _ => (1, None),
        };
        let push = if let Action::UploadPush { push, .. } = self { Some(*push) } else { None };
        (part, self.label(), step, push, to)
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
