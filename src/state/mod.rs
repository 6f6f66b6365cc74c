//! State file, journal, lock.
//!
//! * `NAME.json`: the state, written beside and renamed; mode 0600; one stanza per keyset, sorted,
//!   no secrets.
//! * `NAME.json.backup`: the state before the last change.
//! * `NAME.journal`: what is about to happen and has happened since the state was written. Absent
//!   between runs.
//! * `NAME.audit.jsonl`: what was changed, by whom; only appended to.
//! * `NAME.lock`: locked by the operating system while a run may write; says who holds it.

mod branches;
mod document;
mod fold;
mod journal;
mod lock;
mod log;
mod merge;
mod store;

use std::path::{Path, PathBuf};

use crate::audit::{Chain, RecordHash};
use crate::disk::{self, DiskError};
use crate::keyset::ProjectName;
use crate::keyset::views::{Recorded, RecordedKeyset};
use crate::ports::{Creation, Open};

pub use branches::Conflicts;
pub use lock::{Holder, host};
pub use log::Log;
pub use store::{Store, read};

/// What the state file says of a keyset. Holds no secret.
pub fn stanza(keyset: &RecordedKeyset) -> serde_json::Value {
    serde_json::to_value(document::KeysetStanza::from(keyset.clone())).unwrap_or_default()
}

/// SHA-256 over what is recorded, as the state file would have it.
pub fn checksum(recorded: &Recorded) -> serde_json::Result<String> {
    document::checksum_of(recorded).map(String::from)
}

/// Why two states could not be made one. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("the two states are of other beginnings, or of other projects")]
    Strangers,
    #[error("both sides changed {}", told(.0))]
    Conflicts(Conflicts),
}

fn told(conflicts: &Conflicts) -> String {
    let named = |noun: &str, labels: &[crate::keyset::Label]| match labels {
        [] => None,
        labels => Some(format!(
            "{noun} {}",
            labels.iter().map(|label| label.as_str()).collect::<Vec<_>>().join(", ")
        )),
    };
    let all = [named("app", &conflicts.apps), named("keyset", &conflicts.keysets)];
    all.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

/// Makes one of two states that grew out of `base` on two branches, and writes it to `ours`. A
/// `base` that is empty: both began with nothing.
pub fn join(base: &Path, ours: &Path, theirs: &Path) -> Result<(), JoinError> {
    let read = |path: &Path| -> Result<Option<document::Document>, StateError> {
        let paths = Paths::new(path.to_owned());
        let bytes = disk::read(path)?.unwrap_or_default();
        (!bytes.is_empty()).then(|| document::parse(&bytes, &paths)).transpose()
    };
    let (before, Some(our), Some(their)) = (read(base)?, read(ours)?, read(theirs)?) else {
        return Err(JoinError::Strangers);
    };
    let project = ProjectName::parse(&our.project).map_err(|_| JoinError::Strangers)?;
    if our.project != their.project || our.head.lineage != their.head.lineage {
        return Err(JoinError::Strangers);
    }
    let before = before.map(|before| before.recorded).unwrap_or_default();
    let recorded =
        branches::join(&before, &our.recorded, &their.recorded).map_err(JoinError::Conflicts)?;
    let head = document::Head { serial: our.head.serial.max(their.head.serial), ..our.head };
    let log: Vec<_> = our
        .log
        .iter()
        .chain(&their.log)
        .copied()
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    let written = document::write(&project, head, &log, &recorded)
        .map_err(|e| io("cannot write", ours)(e.into()))?;
    let folder = Paths::new(ours.to_owned());
    disk::write(ours, folder.folder(), &written.0).map_err(StateError::from)?;
    Ok(())
}

/// The audit log as it is, and what the state knows that it has to have. `None`: there is none.
pub fn read_log(paths: &Paths, known: &[RecordHash]) -> Result<Option<Chain>, StateError> {
    let bytes = disk::read(&paths.log)?;
    if bytes.is_none() && known.is_empty() {
        return Ok(None);
    }
    let mut chain = Chain::read(&bytes.unwrap_or_default());
    chain.expect(known);
    Ok(Some(chain))
}

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

/// State and journal as one picture.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub recorded: Recorded,
    /// Made with the first state of a project, the same ever after.
    pub lineage: uuid::Uuid,
    /// Of the state file; grows by one with each write. 0: there is none yet.
    pub serial: u64,
    /// What was begun and has no end, oldest first.
    pub open: Vec<Open>,
    /// Records that the audit log has to have.
    pub log: Vec<RecordHash>,
}

impl Snapshot {
    /// A rotation that was begun goes on under the label that its keyset has by now: another clone,
    /// or a command, may have given it one since.
    fn of(
        head: document::Head,
        log: Vec<RecordHash>,
        recorded: Recorded,
        mut open: Vec<Open>,
    ) -> Snapshot {
        for Open { intent, .. } in &mut open {
            if let Creation::SecretKey { label, id, .. } = &mut intent.what
                && recorded.keysets.get(label).is_none_or(|keyset| keyset.id != *id)
                && let Some((now, _)) = recorded.keysets.iter().find(|(_, keyset)| keyset.id == *id)
            {
                *label = now.clone();
            }
        }
        Snapshot { recorded, lineage: head.lineage, serial: head.serial, open, log }
    }
}

/// State that cannot be used. Nothing was overwritten.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(
        "{} is not a state of keyform: {what} at line {line}, column {column}. Restore it from \
         version control or from {}",
        .path.display(), .backup.display()
    )]
    Broken { path: PathBuf, backup: PathBuf, what: &'static str, line: usize, column: usize },
    #[error("{} has version {version}, and this keyform knows version {known}: use a newer keyform", .path.display())]
    Newer { path: PathBuf, version: u64, known: u64 },
    #[error(
        "{} belongs to project `{found}`, and this project is `{expected}`: if it was renamed, \
         change \"project\" in the state too; \
         its secrets stay under the old name",
        .path.display()
    )]
    Foreign { path: PathBuf, found: String, expected: ProjectName },
    #[error(
        "{} does not match its checksum: it was edited or merged outside keyform. Restore it from \
         version control or from {}; \
         if you have checked that it is right, set \"checksum\" to \"merged\" and the next apply \
         writes a new one",
        .path.display(), .backup.display()
    )]
    Checksum { path: PathBuf, backup: PathBuf },
    #[error("{} line {line} is damaged, and lines follow it: keep a copy, then remove the lines \
             from there on", .path.display())]
    Journal { path: PathBuf, line: usize },
    #[error("{} line {line} is whole, and this keyform does not know what it says: use the keyform \
             that wrote it", .path.display())]
    Unknown { path: PathBuf, line: usize },
    #[error(
        "{} does not continue {}: the state has serial {state}, the journal continues {journal}. \
         Bring back the state it \
         belongs to (version control, or the backup); the journal holds what an earlier run did",
        .path.display(), .state_file.display()
    )]
    Detached { path: PathBuf, state_file: PathBuf, state: u64, journal: u64 },
    #[error("another run is at work: {holder}")]
    Locked { holder: Holder },
    #[error(
        "cannot lock {}: its file system has no locks, so nothing would keep two runs apart; put \
         the state on a local disk",
        .0.display()
    )]
    NoLocks(PathBuf),
    #[error("{} changes faster than it can be read", .0.display())]
    Restless(PathBuf),
}

fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> StateError + 'a {
    move |source| StateError::Disk(disk::at(action, path)(source))
}
