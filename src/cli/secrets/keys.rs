//! `secrets keys` and `secrets expire`: the secret keys that an account's keyset has, by their
//! public prefixes.

use std::time::Duration;

use super::super::clock::SystemClock;
use super::super::error::{Exit, Failure};
use super::super::lock::{LockArgs, duration};
use super::super::output::Output;
use super::super::session::{ConnectOptions, Session};
use super::super::sinks;
use super::find;
use crate::documents::secrets::{SecretExpire, SecretKey, SecretKeys};
use crate::keyset::Label;
use crate::keyset::duration::{OVERLAP_MAX, OVERLAP_MIN};
use crate::keyset::views::RecordedKeyset;
use crate::keyset::wire::{KeyPrefix, ListedKey};
use crate::ports::{Api, Clock};
use crate::render::style::{BOLD, DIM, GOOD};
use crate::render::text::{nearest, terminal};
use crate::state;

#[derive(Debug, clap::Args)]
pub struct KeysArgs {
    /// The keyset's label
    label: String,
    #[command(flatten)]
    connect: ConnectOptions,
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
    connect: ConnectOptions,
    #[command(flatten)]
    lock: LockArgs,
}

/// Lists the keys that work. Whole keys are never asked for, shown or kept.
pub async fn list(session: &Session, args: &KeysArgs, output: &Output) -> anyhow::Result<Exit> {
    let snapshot = state::read(&*session.storage(), &session.project.desired.project).await?;
    let (label, keyset) = find(&snapshot.recorded, &args.label)?;
    let connection = session.connect(&args.connect).await?;
    let keys = connection.client.secret_keys(&keyset.id).await;
    connection.close().await?;
    let homes = sinks::homes(session);
    let custody = sinks::custody(session, &homes, &snapshot);
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
pub async fn expire(session: &Session, args: &ExpireArgs, output: &Output) -> anyhow::Result<Exit> {
    if let Some(within) = args.within.filter(|within| !(OVERLAP_MIN..=OVERLAP_MAX).contains(within))
    {
        let told = format!("{} s: the API takes 60 s to 366 days", within.as_secs());
        return Err(Failure::new(Exit::Error, told).help("nothing was done").into());
    }
    let Some(prefix) =
        KeyPrefix::of(&args.prefix).filter(|prefix| prefix.to_string() == args.prefix)
    else {
        // Somebody may have given a whole key: it is not repeated here.
        return Err(Failure::new(
            Exit::Error,
            "a key is named by `sec-c-` and five characters: nothing was done",
        )
        .help(format!(
            "`keyform secrets keys {}` shows them; never put a whole key into an argument",
            terminal(&args.label)
        ))
        .into());
    };
    session.prepare_state_folder()?;
    let (store, snapshot) = args.lock.open(session, "secrets expire", output).await?;
    let (label, keyset) = find(&snapshot.recorded, &args.label)?;
    let connection = session.connect_to_change(&args.connect, &store).await?;
    let done = end(&connection.client, label, keyset, &prefix, args.within).await;
    connection.close().await?;
    store.fold().await?;
    let until = done?;
    if output.is_json() {
        let label = label.clone();
        output.document(SecretExpire { label, prefix, expires_at: until }, Exit::Done);
        return Ok(Exit::Done);
    }
    let when =
        until.map_or_else(|| "works no more".to_owned(), |at| format!("works until {at:.0}"));
    output.result(&format!(
        "{GOOD}✓{GOOD:#} {prefix} of keyset {BOLD}{label}{BOLD:#} {when} {DIM}(id {}){DIM:#}\n",
        keyset.id
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
            Err(Failure::new(Exit::Refused, told)
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
                Exit::Error,
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
            Err(Failure::new(Exit::Refused, told).help("end them in the portal").into())
        }
    }
}
