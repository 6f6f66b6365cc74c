//! The writer's side of local files. Appending to the journal waits for the disk beside the
//! requests that are in flight, on a thread for such calls; everything else is done at once, when
//! nothing else is to be done.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::lock::FileLock;
use super::paths::{Paths, failed, version};
use crate::disk;
use crate::protocol::{self, Point};
use crate::storage::{AuditLog, Documents, Journal, StorageError, Version, Writer};

pub struct LocalWriter {
    paths: Paths,
    /// Open from the first append to the next restart.
    journal: Arc<Mutex<Option<File>>>,
    /// Open from the first record on.
    log: Mutex<Option<File>>,
    lock: FileLock,
}

impl LocalWriter {
    pub fn new(paths: Paths, lock: FileLock) -> LocalWriter {
        LocalWriter { paths, journal: Arc::default(), log: Mutex::default(), lock }
    }

    /// The state as it is becomes the backup: by a second name where the file system has such, else
    /// by a copy. At no moment is there no state.
    fn keep_previous(&self) -> Result<(), StorageError> {
        let (state, backup, folder) = (&self.paths.state, &self.paths.backup, self.paths.folder());
        if !state.exists() {
            return Ok(());
        }
        let beside = folder.join(format!(".keyform-backup-{}", std::process::id()));
        let _ = std::fs::remove_file(&beside);
        // A second name has the first one's mode: what version control checked out is for
        // everybody.
        if is_private(state) && std::fs::hard_link(state, &beside).is_ok() {
            return std::fs::rename(&beside, backup).map_err(failed("cannot replace", backup));
        }
        match disk::read(state)? {
            Some(bytes) => Ok(disk::write(backup, folder, &bytes)?),
            None => Ok(()),
        }
    }

    /// Runs `work` with the log's file, opened if need be.
    fn with_log(&self, work: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), StorageError> {
        let path = &self.paths.log;
        let mut log = locked(&self.log);
        let file = match &mut *log {
            Some(file) => file,
            none => {
                let opened = disk::open_in_place(path, OpenOptions::new().read(true).append(true));
                none.insert(opened.map_err(failed("cannot write the log", path))?)
            }
        };
        work(file).map_err(failed("cannot write the log", path))
    }
}

#[async_trait]
impl Writer for LocalWriter {
    async fn prove_writable(&self) -> Result<(), StorageError> {
        Ok(disk::prove_writable(self.paths.folder())?)
    }

    async fn release(&self) -> Result<(), StorageError> {
        self.lock.release();
        Ok(())
    }
}

#[async_trait]
impl Documents for LocalWriter {
    async fn replace(
        &self,
        bytes: &[u8],
        expected: Option<&Version>,
    ) -> Result<Version, StorageError> {
        let state = &self.paths.state;
        let changed = || StorageError::Changed { place: state.display().to_string() };
        if version(state).as_ref() != expected {
            return Err(changed());
        }
        self.keep_previous()?;
        disk::write(state, self.paths.folder(), bytes)?;
        version(state).ok_or_else(changed)
    }
}

#[async_trait]
impl Journal for LocalWriter {
    async fn append(&self, first: &[u8], records: &[u8]) -> Result<(), StorageError> {
        let (paths, journal) = (self.paths.clone(), self.journal.clone());
        let (first, records) = (first.to_owned(), records.to_owned());
        let work = move || append(&paths, &mut locked(&journal), &first, &records);
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
            Err(failed("cannot write", &self.paths.journal)(io::Error::other("its thread ended")))
        })
    }

    async fn truncate(&self, length: u64) -> Result<(), StorageError> {
        let path = &self.paths.journal;
        let journal = disk::open_in_place(path, OpenOptions::new().write(true));
        let cut = journal.and_then(|f| f.set_len(length).and_then(|()| f.sync_all()));
        cut.map_err(failed("cannot mend", path))
    }

    async fn restart(&self, bytes: &[u8]) -> Result<(), StorageError> {
        *locked(&self.journal) = None;
        let (path, folder) = (&self.paths.journal, self.paths.folder());
        if !bytes.is_empty() {
            return Ok(disk::write(path, folder, bytes)?);
        }
        match protocol::about_to(Point::JournalRemove).and_then(|()| std::fs::remove_file(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("cannot remove", path)(error))
            }
            _ => Ok(disk::sync_folder(folder)?),
        }
    }
}

#[async_trait]
impl AuditLog for LocalWriter {
    async fn append_log(&self, record: &[u8]) -> Result<(), StorageError> {
        self.with_log(|file| write(file, Point::LogWrite, record))
    }

    async fn sync_log(&self) -> Result<(), StorageError> {
        match &*locked(&self.log) {
            Some(file) => file.sync_data().map_err(failed("cannot sync", &self.paths.log)),
            None => Ok(()),
        }
    }

    async fn truncate_log(&self, length: u64) -> Result<(), StorageError> {
        self.with_log(|file| file.set_len(length))
    }
}

fn append(
    paths: &Paths,
    journal: &mut Option<File>,
    first: &[u8],
    records: &[u8],
) -> Result<(), StorageError> {
    let path = &paths.journal;
    let file = match journal {
        Some(file) => file,
        none => none.insert(begin(paths, first).map_err(failed("cannot open", path))?),
    };
    write(file, Point::JournalWrite, records).map_err(failed("cannot write", path))?;
    let synced = protocol::about_to(Point::JournalSync).and_then(|()| file.sync_data());
    synced.map_err(failed("cannot sync", path))
}

/// Opens the journal to append; a new one gets its first line, synced with the folder's entry.
fn begin(paths: &Paths, first: &[u8]) -> io::Result<File> {
    protocol::about_to(Point::JournalOpen)?;
    let mut file = disk::open_in_place(&paths.journal, OpenOptions::new().append(true))?;
    if file.metadata()?.len() == 0 {
        file.write_all(first)?;
        file.sync_all()?;
        disk::sync(paths.folder())?;
    }
    Ok(file)
}

fn write(file: &mut File, point: Point, bytes: &[u8]) -> io::Result<()> {
    protocol::about_to(point)?;
    if let Some(half) = protocol::torn(point, bytes) {
        file.write_all(&bytes[..half])?;
        protocol::die();
    }
    file.write_all(bytes)
}

fn is_private(path: &Path) -> bool {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return false };
    #[cfg(unix)]
    let private = std::os::unix::fs::MetadataExt::mode(&meta) & 0o777 == 0o600;
    #[cfg(not(unix))]
    let private = true;
    meta.is_file() && private
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
