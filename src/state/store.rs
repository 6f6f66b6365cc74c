//! The one writer of a state: what is appended is durable before it is acknowledged, and folded
//! into the document at the end.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::sync::oneshot;

use super::document::{self, Head};
use super::fold::fold;
use super::journal;
use super::log::{self, Log};
use super::picture::{Picture, ends_something, load};
use super::{Snapshot, StateError};
use crate::audit::RecordHash;
use crate::keyset::ProjectName;
use crate::keyset::views::Recorded;
use crate::ports::{Entry, Ledger, LedgerError, Open};
use crate::storage::{Holder, LockError, Places, Storage, StorageError, Version, Writer};

/// Between two looks at a lock that is taken.
const POLL: Duration = Duration::from_millis(100);

/// How long to wait for the lock.
pub struct Waiting<'a> {
    pub patience: Duration,
    /// Hears once who holds it meanwhile.
    pub told: &'a dyn Fn(&Holder),
}

/// The one writer. Holds the lock for its whole life.
pub struct Store {
    shared: Arc<Shared>,
    log: Arc<Log>,
}

/// Also of the tasks that write. The lock is given back when the last of them has ended.
struct Shared {
    writer: Arc<dyn Writer>,
    places: Places,
    project: ProjectName,
    memory: Mutex<Memory>,
    queue: Mutex<Queue>,
    /// Held while the journal is written. Some: an append failed, and the journal may end in a torn
    /// line, behind which nothing would be found again.
    journal: tokio::sync::Mutex<Option<LedgerError>>,
}

struct Memory {
    head: Head,
    /// Of the document.
    version: Option<Version>,
    /// What the audit log has to have, as the document says.
    log: Vec<RecordHash>,
    recorded: Recorded,
    open: Vec<Open>,
    /// Differs from the document.
    dirty: bool,
    /// The journal holds more than `open`, or continues an earlier state.
    stale: bool,
}

impl Memory {
    fn take(&mut self, entry: Entry) {
        self.stale |= ends_something(&entry);
        self.dirty |= fold(&mut self.recorded, &mut self.open, entry);
    }

    /// A journal of what is still open, continuing the document as it is now. Nothing is open: no
    /// bytes.
    fn journal(&self) -> serde_json::Result<Vec<u8>> {
        if self.open.is_empty() {
            return Ok(Vec::new());
        }
        let mut bytes = journal::header(self.head)?;
        for Open { intent, sealed } in &self.open {
            bytes.extend(journal::encode(Entry::Intend(intent.clone()))?);
            if let Some(answer) = sealed.clone() {
                let intent = intent.id;
                bytes.extend(journal::encode(Entry::Sealed { intent, answer })?);
            }
        }
        Ok(bytes)
    }
}

/// Records that wait to be written.
#[derive(Default)]
struct Queue {
    jobs: Vec<Job>,
    /// A task writes them until there are none left.
    at_work: bool,
}

struct Job {
    line: Vec<u8>,
    entry: Entry,
    done: oneshot::Sender<Result<(), LedgerError>>,
}

impl Store {
    /// Takes the lock, proves that the storage can be written, replays the journal of a run that
    /// did not end, and folds it.
    ///
    /// `command`: what to tell others who find the lock taken.
    pub async fn open(
        storage: Arc<dyn Storage>,
        project: &ProjectName,
        command: &str,
    ) -> Result<(Store, Snapshot), StateError> {
        let waiting = Waiting { patience: Duration::ZERO, told: &|_| {} };
        Store::open_within(storage, project, command, waiting).await
    }

