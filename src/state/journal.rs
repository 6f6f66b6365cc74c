//! The journal as bytes: a line a record, each with its checksum. The first line says which state
//! it continues.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Fault;
use super::document::{AppStanza, Checksum, Head, KeysetStanza};
use crate::keyset::Label;
use crate::ports::{Entry, Intent};

/// Of this format.
const VERSION: u64 = 1;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "record")]
enum Record {
    Journal {
        version: u64,
        lineage: uuid::Uuid,
        serial: u64,
        /// Of the state.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checksum: Option<Checksum>,
    },
    Intend(Intent),
    Sealed {
        intent: uuid::Uuid,
        answer: Box<str>,
    },
    Void {
        intent: uuid::Uuid,
    },
    App {
        label: Label,
        intent: Option<uuid::Uuid>,
        app: AppStanza,
    },
    Keyset {
        label: Label,
        intent: Option<uuid::Uuid>,
        keyset: Box<KeysetStanza>,
    },
    Forgotten {
        label: Label,
        app: bool,
    },
}

/// The first line: which state the journal continues.
pub fn header(head: Head) -> serde_json::Result<Vec<u8>> {
    let Head { lineage, serial, checksum } = head;
    line(&Record::Journal { version: VERSION, lineage, serial, checksum })
}

/// One record as a line.
pub fn encode(entry: Entry) -> serde_json::Result<Vec<u8>> {
    line(&match entry {
        Entry::Intend(intent) => Record::Intend(intent),
        Entry::Sealed { intent, answer } => Record::Sealed { intent, answer },
        Entry::Void { intent } => Record::Void { intent },
        Entry::App { label, app, intent } => Record::App { label, intent, app: app.into() },
        Entry::Keyset { label, keyset, intent } => {
            Record::Keyset { label, intent, keyset: Box::new((*keyset).into()) }
        }
        Entry::Forgotten { label, app } => Record::Forgotten { label, app },
    })
}

/// What a journal says.
#[derive(Default)]
pub struct Read {
    /// `None`: not even the first line was finished.
    pub head: Option<Head>,
    pub entries: Vec<Entry>,
    /// Bytes up to the end of the last whole line; what follows was never acknowledged.
    pub whole: u64,
}

/// Reads a journal. A last line that is torn was never acknowledged and is dropped; damage before
/// it is an error.
pub fn decode(bytes: &[u8]) -> Result<Read, Fault> {
    let damaged = |line: usize| Fault::DamagedRecord { line };
    let Read { mut head, mut entries, mut whole } = Read::default();
    let mut lines = bytes.split_inclusive(|b| *b == b'\n').enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let Some(json) = intact(line) else {
            if lines.peek().is_none() {
                break;
            }
            return Err(damaged(number + 1));
        };
        // Whole, so it was acknowledged, also where it is the last.
        let Ok(record) = serde_json::from_slice(json) else {
            return Err(Fault::UnknownRecord { line: number + 1 });
        };
        match (record, head) {
            (Record::Journal { version: VERSION, lineage, serial, checksum }, None) => {
                head = Some(Head { lineage, serial, checksum })
            }
            (Record::Journal { version, .. }, None) => {
                return Err(Fault::NewerJournal { version, known: VERSION });
            }
            (Record::Journal { .. }, _) | (_, None) => return Err(damaged(number + 1)),
            (Record::Intend(intent), Some(_)) => entries.push(Entry::Intend(intent)),
            (Record::Sealed { intent, answer }, Some(_)) => {
                entries.push(Entry::Sealed { intent, answer })
            }
            (Record::Void { intent }, Some(_)) => entries.push(Entry::Void { intent }),
            (Record::Forgotten { label, app }, Some(_)) => {
                entries.push(Entry::Forgotten { label, app })
            }
            (Record::App { label, intent, app }, Some(_)) => {
                entries.push(Entry::App { label, app: app.into(), intent })
            }
            (Record::Keyset { label, intent, keyset }, Some(_)) => {
                entries.push(Entry::Keyset { label, keyset: Box::new((*keyset).into()), intent });
            }
        }
        whole += line.len() as u64;
    }
    Ok(Read { head, entries, whole })
}

fn line(record: &Record) -> serde_json::Result<Vec<u8>> {
    let json = serde_json::to_string(record)?;
    Ok(format!("{} {json}\n", sum(json.as_bytes())).into_bytes())
}

/// The record of a line that has its end and its checksum.
fn intact(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\n")?;
    let (told, json) = line.split_at_checked(16)?;
    let json = json.strip_prefix(b" ")?;
    (told == sum(json).as_bytes()).then_some(json)
}

/// 64 bits of SHA-256: against tears and bit rot, not against people.
fn sum(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..8])
}
