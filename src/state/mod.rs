//! The state: what is recorded of apps and keysets, the journal of what is about to happen, and the
//! one writer of both. Formats and rules are here; where the bytes live is [`storage`]'s.
//!
//! [`storage`]: crate::storage

mod branches;
mod document;
mod error;
mod fold;
mod journal;
mod log;
mod merge;
mod picture;
mod store;

use crate::audit::{Chain, RecordHash};
use crate::keyset::ProjectName;
use crate::keyset::views::Recorded;
use crate::storage::{Storage, StorageError};

pub use branches::Conflicts;
pub use error::{Fault, JoinError, StateError};
pub use log::Log;
pub use picture::{Snapshot, read};
pub use store::{Store, Waiting};

/// SHA-256 over what is recorded, as the state file would have it.
pub fn checksum(recorded: &Recorded) -> serde_json::Result<String> {
    document::checksum_of(recorded).map(String::from)
}

/// One of the states that are to be made one.
pub struct Side<'a> {
    /// As messages name it.
    pub name: &'a str,
    /// `None`, or nothing in it: there is no state yet.
    pub bytes: Option<&'a [u8]>,
}

/// Makes one of two states that grew out of `base` on two branches. A `base` that is empty: both
/// began with nothing.
pub fn join(base: &Side, ours: &Side, theirs: &Side) -> Result<Vec<u8>, JoinError> {
    let (before, Some(our), Some(their)) = (base.parse()?, ours.parse()?, theirs.parse()?) else {
        return Err(JoinError::Strangers);
    };
    let project = ProjectName::parse(&our.project).map_err(|_| JoinError::Strangers)?;
    if our.project != their.project || our.head.lineage != their.head.lineage {
        return Err(JoinError::Strangers);
    }
    let before = before.map(|before| before.recorded).unwrap_or_default();
    let recorded =
        branches::join(&before, &our.recorded, &their.recorded).map_err(JoinError::Conflicts)?;
    let head = document::Head { serial: our.head.serial.max(their.head.serial), ..our.head };
    let log: std::collections::BTreeSet<_> = our.log.iter().chain(&their.log).copied().collect();
    let log: Vec<_> = log.into_iter().collect();
    let written = document::write(&project, head, &log, &recorded)
        .map_err(|error| StorageError::failed("cannot write", ours.name, error))
        .map_err(StateError::from)?;
    Ok(written.0)
}

impl Side<'_> {
    fn parse(&self) -> Result<Option<document::Document>, StateError> {
        let Some(bytes) = self.bytes.filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
        let places = crate::storage::Places {
            document: self.name.into(),
            earlier: format!("version control or from {}.backup", self.name).into(),
            journal: Box::default(),
            log: Box::default(),
        };
        document::parse(bytes).map(Some).map_err(|fault| fault.in_storage(&places))
    }
}

/// The audit log as it is, and what the state knows that it has to have. `None`: there is none.
pub async fn read_log(
    storage: &dyn Storage,
    known: &[RecordHash],
) -> Result<Option<Chain>, StateError> {
    let bytes = storage.read_log().await?;
    if bytes.is_none() && known.is_empty() {
        return Ok(None);
    }
    let mut chain = Chain::read(&bytes.unwrap_or_default());
    chain.expect(known);
    Ok(Some(chain))
}
