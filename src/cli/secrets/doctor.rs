//! `secrets doctor`: is every secret where the state says, and the one that was stored?

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::error::{Cause, Exit, Failure};
use super::super::output::Output;
use super::super::project::ConnectArgs;
use super::super::project::LockArgs;
use crate::apply::custody::{Purpose, ReadError, Request};
use crate::apply::{Custody, Outcome, rotate};
use crate::documents::secrets::{Examined, Health, SecretsDoctor};
use crate::keyset::views::{RecordedKeyset, SecretRecord};
use crate::keyset::wire::KeyPrefix;
use crate::keyset::{Fingerprint, Label, Secret};
use crate::ops::Workspace;
use crate::ops::Writer;
use crate::ops::find::ADOPTED;
use crate::ops::recover::recover;
use crate::ops::sinks;
use crate::ports::{self, Sink, SinkError};
use crate::render::style::{BAD, BOLD, GOOD, WARN};
use crate::render::text::{count, terminal};
use crate::secrets::AnySink;
use crate::state::Snapshot;

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

/// What is known of one keyset's secret.
enum Finding {
    Sound {
        sink: Box<str>,
    },
    /// It was not as it should be, and is now.
    Repaired {
        how: String,
    },
    /// Repairable, and only looked at.
    Repairable {
        how: String,
    },
    /// Only the account could tell, and it says that another key is the current one.
    Stale,
    /// The account could not be asked, or does not tell.
    NotAsked,
    /// The keyset was adopted, and keyform never had its secret.
    Elsewhere,
    /// It is written to a place that gives nothing back here.
    Unreadable {
        why: String,
    },
    /// Two truths, of which neither is to be overwritten.
    Conflict {
        why: String,
    },
    Lost {
        why: String,
        then: String,
    },
}

pub async fn run(workspace: &Workspace, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let writing = args.lock.writing("secrets doctor", output);
    let finished = Writer::run(workspace, writing, async |writer, snapshot| {
        findings(workspace, args, writer, snapshot).await
    });
    let findings = finished.await?.whole()?;
    let bad = findings
        .values()
        .filter(|f| {
            matches!(
                f,
                Finding::Lost { .. }
                    | Finding::Conflict { .. }
                    | Finding::Stale
                    | Finding::NotAsked
                    | Finding::Repairable { .. }
            )
        })
        .count();
    let exit = if bad == 0 { Exit::Done } else { Exit::Partial };
    print(&findings, exit, bad, output);
    Ok(exit)
}

async fn findings(
    workspace: &Workspace,
    args: &Args,
    writer: &Writer<'_>,
    mut snapshot: Snapshot,
) -> anyhow::Result<BTreeMap<Label, Finding>> {
    let sinks = sinks::all(workspace)?;
    let mut findings: BTreeMap<Label, Finding> = BTreeMap::new();
    if snapshot.open.iter().any(|open| open.sealed.is_some()) {
        if args.check {
            for open in snapshot.open.iter().filter(|open| open.sealed.is_some()) {
                let how =
                    "it is sealed in the journal; `keyform secrets recover` stores it".to_owned();
                findings.insert(open.intent.what.label().clone(), Finding::Repairable { how });
            }
        } else {
            for (step, outcome) in
                recover(workspace, writer.store(), &snapshot, &sinks, None, Duration::ZERO)
                    .await?
                    .steps
            {
                if matches!(outcome.secret(), Some((SecretRecord::Missing { .. }, true))) {
                    let how =
                        "it is sealed in the journal, and its sink does not take it now; `keyform \
                         secrets recover` tries again"
                            .to_owned();
                    findings.insert(step.label, Finding::Repairable { how });
                } else if matches!(outcome.secret(), Some((SecretRecord::Stored { .. }, _))) {
                    findings.insert(
                        step.label,
                        Finding::Repaired {
                            how: "it was sealed in the journal, and is in its sink now".to_owned(),
                        },
                    );
                } else if let Outcome::Failed { why, help } = outcome {
                    findings
                        .insert(step.label, Finding::Lost { why, then: help.unwrap_or_default() });
                }
            }
            snapshot = writer.store().snapshot();
        }
    }
    let homes = sinks::homes(workspace);
    let custody = sinks::custody(workspace, &homes, &snapshot);
    let mut sound = Vec::new();
    for (label, keyset) in &snapshot.recorded.keysets {
        if findings.contains_key(label) {
            continue;
        }
        let (finding, secret) = look(&custody, &sinks, label, keyset, args.check).await?;
        if let (Some(secret), Finding::Sound { .. } | Finding::Repaired { .. }) = (secret, &finding)
        {
            sound.push((label.clone(), keyset.id.clone(), secret.prefix()));
        }
        findings.insert(label.clone(), finding);
    }
    if args.live {
        let client = writer.account(&args.connect.options()).await?;
        for (label, id, prefix) in sound {
            let now: Option<KeyPrefix> = rotate::permanent(client, &id).await;
            match (now, prefix) {
                (Some(now), Some(prefix)) if now != prefix => {
                    _ = findings.insert(label, Finding::Stale)
                }
                (None, _) => _ = findings.insert(label, Finding::NotAsked),
                _ => {}
            }
        }
    }
    Ok(findings)
}

