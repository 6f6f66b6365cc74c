//! The audit log of one run: begun at its first record, so a run that changes nothing leaves no
//! trace.
#![expect(clippy::disallowed_methods, reason = "records say when they were written")]

use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::document::Head;
use crate::audit::{Chain, Ended, Origin, Record, RecordHash, What};
use crate::keyset::ProjectName;
use crate::keyset::views::SecretRecord;
use crate::ports::{Body, Entry, LedgerError, Notes};
use crate::storage::{Storage, StorageError, Writer};

/// Of the records.
const FORMAT_VERSION: u64 = 1;

/// The log of one run, under the lock of its state.
pub struct Log(Arc<Shared>);

struct Shared {
    storage: Arc<dyn Storage>,
    /// Gone once the lock was given back.
    writer: Weak<dyn Writer>,
    project: ProjectName,
    command: Box<str>,
    lineage: uuid::Uuid,
    serial: u64,
    run: uuid::Uuid,
    origin: OnceLock<Box<dyn Fn() -> Origin + Send + Sync>>,
    /// `None`: nothing was noted yet.
    writing: Mutex<Option<Writing>>,
}

struct Writing {
    heads: Vec<RecordHash>,
    requests: u64,
    /// An earlier record could not be written: what follows it would hide that.
    broken: Option<String>,
}

/// Makes a record, given the number of the request that it may be.
type Make = Box<dyn FnOnce(u64) -> What + Send>;

impl Log {
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        writer: &Arc<dyn Writer>,
        project: ProjectName,
        command: &str,
        head: Head,
    ) -> Log {
        Log(Arc::new(Shared {
            storage,
            writer: Arc::downgrade(writer),
            project,
            command: command.into(),
            lineage: head.lineage,
            serial: head.serial,
            run: uuid::Uuid::new_v4(),
            origin: OnceLock::new(),
            writing: Mutex::new(None),
        }))
    }

    /// Who is asked, once there is something to note, where the run came from.
    pub fn came_from(&self, origin: impl Fn() -> Origin + Send + Sync + 'static) {
        let _ = self.0.origin.set(Box::new(origin));
    }

    /// What the plan that is now carried out is, and who consented.
    pub async fn plan(&self, hash: &str, consent: &str) -> Result<(), LedgerError> {
        let (hash, consent) = (hash.into(), consent.into());
        self.append(Box::new(|_| What::Plan { hash, consent })).await.map(drop)
    }

    /// What the state says from now on.
    pub(super) async fn recorded(&self, what: What) -> Result<(), LedgerError> {
        self.append(Box::new(|_| what)).await.map(drop)
    }

    /// Everything that was noted is durable. Gives back what nothing follows yet; `None`: this run
    /// noted nothing.
    pub(super) async fn sync(&self) -> Option<Vec<RecordHash>> {
        let mut writing = self.0.writing.lock().await;
        let Writing { heads, broken, .. } = writing.as_mut()?;
        let synced = match self.0.writer.upgrade() {
            Some(writer) => writer.sync_log().await,
            None => Err(self.0.closed()),
        };
        if let Err(error) = synced {
            set_broken(broken, error.to_string());
        }
        Some(heads.clone())
    }

    /// Gives back the number of the last request. Goes on to its end also where nobody waits for it
    /// any more: half a record would break the chain.
    async fn append(&self, make: Make) -> Result<u64, LedgerError> {
        let shared = self.0.clone();
        let written = tokio::spawn(async move { shared.append(make).await }).await;
        written.unwrap_or_else(|_| Err(self.0.failed("its task ended unexpectedly".to_owned())))
    }
}

impl Shared {
    fn failed(&self, why: String) -> LedgerError {
        LedgerError { what: format!("cannot write the log {}", self.storage.places().log), why }
    }

    fn closed(&self) -> StorageError {
        let place = &*self.storage.places().log;
        StorageError::failed("cannot write the log", place, "the run has ended")
    }

