//! The state as files of a folder:
//!
//! * `NAME.json`: the state, written beside and renamed; mode 0600; one stanza per keyset, sorted,
//!   no secrets.
//! * `NAME.json.backup`: the state before the last change.
//! * `NAME.journal`: what is about to happen and has happened since the state was written. Absent
//!   between runs.
//! * `NAME.audit.jsonl`: what was changed, by whom; only appended to.
//! * `NAME.lock`: locked by the operating system while a run may write; says who holds it.

mod lock;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;

use self::lock::FileLock;
use self::writer::LocalWriter;
use super::{
    Contents, Document, Holder, LockError, Places, Room, Storage, StorageError, Version, Writer,
};
use crate::disk;

/// Reads of a state that changes under our eyes, before it is given up.
const READS: u32 = 20;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(20);

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

    fn folder(&self) -> &Path {
        match self.state.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }
}

/// The state as local files.
#[derive(Clone, Debug)]
pub struct Local {
    paths: Paths,
    places: Places,
}

impl Local {
    pub fn new(paths: Paths) -> Local {
        let name = |path: &Path| Box::from(path.display().to_string());
        let places = Places {
            document: name(&paths.state),
            earlier: format!("version control or from {}", paths.backup.display()).into(),
            journal: name(&paths.journal),
            log: name(&paths.log),
        };
        Local { paths, places }
    }
}

#[async_trait]
impl Storage for Local {
    fn places(&self) -> &Places {
        &self.places
    }

    async fn read(&self) -> Result<Contents, StorageError> {
        for _ in 0..READS {
            let before = version(&self.paths.state);
            let contents = contents(&self.paths);
            // A fold replaces the state, then the journal: what was read belongs together only if
            // the state did not move.
            if version(&self.paths.state) == before {
                return contents;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(StorageError::Restless { place: self.places.document.to_string() })
    }

    async fn read_log(&self) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(disk::read(&self.paths.log)?)
    }

    async fn lock(&self, holder: &Holder) -> Result<Box<dyn Writer>, LockError> {
        let folder = self.paths.folder();
        std::fs::create_dir_all(folder).map_err(failed("cannot make the folder", folder))?;
        let lock = FileLock::take(&self.paths.lock, holder)?;
        Ok(Box::new(LocalWriter::new(self.paths.clone(), lock)))
    }

    fn room(&self) -> Option<Room> {
        let folder = self.paths.folder();
        let place = folder.display().to_string().into();
        disk::free(folder).map(|bytes| Room { bytes, place })
    }
}

fn contents(paths: &Paths) -> Result<Contents, StorageError> {
    let document = disk::read(&paths.state)?;
    let document = document.map(|bytes| {
        let version = version(&paths.state).unwrap_or_else(|| Version("gone".into()));
        Document { bytes, version }
    });
    Ok(Contents { document, journal: disk::read(&paths.journal)?.unwrap_or_default() })
}

/// Every replacement is a file of its own, and the one before it lives on as the backup: so two
/// that follow each other differ in the number of the file, whatever the clock's grain. `None`:
/// there is no file.
fn version(path: &Path) -> Option<Version> {
    let meta = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let file = std::os::unix::fs::MetadataExt::ino(&meta);
    #[cfg(not(unix))]
    let file = 0;
    let since_epoch = |at: std::time::SystemTime| at.duration_since(std::time::UNIX_EPOCH).ok();
    let nanos = meta.modified().ok().and_then(since_epoch).unwrap_or_default().as_nanos();
    Some(Version(format!("{file}-{}-{nanos}", meta.len()).into()))
}

fn failed<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> StorageError + 'a {
    move |source| disk::at(action, path)(source).into()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::{Local, Paths};
    use crate::storage::contract::{Subject, holds};

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Folder {
            Folder(tempfile::tempdir().expect("a temporary folder"))
        }
        fn paths(&self) -> Paths {
            Paths::new(self.0.path().join("state/keyform.json"))
        }
    }

    impl Subject for Folder {
        type Storage = Local;
        fn storage(&self) -> Local {
            Local::new(self.paths())
        }
        fn tear(&self, bytes: &[u8]) -> bool {
            let mut file = std::fs::OpenOptions::new()
                .append(true)
                .open(self.paths().journal)
                .expect("there is a journal");
            file.write_all(bytes).expect("written");
            true
        }
    }

    holds!(Folder::new());
}
