//! State, journal and lock together: a reader's picture, and the one writer.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;

use super::document::{self, Document, Head};
use super::fold::fold;
use super::lock::{Holder, Lock};
use super::log::{self, Log};
use super::merge::merge;
use super::{Paths, Snapshot, StateError, io, journal};
use crate::audit::RecordHash;
use crate::disk;
use crate::keyset::ProjectName;
use crate::keyset::views::Recorded;
use crate::ports::{Entry, Ledger, LedgerError, Open};
use crate::protocol::{self, Point};

/// Reads of a state that changes under our eyes, before it is given up.
const READS: u32 = 20;

/// The picture as it is on disk, without a lock: readers do not block writers.
pub fn read(paths: &Paths, project: &ProjectName) -> Result<Snapshot, StateError> {
    for _ in 0..READS {
        let before = stamp(&paths.state);
        match load(paths, project) {
            // A fold replaces the state, then the journal: what was read belongs together only if
            // neither moved.
            Ok(picture) if stamp(&paths.state) == before => return Ok(picture.snapshot()),
            Err(error) if stamp(&paths.state) == before => return Err(error),
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    Err(StateError::Restless(paths.state.clone()))
}

fn stamp(path: &Path) -> Option<(u64, Option<SystemTime>)> {
    std::fs::metadata(path).ok().map(|meta| (meta.len(), meta.modified().ok()))
}

struct Picture {
    head: Head,
    log: Vec<RecordHash>,
    recorded: Recorded,
    open: Vec<Open>,
    /// Differs from the state file, or the state file wants a new checksum.
    dirty: bool,
    /// The journal holds more than intents that are still open, or continues an earlier state.
    stale: bool,
    /// The journal is of use only up to here: it ends in a torn line, or it continues another state
    /// and says nothing.
    useful: Option<u64>,
}

impl Picture {
    fn snapshot(self) -> Snapshot {
        let Picture { head, log, recorded, open, dirty: _, stale: _, useful: _ } = self;
        Snapshot::of(head, log, recorded, open)
    }
}

fn load(paths: &Paths, project: &ProjectName) -> Result<Picture, StateError> {
    let state = match disk::read(&paths.state)? {
        Some(bytes) => Some(document::read(&bytes, project, paths)?),
        None => None,
    };
    let bytes = disk::read(&paths.journal)?.unwrap_or_default();
    let journal::Read { head: continues, entries, whole } = journal::decode(&bytes, paths)?;
    let mut useful = (whole < bytes.len() as u64).then_some(whole);
    let existed = state.is_some();
    let (head, mut recorded, merged, log) = match (state, continues) {
        (Some(Document { head, recorded, merged, log, .. }), _) => (head, recorded, merged, log),
        // The first run ended before its state was written: the journal knows the lineage.
        (None, Some(head)) if head.serial == 0 => (head, Recorded::default(), false, Vec::new()),
        (None, Some(head)) => return Err(detached(paths, 0, head.serial)),
        (None, None) => (
            Head { lineage: uuid::Uuid::new_v4(), serial: 0, checksum: None },
            Recorded::default(),
            false,
            Vec::new(),
        ),
    };
    let mut open = Vec::new();
    let (mut dirty, mut stale) = (merged, false);
    if let Some(continues) = continues {
        let same = continues.lineage == head.lineage;
        // A first run that ended before it wrote a state began a lineage that nobody else has:
        // whoever was quicker has the other.
        let first = continues.serial == 0;
        let fits = first || (same && continues.serial <= head.serial);
        if !fits && !entries.is_empty() {
            return Err(detached(paths, head.serial, continues.serial));
        }
        if !fits {
            // What is appended behind its first line would belong to another state, and be ignored
            // with it.
            useful = Some(0);
        } else {
            dirty |= !existed;
            // Also one that was begun and says nothing yet.
            // Two clones may write two states of one serial.
            let told_apart = continues.checksum.is_some() && continues.checksum != head.checksum;
            let whole = same && continues.serial == head.serial && !told_apart;
            stale = !whole || entries.is_empty() || entries.iter().any(ends_something);
            if whole {
                for entry in entries {
                    dirty |= fold(&mut recorded, &mut open, entry);
                }
            } else {
                dirty |= merge(&mut recorded, &mut open, entries);
            }
        }
    }
    Ok(Picture { head, log, recorded, open, dirty, stale, useful })
}

fn detached(paths: &Paths, state: u64, journal: u64) -> StateError {
    StateError::Detached {
        path: paths.journal.clone(),
        state_file: paths.state.clone(),
        state,
        journal,
    }
}

/// The one writer. Holds the lock for its whole life.
pub struct Store {
    paths: Paths,
    project: ProjectName,
    memory: Arc<Mutex<Memory>>,
    log: Arc<Log>,
    writer: Mutex<Option<(Sender<Job>, JoinHandle<()>)>>,
    #[expect(dead_code, reason = "held, not used")]
    lock: Lock,
}

struct Memory {
    head: Head,
    /// What the audit log has to have, as the state file says.
    log: Vec<RecordHash>,
    recorded: Recorded,
    open: Vec<Open>,
    /// Differs from the state file.
    dirty: bool,
    /// The journal holds more than `open`, or continues an earlier state.
    stale: bool,
}

impl Memory {
    fn take(&mut self, entry: Entry) {
        self.stale |= ends_something(&entry);
        self.dirty |= fold(&mut self.recorded, &mut self.open, entry);
    }
}

/// Whether the journal is longer than what is open needs, once this is in it.
fn ends_something(entry: &Entry) -> bool {
    !matches!(entry, Entry::Intend(_) | Entry::Sealed { .. })
}

struct Job {
    line: Vec<u8>,
    entry: Entry,
    done: oneshot::Sender<Result<(), LedgerError>>,
}

impl Store {
    /// Takes the lock, proves that the folder can be written, replays the journal of a run that did
    /// not end, and folds it.
    ///
    /// `command`: what to tell others who find the lock taken.
    pub fn open(
        paths: &Paths,
        project: &ProjectName,
        command: &str,
    ) -> Result<(Store, Snapshot), StateError> {
        Store::open_within(paths, project, command, Duration::ZERO, &|_| {})
    }

    /// As `open`, waiting up to `patience` for the lock; `told` hears once who holds it.
    pub fn open_within(
        paths: &Paths,
        project: &ProjectName,
        command: &str,
        patience: Duration,
        told: &dyn Fn(&Holder),
    ) -> Result<(Store, Snapshot), StateError> {
        let folder = paths.folder();
        std::fs::create_dir_all(folder).map_err(io("cannot make the folder", folder))?;
        let lock = Lock::take(&paths.lock, command, patience, told)?;
        let picture = load(paths, project)?;
        disk::prove_writable(folder)?;
        if let Some(useful) = picture.useful {
            // What is appended behind a torn line would not be found again.
            let journal = disk::open_in_place(&paths.journal, OpenOptions::new().write(true));
            let cut = journal.and_then(|f| f.set_len(useful).and_then(|()| f.sync_all()));
            cut.map_err(io("cannot mend", &paths.journal))?;
        }
        let Picture { head, log: known, recorded, open, dirty, stale, useful: _ } = picture;
        let log = Arc::new(Log::new(paths.log.clone(), project.clone(), command, head));
        let memory =
            Arc::new(Mutex::new(Memory { head, log: known, recorded, open, dirty, stale }));
        let store = Store {
            paths: paths.clone(),
            project: project.clone(),
            memory,
            log,
            writer: Mutex::new(None),
            lock,
        };
        store.fold()?;
        let snapshot = store.snapshot();
        Ok((store, snapshot))
    }

    /// The picture as it is by now, journal included.
    pub fn snapshot(&self) -> Snapshot {
        let memory = locked(&self.memory);
        let (recorded, open) = (memory.recorded.clone(), memory.open.clone());
        Snapshot::of(memory.head, memory.log.clone(), recorded, open)
    }

    /// Where what this run changes is noted.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Writes what the journal holds into the state file, and leaves a journal with the open
    /// intents or none at all. Nothing new: nothing is written.
    ///
    /// A power cut leaves: before the first rename, the old state and the whole journal; between
    /// the renames, the new state and a journal that is one behind, whose records change nothing
    /// when they are replayed.
    pub fn fold(&self) -> Result<(), StateError> {
        // No writer until the end: the journal it would write to is replaced.
        let mut writer = locked(&self.writer);
        end(writer.take());
        let mut memory = locked(&self.memory);
        if let Some(heads) = self.log.sync() {
            memory.log = heads;
        }
        if memory.dirty {
            self.write_state(&mut memory)?;
        }
        if memory.stale {
            self.write_journal(&memory)?;
            memory.stale = false;
        }
        Ok(())
    }

    fn write_state(&self, memory: &mut Memory) -> Result<(), StateError> {
        let folder = self.paths.folder();
        let written = document::write(&self.project, memory.head, &memory.log, &memory.recorded);
        let (bytes, next) = written.map_err(|e| io("cannot write", &self.paths.state)(e.into()))?;
        self.keep_previous()?;
        disk::write(&self.paths.state, folder, &bytes)?;
        memory.head = next;
        memory.dirty = false;
        memory.stale = true;
        Ok(())
    }

    /// Only what is still open, continuing the state as it is now.
    fn write_journal(&self, memory: &Memory) -> Result<(), StateError> {
        let folder = self.paths.folder();
        if memory.open.is_empty() {
            match protocol::about_to(Point::JournalRemove)
                .and_then(|()| std::fs::remove_file(&self.paths.journal))
            {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io("cannot remove", &self.paths.journal)(error));
                }
                _ => return Ok(disk::sync_folder(folder)?),
            }
        }
        let encoded = journal::header(memory.head).and_then(|mut bytes| {
            for Open { intent, sealed } in &memory.open {
                bytes.extend(journal::encode(Entry::Intend(intent.clone()))?);
                if let Some(answer) = sealed {
                    bytes.extend(journal::encode(Entry::Sealed {
                        intent: intent.id,
                        answer: answer.clone(),
                    })?);
                }
            }
            Ok(bytes)
        });
        Ok(disk::write(
            &self.paths.journal,
            folder,
            &encoded.map_err(|e| io("cannot write", &self.paths.journal)(e.into()))?,
        )?)
    }

    /// The state as it is becomes the backup: by a second name where the file system has such, else
    /// by a copy. At no moment is there no state.
    fn keep_previous(&self) -> Result<(), StateError> {
        let (state, backup, folder) = (&self.paths.state, &self.paths.backup, self.paths.folder());
        if !state.exists() {
            return Ok(());
        }
        let beside = folder.join(format!(".keyform-backup-{}", std::process::id()));
        let _ = std::fs::remove_file(&beside);
        // A second name has the first one's mode: what version control checked out is for
        // everybody.
        if is_private(state) && std::fs::hard_link(state, &beside).is_ok() {
            return std::fs::rename(&beside, backup).map_err(io("cannot replace", backup));
        }
        match disk::read(state)? {
            Some(bytes) => Ok(disk::write(backup, folder, &bytes)?),
            None => Ok(()),
        }
    }

    /// The thread that writes the journal; it ends when its channel closes.
    fn writer(&self) -> Sender<Job> {
        let mut writer = locked(&self.writer);
        writer
            .get_or_insert_with(|| {
                let (sender, jobs) = channel();
                let (paths, memory) = (self.paths.clone(), self.memory.clone());
                (sender, std::thread::spawn(move || write_all(&paths, &memory, &jobs)))
            })
            .0
            .clone()
    }
}

