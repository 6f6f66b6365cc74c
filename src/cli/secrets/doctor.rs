//! `secrets doctor`: is every secret where the state says, and the one that was stored?

use std::collections::BTreeMap;

use super::super::error::Exit;
use super::super::output::Output;
use super::super::project::{ConnectArgs, LockArgs};
use crate::documents::secrets::{Examined, Health, SecretsDoctor};
use crate::keyset::Label;
use crate::ops::Workspace;
use crate::ops::find::ADOPTED;
use crate::ops::secrets::doctor::{self, Finding, Order};
use crate::render::style::{BAD, BOLD, GOOD, WARN};
use crate::render::text::{count, terminal};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only look; repair nothing
    #[arg(long)]
    check: bool,
    /// Ask the account too whether each secret is still the current one
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    lock: LockArgs,
}

pub async fn run(workspace: &Workspace, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let order = Order { check: args.check, live: args.live.then(|| args.connect.options()) };
    let writing = args.lock.writing("secrets doctor", output);
    let findings = doctor::examine(workspace, writing, &order).await?;
    let bad = findings.values().filter(|finding| finding.is_bad()).count();
    let exit = if bad == 0 { Exit::Done } else { Exit::Partial };
    print(&findings, exit, bad, output);
    Ok(exit)
}

fn print(findings: &BTreeMap<Label, Finding>, exit: Exit, bad: usize, output: &Output) {
    if output.is_json() {
        let keysets = findings.iter().map(|(label, finding)| {
            let (status, message) = told(finding);
            Examined { label: label.clone(), status, message }
        });
        output.document(SecretsDoctor { keysets: keysets.collect() }, exit);
        return;
    }
    let width = findings.keys().map(|label| label.as_str().len()).max().unwrap_or(0);
    let mut text = String::new();
    for (label, finding) in findings {
        let (status, message) = told(finding);
        let style = match finding {
            Finding::Sound { .. } | Finding::Repaired { .. } => GOOD,
            Finding::Elsewhere => WARN,
            Finding::Unreadable { .. } | Finding::NotAsked | Finding::Repairable { .. } => WARN,
            Finding::Lost { .. } | Finding::Conflict { .. } | Finding::Stale => BAD,
        };
        text.push_str(&format!(
            "{:width$}  {style}{}{style:#}  {}\n",
            label.as_str(),
            status.name(),
            terminal(&message)
        ));
    }
    text.push_str(&format!(
        "{BOLD}{}{BOLD:#} looked at, {bad} not as they should be.\n",
        count(findings.len(), "secret")
    ));
    output.result(&text);
}

fn told(finding: &Finding) -> (Health, String) {
    match finding {
        Finding::Sound { sink } => (Health::Sound, format!("in {sink}")),
        Finding::Repaired { how } => (Health::Repaired, how.clone()),
        Finding::Repairable { how } => (Health::Repairable, how.clone()),
        Finding::Stale => (
            Health::Stale,
            "the account has another current key: somebody rotated it; `keyform secrets rotate` \
             makes one that is stored"
                .to_owned(),
        ),
        Finding::Elsewhere => (Health::Unknown, format!("the keyset was adopted, and {ADOPTED}")),
        Finding::NotAsked => {
            (Health::NotAsked, "the account did not tell which key is the current one".to_owned())
        }
        Finding::Conflict { why } => (
            Health::Conflict,
            format!(
                "{why}, and nothing was changed: it may be the newer one; pull the newest \
                     state, or restore the entry from a backup"
            ),
        ),
        Finding::Unreadable { why } => (Health::Unreadable, why.clone()),
        Finding::Lost { why, then } => (Health::Lost, format!("{why}; {then}")),
    }
}
