//! Wiring of the mirrors: GitHub's API, its token, and the copies of a run.

use std::collections::BTreeSet;

use zeroize::Zeroizing;

use super::environment::Environment;
use super::error::{Cause, Failure};
use super::workspace::Workspace;
use crate::apply::mirror::{self, Copy, Sending};
use crate::apply::{Custody, Event, Outcome, StepRef};
use crate::keyset::{Label, Secret};
use crate::ports::LedgerError;
use crate::secrets::{AnySink, Github, MirrorError};
use crate::state::Store;

/// Tokens, the first that is set: keyform's own, then those of `gh`.
pub const TOKENS: [&str; 3] = ["KEYFORM_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN"];
/// The variable as GitHub Actions sets it; for a GitHub Enterprise server of one's own.
pub const URL: &str = "GITHUB_API_URL";
const DEFAULT_URL: &str = "https://api.github.com";

/// Reaches every place that a copy is to go to, before anything is done. `None`: there are no
/// copies.
pub async fn reach(environment: &Environment, copies: &[Copy]) -> anyhow::Result<Option<Github>> {
    if copies.is_empty() {
        return Ok(None);
    }
    let Some(token) = &environment.github_token else {
        let told = format!(
            "copies of secrets are to go to GitHub, and there is no token: {} are not set",
            TOKENS.join(", ")
        );
        return Err(Failure::new(Cause::Error, format!("{told}: nothing was done"))
            .help(
                "make a fine-grained token with the repository permission Secrets: write (and \
                   Environments: write), and set KEYFORM_GITHUB_TOKEN",
            )
            .help("or take `[secrets.mirror]` out: copies are never the only place of a secret")
            .into());
    };
    let failed = |error: MirrorError| {
        let failure = Failure::new(Cause::Error, format!("{error}: nothing was done"));
        match error.help() {
            Some(help) => failure.help(help),
            None => failure,
        }
    };
    let token = Secret::parse(Zeroizing::new((**token).clone()))
        .map_err(|bad| Failure::new(Cause::Error, format!("the token for GitHub: {bad}")))?;
    let github = Github::new(environment.github_url.as_deref().unwrap_or(DEFAULT_URL), token)
        .map_err(failed)?;
    // One secret of each place: what is asked for is the place's key.
    let places: BTreeSet<_> =
        copies.iter().map(|copy| (&copy.to.repo, &copy.to.environment)).collect();
    for place in places {
        let Some(copy) = copies.iter().find(|copy| (&copy.to.repo, &copy.to.environment) == place)
        else {
            continue;
        };
        github.reach(&copy.to).await.map_err(failed)?;
    }
    Ok(Some(github))
}

/// How copies are sent, but for what and where.
pub struct Sender<'a> {
    pub store: &'a Store,
    pub custody: &'a Custody<'a, AnySink>,
    /// Also what was sent before.
    pub again: bool,
    pub stop: &'a dyn Fn() -> bool,
    pub on_event: &'a dyn Fn(Event),
}

impl Sender<'_> {
    /// Sends the copies of what is recorded by now.
    pub async fn send(
        &self,
        github: &Github,
        copies: &[Copy],
    ) -> (Vec<(StepRef, Outcome)>, Result<(), LedgerError>) {
        let recorded = self.store.snapshot().recorded;
        let Sender { store, custody, again, stop, on_event } = *self;
        let sending = Sending {
            mirror: github,
            ledger: store,
            custody,
            recorded: &recorded,
            again,
            stop,
            on_event,
        };
        mirror::send(&sending, copies).await
    }
}

/// Every copy that the project wants of this keyset's secret key.
pub fn wanted(workspace: &Workspace, label: &Label) -> Vec<Copy> {
    let keyset = workspace.project.desired.keysets.get(label);
    let copies = keyset.into_iter().flat_map(|keyset| keyset.mirrors.iter());
    copies.map(|to| Copy { label: label.clone(), to: to.clone() }).collect()
}