async fn look(
    custody: &Custody<'_, AnySink>,
    sinks: &[AnySink],
    label: &Label,
    keyset: &RecordedKeyset,
    check: bool,
) -> anyhow::Result<(Finding, Option<Secret>)> {
    let wrong = match custody.read(label, keyset).await {
        Ok(secret) => {
            let sink = keyset.secret.sink().unwrap_or_default().into();
            return Ok((Finding::Sound { sink }, Some(secret)));
        }
        Err(ReadError::NeverHad) => return Ok((Finding::Elsewhere, None)),
        Err(ReadError::Missing(why)) => {
            let then = "`keyform apply` makes a new one: nobody can be using the one that is lost"
                .to_owned();
            return Ok((Finding::Lost { why: why.to_string(), then }, None));
        }
        Err(error @ ReadError::Another(_)) => {
            return Ok((Finding::Conflict { why: error.to_string() }, None));
        }
        Err(ReadError::Sink(error @ SinkError::WriteOnly { .. })) => {
            return Ok((Finding::Unreadable { why: error.to_string() }, None));
        }
        Err(ReadError::Sink(error)) => return Err(error.into()),
        Err(ReadError::NoSink(missing)) => {
            return Err(Failure::new(Cause::Error, missing.why).into());
        }
        Err(error @ ReadError::NotThere(_)) => error.to_string(),
    };
    let name = custody.entry(keyset.sink_label(label));
    let SecretRecord::Stored { sink: home, fingerprint } = &keyset.secret else {
        return Ok((Finding::Elsewhere, None));
    };
    let Some((from, secret)) = elsewhere(&name, sinks, home, fingerprint).await else {
        let then = format!(
            "if it is in use somewhere: `keyform secrets rotate {label} --overlap 24h`; if not, \
             --now"
        );
        return Ok((Finding::Lost { why: wrong, then }, None));
    };
    if check {
        return Ok((Finding::Repairable { how: format!("{wrong}; the {from} sink has it") }, None));
    }
    let request = Request {
        purpose: Purpose::Store,
        label,
        keyset: Some(keyset),
        coming: Some(fingerprint.clone()),
        overwrite: false,
    };
    let sink = custody.sink(home)?;
    Ok(match custody.place(sink, &name, &request, &secret).await {
        Ok(()) => (
            Finding::Repaired { how: format!("{wrong}; put back from the {from} sink") },
            Some(secret),
        ),
        Err(refusal) => {
            let then =
                format!("the {from} sink has it: `keyform secrets copy --to {from} {label}`");
            let why = format!("{wrong}, and it could not be put back: {}", refusal.why());
            (Finding::Lost { why, then }, None)
        }
    })
}

/// Another sink that has the very secret.
async fn elsewhere(
    name: &ports::SecretName,
    sinks: &[AnySink],
    home: &str,
    fingerprint: &Fingerprint,
) -> Option<(&'static str, Secret)> {
    for sink in sinks.iter().filter(|sink| *sink.name() != *home) {
        if let Ok(Some(secret)) = sink.get(name).await
            && secret.fingerprint() == *fingerprint
        {
            return Some((sink.name(), secret));
        }
    }
    None
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
