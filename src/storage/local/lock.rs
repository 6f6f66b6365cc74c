//! One writer at a time: an operating-system lock on a file of its own, which dies with its
//! process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use super::paths::failed;
use crate::disk;
use crate::storage::{Holder, LockError, StorageError};

/// Longest description of a holder that is read, in bytes.
const HOLDER_MAX: u64 = 4096;

/// Held until dropped.
pub struct FileLock(File);

impl FileLock {
    /// Does not wait.
    pub fn take(path: &Path, holder: &Holder) -> Result<FileLock, LockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).truncate(false);
        let mut file = disk::open_in_place(path, &mut options)
            .map_err(failed("cannot open the lock", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Taken(read_holder(&mut file))),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                return Err(StorageError::Unfit(format!(
                    "cannot lock {}: its file system has no locks, so nothing would keep two runs \
                     apart; put the state on a local disk",
                    path.display()
                ))
                .into());
            }
            Err(TryLockError::Error(error)) => {
                return Err(failed("cannot lock", path)(error).into());
            }
        }
        file.rewind().map_err(failed("cannot open the lock", path))?;
        // For people only; that it cannot be written does not weaken the lock.
        if let Ok(json) = serde_json::to_vec(holder) {
            let written = file.set_len(0).and_then(|()| file.write_all(&json));
            if let Err(error) = written {
                tracing::debug!(%error, "the lock does not tell its holder");
            }
        }
        Ok(FileLock(file))
    }

    /// Closing is not enough: a child process that is just being started holds the same open file
    /// until it runs.
    pub fn release(&self) {
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "the lock goes with its process");
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        self.release();
    }
}

fn read_holder(file: &mut File) -> Holder {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(HOLDER_MAX).read_to_string(&mut text));
    read.ok().and_then(|_| serde_json::from_str(&text).ok()).unwrap_or_default()
}