impl Ledger for Store {
    async fn append(&self, entry: Entry) -> Result<(), LedgerError> {
        let failed = |why: String| LedgerError {
            what: format!("cannot write {}", self.paths.journal.display()),
            why,
        };
        let line = journal::encode(entry.clone()).map_err(|error| failed(error.to_string()))?;
        let change = log::change(&entry);
        let (done, written) = oneshot::channel();
        let sent = self.writer().send(Job { line, entry, done });
        let written = match sent {
            Ok(()) => written.await.unwrap_or_else(|_| Err(failed("its thread ended".to_owned()))),
            Err(_) => Err(failed("its thread ended".to_owned())),
        };
        if let (Ok(()), Some(change)) = (&written, change) {
            // What is recorded stays recorded; that the log could not take it was said there.
            let _ = self.log.recorded(change);
        }
        written
    }
}

impl Drop for Store {
    /// Nothing is written any more when the lock is given back.
    fn drop(&mut self) {
        end(locked(&self.writer).take());
    }
}

/// Lets the writer finish what it was given.
fn end(writer: Option<(Sender<Job>, JoinHandle<()>)>) {
    if let Some((sender, thread)) = writer {
        drop(sender);
        // A writer that panicked answered nobody: its appends have failed already.
        let _ = thread.join();
    }
}

