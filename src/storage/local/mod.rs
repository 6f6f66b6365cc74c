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
mod paths;
mod writer;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

use self::lock::FileLock;
use self::paths::{failed, version};
use self::writer::LocalWriter;
use super::{
    Contents, Document, Holder, LockError, Places, Room, Storage, StorageError, Version, Writer,
};
use crate::disk;

pub use paths::Paths;

/// Reads of a state that changes under our eyes, before it is given up.
const READS: u32 = 20;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(20);

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
