//! `[secrets]`.

use std::path::PathBuf;
use std::time::Duration;

use crate::keyset::Label;

#[derive(Clone, Debug)]
pub struct Secrets {
    pub sinks: Vec<SinkKind>,
    pub age: Option<AgeSettings>,
    pub exec: Option<ExecSettings>,
    pub github: Vec<GithubMirror>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkKind {
    Keyring,
    Age,
    Exec,
}

impl SinkKind {
    pub fn name(self) -> &'static str {
        match self {
            SinkKind::Keyring => "keyring",
            SinkKind::Age => "age",
            SinkKind::Exec => "exec",
        }
    }
}

#[derive(Clone, Debug)]
pub struct AgeSettings {
    pub recipients: Vec<String>,
    pub dir: PathBuf,
}

#[derive(Clone, Debug)]
pub struct ExecSettings {
    pub command: Vec<String>,
    pub timeout: Duration,
}

#[derive(Clone, Debug)]
pub struct GithubMirror {
    pub repo: String,
    pub environment: Option<String>,
    pub name: String,
    pub keysets: Option<Vec<Label>>,
}
