//! `[secrets]`: which sinks take secrets, how, and where else they are mirrored to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeTable;

use super::codes;
use super::github::{GithubMirror, MirrorTable};
use super::problem::{Problem, Quoted};
use super::reader::{FileReader, Item};
use super::tables::{Checked, Word};
use crate::keyset::Origin;

/// `[secrets]`. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// In order of preference, each once, at least one.
    pub sinks: Vec<SinkKind>,
    /// Checked whenever `sinks` names it.
    pub age: Option<AgeSettings>,
    /// Checked whenever `sinks` names it.
    pub exec: Option<ExecSettings>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkKind {
    /// Of the operating system.
    Keyring,
    /// Files sealed for public keys.
    Age,
    /// A program of the user's.
    Exec,
}

/// `[secrets.age]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgeSettings {
    /// Public keys that the `age` crate can read, as they were written; SSH keys perhaps with a
    /// comment. At least one.
    pub recipients: Vec<String>,
    /// Relative to the project, never out of it.
    pub dir: PathBuf,
}

/// `[secrets.exec]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecSettings {
    /// The program, not empty, and its arguments.
    pub command: Vec<String>,
    /// For one call: 1 to 600 seconds.
    pub timeout: Duration,
}

impl SinkKind {
    pub const ALL: [SinkKind; 3] = [SinkKind::Keyring, SinkKind::Age, SinkKind::Exec];

    /// As `[secrets] sinks` names it, and what its table needs if it has one.
    const fn row(self) -> (&'static str, Option<&'static str>) {
        match self {
            SinkKind::Keyring => ("keyring", None),
            SinkKind::Age => ("age", Some("recipients = [\"age1...\"]")),
            SinkKind::Exec => ("exec", Some("command = [\"./sinks/vault\"]")),
        }
    }

    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The line that `[secrets.NAME]` cannot do without, as an example; `None`: there is no such
    /// table.
    pub(super) const fn table_needs(self) -> Option<&'static str> {
        self.row().1
    }
}

impl Default for Secrets {
    fn default() -> Secrets {
        Secrets { sinks: vec![SinkKind::Keyring], age: None, exec: None }
    }
}

/// What `[secrets]` says, before references are looked up.
#[derive(Debug, Default)]
pub(super) struct SecretsTable {
    pub sinks: Checked<Vec<(SinkKind, Origin)>>,
    pub age: Option<AgeSettings>,
    pub exec: Option<ExecSettings>,
    /// Where the tables of sinks stand, good or not.
    pub tables: BTreeMap<&'static str, Origin>,
    pub github: Vec<MirrorTable>,
}

pub(super) const DIR: &str = "secrets";
/// Seconds.
pub(super) const TIMEOUT: u64 = 30;
pub(super) const TIMEOUT_MAX: u64 = 600;
/// Most characters of the name of an environment (GitHub's documentation of environments).
pub(super) const ENVIRONMENT_MAX: usize = 255;

impl SecretsTable {
    /// Only for a project without errors.
    pub(super) fn finish(self) -> (Secrets, Vec<GithubMirror>) {
        let default = Secrets::default();
        let sinks = match self.sinks {
            Checked::Valid(sinks) => sinks.into_iter().map(|(kind, _)| kind).collect(),
            Checked::Absent | Checked::Rejected => default.sinks,
        };
        (
            Secrets { sinks, age: self.age, exec: self.exec },
            self.github.into_iter().filter_map(MirrorTable::finish).collect(),
        )
    }
}

impl FileReader<'_> {
    pub(super) fn secrets(&mut self, at: Origin, table: &DeTable<'_>) {
        let entries = self.entries("secrets", at, table);
        for (row, at, item) in entries.known {
            match row.name() {
                "sinks" => self.out.head.secrets.sinks = Checked::read(self.sinks(item)),
                "age" => {
                    self.out.head.secrets.tables.insert(SinkKind::Age.name(), at);
                    let Some(table) = self.table(row.shown(), item) else { continue };
                    self.out.head.secrets.age = self.age(at, table);
                }
                "exec" => {
                    self.out.head.secrets.tables.insert(SinkKind::Exec.name(), at);
                    let Some(table) = self.table(row.shown(), item) else { continue };
                    self.out.head.secrets.exec = self.exec(at, table);
                }
                _ => {
                    let Some(table) = self.table(row.shown(), item) else { continue };
                    for (_, at, item) in self.entries(row.path, at, table).known {
                        self.github(at, item);
                    }
                }
            }
        }
        if entries.slip {
            // Probably for one of these: do not also say that the others do not fit.
            self.out.head.secrets.sinks = Checked::Rejected;
        }
    }

    fn sinks(&mut self, item: &Item<'_>) -> Option<Vec<(SinkKind, Origin)>> {
        let words = self.strings("secrets.sinks", item)?;
        if words.is_empty() {
            self.names_none(
                codes::OUT_OF_RANGE,
                "secrets.sinks",
                "sink",
                "write `sinks = [\"keyring\"]`, or leave it out",
                item,
            );
            return None;
        }
        let mut sinks: Vec<(SinkKind, Origin)> = Vec::new();
        let mut good = true;
        for Word { text, origin } in words {
            let names = SinkKind::ALL.map(SinkKind::name);
            match SinkKind::ALL.into_iter().find(|kind| *kind.name() == *text) {
                Some(kind) if sinks.iter().any(|(other, _)| *other == kind) => {
                    let title = format!("sink {} is named twice", Quoted(&text));
                    self.report(
                        Problem::new(codes::SINK_TWICE, origin, title, "named before")
                            .help("remove one of the two"),
                    );
                }
                Some(kind) => sinks.push((kind, origin)),
                None => {
                    good = false;
                    let problem = Problem::new(
                        codes::UNKNOWN_SINK,
                        origin,
                        format!("sink {}", Quoted(&text)),
                        "no sink of this name",
                    );
                    let problem = match self.out.nearest.of(&text, names) {
                        Some(near) => problem
                            .help(format!("did you mean `{near}`?"))
                            .fix(origin, format!("\"{near}\"")),
                        None => problem.help(format!(
                            "sinks: {}",
                            names.map(|name| format!("`{name}`")).join(", ")
                        )),
                    };
                    self.report(problem);
                }
            }
        }
        good.then_some(sinks)
    }
}
