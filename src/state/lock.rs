//! One writer at a time: an operating-system lock on a file of its own, which dies with its
//! process.
#![expect(
    clippy::disallowed_methods,
    reason = "state owns its files; the lock says since when it is held"
)]

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{StateError, io};
use crate::disk;

/// Longest description of a holder that is read, in bytes.
const HOLDER_MAX: u64 = 4096;

/// Between two looks at a lock that is taken.
const POLL: Duration = Duration::from_millis(100);

/// Who holds the lock, as far as the lock file tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub command: String,
    pub pid: u32,
    pub host: String,
    pub since: Option<jiff::Timestamp>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pid == 0 {
            return f.write_str("who it is, the lock file does not tell");
        }
        write!(f, "`keyform {}`, process {} on {}", self.command, self.pid, self.host)?;
        match self.since {
            Some(since) => write!(f, ", since {since:.0}"),
            None => Ok(()),
        }
    }
}

/// Held until dropped.
pub struct Lock(File);

impl Drop for Lock {
    /// Closing is not enough: a child process that is just being started holds the same open file
    /// until it runs.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "the lock goes with its process");
        }
    }
}

impl Lock {
    /// Waits up to `patience` for it; `told` hears once who holds it meanwhile.
    pub fn take(
        path: &Path,
        command: &str,
        patience: Duration,
        told: &dyn Fn(&Holder),
    ) -> Result<Lock, StateError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).truncate(false);
        let mut file =
            disk::open_in_place(path, &mut options).map_err(io("cannot open the lock", path))?;
        let begun = Instant::now();
        let mut silent = true;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if begun.elapsed() >= patience => {
                    return Err(StateError::Locked { holder: holder(&mut file) });
                }
                Err(TryLockError::WouldBlock) => {
                    if std::mem::take(&mut silent) {
                        told(&holder(&mut file));
                    }
                    std::thread::sleep(POLL.min(patience.saturating_sub(begun.elapsed())));
                }
                Err(TryLockError::Error(error))
                    if error.kind() == std::io::ErrorKind::Unsupported =>
                {
                    return Err(StateError::NoLocks(path.to_owned()));
                }
                Err(TryLockError::Error(error)) => return Err(io("cannot lock", path)(error)),
            }
        }
        file.rewind().map_err(io("cannot open the lock", path))?;
        let holder = Holder {
            command: command.to_owned(),
            pid: std::process::id(),
            host: host(),
            since: Some(jiff::Timestamp::now()),
        };
        // For people only; that it cannot be written does not weaken the lock.
        if let Ok(json) = serde_json::to_vec(&holder) {
            let told = file.set_len(0).and_then(|()| file.write_all(&json));
            if let Err(error) = told {
                tracing::debug!(%error, "the lock does not tell its holder");
            }
        }
        Ok(Lock(file))
    }
}

fn holder(file: &mut File) -> Holder {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(HOLDER_MAX).read_to_string(&mut text));
    read.ok().and_then(|_| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// The name of this machine.
pub fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .map(|name| name.trim().chars().take(255).collect())
        .unwrap_or_else(|| "an unnamed host".to_owned())
}