fn is_private(path: &Path) -> bool {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return false };
    #[cfg(unix)]
    let private = std::os::unix::fs::MetadataExt::mode(&meta) & 0o777 == 0o600;
    #[cfg(not(unix))]
    let private = true;
    meta.is_file() && private
}

/// Takes all jobs that wait, writes them at once, syncs once, answers them all. After a failure
/// every job fails: what stands in the file behind the damage would not be found again.
fn write_all(paths: &Paths, memory: &Mutex<Memory>, jobs: &Receiver<Job>) {
    let mut file: Option<File> = None;
    let mut broken: Option<LedgerError> = None;
    while let Ok(first) = jobs.recv() {
        let batch: Vec<Job> = std::iter::once(first).chain(jobs.try_iter()).collect();
        let result = match &broken {
            Some(error) => Err(error.clone()),
            None => write_batch(paths, memory, &mut file, &batch),
        };
        if let Err(error) = &result {
            broken = Some(error.clone());
            // It may end in a torn line, behind which nothing would be found again.
            locked(memory).stale = true;
        }
        for Job { entry, done, .. } in batch {
            // Here and not where it is waited for: who waits may have gone away. What exists at the
            // server is remembered even if the journal could not take it: the fold may still save
            // it.
            if result.is_ok()
                || matches!(entry, Entry::App { .. } | Entry::Keyset { .. } | Entry::Sealed { .. })
            {
                locked(memory).take(entry);
            }
            let _ = done.send(result.clone());
        }
    }
}

