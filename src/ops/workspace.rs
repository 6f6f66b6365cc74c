//! A project that is worked on: its folder, its configuration, and where its state is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::environment::Environment;
use super::error::InvalidConfiguration;
use crate::config::{self, Loaded, Project, Severity, Sources};
use crate::ports::Namespace;
use crate::state::{self, Snapshot, StateError};
use crate::storage::Storage;
use crate::storage::local::{Local, Paths};

/// Beside the state, and of no use to anybody else.
const NOT_COMMITTED: &str = "*.backup\n*.journal\n*.lock\n.keyform-*\n";
/// The driver `keyform` is `keyform state merge`; where git was not told of it, it merges by lines
/// as ever.
const MERGED: &str = "keyform.json merge=keyform\nkeyform.audit.jsonl merge=union\n";

/// Where a project is, and whether its sandbox is meant.
#[derive(Clone, Debug)]
pub struct Place {
    pub dir: PathBuf,
    pub sandbox: bool,
    /// What paths begin with when they are shown: the project's folder in its repository, with `/`
    /// at its end, or nothing.
    pub shown_below: String,
}

/// Reads the project's TOML: what it says, and what is wrong with it.
pub fn read(place: &Place) -> Loaded {
    let mut loaded = config::load(&place.dir);
    if !place.shown_below.is_empty() {
        loaded.sources.below(&place.shown_below);
    }
    loaded
}

/// A project without errors.
pub struct Workspace {
    pub dir: PathBuf,
    pub sources: Sources,
    pub project: Project,
    pub sandbox: bool,
    pub environment: Arc<Environment>,
}

impl Workspace {
    /// Of what was read; errors in it are given back.
    pub fn new(
        loaded: Loaded,
        place: &Place,
        environment: Arc<Environment>,
    ) -> Result<Workspace, InvalidConfiguration> {
        let Loaded { sources, problems, project } = loaded;
        let wrong = problems.iter().any(|problem| problem.severity == Severity::Error);
        let Some(mut project) = project.filter(|_| !wrong) else {
            return Err(InvalidConfiguration { sources, problems });
        };
        if place.sandbox {
            // What the sandbox gave out is of no use to anybody.
            let keysets = project.desired.keysets.values_mut();
            keysets.for_each(|keyset| keyset.mirrors = Box::default());
        }
        // Paths of the current folder are told without `./`.
        let dir = if place.dir == Path::new(".") { PathBuf::new() } else { place.dir.clone() };
        Ok(Workspace { dir, sources, project, sandbox: place.sandbox, environment })
    }

    /// The sandbox has a state of its own: what is tried there must never be taken for the account.
    pub fn storage(&self) -> Arc<dyn Storage> {
        let file = if self.sandbox {
            self.private().join("sandbox-state.json")
        } else {
            self.dir.join("state").join("keyform.json")
        };
        Arc::new(Local::new(Paths::new(file)))
    }

    /// What is recorded, and what was begun, without a lock.
    pub async fn snapshot(&self) -> Result<Snapshot, StateError> {
        state::read(&*self.storage(), &self.project.desired.project).await
    }

    /// Makes the folder of the state, with files that tell git what is not to be committed, and how
    /// the rest is merged. One that is there is left alone.
    pub(super) fn prepare_state_folder(&self) -> anyhow::Result<()> {
        use anyhow::Context as _;
        if self.sandbox {
            return ignore_in_git(&self.private());
        }
        let folder = self.dir.join("state");
        let made = std::fs::create_dir_all(&folder)
            .and_then(|()| write_new(&folder.join(".gitignore"), NOT_COMMITTED))
            .and_then(|()| write_new(&folder.join(".gitattributes"), MERGED));
        made.with_context(|| format!("cannot prepare {}", folder.display()))
    }

    pub fn namespace(&self) -> Namespace {
        if self.sandbox { Namespace::Sandbox } else { Namespace::Account }
    }

    /// The project's folder for what is not to be committed.
    pub fn private(&self) -> PathBuf {
        self.dir.join(".keyform")
    }
}

/// One that is there is left alone, and so is a link.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    match std::fs::OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => std::io::Write::write_all(&mut file, text.as_bytes()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Sandbox data never belongs in a commit, whatever the project's own ignore file says.
pub(super) fn ignore_in_git(folder: &Path) -> anyhow::Result<()> {
    use anyhow::Context as _;
    let ignore = folder.join(".gitignore");
    let made = || -> std::io::Result<()> {
        // The project may be somebody else's: nothing is made where its links lead.
        if std::fs::symlink_metadata(folder).is_ok_and(|meta| meta.is_symlink()) {
            return Err(std::io::Error::other("it is a symbolic link; remove it"));
        }
        std::fs::create_dir_all(folder)?;
        write_new(&ignore, "*\n")
    };
    made().with_context(|| format!("cannot prepare {}", folder.display()))
}
