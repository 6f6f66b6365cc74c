//! A journal that continues an earlier state than the one that is there: a run had not ended here,
//! and meanwhile the state came from somewhere else, by version control for one. Or the fold of
//! this very journal ended between its two files.
//!
//! What only the journal knows is kept; where both know something else, the state stays as it is,
//! and what was begun here counts as open again: the next apply asks the account which of the two
//! is right. Nothing is forgotten, nothing is overwritten.

use std::collections::BTreeMap;

use super::fold::fold;
use crate::keyset::Label;
use crate::keyset::duration::OVERLAP_UNASKED;
use crate::keyset::views::{Recorded, RecordedKeyset, SecretRecord};
use crate::ports::{Creation, Entry, Intent, Open};

/// Returns whether `recorded` is another now. Merging a second time changes nothing.
pub fn merge(recorded: &mut Recorded, open: &mut Vec<Open>, entries: Vec<Entry>) -> bool {
    let mut intents: BTreeMap<uuid::Uuid, Intent> = BTreeMap::new();
    let mut ended: BTreeMap<Label, Intent> = BTreeMap::new();
    let mut mine = Recorded::default();
    let mut forgotten: Vec<Label> = Vec::new();
    for entry in entries {
        match &entry {
            Entry::Forgotten { label, app: false } => forgotten.push(label.clone()),
            Entry::Intend(intent) => _ = intents.insert(intent.id, intent.clone()),
            Entry::Keyset { label, intent: Some(id), .. } => {
                if let Some(intent) = intents.get(id) {
                    ended.insert(label.clone(), intent.clone());
                }
            }
            _ => {}
        }
        fold(&mut mine, open, entry);
    }
    let mut changed = false;
    for (label, app) in mine.apps {
        changed |= !recorded.apps.contains_key(&label);
        recorded.apps.entry(label).or_insert(app);
    }
    for (here, keyset) in mine.keysets {
        let begun = ended.remove(&here);
        let label = label_of(recorded, &here, &keyset);
        let taken = recorded.keysets.contains_key(&here);
        let Some(other) = recorded.keysets.get_mut(&label) else {
            recorded.keysets.insert(label, keyset);
            changed = true;
            continue;
        };
        if label != here && forgotten.contains(&label) && other.secret == keyset.secret && !taken {
            // It got another label here, and there is nothing newer to it than that.
            let moved = RecordedKeyset {
                app: keyset.app,
                secret_label: keyset.secret_label,
                ..other.clone()
            };
            recorded.keysets.remove(&label);
            recorded.keysets.insert(here, moved);
            changed = true;
            continue;
        }
        if let Some(intent) = doubt(&label, &keyset, other, begun.as_ref())
            && open.iter().all(|open| open.intent.id != intent.id)
        {
            open.push(Open { intent, sealed: None });
        }
        let newer = begun.as_ref().is_some_and(|intent| replaces(intent, other));
        if newer {
            *other = keyset;
            changed = true;
        } else if keyset.id == other.id
            && let (
                SecretRecord::Stored { .. },
                SecretRecord::Missing { .. } | SecretRecord::Unknown,
            ) = (&keyset.secret, &other.secret)
        {
            other.secret = keyset.secret;
            other.secret_since = keyset.secret_since;
            // Where the sink has it under the label that it had here.
            other.secret_label =
                keyset.secret_label.or_else(|| (label != here).then(|| here.clone()));
            changed = true;
        }
    }
    changed
}

/// The label under which the state has what the journal has as `here`: another clone may have given
/// it another one since.
fn label_of(recorded: &Recorded, here: &Label, keyset: &RecordedKeyset) -> Label {
    let same = |there: &RecordedKeyset| there.id == keyset.id;
    if recorded.keysets.get(here).is_some_and(same) {
        return here.clone();
    }
    let elsewhere = recorded.keysets.iter().find(|(_, there)| same(there));
    elsewhere.map_or(here, |(label, _)| label).clone()
}

/// Whether what was begun took the place of that keyset, which was gone.
fn replaces(intent: &Intent, other: &RecordedKeyset) -> bool {
    matches!(&intent.what, Creation::Keyset { replaces: Some(id), .. } if *id == other.id)
}

/// What the account has to be asked about.
fn doubt(
    label: &Label,
    keyset: &RecordedKeyset,
    other: &RecordedKeyset,
    begun: Option<&Intent>,
) -> Option<Intent> {
    if keyset.id != other.id {
        // Two keysets of one label: what was made here is looked for, and a person chooses.
        return begun.filter(|intent| !replaces(intent, other)).cloned();
    }
    if keyset.secret == other.secret
        || matches!(
            (&keyset.secret, &other.secret),
            (SecretRecord::Missing { .. }, SecretRecord::Missing { .. })
        )
    {
        return None;
    }
    let fingerprint = |keyset: &RecordedKeyset| match &keyset.secret {
        SecretRecord::Stored { fingerprint, .. } => Some(fingerprint.clone()),
        SecretRecord::Missing { .. } | SecretRecord::Unknown => None,
    };
    if fingerprint(keyset) == fingerprint(other) {
        return None;
    }
    let begun = begun?;
    let what = Creation::SecretKey {
        label: label.clone(),
        id: other.id.clone(),
        expires_at: begun.at.checked_add(OVERLAP_UNASKED).ok(),
        from: None,
        over: None,
    };
    Some(Intent { id: begun.id, at: begun.at, what })
}
