//! Where a state lives, as narrow traits: what `state` asks of a disk, of an object store or of a
//! server. Bytes go in and out; what they say is `state`'s.
//!
//! Two sides: anybody may read ([`Storage`]), and one writes ([`Writer`]). The writer is what
//! taking the lock gives back, so that nothing can be written without it.
//!
//! To add a kind of storage: a module beside [`local`] that implements both sides, and a test that
//! calls each function of `contract` with it.

mod error;
mod holder;
pub mod local;

use async_trait::async_trait;

pub use error::{LockError, StorageError};
pub use holder::{Holder, host};

/// The readers' side. Nothing here takes a lock or waits for a writer.
#[async_trait]
pub trait Storage: Send + Sync {
    /// Where the parts of the state stand, as messages name them.
    fn places(&self) -> &Places;

    /// State and journal. They belong together: the writer did not fold between the two reads.
    async fn read(&self) -> Result<Contents, StorageError>;

    /// The whole audit log; `None`: there is none.
    async fn read_log(&self) -> Result<Option<Vec<u8>>, StorageError>;

    /// Takes the lock and does not wait for it. `holder` is what others are told meanwhile.
    ///
    /// The lock is given back by [`Writer::release`], by dropping the writer, and some time after
    /// the process ended without either.
    async fn lock(&self, holder: &Holder) -> Result<Box<dyn Writer>, LockError>;

    /// How much can still be written; `None`: there is no such limit, or nobody tells.
    fn room(&self) -> Option<Room>;
}

/// The writer's side: exists while the lock is held.
#[async_trait]
pub trait Writer: Documents + Journal + AuditLog {
    /// Proves that the storage can be written, before anything depends on it.
    async fn prove_writable(&self) -> Result<(), StorageError>;

    /// Gives the lock back. Nothing may be written afterwards. Dropping the writer does the same as
    /// far as it can be done without waiting.
    async fn release(&self) -> Result<(), StorageError>;
}

/// The state's document: one value that is replaced as a whole.
#[async_trait]
pub trait Documents: Send + Sync {
    /// Replaces the document if it still has the version `expected` (`None`: if there is none), and
    /// gives back the version of the new one. [`StorageError::Changed`]: it has another version,
    /// and stays as it is.
    ///
    /// When this returns `Ok`, the new document survives a power cut. After an error or a crash
    /// there is the old document or the new one, never a part of one.
    async fn replace(
        &self,
        bytes: &[u8],
        expected: Option<&Version>,
    ) -> Result<Version, StorageError>;
}

/// What is about to happen and has happened since the document was written: bytes that are only
/// appended to, until they are in the document.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Appends `records`. A journal that is empty is begun with `first`.
    ///
    /// When this returns `Ok`, the records survive a power cut. After an error or a crash any part
    /// of `first` and `records`, from the beginning, may be there; nothing may be appended before
    /// that part is cut off or the journal is restarted. Costs the same however long the journal
    /// is.
    async fn append(&self, first: &[u8], records: &[u8]) -> Result<(), StorageError>;

    /// Keeps the first `length` bytes. Only before the first append.
    async fn truncate(&self, length: u64) -> Result<(), StorageError>;

    /// Replaces the whole journal. No bytes: there is no journal any more.
    async fn restart(&self, bytes: &[u8]) -> Result<(), StorageError>;
}

/// What was changed, by whom: bytes that are only appended to.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Appends. When this returns `Ok`, the record survives the end of this process.
    async fn append_log(&self, record: &[u8]) -> Result<(), StorageError>;

    /// When this returns `Ok`, everything that was appended survives a power cut.
    async fn sync_log(&self) -> Result<(), StorageError>;

    /// Keeps the first `length` bytes. Only before the first append.
    async fn truncate_log(&self, length: u64) -> Result<(), StorageError>;
}

/// What one read gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// `None`: nothing was written yet.
    pub document: Option<Document>,
    pub journal: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub bytes: Vec<u8>,
    pub version: Version,
}

/// Tells one document from the one that follows it, such as an ETag. Two that are alike have
/// versions of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(pub Box<str>);

/// Where the parts of a state stand: paths or URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    pub document: Box<str>,
    /// Where an earlier document is to be had from, to end the words "Restore it from ...".
    pub earlier: Box<str>,
    pub journal: Box<str>,
    pub log: Box<str>,
}

/// What is left of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    pub bytes: u64,
    /// Where it counts.
    pub place: Box<str>,
}

#[cfg(test)]
pub mod contract;
#[cfg(test)]
pub mod memory;
