//! What names a record of the log.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::keyset::Sha256Hash;

/// SHA-256 of a line without its end, 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RecordHash(Sha256Hash);

impl RecordHash {
    pub(super) fn of(line: &[u8]) -> RecordHash {
        RecordHash(Sha256Hash::of(line))
    }

    pub fn parse(text: &str) -> Result<RecordHash, &'static str> {
        Sha256Hash::parse(text)
            .map(RecordHash)
            .ok_or("a record of the log is named by 64 hexadecimal digits")
    }
}
impl fmt::Display for RecordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl From<RecordHash> for String {
    fn from(hash: RecordHash) -> String {
        hash.to_string()
    }
}
impl TryFrom<String> for RecordHash {
    type Error = &'static str;
    fn try_from(text: String) -> Result<RecordHash, &'static str> {
        RecordHash::parse(&text)
    }
}