fn write_batch(
    paths: &Paths,
    memory: &Mutex<Memory>,
    file: &mut Option<File>,
    batch: &[Job],
) -> Result<(), LedgerError> {
    let failed = |what: &str, why: String| LedgerError {
        what: format!("{what} {}", paths.journal.display()),
        why,
    };
    let bytes: Vec<u8> = batch.iter().flat_map(|job| job.line.iter().copied()).collect();
    if file.is_none() {
        let opened = open_journal(paths, locked(memory).head)
            .map_err(|error| failed("cannot open", error.to_string()))?;
        *file = Some(opened);
    }
    let Some(file) = file else { return Ok(()) };
    write(file, &bytes).map_err(|error| failed("cannot write", error.to_string()))?;
    let synced = protocol::about_to(Point::JournalSync).and_then(|()| file.sync_data());
    synced.map_err(|error| failed("cannot sync", error.to_string()))
}

fn write(file: &mut File, bytes: &[u8]) -> std::io::Result<()> {
    protocol::about_to(Point::JournalWrite)?;
    if let Some(half) = protocol::torn(Point::JournalWrite, bytes) {
        file.write_all(&bytes[..half])?;
        protocol::die();
    }
    file.write_all(bytes)
}

/// Opens the journal to append; a new one gets its first line, synced with the folder's entry.
fn open_journal(paths: &Paths, head: Head) -> std::io::Result<File> {
    protocol::about_to(Point::JournalOpen)?;
    let mut file = disk::open_in_place(&paths.journal, OpenOptions::new().append(true))?;
    if file.metadata()?.len() == 0 {
        file.write_all(&journal::header(head)?)?;
        file.sync_all()?;
        disk::sync(paths.folder())?;
    }
    Ok(file)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
