//! `secrets copy`: from the sinks that have the secrets to another one.

use super::super::error::{Exit, Failure, SINK_HELP};
use super::super::lock::LockArgs;
use super::super::output::Output;
use super::super::session::Session;
use super::super::sinks;
use super::{ADOPTED, find};
use crate::keyset::Label;
use crate::keyset::views::{RecordedKeyset, SecretRecord};
use crate::ports::{self, Entry, Held, Ledger, Owner, Probed, Sink};
use crate::render::style::{BAD, GOOD};
use crate::render::text::{count, terminal};
use crate::secrets::AnySink;
use crate::state::{Snapshot, Store};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where they go: keyring, keyring-files, age or exec
    #[arg(long, value_name = "SINK")]
    to: String,
    /// Also where the other sink has something else under the same name
    #[arg(long)]
    overwrite: bool,
    /// Labels of keysets; all of them if none is named
    labels: Vec<String>,
    #[command(flatten)]
    lock: LockArgs,
}

pub async fn run(session: &Session, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    session.prepare_state_folder()?;
    let target = sinks::named(session, &args.to)?;
    let (store, snapshot) = args.lock.open(session, "secrets copy", output)?;
    let wanted: Vec<(&Label, &RecordedKeyset)> = if args.labels.is_empty() {
        snapshot.recorded.keysets.iter().collect()
    } else {
        args.labels
            .iter()
            .map(|text| find(&snapshot.recorded, text))
            .collect::<anyhow::Result<_>>()?
    };
    let result = copy(session, &store, &snapshot, &target, args.overwrite, &wanted).await;
    store.fold()?;
    let done = result?;
    let failed = done.iter().filter(|(_, end)| end.is_err()).count();
    let exit = if failed == 0 { Exit::Done } else { Exit::Partial };
    if output.is_json() {
        let keysets: Vec<_> = done
            .iter()
            .map(|(label, end)| match end {
                Ok(copied) => serde_json::json!({"label": label, "outcome": if *copied { "copied" } else { "there_already" }}),
                Err(why) => serde_json::json!({"label": label, "outcome": "failed", "message": why}),
            })
            .collect();
        let sink = target.name();
        output.json(&serde_json::json!({"format_version": 1, "kind": "copy", "exit_code": exit as u8, "to": sink, "keysets": keysets}));
        return Ok(exit);
    }
    let mut text = String::new();
    for (label, end) in &done {
        if let Err(why) = end {
            text.push_str(&format!("{BAD}✗{BAD:#} {label}: {}\n", terminal(why)));
        }
    }
    let copied = done.iter().filter(|(_, end)| matches!(end, Ok(true))).count();
    let there = done.len() - copied - failed;
    text.push_str(&format!(
        "{GOOD}{} copied{GOOD:#} to {}, {there} there already, {failed} failed.\n",
        count(copied, "secret"),
        target.name()
    ));
    output.result(&text);
    Ok(exit)
}

/// For each keyset whether its secret was copied, or was there already, or why not.
async fn copy<'a>(
    session: &Session,
    store: &Store,
    snapshot: &Snapshot,
    target: &AnySink,
    overwrite: bool,
    wanted: &[(&'a Label, &'a RecordedKeyset)],
) -> anyhow::Result<Vec<(&'a Label, Result<bool, String>)>> {
    if let Some(open) = snapshot.open.iter().find(|open| open.sealed.is_some()) {
        let label = open.intent.what.label();
        return Err(Failure::new(
            Exit::Error,
            format!("the secret of `{label}` is still sealed in the journal: nothing was done"),
        )
        .help("`keyform secrets recover` first")
        .into());
    }
    let probed = Probed::of(target).await;
    probed.map_err(|error| {
        Failure::new(Exit::NoSink, format!("nothing was copied: {error}")).help(SINK_HELP)
    })?;
    let mut done = Vec::new();
    for (label, keyset) in wanted {
        let end = one(session, store, target, overwrite, label, keyset).await;
        done.push((*label, end.map_err(|error| error.to_string())));
    }
    Ok(done)
}

async fn one(
    session: &Session,
    store: &Store,
    target: &AnySink,
    overwrite: bool,
    label: &Label,
    keyset: &RecordedKeyset,
) -> anyhow::Result<bool> {
    let (from, fingerprint) = match &keyset.secret {
        SecretRecord::Stored { sink, .. } if **sink == *target.name() => return Ok(false),
        SecretRecord::Stored { sink, fingerprint } => (sink, fingerprint),
        SecretRecord::Unknown => anyhow::bail!("the keyset was adopted: {ADOPTED}"),
        SecretRecord::Missing { why, .. } => {
            anyhow::bail!("it has no secret that could be copied: {why}")
        }
    };
    let name = sinks::entry(session, keyset.sink_label(label));
    let secret = sinks::named(session, from)?.get(&name).await?;
    let secret = secret.filter(|secret| secret.fingerprint() == *fingerprint);
    let Some(secret) = secret else {
        anyhow::bail!(
            "the {from} sink does not have the secret that the state records; `keyform secrets \
             doctor` looks further"
        )
    };
    let there = ports::held(target, &name).await?;
    if !overwrite
        && !matches!(&there, Held::Nothing | Held::NotKnown)
        && there != Held::Secret(fingerprint.clone())
    {
        anyhow::bail!(
            "the {} sink has something under this name already, and it may be the only copy of it: \
             --overwrite replaces it",
            target.name()
        );
    }
    ports::put_and_compare(
        target,
        &name,
        Some(Owner { id: &keyset.id, keys: &keyset.keys }),
        &secret,
    )
    .await?;
    let secret =
        SecretRecord::Stored { sink: target.name().into(), fingerprint: fingerprint.clone() };
    let keyset = RecordedKeyset { secret, ..keyset.clone() };
    store
        .append(Entry::Keyset { label: label.clone(), keyset: Box::new(keyset), intent: None })
        .await?;
    Ok(true)
}
