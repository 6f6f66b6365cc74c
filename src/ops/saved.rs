//! Plans as files: written by `plan --out`, carried out by `apply FILE`, and only if everything is
//! as it was.

use std::path::{Path, PathBuf};

use super::endpoint::Endpoint;
use super::error::{Cause, Failure};
use super::workspace::Workspace;
use crate::disk;
use crate::plan::{Plan, Policy};
use crate::render::plan_json;
use crate::render::saved::{self, BadPlan, PlanHash, SavedApi, SavedPlan, SavedState};
use crate::state::{self, Snapshot};

/// Longest plan file, in bytes.
const LONGEST: u64 = 256 << 20;
/// Lines about what is not as it was.
const MOST_CHANGES: usize = 20;

const AGAIN: &str =
    "nothing was done; make a new plan and have it reviewed: keyform plan --out FILE";

/// Writes the plan and what it stands on, beside and renamed.
pub fn write(
    path: &Path,
    workspace: &Workspace,
    snapshot: &Snapshot,
    policy: &Policy,
    plan: &Plan,
    made_at: jiff::Timestamp,
) -> anyhow::Result<PlanHash> {
    let project = workspace.project.desired.project.clone();
    let hash = PlanHash::of(plan, &project);
    let saved = SavedPlan {
        keyform: env!("CARGO_PKG_VERSION").to_owned(),
        project,
        made_at,
        api: api(workspace)?,
        files: saved::files(&workspace.sources),
        state: state_of(snapshot)?,
        policy: policy.clone(),
        hash: hash.clone(),
        plan: plan_json::plan(plan, &workspace.sources),
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    disk::write(path, folder, &saved.to_bytes()?)?;
    Ok(hash)
}

fn api(workspace: &Workspace) -> anyhow::Result<SavedApi> {
    let endpoint = match workspace.sandbox {
        true => "sandbox".to_owned(),
        false => Endpoint::of(&workspace.environment, Some(&workspace.project))?.url().to_owned(),
    };
    Ok(SavedApi { endpoint, version: workspace.project.api.version.to_string() })
}

fn state_of(snapshot: &Snapshot) -> anyhow::Result<SavedState> {
    let (serial, lineage) = (snapshot.serial, (snapshot.serial > 0).then_some(snapshot.lineage));
    Ok(SavedState { lineage, serial, checksum: state::checksum(&snapshot.recorded)? })
}

/// A saved plan that is about to be carried out.
pub struct Loaded {
    path: PathBuf,
    pub saved: SavedPlan,
}

impl Loaded {
    /// Reads it, and compares what it stands on with the project: before anything is locked or
    /// asked.
    pub fn read(path: &Path, workspace: &Workspace) -> anyhow::Result<Loaded> {
        let shown = path.display();
        let bytes = disk::read_at_most(path, LONGEST)?;
        let Some(bytes) = bytes else {
            let failure = Failure::new(
                Cause::Error,
                format!("there is no plan file {shown}: nothing was done"),
            );
            return Err(failure.help("`keyform plan --out FILE` writes one").into());
        };
        let saved = SavedPlan::parse(&bytes).map_err(|bad| match bad {
            BadPlan::OtherVersion { .. } => {
                Failure::new(Cause::Refused, format!("{shown}: {bad}")).help(AGAIN)
            }
            BadPlan::NotOne(_) | BadPlan::Checksum => {
                Failure::new(Cause::Error, format!("{shown}: {bad}")).help(AGAIN)
            }
        })?;
        let loaded = Loaded { path: path.to_owned(), saved };
        let project = &workspace.project.desired.project;
        if loaded.saved.project != *project {
            return Err(loaded.refused(format!(
                "it is of project `{}`, and this is `{project}`",
                loaded.saved.project
            )));
        }
        let (then, now) = (&loaded.saved.api, api(workspace)?);
        if then.endpoint != now.endpoint {
            return Err(loaded.refused(format!(
                "it was made for {}, and this would go to {}",
                then.endpoint, now.endpoint
            )));
        }
        if then.version != now.version {
            return Err(loaded.refused(format!(
                "it was made for version {} of the API, and this is {}",
                then.version, now.version
            )));
        }
        loaded.same_configuration(workspace)?;
        Ok(loaded)
    }

    fn same_configuration(&self, workspace: &Workspace) -> anyhow::Result<()> {
        let (then, now) = (&self.saved.files, saved::files(&workspace.sources));
        if *then == now {
            return Ok(());
        }
        let mut changed = Vec::new();
        for file in then {
            match now.iter().find(|other| other.path == file.path) {
                None => changed.push(format!("{} is gone", file.path)),
                Some(other) if other.sha256 != file.sha256 => {
                    changed.push(format!("{} is not as it was", file.path))
                }
                Some(_) => {}
            }
        }
        changed.extend(
            now.iter()
                .filter(|file| then.iter().all(|other| other.path != file.path))
                .map(|file| format!("{} is new", file.path)),
        );
        if changed.is_empty() {
            changed.push("its files are read in another order".to_owned());
        }
        Err(self.refused(format!("the configuration was changed since: {}", changed.join(", "))))
    }

    /// Whether the state is the one that it stands on.
    pub fn same_state(&self, snapshot: &Snapshot) -> anyhow::Result<()> {
        let (then, now) = (&self.saved.state, state_of(snapshot)?);
        if then.checksum == now.checksum
            && (then.lineage == now.lineage
                || then.lineage.is_none() && !snapshot.recorded.is_empty())
        {
            return Ok(());
        }
        let (before, after) = (then.serial, now.serial);
        Err(self.refused(match (then.lineage, now.lineage) {
            (Some(_), None) => "the state that it was made with is not here".to_owned(),
            (Some(then), Some(now)) if then != now => "it was made with another state: theirs is \
                                                       of another beginning"
                .to_owned(),
            _ if after > before => {
                format!(
                    "the state was changed since (serial {before}, now {after}): this plan, or \
                         something else, was applied already"
                )
            }
            _ => format!(
                "the state is not the one that it was made with (serial {before}, here \
                          {after})"
            ),
        }))
    }

    /// Whether what would be done now is what was reviewed.
    pub fn same_plan(&self, plan: &Plan) -> anyhow::Result<()> {
        if plan.refusals.is_empty() && PlanHash::of(plan, &self.saved.project) == self.saved.hash {
            return Ok(());
        }
        let changes = saved::changes(&self.saved.plan, plan, MOST_CHANGES);
        let mut failure = self.failure(
            "the account was changed since: what would be done is not what was reviewed".to_owned(),
        );
        failure.help.splice(0..0, changes);
        Err(failure.into())
    }

    fn refused(&self, why: String) -> anyhow::Error {
        self.failure(why).into()
    }

    fn failure(&self, why: String) -> Failure {
        Failure::new(
            Cause::Refused,
            format!("the plan in {} cannot be applied: {why}", self.path.display()),
        )
        .help(AGAIN)
    }
}

/// Whether what would be done is what somebody approved by its hash.
pub fn approved(hash: &PlanHash, plan: &Plan, workspace: &Workspace) -> anyhow::Result<()> {
    let now = PlanHash::of(plan, &workspace.project.desired.project);
    if now == *hash {
        return Ok(());
    }
    let told =
        format!("the plan of now is not the approved one: its hash is {now}, approved was {hash}");
    Err(Failure::new(Cause::Refused, told)
        .help("nothing was done; look at the plan (`keyform plan`) and approve it anew")
        .into())
}
