//! A storage in memory, for tests: as an object store would keep a state, and without a disk.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{
    AuditLog, Contents, Document, Documents, Holder, Journal, LockError, Places, Room, Storage,
    StorageError, Version, Writer,
};

/// Clones are the same storage.
#[derive(Clone)]
pub struct Memory {
    kept: Arc<Mutex<Kept>>,
    places: Places,
}

#[derive(Default)]
struct Kept {
    contents: Contents,
    log: Option<Vec<u8>>,
    holder: Option<Holder>,
    /// The number of the last lock.
    lock: u64,
    /// The number of the last document.
    version: u64,
}

impl Default for Memory {
    fn default() -> Memory {
        let places = Places {
            document: "memory://state".into(),
            earlier: "an earlier version of the object".into(),
            journal: "memory://journal".into(),
            log: "memory://log".into(),
        };
        Memory { kept: Arc::default(), places }
    }
}

impl Memory {
    /// As a write that a crash cut off leaves it.
    pub fn tear(&self, bytes: &[u8]) {
        self.kept().contents.journal.extend_from_slice(bytes);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Storage for Memory {
    fn places(&self) -> &Places {
        &self.places
    }
    async fn read(&self) -> Result<Contents, StorageError> {
        Ok(self.kept().contents.clone())
    }
    async fn read_log(&self) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.kept().log.clone())
    }
    async fn lock(&self, holder: &Holder) -> Result<Box<dyn Writer>, LockError> {
        let mut kept = self.kept();
        if let Some(other) = &kept.holder {
            return Err(LockError::Taken(other.clone()));
        }
        kept.holder = Some(holder.clone());
        kept.lock += 1;
        Ok(Box::new(MemoryWriter { memory: self.clone(), lock: kept.lock }))
    }
    fn room(&self) -> Option<Room> {
        None
    }
}

struct MemoryWriter {
    memory: Memory,
    lock: u64,
}

impl MemoryWriter {
    /// Released before, it may be somebody else's by now.
    fn unlock(&self) {
        let mut kept = self.memory.kept();
        if kept.lock == self.lock {
            kept.holder = None;
        }
    }
}

impl Drop for MemoryWriter {
    fn drop(&mut self) {
        self.unlock();
    }
}

#[async_trait]
impl Writer for MemoryWriter {
    async fn prove_writable(&self) -> Result<(), StorageError> {
        Ok(())
    }
    async fn release(&self) -> Result<(), StorageError> {
        self.unlock();
        Ok(())
    }
}

#[async_trait]
impl Documents for MemoryWriter {
    async fn replace(
        &self,
        bytes: &[u8],
        expected: Option<&Version>,
    ) -> Result<Version, StorageError> {
        let mut kept = self.memory.kept();
        let version = kept.contents.document.as_ref().map(|document| &document.version);
        if version != expected {
            return Err(StorageError::Changed { place: "memory://state".to_owned() });
        }
        kept.version += 1;
        let version = Version(kept.version.to_string().into());
        kept.contents.document =
            Some(Document { bytes: bytes.to_owned(), version: version.clone() });
        Ok(version)
    }
}

#[async_trait]
impl Journal for MemoryWriter {
    async fn append(&self, first: &[u8], records: &[u8]) -> Result<(), StorageError> {
        let journal = &mut self.memory.kept().contents.journal;
        if journal.is_empty() {
            journal.extend_from_slice(first);
        }
        journal.extend_from_slice(records);
        Ok(())
    }
    async fn truncate(&self, length: u64) -> Result<(), StorageError> {
        self.memory.kept().contents.journal.truncate(length as usize);
        Ok(())
    }
    async fn restart(&self, bytes: &[u8]) -> Result<(), StorageError> {
        self.memory.kept().contents.journal = bytes.to_owned();
        Ok(())
    }
}

#[async_trait]
impl AuditLog for MemoryWriter {
    async fn append_log(&self, record: &[u8]) -> Result<(), StorageError> {
        self.memory.kept().log.get_or_insert_default().extend_from_slice(record);
        Ok(())
    }
    async fn sync_log(&self) -> Result<(), StorageError> {
        Ok(())
    }
    async fn truncate_log(&self, length: u64) -> Result<(), StorageError> {
        if let Some(log) = &mut self.memory.kept().log {
            log.truncate(length as usize);
        }
        Ok(())
    }
}

mod tests {
    use super::Memory;
    use crate::storage::contract::{Subject, holds};

    impl Subject for Memory {
        type Storage = Memory;
        fn storage(&self) -> Memory {
            self.clone()
        }
        fn tear(&self, bytes: &[u8]) -> bool {
            Memory::tear(self, bytes);
            true
        }
    }

    holds!(Memory::default());
}
