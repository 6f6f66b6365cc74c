//! What the files say, table by table, before profiles are merged and references looked up.

use std::collections::BTreeSet;

use super::nearest::Nearest;
use super::notify::Notify;
use super::parity::ParityTable;
use super::problem::Problem;
use super::secrets::SecretsTable;
use super::{ApiSettings, Limits};
use crate::keyset::push::DeclaredPush;
use crate::keyset::views::{AppSource, Freeze, Ignored, Rotate};
use crate::keyset::{Declared, FieldId, Label, Origin, ProjectName};

/// What all files say, before profiles are merged and references looked up.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub head: Head,
    pub apps: Vec<AppTable>,
    pub profiles: Vec<ProfileTable>,
    pub keysets: Vec<KeysetTable>,
    pub problems: Vec<Problem>,
    /// Files that could not be read whole: nothing follows from what is missing in them.
    pub broken: BTreeSet<u32>,
    /// Labels whose table was rejected: nothing more is said about references to them.
    pub rejected_labels: BTreeSet<Box<str>>,
    /// Profiles that rejected keysets name: they are not unused.
    pub named_profiles: BTreeSet<Box<str>>,
    pub nearest: Nearest,
}

/// `[project]`, `[api]`, `[secrets]`, `[limits]`, `[[parity]]` and `[notify]`.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub name: Checked<ProjectName>,
    /// Of the word `project`.
    pub project: Option<Origin>,
    pub include: Vec<Word>,
    pub api: ApiSettings,
    pub tier: Option<Origin>,
    pub secrets: SecretsTable,
    pub freeze: Option<Freeze>,
    pub limits: Limits,
    pub parity: Vec<ParityTable>,
    pub notify: Option<Notify>,
}

/// Something that may be absent, or was there and is reported already.
#[derive(Debug, Default)]
pub(super) enum Checked<T> {
    #[default]
    Absent,
    Rejected,
    Valid(T),
}

impl<T> Checked<T> {
    /// What was read of something that was there; `None`: it was reported.
    pub(super) fn read(value: Option<T>) -> Checked<T> {
        value.map_or(Checked::Rejected, Checked::Valid)
    }

    pub(super) fn value(self) -> Option<T> {
        match self {
            Checked::Valid(value) => Some(value),
            Checked::Absent | Checked::Rejected => None,
        }
    }
}

/// A reference, and where it stands.
#[derive(Debug)]
pub(super) struct Word {
    pub text: Box<str>,
    pub origin: Origin,
}

#[derive(Debug)]
pub(super) struct AppTable {
    pub label: Label,
    pub origin: Origin,
    /// `None`: reported already.
    pub source: Option<AppSource>,
    pub moved: Vec<Word>,
    pub freeze: Option<Freeze>,
}

#[derive(Debug)]
pub(super) struct ProfileTable {
    pub label: Label,
    pub origin: Origin,
    pub body: Body,
}

#[derive(Debug)]
pub(super) struct KeysetTable {
    pub label: Label,
    pub origin: Origin,
    pub app: Checked<Word>,
    pub profiles: Vec<Word>,
    pub protect: Option<bool>,
    pub freeze: Option<Freeze>,
    pub moved: Vec<Word>,
    pub body: Body,
}

/// The fields of a profile or keyset.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub settings: Declared,
    pub ignored: Vec<Ignored>,
    /// `Some(None)`: `rotate = false`.
    pub rotate: Option<Option<Rotate>>,
    pub push: Vec<DeclaredPush>,
    /// Fields that were given a value that is reported already: they do not count as missing.
    pub rejected: Vec<FieldId>,
    /// A section or list was rejected as a whole: nothing in this table counts as missing.
    pub incomplete: bool,
}
