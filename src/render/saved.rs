//! A plan as a file: what was reviewed, and all that it stands on. `apply FILE` makes the plan anew
//! and carries it out only if it is this one; nothing of the file itself is carried out, so whoever
//! edits one can make apply refuse and no more.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::plan_json;
use crate::config::Sources;
use crate::keyset::{ProjectName, Sha256Hash};
use crate::plan::{Plan, Policy};

/// Of this format.
const FORMAT_VERSION: u64 = 1;
const KIND: &str = "saved_plan";

/// What a plan stands on. It holds no secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedPlan {
    /// Of the keyform that made it.
    pub keyform: String,
    pub project: ProjectName,
    pub made_at: jiff::Timestamp,
    pub api: SavedApi,
    /// The configuration, in the order in which it was read.
    pub files: Vec<SavedFile>,
    pub state: SavedState,
    /// What the command line and `[limits]` allowed.
    pub policy: Policy,
    /// Of the actions: what `apply --approve` takes.
    pub hash: PlanHash,
    /// As `plan --format json` tells it.
    pub plan: Json,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedApi {
    /// Without path; a sandbox in the process is `sandbox`.
    pub endpoint: String,
    pub version: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedFile {
    pub path: String,
    /// SHA-256 of its text, in hex.
    pub sha256: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedState {
    /// `None`: there was no state yet.
    pub lineage: Option<uuid::Uuid>,
    pub serial: u64,
    /// Of what was recorded, journal included.
    pub checksum: String,
}

/// SHA-256 of a plan's actions, in hex: the same where the same would be done, wherever it stands
/// in the TOML.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PlanHash(Sha256Hash);

impl PlanHash {
    pub fn of(plan: &Plan, project: &ProjectName) -> PlanHash {
        let actions: Vec<Json> = plan.steps.iter().map(plan_json::canonical).collect();
        let all =
            json!({ "keyform": env!("CARGO_PKG_VERSION"), "project": project, "actions": actions });
        PlanHash(Sha256Hash::of(all.to_string()))
    }
    /// 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<PlanHash, String> {
        let bad = || {
            format!(
                "a plan's hash has 64 hexadecimal digits, and this has {} characters",
                text.chars().count()
            )
        };
        Sha256Hash::parse(text).map(PlanHash).ok_or_else(bad)
    }
}

impl fmt::Display for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl From<PlanHash> for String {
    fn from(hash: PlanHash) -> String {
        hash.to_string()
    }
}
impl TryFrom<String> for PlanHash {
    type Error = String;
    fn try_from(text: String) -> Result<PlanHash, String> {
        PlanHash::parse(&text)
    }
}

/// A file that is no saved plan of this keyform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPlan {
    #[error("it is not a saved plan: {0}")]
    NotOne(String),
    #[error("it was made by keyform {made_by}, and this is keyform {}", env!("CARGO_PKG_VERSION"))]
    OtherVersion { made_by: String },
    #[error("it does not match its checksum: it was edited, or is not whole")]
    Checksum,
}

/// The files of a configuration as they are.
pub fn files(sources: &Sources) -> Vec<SavedFile> {
    sources
        .files
        .iter()
        .map(|file| SavedFile {
            path: file.path.clone(),
            sha256: Sha256Hash::of(&file.text).to_string(),
        })
        .collect()
}

impl SavedPlan {
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let mut json = json!({ "format_version": FORMAT_VERSION, "kind": KIND });
        if let (Json::Object(all), Json::Object(mine)) = (&mut json, serde_json::to_value(self)?) {
            all.extend(mine);
        }
        json["checksum"] = checksum(&json).into();
        let mut bytes = serde_json::to_vec_pretty(&json)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    pub fn parse(bytes: &[u8]) -> Result<SavedPlan, BadPlan> {
        let mut json: Json = serde_json::from_slice(bytes).map_err(|error| {
            BadPlan::NotOne(match error.classify() {
                serde_json::error::Category::Eof => "it ends too early".to_owned(),
                _ => format!("it is not JSON (line {}, column {})", error.line(), error.column()),
            })
        })?;
        if json["kind"] != KIND {
            let told = json["kind"]
                .as_str()
                .filter(|kind| kind.len() < 40)
                .map_or("something else", |kind| kind);
            return Err(BadPlan::NotOne(format!(
                "it says that it is {told:?}, and {KIND:?} was expected"
            )));
        }
        // What another version wrote may have another shape.
        let made_by = json["keyform"].as_str().unwrap_or("of an unknown version").to_owned();
        if made_by != env!("CARGO_PKG_VERSION") || json["format_version"] != FORMAT_VERSION {
            return Err(BadPlan::OtherVersion { made_by });
        }
        let told = json.as_object_mut().and_then(|all| all.remove("checksum"));
        if told != Some(checksum(&json).into()) {
            return Err(BadPlan::Checksum);
        }
        serde_json::from_value(json).map_err(|error| BadPlan::NotOne(error.to_string()))
    }
}

/// Against tears and slips, not against people: whoever edits a plan makes apply refuse it.
fn checksum(json: &Json) -> String {
    format!("sha256:{}", Sha256Hash::of(json.to_string()))
}

/// What differs between the actions that were saved and those of now, a line each; at most `most`
/// of them, and how many more.
pub fn changes(saved: &Json, now: &Plan, most: usize) -> Vec<String> {
    let before: Vec<Json> = saved["actions"]
        .as_array()
        .into_iter()
        .flatten()
        .cloned()
        .map(plan_json::without_place)
        .collect();
    let after: Vec<Json> = now.steps.iter().map(plan_json::canonical).collect();
    let name = |action: &Json| {
        let text = |member: &str| action[member].as_str().unwrap_or("?").to_owned();
        let to = action["to"]
            .as_str()
            .filter(|_| text("action") == "mirror")
            .map(|to| format!(" to {to}"))
            .unwrap_or_default();
        format!("{} {} {}{to}", text("action"), text("kind").replace('_', " "), text("label"))
    };
    let mut lines = Vec::new();
    for action in before.iter().filter(|action| !after.contains(action)) {
        lines.push(match after.iter().find(|other| name(other) == name(action)) {
            Some(_) => format!("{}: not as it was", name(action)),
            None => format!("{}: not to be done any more", name(action)),
        });
    }
    for action in
        after.iter().filter(|action| !before.iter().any(|other| name(other) == name(action)))
    {
        lines.push(format!("{}: was not in the plan", name(action)));
    }
    let more = lines.len().saturating_sub(most);
    lines.truncate(most);
    lines.extend((more > 0).then(|| format!("and {more} more")));
    lines
}