    async fn append(&self, make: Make) -> Result<u64, LedgerError> {
        let mut writing = self.writing.lock().await;
        let writing = match &mut *writing {
            Some(writing) => writing,
            none => none.insert(self.begin().await.map_err(|error| self.failed(error.parts().1))?),
        };
        if let Some(why) = &writing.broken {
            return Err(self.failed(why.clone()));
        }
        let what = make(writing.requests + 1);
        if matches!(what, What::Request { .. }) {
            writing.requests += 1;
        }
        if let Err(error) = self.write(writing, what).await {
            let why = error.parts().1;
            set_broken(&mut writing.broken, format!("{}: {why}", self.storage.places().log));
            return Err(self.failed(why));
        }
        Ok(writing.requests)
    }

    /// Cuts off what a crash tore, and says whose run it is.
    async fn begin(&self) -> Result<Writing, StorageError> {
        let bytes = self.storage.read_log().await?.unwrap_or_default();
        let chain = Chain::read(&bytes);
        if chain.whole < bytes.len() as u64 {
            let writer = self.writer.upgrade().ok_or_else(|| self.closed())?;
            writer.truncate_log(chain.whole).await?;
        }
        let mut writing = Writing { heads: chain.heads, requests: 0, broken: None };
        let run = What::Run {
            format_version: FORMAT_VERSION,
            keyform: env!("CARGO_PKG_VERSION").into(),
            project: self.project.clone(),
            command: self.command.clone(),
            origin: self.origin.get().map(|ask| ask()).unwrap_or_default(),
            lineage: self.lineage,
            serial: self.serial,
        };
        self.write(&mut writing, run).await?;
        Ok(writing)
    }

    async fn write(&self, writing: &mut Writing, what: What) -> Result<(), StorageError> {
        let record =
            Record { prev: writing.heads.clone(), at: jiff::Timestamp::now(), run: self.run, what };
        let unwritable =
            |e| StorageError::failed("cannot write the log", &*self.storage.places().log, e);
        let (line, hash) = Chain::line(&record).map_err(unwritable)?;
        let writer = self.writer.upgrade().ok_or_else(|| self.closed())?;
        writer.append_log(&line).await?;
        writing.heads = vec![hash];
        Ok(())
    }
}

/// Said once; what was done stays done and recorded.
fn set_broken(broken: &mut Option<String>, why: String) {
    if broken.is_none() {
        tracing::warn!("{why}: the log of this run has a gap");
        *broken = Some(why);
    }
}

#[async_trait]
impl Notes for Log {
    async fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Body>,
    ) -> Result<u64, LedgerError> {
        let (method, path, body) = (method.into(), path.into(), body.cloned());
        self.append(Box::new(|request| What::Request { request, method, path, body })).await
    }
    async fn answer(&self, request: u64, outcome: Ended, error: Option<String>) {
        let error = error.map(Into::into);
        // That it failed is said where it failed.
        let _ = self.append(Box::new(move |_| What::Answer { request, outcome, error })).await;
    }
}

/// What a record of the journal changes in the state, if anything.
pub(super) fn change(entry: &Entry) -> Option<What> {
    match entry {
        Entry::App { label, app, .. } => {
            let id = app.id.as_str().into();
            Some(What::Recorded {
                kind: "app".into(),
                label: label.clone(),
                id,
                sink: None,
                fingerprint: None,
            })
        }
        Entry::Keyset { label, keyset, .. } => {
            let (sink, fingerprint) = match &keyset.secret {
                SecretRecord::Stored { sink, fingerprint } => {
                    (Some(sink.clone()), Some(fingerprint.clone()))
                }
                SecretRecord::Missing { .. } | SecretRecord::Unknown => (None, None),
            };
            Some(What::Recorded {
                kind: "keyset".into(),
                label: label.clone(),
                id: keyset.id.as_str().into(),
                sink,
                fingerprint,
            })
        }
        Entry::Forgotten { label, app } => {
            let kind = if *app { "app" } else { "keyset" };
            Some(What::Forgotten { kind: kind.into(), label: label.clone() })
        }
        Entry::Intend(_) | Entry::Sealed { .. } | Entry::Void { .. } => None,
    }
}
