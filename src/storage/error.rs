//! What a storage could not do.

use super::Holder;
use crate::disk::DiskError;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Names the operation and the place; what a person can do about it is in the words.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("{action} {place}: {source}")]
    Failed { action: &'static str, place: String, source: Cause },
    /// The document is not the one that was read. Nothing was overwritten.
    #[error(
        "{place} was changed by somebody else since this run read it, and was not overwritten: the \
         journal holds what this run did, and the next apply brings the two together"
    )]
    Changed { place: String },
    /// The writers are faster than a reader.
    #[error("{place} changes faster than it can be read")]
    Restless { place: String },
    /// It lacks something without which no state can be kept there; in its own words.
    #[error("{0}")]
    Unfit(String),
}

impl StorageError {
    pub fn failed(
        action: &'static str,
        place: impl Into<String>,
        source: impl Into<Cause>,
    ) -> StorageError {
        StorageError::Failed { action, place: place.into(), source: source.into() }
    }

    /// The operation with its place, and why it failed, apart.
    pub fn parts(&self) -> (String, String) {
        match self {
            StorageError::Failed { action, place, source } => {
                (format!("{action} {place}"), source.to_string())
            }
            other => ("cannot write the state".to_owned(), other.to_string()),
        }
    }
}

impl From<DiskError> for StorageError {
    fn from(DiskError { action, path, source }: DiskError) -> StorageError {
        StorageError::failed(action, path.display().to_string(), source)
    }
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("another run is at work: {0}")]
    Taken(Holder),
    #[error(transparent)]
    Storage(#[from] StorageError),
}