    /// As `open`, waiting for the lock.
    pub async fn open_within(
        storage: Arc<dyn Storage>,
        project: &ProjectName,
        command: &str,
        waiting: Waiting<'_>,
    ) -> Result<(Store, Snapshot), StateError> {
        let writer: Arc<dyn Writer> = lock(&*storage, command, waiting).await?.into();
        let picture = load(&*storage, project).await?;
        writer.prove_writable().await?;
        if let Some(useful) = picture.useful {
            // What is appended behind a torn line would not be found again.
            writer.truncate(useful).await?;
        }
        let Picture { head, version, log, recorded, open, dirty, stale, useful: _ } = picture;
        let places = storage.places().clone();
        let store = Store {
            log: Arc::new(Log::new(storage, &writer, project.clone(), command, head)),
            shared: Arc::new(Shared {
                writer,
                places,
                project: project.clone(),
                memory: Mutex::new(Memory { head, version, log, recorded, open, dirty, stale }),
                queue: Mutex::default(),
                journal: tokio::sync::Mutex::default(),
            }),
        };
        store.fold().await?;
        let snapshot = store.snapshot();
        Ok((store, snapshot))
    }

    /// The picture as it is by now, journal included.
    pub fn snapshot(&self) -> Snapshot {
        let memory = locked(&self.shared.memory);
        let (recorded, open) = (memory.recorded.clone(), memory.open.clone());
        Snapshot::new(memory.head, memory.log.clone(), recorded, open)
    }

    /// Where what this run changes is noted.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Writes what the journal holds into the document, and leaves a journal with the open intents
    /// or none at all. Nothing new: nothing is written. Goes on to its end also where nobody waits
    /// for it any more.
    ///
    /// A power cut leaves: before the document is replaced, the old one and the whole journal;
    /// before the journal is, the new document and a journal that is one behind, whose records
    /// change nothing when they are replayed.
    pub async fn fold(&self) -> Result<(), StateError> {
        let (shared, log) = (self.shared.clone(), self.log.clone());
        let folded = tokio::spawn(async move { shared.fold(&log).await }).await;
        let ended = || StorageError::failed("cannot write", &*self.shared.places.document, ENDED);
        folded.unwrap_or_else(|_| Err(ended().into()))
    }

    /// Waits for what is being written, and gives the lock back. A store that is dropped does the
    /// same as far as it can be done without waiting.
    pub async fn close(self) -> Result<(), StateError> {
        let mut broken = self.shared.journal.lock().await;
        self.shared.write_queue(&mut broken).await;
        Ok(self.shared.writer.release().await?)
    }
}

/// The text for a task that panicked.
const ENDED: &str = "its task ended unexpectedly";

/// Takes the lock, waiting as long as the patience lasts.
async fn lock(
    storage: &dyn Storage,
    command: &str,
    waiting: Waiting<'_>,
) -> Result<Box<dyn Writer>, StateError> {
    let begun = Instant::now();
    let mut silent = true;
    loop {
        let holder = match storage.lock(&Holder::this(command)).await {
            Ok(writer) => return Ok(writer),
            Err(LockError::Storage(error)) => return Err(error.into()),
            Err(LockError::Taken(holder)) => holder,
        };
        let left = waiting.patience.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(StateError::Locked { holder });
        }
        if std::mem::take(&mut silent) {
            (waiting.told)(&holder);
        }
        tokio::time::sleep(POLL.min(left)).await;
    }
}

impl Shared {
    async fn fold(&self, log: &Log) -> Result<(), StateError> {
        // Nobody else writes the journal until the end: it is replaced.
        let mut broken = self.journal.lock().await;
        self.write_queue(&mut broken).await;
        if let Some(heads) = log.sync().await {
            locked(&self.memory).log = heads;
        }
        self.write_document().await?;
        let journal = {
            let memory = locked(&self.memory);
            memory.stale.then(|| memory.journal())
        };
        if let Some(journal) = journal {
            let failed = |e| StorageError::failed("cannot write", &*self.places.journal, e);
            self.writer.restart(&journal.map_err(failed)?).await?;
            locked(&self.memory).stale = false;
            *broken = None;
        }
        Ok(())
    }

    /// If there is anything new.
    async fn write_document(&self) -> Result<(), StateError> {
        let (written, version) = {
            let memory = locked(&self.memory);
            if !memory.dirty {
                return Ok(());
            }
            let written =
                document::write(&self.project, memory.head, &memory.log, &memory.recorded);
            (written, memory.version.clone())
        };
        let failed = |e| StorageError::failed("cannot write", &*self.places.document, e);
        let (bytes, head) = written.map_err(failed)?;
        let version = self.writer.replace(&bytes, version.as_ref()).await?;
        // Nothing came in between: what changes the memory holds the journal's lock.
        let mut memory = locked(&self.memory);
        (memory.head, memory.version) = (head, Some(version));
        (memory.dirty, memory.stale) = (false, true);
        Ok(())
    }

