//! Who runs keyform, where, and on which commit: for the audit log and for notifications.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::endpoint::Endpoint;
use super::environment::Environment;
use super::workspace::Workspace;
use crate::audit::Origin;
use crate::storage;

/// Characters of a name, and of a commit.
const LONGEST: usize = 200;
/// Longest wait for git, which may be on a slow or dead file system.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks only when it is called: git is a program to start.
pub fn origin(workspace: &Workspace) -> impl Fn() -> Origin + Send + Sync + 'static {
    let endpoint = match workspace.sandbox {
        true => Some("sandbox".to_owned()),
        false => Endpoint::of(&workspace.environment, Some(&workspace.project))
            .ok()
            .map(|endpoint| endpoint.url().to_owned()),
    };
    let endpoint: Option<Box<str>> = endpoint.map(Into::into);
    let dir = workspace.dir.clone();
    let environment = workspace.environment.clone();
    move || Origin {
        actor: short(&environment.actor),
        host: short(&storage::host()),
        commit: commit(&environment, &dir),
        endpoint: endpoint.clone(),
    }
}

/// Of the repository that the folder is in.
fn commit(environment: &Environment, dir: &Path) -> Option<Box<str>> {
    let told = |text: &Option<Box<str>>| text.as_deref().map(short);
    told(&environment.commit)
        .or_else(|| head(dir))
        .or_else(|| told(&environment.commit_of_pipeline))
}

fn head(dir: &Path) -> Option<Box<str>> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    // Files of the project may look like a repository, with a configuration of somebody's choice.
    let arguments =
        ["-c", "safe.bareRepository=explicit", "rev-parse", "--verify", "--quiet", "HEAD"];
    let mut git = Command::new("git");
    let mut git = git
        .current_dir(dir)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let begun = Instant::now();
    // What it prints fits into the pipe.
    while git.try_wait().ok()?.is_none() {
        if begun.elapsed() > PATIENCE {
            let _ = git.kill();
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let git = git.wait_with_output().ok()?;
    let text = String::from_utf8(git.stdout).ok()?;
    let text = text.trim();
    (git.status.success() && text.len() >= 40 && text.bytes().all(|b| b.is_ascii_hexdigit()))
        .then(|| text.into())
}

fn short(text: &str) -> Box<str> {
    text.chars().take(LONGEST).collect::<String>().into()
}
