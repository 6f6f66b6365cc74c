//! `secrets keys` and `secrets expire`: the secret keys that an account's keyset has, by their
//! public prefixes.

use std::time::Duration;

use super::super::error::{Cause, Exit, Failure};
use super::super::output::Output;
use super::super::project::ConnectArgs;
use super::super::project::{LockArgs, duration};
use crate::documents::secrets::{SecretExpire, SecretKey, SecretKeys};
use crate::keyset::Label;
use crate::keyset::duration::{OVERLAP_MAX, OVERLAP_MIN};
use crate::keyset::views::RecordedKeyset;
use crate::keyset::wire::{KeyPrefix, ListedKey};
use crate::ops::SystemClock;
use crate::ops::Workspace;
use crate::ops::find::find;
use crate::ops::sinks;
use crate::ops::{Changes, Writer};
use crate::ports::{Api, Clock};
use crate::render::style::{BOLD, DIM, GOOD};
use crate::render::text::{nearest, terminal};

#[derive(Debug, clap::Args)]
pub struct KeysArgs {
    /// The keyset's label
    label: String,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, clap::Args)]
pub struct ExpireArgs {
    /// The keyset's label
    label: String,
    /// Which key: `sec-c-` and five characters, as `secrets keys` shows it
    prefix: String,
    /// It ends now: whatever uses it stops working
    #[arg(long, required_unless_present = "within", conflicts_with = "within")]
    now: bool,
    /// It ends after this time: 60s to 366 days, such as 1h; needs a paid plan
    #[arg(long = "in", value_name = "DURATION", value_parser = duration)]
    within: Option<Duration>,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    lock: LockArgs,
}

/// Lists the keys that work. Whole keys are never asked for, shown or kept.
pub async fn list(workspace: &Workspace, args: &KeysArgs, output: &Output) -> anyhow::Result<Exit> {
    let snapshot = workspace.snapshot().await?;
    let (label, keyset) = find(&snapshot.recorded, &args.label)?;
    let connection = workspace.connect(&args.connect.options()).await?;
    let keys = connection.client.secret_keys(&keyset.id).await;
    connection.close().await?;
    let homes = sinks::homes(workspace);
    let custody = sinks::custody(workspace, &homes, &snapshot);
    // Where it can be read here.
    let stored = custody.read(label, keyset).await.ok().and_then(|secret| secret.prefix());
    let rows: Vec<Row> =
        in_order(keys?).into_iter().map(|key| Row::of(key, stored.as_ref())).collect();
    if output.is_json() {
        let keys = rows.into_iter().map(|Row { key, stored }| SecretKey {
            prefix: key.prefix,
            expires_at: key.expires_at,
            stored,
        });
        let document = SecretKeys { label: label.clone(), keys: keys.collect() };
        output.document(document, Exit::Done);
        return Ok(Exit::Done);
    }
    let mut text = format!("{BOLD}{:13}{:27}{BOLD:#}\n", "KEY", "WORKS");
    for Row { key, stored } in &rows {
        let prefix =
            key.prefix.as_ref().map_or_else(|| "(not told)".to_owned(), ToString::to_string);
        let works =
            key.expires_at.map_or_else(|| "for ever".to_owned(), |at| format!("until {at:.0}"));
        let note = match stored {
            Some(true) => format!("{GOOD}the one that is stored{GOOD:#}"),
            Some(false) if key.expires_at.is_none() => "not the one that is stored".to_owned(),
            _ => String::new(),
        };
        text.push_str(format!("{prefix:13}{works:27}{note}").trim_end());
        text.push('\n');
    }
    output.result(&text);
    Ok(Exit::Done)
}

/// A key, and whether it is the one that the sink has; `None`: that cannot be told.
struct Row {
    key: ListedKey,
    stored: Option<bool>,
}

impl Row {
    fn of(key: ListedKey, stored: Option<&KeyPrefix>) -> Row {
        let same = key.prefix.as_ref().zip(stored).map(|(prefix, stored)| prefix == stored);
        Row { key, stored: same }
    }
}

/// The permanent one first, then those that last longest.
fn in_order(mut keys: Vec<ListedKey>) -> Vec<ListedKey> {
    keys.sort_by_key(|key| (key.expires_at.is_some(), std::cmp::Reverse(key.expires_at)));
    keys
}

