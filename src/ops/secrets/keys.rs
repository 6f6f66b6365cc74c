//! The secret keys that an account's keyset has, by their public prefixes.

use std::time::Duration;

use super::super::account::ConnectOptions;
use super::super::clock::SystemClock;
use super::super::error::{Cause, Failure};
use super::super::find::find;
use super::super::sinks;
use super::super::workspace::Workspace;
use super::super::writer::{Changes, Writer, Writing};
use crate::keyset::KeyPrefix;
use crate::keyset::duration::{OVERLAP_MAX, OVERLAP_MIN};
use crate::keyset::views::RecordedKeyset;
use crate::keyset::wire::ListedKey;
use crate::keyset::{KeysetId, Label};
use crate::ports::{Api, Clock};
use crate::render::text::{nearest, terminal};

/// A key, and whether it is the one that the sink has; `None`: that cannot be told.
pub struct Key {
    pub listed: ListedKey,
    pub stored: Option<bool>,
}

/// The keys that work: the permanent one first, then those that last longest. Whole keys are never
/// asked for, shown or kept.
pub async fn list(
    workspace: &Workspace,
    label: &str,
    connect: &ConnectOptions,
) -> anyhow::Result<(Label, Vec<Key>)> {
    let snapshot = workspace.snapshot().await?;
    let (label, keyset) = find(&snapshot.recorded, label)?;
    let connection = workspace.connect(connect).await?;
    let keys = connection.client.secret_keys(&keyset.id).await;
    connection.close().await?;
    let homes = sinks::homes(workspace);
    let custody = sinks::custody(workspace, &homes, &snapshot);
    // Where it can be read here.
    let stored = custody.read(label, keyset).await.ok().and_then(|secret| secret.prefix());
    let mut keys = keys?;
    keys.sort_by_key(|key| (key.expires_at.is_some(), std::cmp::Reverse(key.expires_at)));
    let key = |listed: ListedKey| {
        let both = listed.prefix.as_ref().zip(stored.as_ref());
        let stored = both.map(|(prefix, stored)| prefix == stored);
        Key { listed, stored }
    };
    Ok((label.clone(), keys.into_iter().map(key).collect()))
}

/// Which key ends, and when.
pub struct Expiry<'a> {
    pub label: &'a str,
    pub prefix: &'a str,
    /// `None`: now.
    pub within: Option<Duration>,
    pub connect: ConnectOptions,
}

/// A key that was ended.
pub struct Expired {
    pub label: Label,
    pub id: KeysetId,
    pub prefix: KeyPrefix,
    /// Until when it works; `None`: no more.
    pub until: Option<jiff::Timestamp>,
}

/// Ends a key that a rotation has let work on. The permanent one is no matter of this.
pub async fn expire(
    workspace: &Workspace,
    writing: Writing<'_>,
    expiry: &Expiry<'_>,
) -> anyhow::Result<Expired> {
    let outside = |within: &Duration| !(OVERLAP_MIN..=OVERLAP_MAX).contains(within);
    if let Some(within) = expiry.within.filter(outside) {
        let told = format!("{} s: the API takes 60 s to 366 days", within.as_secs());
        return Err(Failure::new(Cause::Error, told).help("nothing was done").into());
    }
    let prefix = KeyPrefix::of(expiry.prefix).filter(|prefix| prefix.to_string() == expiry.prefix);
    let Some(prefix) = prefix else {
        // Somebody may have given a whole key: it is not repeated here.
        let told = "a key is named by `sec-c-` and five characters: nothing was done";
        let help = format!(
            "`keyform secrets keys {}` shows them; never put a whole key into an argument",
            terminal(expiry.label)
        );
        return Err(Failure::new(Cause::Error, told).help(help).into());
    };
    let finished = Writer::run(workspace, writing, async |writer, snapshot| {
        let (label, keyset) = find(&snapshot.recorded, expiry.label)?;
        let labels = [label.clone()];
        let changes = Changes::Keysets { labels: &labels, refused: "nothing was ended" };
        let client = writer.account_to_change(&expiry.connect, changes).await?;
        let until = end(client, label, keyset, &prefix, expiry.within).await?;
        Ok(Expired { label: label.clone(), id: keyset.id.clone(), prefix, until })
    });
    finished.await?.whole()
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
            let help = format!(
                "`keyform secrets rotate {label} --overlap 24h` makes a new one and lets this one \
                 work on"
            );
            Err(Failure::new(Cause::Refused, told).help(help).into())
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
        [] => Err(no_such_key(label, prefix, &keys)),
        _ => {
            let told = format!(
                "several keys of `{label}` begin with {prefix}, and nothing else tells them apart: \
                 nothing was done"
            );
            Err(Failure::new(Cause::Refused, told).help("end them in the portal").into())
        }
    }
}

fn no_such_key(label: &Label, prefix: &KeyPrefix, keys: &[ListedKey]) -> anyhow::Error {
    let told = format!("`{label}` has no key {prefix}: nothing was done");
    let all: Vec<String> =
        keys.iter().filter_map(|key| key.prefix.as_ref()).map(ToString::to_string).collect();
    let help = match nearest(&prefix.to_string(), all.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("`keyform secrets keys {label}` shows what there is"),
    };
    Failure::new(Cause::Error, told).help(help).into()
}
