//! The state file as bytes, version 1. Journal and file share the stanzas.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::Fault;
use crate::audit::RecordHash;
use crate::keyset::KeyPrefix;
use crate::keyset::push::{Push, RecordedPush};
use crate::keyset::views::{Recorded, RecordedApp, RecordedKeyset, SecretRecord};
use crate::keyset::{
    AppId, Fingerprint, KeysetId, Label, MirrorTarget, Observed, ProjectName, PublicKeys,
    Sha256Hash,
};

pub const VERSION: u64 = 1;

/// A person's word that a merged file is right.
const MERGED: &str = "merged";

/// What stands in the file beside the stanzas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub lineage: uuid::Uuid,
    pub serial: u64,
    /// Of what is recorded: two clones may write two states of one serial. `None`: there is no
    /// state yet, or a journal of an earlier keyform does not say.
    pub checksum: Option<Checksum>,
}

/// SHA-256 over the stanzas' text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Checksum(Sha256Hash);

const ALGORITHM: &str = "sha256:";

impl From<Checksum> for String {
    fn from(Checksum(hash): Checksum) -> String {
        format!("{ALGORITHM}{hash}")
    }
}
impl TryFrom<String> for Checksum {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Checksum, &'static str> {
        text.strip_prefix(ALGORITHM)
            .and_then(Sha256Hash::parse)
            .map(Checksum)
            .ok_or("not a checksum")
    }
}

/// Bytes of the state that follows the one of `head`, and its own head: pretty, sorted, one stanza
/// per keyset, a newline at the end.
pub fn write(
    project: &ProjectName,
    head: Head,
    log: &[RecordHash],
    recorded: &Recorded,
) -> serde_json::Result<(Vec<u8>, Head)> {
    #[derive(Serialize)]
    struct File<'a> {
        version: u64,
        keyform: &'static str,
        project: &'a ProjectName,
        lineage: uuid::Uuid,
        serial: u64,
        checksum: Checksum,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        log: &'a [RecordHash],
        apps: BTreeMap<&'a Label, AppStanza>,
        keysets: BTreeMap<&'a Label, KeysetStanza>,
    }
    let (apps, keysets) = stanzas(recorded);
    let checksum = checksum(&[&serde_json::to_string(&apps)?, &serde_json::to_string(&keysets)?]);
    let (lineage, serial) = (head.lineage, head.serial + 1);
    let file = File {
        version: VERSION,
        keyform: env!("CARGO_PKG_VERSION"),
        project,
        lineage,
        serial,
        checksum,
        log,
        apps,
        keysets,
    };
    let mut bytes = serde_json::to_vec_pretty(&file)?;
    bytes.push(b'\n');
    Ok((bytes, Head { lineage, serial, checksum: Some(checksum) }))
}

type Stanzas<'a> = (BTreeMap<&'a Label, AppStanza>, BTreeMap<&'a Label, KeysetStanza>);

fn stanzas(recorded: &Recorded) -> Stanzas<'_> {
    let apps = recorded.apps.iter().map(|(label, app)| (label, AppStanza::from(app.clone())));
    let keysets =
        recorded.keysets.iter().map(|(label, keyset)| (label, KeysetStanza::from(keyset.clone())));
    (apps.collect(), keysets.collect())
}

/// Of what is recorded, as the file would have it.
pub fn checksum_of(recorded: &Recorded) -> serde_json::Result<Checksum> {
    let (apps, keysets) = stanzas(recorded);
    Ok(checksum(&[&serde_json::to_string(&apps)?, &serde_json::to_string(&keysets)?]))
}

/// What a state file says.
pub struct Document {
    pub project: String,
    pub head: Head,
    pub recorded: Recorded,
    /// That it is whole only a person's word says, and a new checksum is due.
    pub merged: bool,
    /// Records that the audit log has to have: those that nothing followed when the state was
    /// written.
    pub log: Vec<RecordHash>,
}

/// Reads a state and proves that it is this project's and whole.
pub fn read(bytes: &[u8], project: &ProjectName) -> Result<Document, Fault> {
    let document = parse(bytes)?;
    if document.project != project.as_str() {
        return Err(Fault::Foreign { found: document.project, expected: project.clone() });
    }
    Ok(document)
}

/// Reads a state, whichever project's it is, and proves that it is whole.
pub fn parse(bytes: &[u8]) -> Result<Document, Fault> {
    #[derive(Deserialize)]
    struct File<'a> {
        version: u64,
        project: String,
        lineage: uuid::Uuid,
        serial: u64,
        checksum: String,
        #[serde(default)]
        log: Vec<RecordHash>,
        #[serde(borrow)]
        apps: &'a RawValue,
        #[serde(borrow)]
        keysets: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct Version {
        version: u64,
    }
    let file: File = match serde_json::from_slice(bytes) {
        Ok(file) => file,
        // A later version may have another shape: then its number says more than what does not fit.
        Err(error) => match serde_json::from_slice::<Version>(bytes) {
            Ok(Version { version }) if version != VERSION => {
                return Err(newer(version));
            }
            _ => return Err(broken(&error)),
        },
    };
    if file.version != VERSION {
        return Err(newer(file.version));
    }
    let merged = file.checksum == MERGED;
    let checksum = checksum(&[file.apps.get(), file.keysets.get()]);
    if !merged && file.checksum != String::from(checksum) {
        return Err(Fault::Checksum);
    }
    let apps: Unique<AppStanza> = serde_json::from_str(file.apps.get()).map_err(|e| broken(&e))?;
    let keysets: Unique<KeysetStanza> =
        serde_json::from_str(file.keysets.get()).map_err(|e| broken(&e))?;
    let recorded = Recorded {
        apps: apps.0.into_iter().map(|(label, app)| (label, app.into())).collect(),
        keysets: keysets.0.into_iter().map(|(label, keyset)| (label, keyset.into())).collect(),
    };
    let head = Head { lineage: file.lineage, serial: file.serial, checksum: Some(checksum) };
    Ok(Document { project: file.project, head, recorded, merged, log: file.log })
}

