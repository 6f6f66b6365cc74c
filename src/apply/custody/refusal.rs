//! Why a secret is not written, moved, removed or read, as values; and in the words of a report.

use super::request::Request;
use super::table::{Decision, Found, Known, Purpose, decide};
use crate::apply::StepError;
use crate::apply::report::Outcome;
use crate::keyset::Label;
use crate::ports::{Item, SecretName, SinkError, SinkType};

/// A sink cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NoSink {
    pub sink: String,
    pub why: String,
}

/// Why a recorded secret cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("the keyset was adopted, and keyform never had its secret key")]
    NeverHad,
    /// It was never stored, for this reason.
    #[error("it was never stored: {0}")]
    Missing(Box<str>),
    #[error(transparent)]
    NoSink(#[from] NoSink),
    #[error("the {0} sink does not have it")]
    NotThere(Box<str>),
    /// It may be the newer one, and the only copy of it.
    #[error("the {0} sink holds another secret than the state records")]
    Another(Box<str>),
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// Why an entry is not written or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It holds something that the state does not know, which may be the only copy.
    NotRecorded(Entry),
    /// Whether it holds anything is not told, and the state records nothing there.
    NotTold(Entry),
    /// It is in use for the keyset of this label.
    InUse(Entry, Label),
    /// What was to be moved or removed cannot be had.
    NotRead(ReadError),
    Sink(SinkError),
}

/// Which entry a refusal is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub sink: SinkType,
    pub project: Box<str>,
    pub label: Label,
    /// The keyset that asked for it.
    pub asked_by: Label,
    /// `--overwrite` would do it.
    pub may_be_told: bool,
    pub purpose: Purpose,
}

/// The refusal that follows from what was found.
pub(super) fn of(
    sink: SinkType,
    name: &SecretName,
    request: &Request<'_>,
    found: Found,
    in_use_by: Option<Label>,
) -> Refusal {
    let label = match &name.item {
        Item::Keyset(label) => label.clone(),
        Item::EscrowKey => request.label.clone(),
    };
    let entry = Entry {
        sink,
        project: name.project.as_str().into(),
        label,
        asked_by: request.label.clone(),
        may_be_told: in_use_by.is_none()
            && decide(request.purpose, found, Known::Unrecorded) == Decision::IfTold,
        purpose: request.purpose,
    };
    match (in_use_by, found, request.purpose) {
        (_, Found::NotTold | Found::Unreadable, Purpose::Discard) => Refusal::NotTold(entry),
        (_, _, Purpose::Discard) => Refusal::NotRecorded(entry),
        (Some(by), _, _) => Refusal::InUse(entry, by),
        (None, Found::NotTold, _) => Refusal::NotTold(entry),
        (None, _, _) => Refusal::NotRecorded(entry),
    }
}

impl Refusal {
    /// What is wrong.
    pub fn why(&self) -> String {
        match self {
            Refusal::NotRecorded(Entry { sink, project, label, purpose, .. }) => match purpose {
                Purpose::Discard => format!("{sink} holds another one than the state recorded"),
                _ => format!(
                    "the {sink} holds a secret for `{label}` of project `{project}` already that \
                     this state does not know"
                ),
            },
            Refusal::NotTold(Entry { sink, project, label, purpose, .. }) => match purpose {
                Purpose::Discard => {
                    format!("{sink} cannot be read here, so nobody can tell whether it is that one")
                }
                _ => format!(
                    "the {sink} does not tell whether it holds a secret for `{label}` of project \
                     `{project}` already, and this state records none there"
                ),
            },
            Refusal::InUse(Entry { sink, label, .. }, by) => format!(
                "the {sink} holds the secret key of the keyset `{by}` under `{label}`, or is about \
                 to"
            ),
            Refusal::NotRead(error) => error.to_string(),
            Refusal::Sink(error) => error.to_string(),
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Refusal::NotRecorded(entry) => Some(format!(
                "it may be the only copy of another keyset's secret key: bring back the state that \
                 belongs to it, or give this project \
                 another name; if it is of no more use, delete the entry ({}) with the {}'s own \
                 tool{}",
                entry.place(),
                entry.sink,
                entry.or_overwrite()
            )),
            Refusal::NotTold(entry) => Some(format!(
                "one that is there may be the only copy of another keyset's: let the program \
                 answer `exists` (examples/sinks/README.md){}",
                entry.or_overwrite()
            )),
            Refusal::InUse(entry, by) => Some(format!(
                "choose another label for `{}`, or copy the other one's secret to another sink \
                 where this one can be read: keyform secrets copy --to SINK {by}",
                entry.asked_by
            )),
            Refusal::NotRead(_) => None,
            Refusal::Sink(_) => {
                Some("`keyform secrets doctor` looks at the sinks; nothing was asked for".into())
            }
        }
    }
}

impl Entry {
    fn place(&self) -> String {
        match self.sink {
            SinkType::Keyring => format!("service keyform:{}, user {}", self.project, self.label),
            _ => format!("of `{}`", self.label),
        }
    }
    /// Only a rotation that is asked for by hand takes the flag.
    fn or_overwrite(&self) -> String {
        match self.may_be_told && self.purpose == Purpose::Renew {
            true => format!(
                "; or put the new key there all the same: `keyform secrets rotate {} --overlap 24h \
                 --overwrite`",
                self.asked_by
            ),
            false => String::new(),
        }
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Outcome {
        let help = refusal.help();
        Outcome::failed(StepError { help, ..StepError::new(refusal.why()) })
    }
}