/// Ends a key that a rotation has let work on. The permanent one is no matter of this.
pub async fn expire(
    workspace: &Workspace,
    args: &ExpireArgs,
    output: &Output,
) -> anyhow::Result<Exit> {
    if let Some(within) = args.within.filter(|within| !(OVERLAP_MIN..=OVERLAP_MAX).contains(within))
    {
        let told = format!("{} s: the API takes 60 s to 366 days", within.as_secs());
        return Err(Failure::new(Cause::Error, told).help("nothing was done").into());
    }
    let Some(prefix) =
        KeyPrefix::of(&args.prefix).filter(|prefix| prefix.to_string() == args.prefix)
    else {
        // Somebody may have given a whole key: it is not repeated here.
        return Err(Failure::new(
            Cause::Error,
            "a key is named by `sec-c-` and five characters: nothing was done",
        )
        .help(format!(
            "`keyform secrets keys {}` shows them; never put a whole key into an argument",
            terminal(&args.label)
        ))
        .into());
    };
    let writing = args.lock.writing("secrets expire", output);
    let finished = Writer::run(workspace, writing, async |writer, snapshot| {
        let (label, keyset) = find(&snapshot.recorded, &args.label)?;
        let labels = [label.clone()];
        let changes = Changes::Keysets { labels: &labels, refused: "nothing was ended" };
        let client = writer.account_to_change(&args.connect.options(), changes).await?;
        let until = end(client, label, keyset, &prefix, args.within).await?;
        Ok((label.clone(), keyset.id.clone(), until))
    });
    let (label, id, until) = finished.await?.whole()?;
    if output.is_json() {
        output.document(SecretExpire { label, prefix, expires_at: until }, Exit::Done);
        return Ok(Exit::Done);
    }
    let when =
        until.map_or_else(|| "works no more".to_owned(), |at| format!("works until {at:.0}"));
    output.result(&format!(
        "{GOOD}✓{GOOD:#} {prefix} of keyset {BOLD}{label}{BOLD:#} {when} {DIM}(id {}){DIM:#}\n",
        id
    ));
    Ok(Exit::Done)
}

async fn end(
    api: &impl Api,
    label: &Label,
    keyset: &RecordedKeyset,
    prefix: &KeyPrefix,
    within: Option<Duration>,
) -> anyhow::Result<Option<jiff::Timestamp>> {
    let keys = api.secret_keys(&keyset.id).await?;
    let named: Vec<&ListedKey> =
        keys.iter().filter(|key| key.prefix.as_ref() == Some(prefix)).collect();
    match &named[..] {
        [key] if key.expires_at.is_none() => {
            let told = format!(
                "{prefix} is the permanent key of `{label}`, which the API ends by a rotation \
                 only: nothing was done"
            );
            Err(Failure::new(Cause::Refused, told)
                .help(format!(
                    "`keyform secrets rotate {label} --overlap 24h` makes a new one and \
                               lets this one work on"
                ))
                .into())
        }
        [_] => {
            let Some(within) = within else {
                api.delete_secret_key(&keyset.id, prefix).await?;
                return Ok(None);
            };
            let at = SystemClock.now().saturating_add(within)?;
            api.expire_secret_key(&keyset.id, prefix, at).await?;
            Ok(Some(at))
        }
        [] => {
            let failure = Failure::new(
                Cause::Error,
                format!("`{label}` has no key {prefix}: nothing was done"),
            );
            let all: Vec<String> = keys
                .iter()
                .filter_map(|key| key.prefix.as_ref())
                .map(ToString::to_string)
                .collect();
            Err(match nearest(&prefix.to_string(), all.iter().map(String::as_str)) {
                Some(near) => failure.help(format!("did you mean {near}?")).into(),
                None => failure
                    .help(format!("`keyform secrets keys {label}` shows what there is"))
                    .into(),
            })
        }
        _ => {
            let told = format!(
                "several keys of `{label}` begin with {prefix}, and nothing else tells them apart: \
                 nothing was done"
            );
            Err(Failure::new(Cause::Refused, told).help("end them in the portal").into())
        }
    }
}
