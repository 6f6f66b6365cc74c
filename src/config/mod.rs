//! TOML text -> Desired and problems. Pure but for `files`, which reads.

mod problem;

use crate::keyset::views::Desired;
use crate::keyset::{ApiVersion, Origin, Tier};

pub use problem::{Fix, Problem, Severity};

/// The files of a project, in the order in which they were read; [`Origin::file`] is an index into it.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub files: Vec<Source>,
}

#[derive(Clone, Debug)]
pub struct Source {
    /// Relative to the project's folder, with `/`.
    pub path: String,
    pub text: String,
}

/// A place as people name it. Line and column from 1; the column counts characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    pub path: &'a str,
    pub line: usize,
    pub column: usize,
}

/// Everything that `keyform.toml` and its includes say.
#[derive(Clone, Debug)]
pub struct Project {
    pub desired: Desired,
    pub api: ApiSettings,
    /// `[secrets] sinks`, in order of preference. Only `keyring` so far.
    pub sinks: Vec<String>,
    pub limits: Limits,
}

#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// An absolute URL without path, `https`, or `http` on loopback. `None`: the vendor's.
    pub endpoint: Option<(String, Origin)>,
    pub version: ApiVersion,
    pub tier: Option<Tier>,
}

/// `[limits]`: how much one apply may do. `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub create: Option<usize>,
    pub update: Option<usize>,
}

/// What reading a project gives: its files, what is wrong, and the project itself if nothing is (warnings aside).
#[derive(Clone, Debug)]
pub struct Loaded {
    pub sources: Sources,
    /// Sorted by place.
    pub problems: Vec<Problem>,
    pub project: Option<Project>,
}

impl Sources {
    pub fn place(&self, origin: Origin) -> Option<Place<'_>> {
        let source = self.files.get(origin.file as usize)?;
        let before = source.text.get(..origin.start as usize)?;
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Some(Place { path: &source.path, line, column })
    }
}
