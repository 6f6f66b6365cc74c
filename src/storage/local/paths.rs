//! The files of a state, and what tells one of them from the next.

use std::path::{Path, PathBuf};

use crate::disk;
use crate::storage::{StorageError, Version};

/// Where the files of one state are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    pub state: PathBuf,
    pub backup: PathBuf,
    pub journal: PathBuf,
    pub lock: PathBuf,
    pub log: PathBuf,
}

impl Paths {
    /// `state`: the state file; the others stand beside it.
    pub fn new(state: PathBuf) -> Paths {
        let mut backup = state.clone().into_os_string();
        backup.push(".backup");
        let beside = |extension: &str| state.with_extension(extension);
        let (journal, lock, log) = (beside("journal"), beside("lock"), beside("audit.jsonl"));
        Paths { backup: backup.into(), journal, lock, log, state }
    }

    pub(super) fn folder(&self) -> &Path {
        match self.state.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }
}

/// Every replacement is a file of its own, and the one before it lives on as the backup: so two
/// that follow each other differ in the number of the file, whatever the clock's grain. `None`:
/// there is no file.
pub fn version(path: &Path) -> Option<Version> {
    let meta = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let file = std::os::unix::fs::MetadataExt::ino(&meta);
    #[cfg(not(unix))]
    let file = 0;
    let since_epoch = |at: std::time::SystemTime| at.duration_since(std::time::UNIX_EPOCH).ok();
    let nanos = meta.modified().ok().and_then(since_epoch).unwrap_or_default().as_nanos();
    Some(Version(format!("{file}-{}-{nanos}", meta.len()).into()))
}

/// Names the operation and the file that an error is about.
pub fn failed<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> StorageError + 'a {
    move |source| disk::at(action, path)(source).into()
}
