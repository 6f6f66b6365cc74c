//! What a put would overwrite. A secret that the state does not know may be the only copy of another keyset's: it stays, and what
//! was to take its place is not asked for.

use super::report::Outcome;
use crate::keyset::views::{Recorded, RecordedKeyset, SecretRecord};
use crate::keyset::{Fingerprint, Label};
use crate::ports::{Api, Held, Namespace, Probed, SecretName, Sink};

/// Whose entry it is to be.
pub struct Whose<'a> {
    pub label: &'a Label,
    /// What was recorded of it so far.
    pub keyset: Option<&'a RecordedKeyset>,
    /// The secret that is to be put, where it is known by now: an earlier run may have put it there already.
    pub coming: Option<Fingerprint>,
    pub recorded: &'a Recorded,
}

/// Why nothing may be put under that name; `None`: nothing is there, or what is the keyset's own.
pub async fn taken<A: Api, S: Sink>(api: Option<&A>, sink: Probed<'_, S>, name: &SecretName, whose: &Whose<'_>) -> Option<Outcome> {
    // What the sandbox gave out is worth nothing.
    if name.namespace == Namespace::Sandbox {
        return None;
    }
    let held = match sink.holds(name).await {
        Ok(held) => held,
        Err(error) => return Some(Outcome::Failed { why: error.to_string(), help: None }),
    };
    let ours = whose.keyset.map(|keyset| &keyset.secret);
    let known = match &held {
        Held::Nothing | Held::NotKnown => true,
        Held::Secret(found) => {
            whose.coming.as_ref() == Some(found)
                || ours.and_then(SecretRecord::held) == Some(found)
                || (ours.is_none() && has_another_label(whose, found))
                || belongs(api, sink, name, whose.keyset).await
        }
        Held::Unread => {
            let home = |secret: &SecretRecord| match secret {
                SecretRecord::Stored { sink: home, .. } => **home == *sink.name(),
                SecretRecord::Missing { held, .. } => held.is_some(),
                SecretRecord::Unknown => false,
            };
            whose.coming.is_some() || ours.is_some_and(home)
        }
    };
    (!known).then(|| refused(sink.name(), name, whose.label))
}

/// The entry of a keyset that has another label by now, under which the same secret was stored too.
fn has_another_label(whose: &Whose<'_>, found: &Fingerprint) -> bool {
    let stored = |keyset: &RecordedKeyset| matches!(&keyset.secret, SecretRecord::Stored { fingerprint, .. } if fingerprint == found);
    whose.recorded.keysets.iter().any(|(other, keyset)| stored(keyset) && keyset.sink_label(other) != whose.label)
}

/// Whether the account lists it among the keyset's keys: so it is there where the state was lost.
async fn belongs<A: Api, S: Sink>(api: Option<&A>, sink: Probed<'_, S>, name: &SecretName, keyset: Option<&RecordedKeyset>) -> bool {
    let (Some(api), Some(keyset)) = (api, keyset) else { return false };
    let Ok(Some(secret)) = sink.get(name).await else { return false };
    let Some(prefix) = secret.prefix() else { return false };
    api.secret_keys(&keyset.id).await.is_ok_and(|keys| keys.iter().any(|key| key.prefix.as_ref() == Some(&prefix)))
}

fn refused(sink: &str, name: &SecretName, label: &Label) -> Outcome {
    let (project, entry) = (
        &name.project,
        match &name.item {
            crate::ports::Item::Keyset(entry) => entry,
            crate::ports::Item::EscrowKey => label,
        },
    );
    Outcome::Failed {
        why: format!("the {sink} holds a secret for `{entry}` of project `{project}` already that this state does not know"),
        help: Some(format!(
            "it may be the only copy of another keyset's secret key: bring back the state that belongs to it, or give this project \
             another name; if it is of no more use, delete the entry ({}) with the {sink}'s own tool",
            if sink == "keyring" { format!("service keyform:{project}, user {entry}") } else { format!("of `{entry}`") }
        )),
    }
}
