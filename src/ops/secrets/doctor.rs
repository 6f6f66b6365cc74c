//! Is every secret where the state says, and the one that was stored?

use std::collections::BTreeMap;

use super::super::account::ConnectOptions;
use super::super::error::{Cause, Failure};
use super::super::sinks;
use super::super::workspace::Workspace;
use super::super::writer::{Writer, Writing};
use super::recover::{Asking, recover};
use crate::apply::custody::{Purpose, ReadError, Request};
use crate::apply::{Custody, Outcome, rotate};
use crate::keyset::views::{RecordedKeyset, SecretRecord};
use crate::keyset::{Fingerprint, Label, Secret};
use crate::ports::{SecretName, Sink, SinkError};
use crate::secrets::AnySink;
use crate::state::Snapshot;

/// What is known of one keyset's secret.
pub enum Finding {
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

impl Finding {
    /// Somebody has to look at it.
    pub fn is_bad(&self) -> bool {
        match self {
            Finding::Sound { .. }
            | Finding::Repaired { .. }
            | Finding::Elsewhere
            | Finding::Unreadable { .. } => false,
            Finding::Repairable { .. }
            | Finding::Stale
            | Finding::NotAsked
            | Finding::Conflict { .. }
            | Finding::Lost { .. } => true,
        }
    }
}

/// How far it goes.
pub struct Order {
    /// Only looks; repairs nothing.
    pub check: bool,
    /// Asks the account too whether each secret is still the current one.
    pub live: Option<ConnectOptions>,
}

pub async fn examine(
    workspace: &Workspace,
    writing: Writing<'_>,
    order: &Order,
) -> anyhow::Result<BTreeMap<Label, Finding>> {
    let finished = Writer::run(workspace, writing, async |writer, mut snapshot| {
        let sinks = sinks::all(workspace)?;
        let mut findings = BTreeMap::new();
        if snapshot.open.iter().any(|open| open.sealed.is_some()) {
            if order.check {
                findings = sealed(&snapshot);
            } else {
                findings = recovered(workspace, writer, &snapshot, &sinks).await?;
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
            let (finding, secret) = look(&custody, &sinks, label, keyset, order.check).await?;
            if let Some(secret) = secret {
                sound.push((label.clone(), keyset.id.clone(), secret.prefix()));
            }
            findings.insert(label.clone(), finding);
        }
        if let Some(connect) = &order.live {
            let client = writer.account(connect).await?;
            for (label, id, prefix) in sound {
                match (rotate::permanent(client, &id).await, prefix) {
                    (Some(now), Some(prefix)) if now != prefix => {
                        _ = findings.insert(label, Finding::Stale)
                    }
                    (None, _) => _ = findings.insert(label, Finding::NotAsked),
                    _ => {}
                }
            }
        }
        Ok(findings)
    });
    finished.await?.whole()
}

/// What waits in the journal, only looked at.
fn sealed(snapshot: &Snapshot) -> BTreeMap<Label, Finding> {
    let sealed = snapshot.open.iter().filter(|open| open.sealed.is_some());
    let how = "it is sealed in the journal; `keyform secrets recover` stores it";
    sealed
        .map(|open| {
            let label = open.intent.what.label().clone();
            (label, Finding::Repairable { how: how.to_owned() })
        })
        .collect()
}

async fn recovered(
    workspace: &Workspace,
    writer: &Writer<'_>,
    snapshot: &Snapshot,
    sinks: &[AnySink],
) -> anyhow::Result<BTreeMap<Label, Finding>> {
    let store = writer.store();
    let recovered = recover(workspace, store, snapshot, sinks, Asking::nobody()).await?;
    let mut findings = BTreeMap::new();
    for (step, outcome) in recovered.steps {
        let finding = match (outcome.secret(), &outcome) {
            (Some((SecretRecord::Missing { .. }, true)), _) => Finding::Repairable {
                how: "it is sealed in the journal, and its sink does not take it now; `keyform \
                      secrets recover` tries again"
                    .to_owned(),
            },
            (Some((SecretRecord::Stored { .. }, _)), _) => Finding::Repaired {
                how: "it was sealed in the journal, and is in its sink now".to_owned(),
            },
            (_, Outcome::Failed(error)) => Finding::Lost {
                why: error.message.clone(),
                then: error.help.clone().unwrap_or_default(),
            },
            _ => continue,
        };
        findings.insert(step.label, finding);
    }
    Ok(findings)
}

/// Looks for one secret, and puts it back if it may; the secret where it is as it should be.
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
        Err(ReadError::NotThere(sink)) => ReadError::NotThere(sink).to_string(),
        Err(error) => return Ok((not_read(error)?, None)),
    };
    let SecretRecord::Stored { sink: home, fingerprint } = &keyset.secret else {
        return Ok((Finding::Elsewhere, None));
    };
    let name = custody.entry(keyset.sink_label(label));
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
    Ok(match custody.place(custody.sink(home)?, &name, &request, &secret).await {
        Ok(()) => {
            let how = format!("{wrong}; put back from the {from} sink");
            (Finding::Repaired { how }, Some(secret))
        }
        Err(refusal) => {
            let then =
                format!("the {from} sink has it: `keyform secrets copy --to {from} {label}`");
            let why = format!("{wrong}, and it could not be put back: {}", refusal.why());
            (Finding::Lost { why, then }, None)
        }
    })
}

/// A secret that cannot be read, but for one that is not there; a sink that fails ends the whole.
fn not_read(error: ReadError) -> anyhow::Result<Finding> {
    Ok(match error {
        ReadError::NeverHad => Finding::Elsewhere,
        ReadError::Missing(why) => Finding::Lost {
            why: why.to_string(),
            then: "`keyform apply` makes a new one: nobody can be using the one that is lost"
                .to_owned(),
        },
        // It may be the newer one, and the only copy of it.
        ReadError::Another(_) => Finding::Conflict { why: error.to_string() },
        ReadError::Sink(error @ SinkError::WriteOnly { .. }) => {
            Finding::Unreadable { why: error.to_string() }
        }
        ReadError::Sink(error) => return Err(error.into()),
        ReadError::NoSink(missing) => {
            return Err(Failure::new(Cause::Error, missing.why).into());
        }
        ReadError::NotThere(_) => Finding::Lost { why: error.to_string(), then: String::new() },
    })
}

/// Another sink that has the very secret.
async fn elsewhere(
    name: &SecretName,
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
