//! Credentials of push services: files that are uploaded, and that no call gives back.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::settings::{FieldId, Origin};
use super::table::{PUSH, PUSH_FILENAME, PushCall};

/// Longest file, in bytes; a token has about 250, a key about 2,400. The API's own limit is not
/// documented.
pub const PUSH_FILE_MAX: u64 = 64 << 10;

/// One upload call: an index into [`PUSH`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Push(u8);

impl Push {
    pub fn all() -> impl Iterator<Item = Push> {
        (0..PUSH.len() as u8).map(Push)
    }
    pub fn find(name: &str) -> Option<Push> {
        Push::all().find(|push| push.call().section == name)
    }
    pub fn call(self) -> &'static PushCall {
        &PUSH[usize::from(self.0)]
    }
    /// As TOML, state and the path of the call have it: the section that describes what was
    /// uploaded.
    pub fn name(self) -> &'static str {
        self.call().section
    }
    /// The field that the account describes a text of the upload with.
    pub fn field(self, text: &str) -> Option<FieldId> {
        FieldId::find(self.name(), text)
    }
    /// The switch that every upload turns on.
    pub fn switch() -> Option<FieldId> {
        PUSH.iter().find_map(|call| FieldId::find(call.section, "enabled"))
    }
}

impl fmt::Display for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
impl Serialize for Push {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
impl<'de> Deserialize<'de> for Push {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Push, D::Error> {
        let name = String::deserialize(deserializer)?;
        Push::find(&name)
            .ok_or_else(|| serde::de::Error::custom("no push service that this keyform knows"))
    }
}

/// Texts that describe an upload, by the API's own names, the file's name among them.
pub type PushTexts = BTreeMap<Box<str>, Box<str>>;

/// `[keyset.LABEL.push.SERVICE]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredPush {
    pub push: Push,
    /// Relative to the project's folder, and inside it.
    pub file: Box<str>,
    pub texts: PushTexts,
    /// Of the file's name.
    pub origin: Origin,
}

impl DeclaredPush {
    /// The last part of a path: what the account shows.
    pub fn filename(file: &str) -> (Box<str>, Box<str>) {
        (PUSH_FILENAME.into(), file.rsplit('/').next().unwrap_or(file).into())
    }
}

/// What was uploaded last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedPush {
    /// SHA-256 of the file, in hex. A private key cannot be guessed, so this gives nothing away.
    pub sha256: Box<str>,
    #[serde(flatten)]
    pub texts: PushTexts,
}

/// What is known of a declared file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushFile {
    /// SHA-256 of its content, in hex.
    Is(Box<str>),
    /// It is not here, as on a runner that was not given it.
    Absent,
    /// For this reason.
    Unusable(Box<str>),
}

/// Declared files by their path.
pub type PushFiles = BTreeMap<Box<str>, PushFile>;
