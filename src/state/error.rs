//! Why a state cannot be used. What is wrong is said without a place; the place is the storage's.

use std::fmt;

use crate::keyset::{Label, ProjectName};
use crate::storage::{Holder, Places, StorageError};

use super::Conflicts;

/// State that cannot be used. Nothing was overwritten.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("{}", .fault.at(.places))]
    Unusable { fault: Fault, places: Box<Places> },
    #[error("another run is at work: {holder}")]
    Locked { holder: Holder },
}

/// What is wrong with what was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The document is no state.
    Broken {
        what: &'static str,
        line: usize,
        column: usize,
    },
    /// Of a later keyform.
    NewerDocument {
        version: u64,
        known: u64,
    },
    NewerJournal {
        version: u64,
        known: u64,
    },
    /// The state of another project.
    Foreign {
        found: String,
        expected: ProjectName,
    },
    /// The document was changed outside keyform.
    Checksum,
    /// A line of the journal is damaged, and others follow it.
    DamagedRecord {
        line: usize,
    },
    /// A line of the journal is whole, and its record is of no known kind.
    UnknownRecord {
        line: usize,
    },
    /// The journal continues another state: by serials.
    Detached {
        state: u64,
        journal: u64,
    },
}

impl Fault {
    pub fn in_storage(self, places: &Places) -> StateError {
        StateError::Unusable { fault: self, places: Box::new(places.clone()) }
    }

    fn at<'a>(&'a self, places: &'a Places) -> FaultAt<'a> {
        FaultAt { fault: self, places }
    }
}

/// A fault with its place, for people.
struct FaultAt<'a> {
    fault: &'a Fault,
    places: &'a Places,
}

impl fmt::Display for FaultAt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Places { document, earlier, journal, .. } = self.places;
        match self.fault {
            Fault::Broken { what, line, column } => write!(
                f,
                "{document} is not a state of keyform: {what} at line {line}, column {column}. \
                 Restore it from {earlier}"
            ),
            Fault::NewerDocument { version, known } => write_newer(f, document, *version, *known),
            Fault::NewerJournal { version, known } => write_newer(f, journal, *version, *known),
            Fault::Foreign { found, expected } => write!(
                f,
                "{document} belongs to project `{found}`, and this project is `{expected}`: if it \
                 was renamed, change \"project\" in the state too; its secrets stay under the old \
                 name"
            ),
            Fault::Checksum => write!(
                f,
                "{document} does not match its checksum: it was edited or merged outside keyform. \
                 Restore it from {earlier}; if you have checked that it is right, set \"checksum\" \
                 to \"merged\" and the next apply writes a new one"
            ),
            Fault::DamagedRecord { line } => write!(
                f,
                "{journal} line {line} is damaged, and lines follow it: keep a copy, then remove \
                 the lines from there on"
            ),
            Fault::UnknownRecord { line } => write!(
                f,
                "{journal} line {line} is whole, and this keyform does not know what it says: use \
                 the keyform that wrote it"
            ),
            Fault::Detached { state, journal: continues } => write!(
                f,
                "{journal} does not continue {document}: the state has serial {state}, the journal \
                 continues {continues}. Bring back the state it belongs to (version control, or \
                 the backup); the journal holds what an earlier run did"
            ),
        }
    }
}

fn write_newer(f: &mut fmt::Formatter<'_>, place: &str, version: u64, known: u64) -> fmt::Result {
    write!(
        f,
        "{place} has version {version}, and this keyform knows version {known}: use a newer keyform"
    )
}

/// Why two states could not be made one.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("the two states are of other beginnings, or of other projects")]
    Strangers,
    #[error("both sides changed {}", listed(.0))]
    Conflicts(Conflicts),
}

fn listed(conflicts: &Conflicts) -> String {
    let named = |noun: &str, labels: &[Label]| match labels {
        [] => None,
        labels => Some(format!(
            "{noun} {}",
            labels.iter().map(|label| label.as_str()).collect::<Vec<_>>().join(", ")
        )),
    };
    let all = [named("app", &conflicts.apps), named("keyset", &conflicts.keysets)];
    all.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}
