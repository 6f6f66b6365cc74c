//! TOML text -> Desired and problems. Pure but for `files`, which reads.
//!
//! `files` finds and reads, `parse` turns each file's tree into small tables and drops the tree,
//! `resolve` merges the tables into [`Project`], `rules` and `mirrors` judge what only the merged
//! picture shows. Which keys there are says `grammar`; `reader` has what all tables are read with,
//! and each table has a file that gives its keys their meaning.
//!
//! To add a key: a row in `grammar`, an arm in the file of its table. To add a rule: a code in
//! `codes`, a function in `rules`, a sample named after the code in `tests/samples/invalid/`.

mod age;
mod api;
mod app;
mod codes;
pub mod edit;
mod endpoint;
mod exec;
mod fields;
mod files;
mod github;
mod grammar;
mod ignore;
mod keyset;
mod limits;
mod mirrors;
mod moved;
mod nearest;
mod notify;
mod parity;
mod parse;
mod private;
mod problem;
mod project;
mod push;
mod reader;
mod recipients;
mod resolve;
mod rotate;
mod rules;
mod schema;
mod secrets;
mod source;
mod syntax;
mod tables;

use std::collections::BTreeMap;

use crate::keyset::parity::ParityRule;
use crate::keyset::views::Desired;
use crate::keyset::{ApiVersion, Bounded, Budget, Origin, Tier};

pub use codes::{CODES, Code};
pub use endpoint::check_endpoint;
pub use files::{MAIN_FILE, load};
pub use notify::{Form, Notify, Occasion};
pub use problem::{Fix, Problem, Severity};
pub use schema::{grammar_markdown, json_schema};
pub use secrets::{AgeSettings, ExecSettings, Secrets, SinkKind};
pub use source::{Place, Source, Sources};

/// Everything that `keyform.toml` and its includes say.
#[derive(Clone, Debug)]
pub struct Project {
    pub desired: Desired,
    pub api: ApiSettings,
    pub secrets: Secrets,
    pub limits: Limits,
    /// `[[parity]]`, in order. Each compares something.
    pub parity: Vec<ParityRule>,
    pub notify: Option<Notify>,
}

#[derive(Clone, Debug, Default)]
pub struct ApiSettings {
    /// An absolute URL without path, `https`, or `http` on loopback. `None`: the vendor's.
    pub endpoint: Option<(String, Origin)>,
    pub version: ApiVersion,
    pub tier: Option<Tier>,
}

/// `[limits]`: how much one apply may do, and where it says so. What is not named has no limit, but
/// for deletions.
pub type Limits = BTreeMap<Bounded, (Budget, Origin)>;

/// What reading a project gives: its files, what is wrong, and the project itself if nothing is
/// (warnings aside).
#[derive(Clone, Debug)]
pub struct Loaded {
    pub sources: Sources,
    /// Sorted by place.
    pub problems: Vec<Problem>,
    pub project: Option<Project>,
}

/// The same as [`load`] from texts that were read already; the first is `keyform.toml`. `include`
/// is not followed.
pub fn read(sources: Sources) -> Loaded {
    let mut parsed = tables::Parsed::default();
    for (file, source) in sources.files.iter().enumerate() {
        parsed.read_file(file, &source.text);
    }
    resolve::finish(parsed, sources)
}
