//! Document and journal as one picture.

use super::document::{self, Document, Head};
use super::fold::fold;
use super::journal;
use super::merge::merge;
use super::{Fault, StateError};
use crate::audit::RecordHash;
use crate::keyset::ProjectName;
use crate::keyset::views::Recorded;
use crate::ports::{Creation, Entry, Open};
use crate::storage::{Contents, Storage, Version};

/// The picture as it is stored, without a lock: readers do not block writers.
pub async fn read(storage: &dyn Storage, project: &ProjectName) -> Result<Snapshot, StateError> {
    Ok(load(storage, project).await?.snapshot())
}

/// State and journal as one picture.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub recorded: Recorded,
    /// Made with the first state of a project, the same ever after.
    pub lineage: uuid::Uuid,
    /// Of the state file; grows by one with each write. 0: there is none yet.
    pub serial: u64,
    /// What was begun and has no end, oldest first.
    pub open: Vec<Open>,
    /// Records that the audit log has to have.
    pub log: Vec<RecordHash>,
}

impl Snapshot {
    /// A rotation that was begun goes on under the label that its keyset has by now: another clone,
    /// or a command, may have given it one since.
    pub(super) fn new(
        head: Head,
        log: Vec<RecordHash>,
        recorded: Recorded,
        mut open: Vec<Open>,
    ) -> Snapshot {
        for Open { intent, .. } in &mut open {
            if let Creation::SecretKey { label, id, .. } = &mut intent.what
                && recorded.keysets.get(label).is_none_or(|keyset| keyset.id != *id)
                && let Some((now, _)) = recorded.keysets.iter().find(|(_, keyset)| keyset.id == *id)
            {
                *label = now.clone();
            }
        }
        Snapshot { recorded, lineage: head.lineage, serial: head.serial, open, log }
    }
}

/// A snapshot, and what the writer has to know beside it.
pub struct Picture {
    pub head: Head,
    /// Of the document; `None`: there is none.
    pub version: Option<Version>,
    pub log: Vec<RecordHash>,
    pub recorded: Recorded,
    pub open: Vec<Open>,
    /// Differs from the document, or the document wants a new checksum.
    pub dirty: bool,
    /// The journal holds more than intents that are still open, or continues an earlier state.
    pub stale: bool,
    /// The journal is of use only up to here: it ends in a torn line, or it continues another state
    /// and says nothing.
    pub useful: Option<u64>,
}

impl Picture {
    fn snapshot(self) -> Snapshot {
        Snapshot::new(self.head, self.log, self.recorded, self.open)
    }
}

/// Reads both and proves that they are whole, this project's, and fit each other.
pub async fn load(storage: &dyn Storage, project: &ProjectName) -> Result<Picture, StateError> {
    let contents = storage.read().await?;
    picture(contents, project).map_err(|fault| fault.in_storage(storage.places()))
}

fn picture(contents: Contents, project: &ProjectName) -> Result<Picture, Fault> {
    let Contents { document, journal: bytes } = contents;
    let (version, state) = match document {
        Some(found) => (Some(found.version), Some(document::read(&found.bytes, project)?)),
        None => (None, None),
    };
    let journal::Read { head: continues, entries, whole } = journal::decode(&bytes)?;
    let existed = state.is_some();
    let Start { head, recorded, merged, log } = Start::of(state, continues)?;
    let mut picture = Picture {
        head,
        version,
        log,
        recorded,
        open: Vec::new(),
        dirty: merged,
        stale: false,
        useful: (whole < bytes.len() as u64).then_some(whole),
    };
    if let Some(continues) = continues {
        picture.dirty |= !existed && picture.fits(continues);
        picture.replay(continues, entries)?;
    }
    Ok(picture)
}

/// What the journal is replayed on.
struct Start {
    head: Head,
    recorded: Recorded,
    merged: bool,
    log: Vec<RecordHash>,
}

impl Start {
    fn of(state: Option<Document>, continues: Option<Head>) -> Result<Start, Fault> {
        let empty =
            |head| Start { head, recorded: Recorded::default(), merged: false, log: Vec::new() };
        match (state, continues) {
            (Some(Document { head, recorded, merged, log, .. }), _) => {
                Ok(Start { head, recorded, merged, log })
            }
            // The first run ended before its state was written: the journal knows the lineage.
            (None, Some(head)) if head.serial == 0 => Ok(empty(head)),
            (None, Some(head)) => Err(Fault::Detached { state: 0, journal: head.serial }),
            (None, None) => {
                Ok(empty(Head { lineage: uuid::Uuid::new_v4(), serial: 0, checksum: None }))
            }
        }
    }
}

impl Picture {
    /// Whether a journal that continues the state `continues` has something to say about this one.
    fn fits(&self, continues: Head) -> bool {
        // A first run that ended before it wrote a state began a lineage that nobody else has:
        // whoever was quicker has the other.
        let first = continues.serial == 0;
        let same = continues.lineage == self.head.lineage;
        first || (same && continues.serial <= self.head.serial)
    }

    fn replay(&mut self, continues: Head, entries: Vec<Entry>) -> Result<(), Fault> {
        if !self.fits(continues) {
            if !entries.is_empty() {
                return Err(Fault::Detached { state: self.head.serial, journal: continues.serial });
            }
            // What is appended behind its first line would belong to another state, and be ignored
            // with it.
            self.useful = Some(0);
            return Ok(());
        }
        // Two clones may write two states of one serial.
        let told_apart = continues.checksum.is_some() && continues.checksum != self.head.checksum;
        let same = continues.lineage == self.head.lineage;
        let whole = same && continues.serial == self.head.serial && !told_apart;
        // Also a journal that was begun and says nothing yet.
        self.stale = !whole || entries.is_empty() || entries.iter().any(ends_something);
        if whole {
            for entry in entries {
                self.dirty |= fold(&mut self.recorded, &mut self.open, entry);
            }
        } else {
            self.dirty |= merge(&mut self.recorded, &mut self.open, entries);
        }
        Ok(())
    }
}

/// Whether the journal is longer than what is open needs, once this is in it.
pub fn ends_something(entry: &Entry) -> bool {
    !matches!(entry, Entry::Intend(_) | Entry::Sealed { .. })
}
