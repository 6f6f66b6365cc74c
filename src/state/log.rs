//! The audit log's file: opened at the first record of a run, so a run that changes nothing leaves
//! no trace. Only appended to.
#![expect(clippy::disallowed_methods, reason = "records say when they were written")]

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::document::Head;
use crate::audit::{Chain, Origin, Record, RecordHash, What};
use crate::disk;
use crate::keyset::ProjectName;
use crate::keyset::views::SecretRecord;
use crate::ports::{Entry, LedgerError, Notes};
use crate::protocol::{self, Point};

/// Of the records.
const FORMAT_VERSION: u64 = 1;

/// The log of one run, under the lock of its state.
pub struct Log {
    path: PathBuf,
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
    file: File,
    heads: Vec<RecordHash>,
    requests: u64,
    /// An earlier record could not be written: what follows it would hide that.
    broken: Option<String>,
}

impl Log {
    pub(super) fn new(path: PathBuf, project: ProjectName, command: &str, head: Head) -> Log {
        Log {
            path,
            project,
            command: command.into(),
            lineage: head.lineage,
            serial: head.serial,
            run: uuid::Uuid::new_v4(),
            origin: OnceLock::new(),
            writing: Mutex::new(None),
        }
    }

    /// Who is asked, once there is something to note, where the run came from.
    pub fn came_from(&self, origin: impl Fn() -> Origin + Send + Sync + 'static) {
        let _ = self.origin.set(Box::new(origin));
    }

    /// What the plan that is now carried out is, and who consented.
    pub fn plan(&self, hash: &str, consent: &str) -> Result<(), LedgerError> {
        self.append(|_| What::Plan { hash: hash.into(), consent: consent.into() }).map(drop)
    }

    /// What the state says from now on.
    pub(super) fn recorded(&self, what: What) -> Result<(), LedgerError> {
        self.append(|_| what).map(drop)
    }

    /// Everything that was noted is on disk. Gives back what nothing follows yet; `None`: this run
    /// noted nothing.
    pub(super) fn sync(&self) -> Option<Vec<RecordHash>> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Writing { file, heads, broken, .. } = writing.as_mut()?;
        if let Err(error) = file.sync_data() {
            fail(broken, format!("cannot sync {}: {error}", self.path.display()));
        }
        Some(heads.clone())
    }

    /// `what` hears the number of the request that it may be.
    fn append(&self, what: impl FnOnce(u64) -> What) -> Result<u64, LedgerError> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |why: String| LedgerError {
            what: format!("cannot write the log {}", self.path.display()),
            why,
        };
        let writing = match &mut *writing {
            Some(writing) => writing,
            none => none.insert(self.begin().map_err(|error| failed(error.to_string()))?),
        };
        if let Some(why) = &writing.broken {
            return Err(failed(why.clone()));
        }
        let what = what(writing.requests + 1);
        if matches!(what, What::Request { .. }) {
            writing.requests += 1;
        }
        let written = self.write(writing, what);
        if let Err(error) = &written {
            fail(&mut writing.broken, format!("{}: {error}", self.path.display()));
        }
        written.map_err(|error| failed(error.to_string()))?;
        Ok(writing.requests)
    }

    /// Opens the file, cuts off what a crash tore, and says whose run it is.
    fn begin(&self) -> io::Result<Writing> {
        let file = disk::open_in_place(&self.path, OpenOptions::new().read(true).append(true))?;
        let bytes = disk::read(&self.path).map_err(io::Error::other)?.unwrap_or_default();
        let chain = Chain::read(&bytes);
        if chain.whole < bytes.len() as u64 {
            file.set_len(chain.whole)?;
        }
        let mut writing = Writing { file, heads: chain.heads, requests: 0, broken: None };
        let run = What::Run {
            format_version: FORMAT_VERSION,
            keyform: env!("CARGO_PKG_VERSION").into(),
            project: self.project.clone(),
            command: self.command.clone(),
            origin: self.origin.get().map(|ask| ask()).unwrap_or_default(),
            lineage: self.lineage,
            serial: self.serial,
        };
        self.write(&mut writing, run)?;
        Ok(writing)
    }

    fn write(&self, writing: &mut Writing, what: What) -> io::Result<()> {
        let record =
            Record { prev: writing.heads.clone(), at: jiff::Timestamp::now(), run: self.run, what };
        let (line, hash) = Chain::line(&record)?;
        protocol::about_to(Point::LogWrite)?;
        if let Some(half) = protocol::torn(Point::LogWrite, &line) {
            writing.file.write_all(&line[..half])?;
            protocol::die();
        }
        writing.file.write_all(&line)?;
        writing.heads = vec![hash];
        Ok(())
    }
}

/// Said once; what was done stays done and recorded.
fn fail(broken: &mut Option<String>, why: String) {
    if broken.is_none() {
        tracing::warn!("{why}: the log of this run has a gap");
        *broken = Some(why);
    }
}

impl Notes for Log {
    fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<&crate::ports::Body>,
    ) -> Result<u64, LedgerError> {
        let (method, path, body) = (method.into(), path.into(), body.cloned());
        self.append(|request| What::Request { request, method, path, body })
    }
    fn answer(&self, request: u64, outcome: crate::audit::Ended, error: Option<String>) {
        // That it failed is said where it failed.
        let _ = self.append(|_| What::Answer { request, outcome, error: error.map(Into::into) });
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
