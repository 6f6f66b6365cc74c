//! Who runs keyform, where, and on which commit: for the audit log and for notifications.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::endpoint::Endpoint;
use super::session::Session;
use super::variables::variable;
use crate::audit::Origin;
use crate::storage;

/// What pipelines call the person who set them off, after what the user says.
const ACTORS: &[&str] =
    &["KEYFORM_ACTOR", "GITHUB_ACTOR", "GITLAB_USER_LOGIN", "USER_NAME", "USER", "USERNAME"];
/// What pipelines call the commit, where git does not tell.
const COMMITS: &[&str] = &["GITHUB_SHA", "CI_COMMIT_SHA", "HEAD_COMMIT"];
/// Characters of a name, and of a commit.
const LONGEST: usize = 200;
/// Longest wait for git, which may be on a slow or dead file system.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks only when it is called: git is a program to start.
pub fn origin(session: &Session) -> impl Fn() -> Origin + Send + Sync + 'static {
    let endpoint = match session.sandbox {
        true => Some("sandbox".to_owned()),
        false => {
            Endpoint::of(Some(&session.project)).ok().map(|endpoint| endpoint.url().to_owned())
        }
    };
    let endpoint: Option<Box<str>> = endpoint.map(Into::into);
    let dir = session.dir.clone();
    move || Origin {
        actor: actor(),
        host: short(&storage::host()),
        commit: commit(&dir),
        endpoint: endpoint.clone(),
    }
}

fn actor() -> Box<str> {
    first(ACTORS).unwrap_or_else(nameless)
}

#[cfg(unix)]
fn nameless() -> Box<str> {
    format!("user {}", rustix::process::getuid().as_raw()).into()
}
#[cfg(not(unix))]
fn nameless() -> Box<str> {
    "somebody".into()
}

/// Of the repository that the folder is in.
fn commit(dir: &Path) -> Option<Box<str>> {
    let told = variable("KEYFORM_COMMIT").map(|text| short(&text));
    told.or_else(|| head(dir)).or_else(|| first(COMMITS))
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

/// The page of the pipeline's run.
pub fn run_page() -> Option<String> {
    let github = || {
        let [server, repository, run] =
            ["GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"].map(variable);
        Some(format!("{}/{}/actions/runs/{}", server?, repository?, run?))
    };
    variable("KEYFORM_RUN_URL").or_else(github).or_else(|| variable("CI_JOB_URL"))
}

fn first(names: &[&str]) -> Option<Box<str>> {
    names.iter().find_map(|name| variable(name)).map(|text| short(&text))
}

fn short(text: &str) -> Box<str> {
    text.chars().take(LONGEST).collect::<String>().into()
}
