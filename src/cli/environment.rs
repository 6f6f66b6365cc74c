//! What the environment says: the one place that reads keyform's variables.

use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::ops::{self, Environment, Variable};

/// What pipelines call the person who set them off, after what the user says.
const ACTORS: &[&str] =
    &["KEYFORM_ACTOR", "GITHUB_ACTOR", "GITLAB_USER_LOGIN", "USER_NAME", "USER", "USERNAME"];
/// What pipelines call the commit, where git does not tell.
const COMMITS: &[&str] = &["GITHUB_SHA", "CI_COMMIT_SHA", "HEAD_COMMIT"];
/// Where the keyring of this session keeps its files, if it is none of the desktop; `with-keyring`
/// sets it.
const KEYRING_DIR: &str = "KEYFORM_KEYRING_DIR";

/// Set and empty counts as not set.
#[expect(clippy::disallowed_methods, reason = "the owner of keyform's own variables")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// Everything that use cases need to know of it.
pub fn read() -> Environment {
    let secret = |name: &str| variable(name).map(Zeroizing::new);
    let boxed = |name: &&str| variable(name).map(String::into_boxed_str);
    Environment {
        in_ci: variable("CI").is_some_and(|v| v != "false" && v != "0"),
        keyring_in_ci: variable(ops::sinks::KEYRING_IN_CI).is_some_and(|v| v == "1"),
        data_dir: dirs::data_dir().map(|data| data.join("keyform")),
        keyring_dir: variable(KEYRING_DIR).map(PathBuf::from),
        age_identity: secret(ops::sinks::IDENTITY),
        age_identity_file: variable(ops::sinks::IDENTITY_FILE),
        endpoint: variable(ops::ENDPOINT),
        api_key: exact(ops::API_KEY),
        api_key_file: exact(ops::API_KEY_FILE),
        github_token: ops::mirrors::TOKENS.into_iter().find_map(secret),
        github_url: variable(ops::mirrors::URL),
        sandbox_seed: variable("KEYFORM_SANDBOX_SEED").and_then(|text| text.parse().ok()),
        actor: ACTORS.iter().find_map(boxed).unwrap_or_else(nameless),
        commit: boxed(&"KEYFORM_COMMIT"),
        commit_of_pipeline: COMMITS.iter().find_map(boxed),
        run_page: run_page(),
    }
}

/// A variable of which it matters that it is set, even if it cannot be used.
#[expect(clippy::disallowed_methods, reason = "the owner of keyform's own variables")]
fn exact(name: &str) -> Variable {
    match std::env::var(name) {
        Ok(text) if text.is_empty() => Variable::Unset,
        Ok(text) => Variable::Text(Zeroizing::new(text)),
        Err(std::env::VarError::NotPresent) => Variable::Unset,
        Err(std::env::VarError::NotUnicode(_)) => Variable::NotUtf8,
    }
}

/// What `keyform sandbox` accepts as API key.
pub fn sandbox_key() -> String {
    variable("KEYFORM_SANDBOX_KEY").unwrap_or_else(|| ops::account::SANDBOX_KEY.to_owned())
}

/// The page of the pipeline's run.
fn run_page() -> Option<String> {
    let github = || {
        let [server, repository, run] =
            ["GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"].map(variable);
        Some(format!("{}/{}/actions/runs/{}", server?, repository?, run?))
    };
    variable("KEYFORM_RUN_URL").or_else(github).or_else(|| variable("CI_JOB_URL"))
}

#[cfg(unix)]
fn nameless() -> Box<str> {
    format!("user {}", rustix::process::getuid().as_raw()).into()
}
#[cfg(not(unix))]
fn nameless() -> Box<str> {
    "somebody".into()
}
