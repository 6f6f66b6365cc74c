//! What apply does, as data: a plan is a list of steps.
//!
//! To add a kind of step: a variant of [`Op`] with what is special to it; in `kind.rs` its
//! [`OpKind`] and its row; then the planner that makes it and the executor that carries it out.
//! Summary, checker, report, schema and every view read the row.

use std::time::Duration;

use super::kind::{OpKind, Row, Subject};
use crate::keyset::push::{Push, PushTexts};
use crate::keyset::{
    AppId, FieldId, KeysetId, Label, Life, MirrorTarget, Origin, PublicKeys, Value,
};

/// One thing to do, to one app or keyset.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub label: Label,
    /// `None`: it has none yet, or the step does not need it.
    pub id: Option<Id>,
    /// The app of a keyset, where the step tells it.
    pub app: Option<Label>,
    /// `None` for what nobody declares any more.
    pub origin: Option<Origin>,
    pub op: Op,
}

/// The server's id of what a step is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Id {
    App(AppId),
    Keyset(KeysetId),
}

/// What is done, and what only this kind of step has to say.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    CreateApp {
        name: Box<str>,
        reason: Reason,
    },
    RenameApp {
        from: Box<str>,
        to: Box<str>,
    },
    /// An app that exists and is only referred to becomes known to the state. No API call.
    AdoptApp {
        /// As the server shows it; without a refresh the id stands in for it.
        name: Box<str>,
    },
    CreateKeyset {
        settings: Vec<Change>,
        reason: Reason,
        /// As [`crate::keyset::views::RecordedKeyset::protect`].
        protect: Option<bool>,
    },
    UpdateKeyset {
        changes: Vec<Change>,
    },
    /// Push credentials are uploaded, which replaces those that are there. Without an id of its
    /// own, the step is for a keyset that the same plan creates.
    UploadPush(Box<PushUpload>),
    /// It gets a new secret key; why tells what becomes of the one of before.
    RotateSecret {
        why: Box<Rotation>,
    },
    /// A copy of its secret key goes where the TOML wants one, once the sink has the secret.
    MirrorSecret {
        to: MirrorTarget,
        why: Mirroring,
    },
    /// What is recorded under one label is recorded under another from then on, as `moved` says. No
    /// API call.
    MoveApp {
        from: Label,
    },
    MoveKeyset {
        from: Label,
    },
    /// Whether it may be deleted becomes known to the state, for the time when nobody declares it
    /// any more. No API call.
    ProtectKeyset {
        protect: bool,
    },
    /// Not declared any more, and `--delete`: its keys stop working for ever, and its data is gone.
    DeleteKeyset {
        keys: PublicKeys,
    },
    /// Not declared any more, and empty by then.
    DeleteApp {
        name: Box<str>,
    },
    /// Not declared any more, and gone at the server: the record goes too. No API call.
    ForgetKeyset,
    ForgetApp,
}

impl Op {
    pub fn kind(&self) -> OpKind {
        match self {
            Op::CreateApp { .. } => OpKind::CreateApp,
            Op::RenameApp { .. } => OpKind::RenameApp,
            Op::AdoptApp { .. } => OpKind::AdoptApp,
            Op::CreateKeyset { .. } => OpKind::CreateKeyset,
            Op::UpdateKeyset { .. } => OpKind::UpdateKeyset,
            Op::UploadPush(_) => OpKind::UploadPush,
            Op::RotateSecret { .. } => OpKind::RotateSecret,
            Op::MirrorSecret { .. } => OpKind::MirrorSecret,
            Op::MoveApp { .. } => OpKind::MoveApp,
            Op::MoveKeyset { .. } => OpKind::MoveKeyset,
            Op::ProtectKeyset { .. } => OpKind::ProtectKeyset,
            Op::DeleteKeyset { .. } => OpKind::DeleteKeyset,
            Op::DeleteApp { .. } => OpKind::DeleteApp,
            Op::ForgetKeyset => OpKind::ForgetKeyset,
            Op::ForgetApp => OpKind::ForgetApp,
        }
    }
}

/// Push credentials to be uploaded.
#[derive(Clone, Debug, PartialEq)]
pub struct PushUpload {
    pub push: Push,
    /// Relative to the project's folder.
    pub file: Box<str>,
    pub texts: PushTexts,
    /// Of the file, in hex.
    pub sha256: Box<str>,
    pub why: Upload,
    /// The switch that an upload turns on is declared as off, and is turned off again.
    pub switch_off: bool,
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

/// Why a copy is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mirroring {
    /// None was sent there.
    New,
    /// The one that was sent there is of another secret key, or is about to be.
    Outdated,
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

/// Why something is created. For people; nothing branches on it later.
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

impl Step {
    pub fn new(label: &Label, op: Op) -> Step {
        Step { label: label.clone(), id: None, app: None, origin: None, op }
    }
    pub fn id(self, id: impl Into<Id>) -> Step {
        Step { id: Some(id.into()), ..self }
    }
    pub fn in_app(self, app: &Label) -> Step {
        Step { app: Some(app.clone()), ..self }
    }
    pub fn at(self, origin: Origin) -> Step {
        Step { origin: Some(origin), ..self }
    }