fn newer(version: u64) -> Fault {
    Fault::NewerDocument { version, known: VERSION }
}

fn broken(error: &serde_json::Error) -> Fault {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax => "this is not JSON",
        serde_json::error::Category::Data | serde_json::error::Category::Io => {
            "a value is missing, twice there or wrong"
        }
    };
    Fault::Broken { what, line: error.line(), column: error.column() }
}

/// Over the stanzas' text without the white space between its tokens: formatting the file is no
/// damage.
fn checksum(parts: &[&str]) -> Checksum {
    let mut hash = Sha256::new();
    for part in parts {
        let bytes = part.as_bytes();
        let (mut start, mut at, mut in_text) = (0, 0, false);
        while at < bytes.len() {
            match bytes[at] {
                b'\\' if in_text => at += 1,
                b'"' => in_text = !in_text,
                b' ' | b'\n' | b'\r' | b'\t' if !in_text => {
                    hash.update(&bytes[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
            at += 1;
        }
        hash.update(&bytes[start..]);
        hash.update([0]);
    }
    Checksum(hash.into())
}

/// A map in which a label that is there twice is an error.
struct Unique<T>(BTreeMap<Label, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Unique<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = BTreeMap<Label, T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object by label")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some((label, value)) = map.next_entry::<Label, T>()? {
                    if entries.insert(label, value).is_some() {
                        return Err(serde::de::Error::custom("a label is there twice"));
                    }
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(Entries(PhantomData)).map(Unique)
    }
}

#[derive(Serialize, Deserialize)]
pub struct AppStanza {
    id: AppId,
    name: Box<str>,
    managed: bool,
}

impl From<RecordedApp> for AppStanza {
    fn from(RecordedApp { id, name, managed }: RecordedApp) -> Self {
        AppStanza { id, name, managed }
    }
}
impl From<AppStanza> for RecordedApp {
    fn from(AppStanza { id, name, managed }: AppStanza) -> Self {
        RecordedApp { id, name, managed }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeysetStanza {
    id: KeysetId,
    app: Label,
    app_id: AppId,
    publish_key: Box<str>,
    subscribe_key: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_at: Option<jiff::Timestamp>,
    applied: Observed,
    seen: Observed,
    secret: SecretStanza,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    mirrors: BTreeMap<MirrorTarget, Fingerprint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret_since: Option<jiff::Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret_label: Option<Label>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    protect: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    applied_at: Option<jiff::Timestamp>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    push: BTreeMap<Push, RecordedPush>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "status")]
enum SecretStanza {
    Stored {
        sink: Box<str>,
        fingerprint: Fingerprint,
    },
    Missing {
        why: Box<str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        current: Option<KeyPrefix>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        held: Option<Fingerprint>,
    },
    Unknown,
}

impl From<RecordedKeyset> for KeysetStanza {
    fn from(keyset: RecordedKeyset) -> Self {
        let RecordedKeyset { id, app, app_id, keys, created_at, applied, seen, secret, .. } =
            keyset;
        let RecordedKeyset {
            mirrors, secret_since, secret_label, protect, applied_at, push, ..
        } = keyset;
        let PublicKeys { publish_key, subscribe_key } = keys;
        let secret = match secret {
            SecretRecord::Stored { sink, fingerprint } => {
                SecretStanza::Stored { sink, fingerprint }
            }
            SecretRecord::Missing { why, current, held } => {
                SecretStanza::Missing { why, current, held }
            }
            SecretRecord::Unknown => SecretStanza::Unknown,
        };
        KeysetStanza {
            id,
            app,
            app_id,
            publish_key,
            subscribe_key,
            created_at,
            applied,
            seen,
            secret,
            mirrors,
            secret_since,
            secret_label,
            protect,
            applied_at,
            push,
        }
    }
}
impl From<KeysetStanza> for RecordedKeyset {
    fn from(stanza: KeysetStanza) -> Self {
        let KeysetStanza {
            id,
            app,
            app_id,
            publish_key,
            subscribe_key,
            created_at,
            applied,
            seen,
            secret,
            ..
        } = stanza;
        let KeysetStanza { mirrors, secret_since, secret_label, protect, applied_at, push, .. } =
            stanza;
        let secret = match secret {
            SecretStanza::Stored { sink, fingerprint } => {
                SecretRecord::Stored { sink, fingerprint }
            }
            SecretStanza::Missing { why, current, held } => {
                SecretRecord::Missing { why, current, held }
            }
            SecretStanza::Unknown => SecretRecord::Unknown,
        };
        RecordedKeyset {
            id,
            app,
            app_id,
            keys: PublicKeys { publish_key, subscribe_key },
            created_at,
            applied,
            seen,
            secret,
            mirrors,
            secret_since,
            secret_label,
            protect,
            applied_at,
            push,
        }
    }
}