    /// Writes what waits, until nothing does. The answers go out when this task holds nothing any
    /// more: so the lock is free when the store is dropped after its last append.
    async fn work(self: Arc<Self>) {
        loop {
            let mut broken = self.journal.lock().await;
            let answers = self.write_batch(&mut broken).await;
            drop(broken);
            let ended = {
                let mut queue = locked(&self.queue);
                queue.at_work = !queue.jobs.is_empty();
                !queue.at_work
            };
            if ended {
                drop(self);
                return answers.send();
            }
            answers.send();
        }
    }

    async fn write_queue(&self, broken: &mut Option<LedgerError>) {
        while !locked(&self.queue).jobs.is_empty() {
            self.write_batch(broken).await.send();
        }
    }

    /// Takes all records that wait and writes them at once. After a failure every append fails,
    /// until the journal was replaced.
    async fn write_batch(&self, broken: &mut Option<LedgerError>) -> Answers {
        let batch = std::mem::take(&mut locked(&self.queue).jobs);
        if batch.is_empty() {
            return Answers(Vec::new(), Ok(()));
        }
        let result = match &*broken {
            Some(error) => Err(error.clone()),
            None => self.append(&batch).await,
        };
        let mut memory = locked(&self.memory);
        if let Err(error) = &result {
            *broken = Some(error.clone());
            memory.stale = true;
        }
        let answered = batch.into_iter().map(|Job { entry, done, .. }| {
            // Here and not where it is waited for: who waits may have gone away. What exists at the
            // server is remembered even if the journal could not take it: the fold may still save
            // it.
            let exists =
                matches!(entry, Entry::App { .. } | Entry::Keyset { .. } | Entry::Sealed { .. });
            if result.is_ok() || exists {
                memory.take(entry);
            }
            done
        });
        Answers(answered.collect(), result)
    }

    async fn append(&self, batch: &[Job]) -> Result<(), LedgerError> {
        let records: Vec<u8> = batch.iter().flat_map(|job| job.line.iter().copied()).collect();
        let first = journal::header(locked(&self.memory).head);
        let first = first.map_err(|error| self.cannot_append(error.to_string()))?;
        // A storage that panics must not leave the others waiting.
        let appended = AssertUnwindSafe(self.writer.append(&first, &records)).catch_unwind().await;
        match appended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                let (what, why) = error.parts();
                Err(LedgerError { what, why })
            }
            Err(_) => Err(self.cannot_append(ENDED.to_owned())),
        }
    }

    fn cannot_append(&self, why: String) -> LedgerError {
        LedgerError { what: format!("cannot write {}", self.places.journal), why }
    }
}

/// Those who wait, and what became of their records.
struct Answers(Vec<oneshot::Sender<Result<(), LedgerError>>>, Result<(), LedgerError>);

impl Answers {
    fn send(self) {
        for waiting in self.0 {
            // Who waits may have gone away.
            let _ = waiting.send(self.1.clone());
        }
    }
}

impl Ledger for Store {
    async fn append(&self, entry: Entry) -> Result<(), LedgerError> {
        let shared = &self.shared;
        let line = journal::encode(entry.clone())
            .map_err(|error| shared.cannot_append(error.to_string()))?;
        let change = log::change(&entry);
        let (done, written) = oneshot::channel();
        let idle = {
            let mut queue = locked(&shared.queue);
            queue.jobs.push(Job { line, entry, done });
            !std::mem::replace(&mut queue.at_work, true)
        };
        if idle {
            tokio::spawn(shared.clone().work());
        }
        let written = written.await.unwrap_or_else(|_| Err(shared.cannot_append(ENDED.to_owned())));
        if let (Ok(()), Some(change)) = (&written, change) {
            // What is recorded stays recorded; that the log could not take it was said there.
            let _ = self.log.recorded(change).await;
        }
        written
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
