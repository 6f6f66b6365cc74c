//! `log`: what was changed, when and by whom; and whether anybody changed the log.

use super::error::{Cause, Failure};
use super::workspace::Workspace;
use crate::audit::{Chain, RecordHash};
use crate::render::log::Runs;
use crate::state;

/// What is asked for.
pub struct Request {
    /// Only what was done to these keysets and apps; none: all.
    pub labels: Vec<String>,
    /// Only so many of the last runs.
    pub last: Option<u64>,
    /// Records that have to be there.
    pub has: Vec<RecordHash>,
}

/// The log, and where it is.
pub struct Log {
    /// Its flaws are in it: a log that is not as it was written is shown before it is an error.
    pub chain: Chain,
    pub path: String,
}

impl Log {
    /// What was asked for.
    pub fn runs(&self, request: &Request) -> Runs<'_> {
        Runs::of(&self.chain, &request.labels, request.last)
    }
}

/// Reads the log. Changes nothing, takes no lock. Nothing about labels that are named is an error.
pub async fn run(workspace: &Workspace, request: &Request) -> anyhow::Result<Log> {
    let storage = workspace.storage();
    let snapshot = workspace.snapshot().await?;
    let mut chain = state::read_log(&*storage, &snapshot.log).await?.unwrap_or_default();
    chain.expect(&request.has);
    let log = Log { chain, path: storage.places().log.to_string() };
    let labels = &request.labels;
    if !labels.is_empty() && log.runs(request).is_empty() && log.chain.flaws.is_empty() {
        let told = format!("nothing in the log is about {}", labels.join(", "));
        return Err(Failure::new(Cause::Error, told)
            .help("`keyform log` shows all of it; keysets and apps are named by their labels")
            .into());
    }
    Ok(log)
}
