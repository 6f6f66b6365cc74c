//! What an apply says while it runs, and when it is over.

use super::failure::StepError;
use crate::keyset::views::SecretRecord;
use crate::keyset::{
    AppId, FieldId, KeysetId, Label, MirrorTarget, Observed, PublicKeys, Push, Value,
};
use crate::plan::{self, Op, OpKind, Row};

/// For progress. Sent in the order in which things happen.
#[derive(Clone, Debug)]
pub enum Event {
    Started {
        step: StepRef,
    },
    /// The answer to a create was lost; the account is being searched for it.
    Searching {
        step: StepRef,
    },
    Finished {
        step: StepRef,
        outcome: Outcome,
    },
}

/// Names a step: what is being done, to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRef {
    pub kind: OpKind,
    pub label: Label,
    /// Of an upload: which credentials.
    pub push: Option<Push>,
}

impl StepRef {
    pub fn new(kind: OpKind, label: &Label) -> StepRef {
        StepRef { kind, label: label.clone(), push: None }
    }
    pub fn row(&self) -> &'static Row {
        self.kind.row()
    }
}

impl From<&plan::Step> for StepRef {
    fn from(step: &plan::Step) -> StepRef {
        let push = match &step.op {
            Op::UploadPush(upload) => Some(upload.push),
            _ => None,
        };
        StepRef { push, ..StepRef::new(step.kind(), &step.label) }
    }
}

/// How a step ended. Everything but the last three is done and recorded.
#[derive(Clone, Debug)]
pub enum Outcome {
    App {
        id: AppId,
    },
    Created {
        id: KeysetId,
        keys: PublicKeys,
        secret: SecretRecord,
        /// The secret is sealed in the journal until a sink takes it.
        waits: bool,
        /// Fields whose value at the server is not what was asked for.
        differing: Vec<Differing>,
        /// It had been made before, by a request whose answer was lost.
        found: bool,
    },
    Updated {
        differing: Vec<Differing>,
    },
    /// Push credentials are there.
    Uploaded {
        differing: Vec<Differing>,
    },
    /// It has a new secret key.
    Rotated {
        id: KeysetId,
        secret: SecretRecord,
        waits: bool,
        /// No new one was asked for: it was there already, in a sink or sealed in the journal.
        found: bool,
    },
    /// An earlier intent turned out to have made this keyset, which is recorded now; its secret key
    /// is still to be had.
    Found {
        id: KeysetId,
    },
    /// A copy of its secret key is there.
    Mirrored {
        to: MirrorTarget,
    },
    /// What was recorded under another label is recorded under this one. `kept_under`: the label
    /// that its secret keeps in the sink, which could not be read here.
    Moved {
        from: Label,
        kept_under: Option<Label>,
    },
    /// The state knows whether it may be deleted.
    Protected {
        protect: bool,
    },
    /// It is gone at the server, and so is its record. `secret`: why its secret key, which is of no
    /// more use, is still in the sink.
    Deleted {
        id: String,
        keys: Option<PublicKeys>,
        secret: Option<String>,
    },
    /// It was gone already, and is recorded no more.
    Forgotten {
        id: String,
    },
    /// An earlier intent turned out to have led to nothing.
    Nothing,
    Failed(Box<StepError>),
    /// Whether it was done is not known; the next run finds out.
    Unknown(Box<StepError>),
    Skipped {
        why: String,
    },
}

/// The server answered with another value than was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differing {
    pub field: FieldId,
    pub asked: Value,
    pub got: Option<Value>,
}

/// What was asked for and is not what the answer shows. A field that the answer does not mention
/// cannot be judged.
pub fn differing(asked: &[(FieldId, Value)], got: &Observed) -> Vec<Differing> {
    asked
        .iter()
        .filter_map(|(field, asked)| {
            let got = got.get(*field)?;
            (got != asked).then(|| Differing {
                field: *field,
                asked: asked.clone(),
                got: Some(got.clone()),
            })
        })
        .collect()
}

impl Outcome {
    pub fn failed(error: impl Into<StepError>) -> Outcome {
        Outcome::Failed(Box::new(error.into()))
    }
    pub fn unknown(error: impl Into<StepError>) -> Outcome {
        Outcome::Unknown(Box::new(error.into()))
    }
    /// Why it was not done, or may not have been.
    pub fn error(&self) -> Option<&StepError> {
        match self {
            Outcome::Failed(error) | Outcome::Unknown(error) => Some(error),
            _ => None,
        }
    }
    /// The keyring stopped working in mid-run, for this reason: whoever creates now creates without
    /// a place for the secret.
    pub fn lost_secret(&self) -> Option<&str> {
        match self {
            Outcome::Created {
                secret: SecretRecord::Missing { why, .. }, found: false, ..
            } => Some(why),
            Outcome::Created { secret: SecretRecord::Missing { why, .. }, waits: true, .. } => {
                Some(why)
            }
            Outcome::Rotated { secret: SecretRecord::Missing { why, .. }, .. } => Some(why),
            _ => None,
        }
    }
    /// What became of a secret, and whether it waits in the journal.
    pub fn secret(&self) -> Option<(&SecretRecord, bool)> {
        match self {
            Outcome::Created { secret, waits, .. } | Outcome::Rotated { secret, waits, .. } => {
                Some((secret, *waits))
            }
            _ => None,
        }
    }
    /// Done, with nothing that a person has to look at.
    pub fn is_good(&self) -> bool {
        match self {
            Outcome::App { .. }
            | Outcome::Nothing
            | Outcome::Found { .. }
            | Outcome::Mirrored { .. } => true,
            Outcome::Moved { .. }
            | Outcome::Protected { .. }
            | Outcome::Deleted { .. }
            | Outcome::Forgotten { .. } => true,
            Outcome::Created { secret, differing, .. } => {
                matches!(secret, SecretRecord::Stored { .. }) && differing.is_empty()
            }
            Outcome::Updated { differing } | Outcome::Uploaded { differing } => {
                differing.is_empty()
            }
            Outcome::Rotated { secret, .. } => matches!(secret, SecretRecord::Stored { .. }),
            Outcome::Failed(_) | Outcome::Unknown(_) | Outcome::Skipped { .. } => false,
        }
    }
    /// Carried out, whatever else is to be said about it.
    pub fn is_done(&self) -> bool {
        !matches!(self, Outcome::Failed(_) | Outcome::Unknown(_) | Outcome::Skipped { .. })
    }
}

/// Everything an apply did and did not do, in the order of the plan.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub steps: Vec<(StepRef, Outcome)>,
    /// Stopped by a signal: what is left was not begun.
    pub interrupted: bool,
    /// The journal could not be written: nothing new was begun after that.
    pub ledger_failed: Option<String>,
}

impl Report {
    pub fn all_good(&self) -> bool {
        !self.interrupted
            && self.ledger_failed.is_none()
            && self.steps.iter().all(|(_, outcome)| outcome.is_good())
    }
    pub fn count(&self, which: impl Fn(&StepRef, &Outcome) -> bool) -> usize {
        self.steps.iter().filter(|(step, outcome)| which(step, outcome)).count()
    }
}
