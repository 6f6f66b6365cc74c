//! What a put would overwrite. A secret that the state does not know may be the only copy of
//! another keyset's: it is never overwritten. Under the name of a keyset that is recorded it is
//! kept beside, and what comes takes its place; else nothing is put.

use super::report::Outcome;
use super::rotate::entry;
use crate::keyset::views::{Recorded, RecordedKeyset, SecretRecord};
use crate::keyset::{Fingerprint, Label};
use crate::ports::{Held, Item, Namespace, Probed, SecretName, Sink, SinkError};

/// Whose entry it is to be.
pub struct Whose<'a> {
    pub label: &'a Label,
    /// What was recorded under the label so far.
    pub keyset: Option<&'a RecordedKeyset>,
    /// The secret that is to be put, where it is known by now: an earlier run may have put it there
    /// already.
    pub coming: Option<Fingerprint>,
    pub recorded: &'a Recorded,
    /// It is this keyset's present key that is put, or about to be made: what else is there is of
    /// no more use under this name.
    pub keeps: bool,
}

/// Why nothing may be put under that name; `None`: nothing is there that would be lost, or nothing
/// any more.
pub async fn taken<S: Sink>(
    sink: Probed<'_, S>,
    name: &SecretName,
    whose: &Whose<'_>,
) -> Option<Outcome> {
    // What the sandbox gave out is worth nothing.
    if name.namespace == Namespace::Sandbox {
        return None;
    }
    let ours = whose.keyset.map(|keyset| &keyset.secret);
    let is_ours = |secret: &SecretRecord| match secret {
        SecretRecord::Stored { sink: home, .. } => **home == *sink.name(),
        SecretRecord::Missing { .. } => true,
        SecretRecord::Unknown => false,
    };
    match sink.holds(name).await {
        Ok(Held::Nothing | Held::NotKnown) => None,
        Ok(Held::Secret(found)) => {
            let known = whose.coming.as_ref() == Some(&found)
                || ours.and_then(SecretRecord::held) == Some(&found)
                || (ours.is_none() && is_elsewhere(sink, name, whose, &found).await);
            match (known, whose.keeps) {
                (true, _) => None,
                (false, true) => {
                    keep(sink, name, whose.label, &found).await.err().map(|error| failed(&error))
                }
                (false, false) => Some(refused(sink.name(), name, whose.label)),
            }
        }
        // It was readable or not when it was put: whose it is, only the state tells.
        Ok(Held::Unread) => (whose.coming.is_none() && !ours.is_some_and(is_ours))
            .then(|| refused(sink.name(), name, whose.label)),
        Err(_) if whose.keeps && ours.is_some_and(is_ours) => None,
        Err(error) => Some(failed(&error)),
    }
}

/// Whether the sink has it under the name of another label too, which the state records with it: so
/// nothing is lost here.
async fn is_elsewhere<S: Sink>(
    sink: Probed<'_, S>,
    name: &SecretName,
    whose: &Whose<'_>,
    found: &Fingerprint,
) -> bool {
    let stored = |keyset: &RecordedKeyset| matches!(&keyset.secret, SecretRecord::Stored { fingerprint, .. } if fingerprint == found);
    for (other, keyset) in whose.recorded.keysets.iter().filter(|(_, keyset)| stored(keyset)) {
        let there = entry(name.namespace, &name.project, keyset.sink_label(other));
        if there != *name
            && matches!(sink.holds(&there).await, Ok(Held::Secret(held)) if held == *found)
        {
            return true;
        }
    }
    false
}

/// Copies what the sink has under a name to a name beside it.
async fn keep<S: Sink>(
    sink: Probed<'_, S>,
    name: &SecretName,
    label: &Label,
    found: &Fingerprint,
) -> Result<(), SinkError> {
    let failed = |why: &str| SinkError::Broken { sink: sink.name(), why: why.to_owned() };
    let Some(secret) = sink.get(name).await? else { return Ok(()) };
    let short: String =
        found.to_string().chars().filter(char::is_ascii_hexdigit).rev().take(8).collect();
    // A label has 128 characters at most, all of them one byte.
    let base: String = label.as_str().chars().take(100).collect();
    let beside = Label::parse(&format!("{base}.kept-{short}"))
        .map_err(|_| failed("what it has cannot be kept under another name"))?;
    let beside = SecretName { item: Item::Keyset(beside), ..name.clone() };
    match sink.holds(&beside).await? {
        Held::Secret(there) if there == *found => return Ok(()),
        Held::Nothing => {}
        _ => {
            return Err(failed(
                "what it has under this name is not known, and the name to keep it under is taken",
            ));
        }
    }
    sink.put_beside(&beside, &secret).await?;
    let (Item::Keyset(kept), sink) = (&beside.item, sink.name()) else { return Ok(()) };
    tracing::warn!(
        "the {sink} had a secret under `{label}` that this state does not know: it is kept there \
         as `{kept}`"
    );
    Ok(())
}

fn failed(error: &SinkError) -> Outcome {
    Outcome::Failed {
        why: error.to_string(),
        help: Some("`keyform secrets doctor` looks at the sinks; nothing was asked for".to_owned()),
    }
}

fn refused(sink: &str, name: &SecretName, label: &Label) -> Outcome {
    let project = &name.project;
    let entry = match &name.item {
        Item::Keyset(entry) => entry,
        Item::EscrowKey => label,
    };
    Outcome::Failed {
        why: format!(
            "the {sink} holds a secret for `{entry}` of project `{project}` already that this \
             state does not know"
        ),
        help: Some(format!(
            "it may be the only copy of another keyset's secret key: bring back the state that \
             belongs to it, or give this project \
             another name; if it is of no more use, delete the entry ({}) with the {sink}'s own \
             tool",
            if sink == "keyring" {
                format!("service keyform:{project}, user {entry}")
            } else {
                format!("of `{entry}`")
            }
        )),
    }
}
