//! What the surroundings of a run say: read once by whoever starts it, and handed in.

use std::path::PathBuf;

use zeroize::Zeroizing;

/// A variable of the environment that may hold a secret. It has no `Debug`.
#[derive(Default)]
pub enum Variable {
    /// Set and empty counts as not set, as CI systems set secrets that a fork may not see.
    #[default]
    Unset,
    Text(Zeroizing<String>),
    NotUtf8,
}

/// The default is a machine that says nothing. It has no `Debug`: it holds secrets.
#[derive(Default)]
pub struct Environment {
    /// A pipeline, not a person, runs keyform.
    pub in_ci: bool,
    /// Allows a keyring although `in_ci`.
    pub keyring_in_ci: bool,
    /// keyform's folder among the user's data.
    pub data_dir: Option<PathBuf>,
    /// Where the keyring of this session keeps its files, if it is none of the desktop.
    pub keyring_dir: Option<PathBuf>,
    /// Private keys that open what the sink `age` wrote, as text.
    pub age_identity: Option<Zeroizing<String>>,
    /// The same as a file.
    pub age_identity_file: Option<String>,
    /// Instead of the endpoint that the project or the vendor names.
    pub endpoint: Option<String>,
    pub api_key: Variable,
    /// A file with the API key, by its path.
    pub api_key_file: Variable,
    pub github_token: Option<Zeroizing<String>>,
    /// Of GitHub's API, for a server of one's own.
    pub github_url: Option<String>,
    /// Makes the sandbox in this process repeat itself.
    pub sandbox_seed: Option<u64>,
    /// Who runs keyform.
    pub actor: Box<str>,
    /// The commit that is worked on, as the user says.
    pub commit: Option<Box<str>>,
    /// The same as the pipeline says, where git does not tell.
    pub commit_of_pipeline: Option<Box<str>>,
    /// The page of the pipeline's run.
    pub run_page: Option<String>,
}

impl Environment {
    /// Where is noted which users have a keyring of their own: beside the keyring as far as that is
    /// known, else among the user's data.
    pub fn keyring_users(&self) -> Option<PathBuf> {
        let folder = self.keyring_dir.as_ref().or(self.data_dir.as_ref())?;
        Some(folder.join("keyring-users"))
    }
}