    pub fn kind(&self) -> OpKind {
        self.op.kind()
    }
    pub fn row(&self) -> &'static Row {
        self.op.kind().row()
    }
    pub fn is_app(&self) -> bool {
        self.row().subject == Subject::App
    }
    /// Whether it is about what nobody declares any more.
    pub fn is_removal(&self) -> bool {
        self.row().removal
    }
    pub fn app_id(&self) -> Option<&AppId> {
        match &self.id {
            Some(Id::App(id)) => Some(id),
            Some(Id::Keyset(_)) | None => None,
        }
    }
    pub fn keyset_id(&self) -> Option<&KeysetId> {
        match &self.id {
            Some(Id::Keyset(id)) => Some(id),
            Some(Id::App(_)) | None => None,
        }
    }

    /// The order of a plan: apps first, each label's steps together, its secret key and then the
    /// copies of it last; then keysets that go, and last the apps that held them.
    pub fn rank(&self) -> (u8, &Label, u8, Option<Push>, Option<&MirrorTarget>) {
        let row = self.row();
        let part = match (row.removal, row.subject) {
            (false, Subject::App) => 0,
            (false, Subject::Keyset) => 1,
            (true, Subject::Keyset) => 2,
            (true, Subject::App) => 3,
        };
        let (push, to) = match &self.op {
            Op::UploadPush(upload) => (Some(upload.push), None),
            Op::MirrorSecret { to, .. } => (None, Some(to)),
            _ => (None, None),
        };
        (part, &self.label, row.rank, push, to)
    }
}

/// What a step says beside whom it is about, whatever its kind: what views show without knowing
/// the kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    pub name: Option<&'a str>,
    pub from: Option<&'a str>,
    pub to: Option<Goal<'a>>,
    pub protect: Option<bool>,
    pub keys: Option<&'a PublicKeys>,
    pub changes: Option<&'a [Change]>,
    pub upload: Option<&'a PushUpload>,
    pub why: Option<Why<'a>>,
}

/// What something becomes, or where it goes.
#[derive(Clone, Copy, Debug)]
pub enum Goal<'a> {
    Name(&'a str),
    Mirror(&'a MirrorTarget),
}

/// The reason of any step.
#[derive(Clone, Copy, Debug)]
pub enum Why<'a> {
    Create(&'a Reason),
    Rotate(&'a Rotation),
    Upload(&'a Upload),
    Mirror(Mirroring),
}

impl Op {
    pub fn facts(&self) -> Facts<'_> {
        let none = Facts::default();
        match self {
            Op::CreateApp { name, reason } => {
                Facts { name: Some(name), why: Some(Why::Create(reason)), ..none }
            }
            Op::RenameApp { from, to } => {
                Facts { from: Some(from), to: Some(Goal::Name(to)), ..none }
            }
            Op::AdoptApp { name } | Op::DeleteApp { name } => Facts { name: Some(name), ..none },
            Op::CreateKeyset { settings, reason, protect } => Facts {
                changes: Some(settings),
                why: Some(Why::Create(reason)),
                protect: *protect,
                ..none
            },
            Op::UpdateKeyset { changes } => Facts { changes: Some(changes), ..none },
            Op::UploadPush(upload) => {
                Facts { upload: Some(upload), why: Some(Why::Upload(&upload.why)), ..none }
            }
            Op::RotateSecret { why } => Facts { why: Some(Why::Rotate(why)), ..none },
            Op::MirrorSecret { to, why } => {
                Facts { to: Some(Goal::Mirror(to)), why: Some(Why::Mirror(*why)), ..none }
            }
            Op::MoveApp { from } | Op::MoveKeyset { from } => {
                Facts { from: Some(from.as_str()), ..none }
            }
            Op::ProtectKeyset { protect } => Facts { protect: Some(*protect), ..none },
            Op::DeleteKeyset { keys } => Facts { keys: Some(keys), ..none },
            Op::ForgetKeyset | Op::ForgetApp => none,
        }
    }
}

impl Id {
    pub fn as_str(&self) -> &str {
        match self {
            Id::App(id) => id.as_str(),
            Id::Keyset(id) => id.as_str(),
        }
    }
}
impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
impl From<AppId> for Id {
    fn from(id: AppId) -> Id {
        Id::App(id)
    }
}
impl From<KeysetId> for Id {
    fn from(id: KeysetId) -> Id {
        Id::Keyset(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A project may have 100,000 keysets, with a step for each.
    #[test]
    fn a_step_is_small() {
        assert!(size_of::<Step>() <= 144, "{}", size_of::<Step>());
    }
}
