//! What a record does to the picture. Replaying a record twice changes nothing.

use crate::keyset::views::Recorded;
use crate::ports::{Entry, Open};

/// Returns whether `recorded` is another now.
pub fn fold(recorded: &mut Recorded, open: &mut Vec<Open>, entry: Entry) -> bool {
    let (changed, ended) = match entry {
        Entry::Intend(intent) => {
            if open.iter().all(|other| other.intent.id != intent.id) {
                open.push(Open { intent, sealed: None });
            }
            return false;
        }
        Entry::Sealed { intent, answer } => {
            if let Some(open) = open.iter_mut().find(|open| open.intent.id == intent) {
                open.sealed = Some(answer);
            }
            return false;
        }
        Entry::Void { intent } => (false, Some(intent)),
        Entry::App { label, app, intent } => {
            let changed = recorded.apps.get(&label) != Some(&app);
            recorded.apps.insert(label, app);
            (changed, intent)
        }
        Entry::Keyset { label, keyset, intent } => {
            let changed = recorded.keysets.get(&label) != Some(&*keyset);
            recorded.keysets.insert(label, *keyset);
            (changed, intent)
        }
        Entry::Forgotten { label, app: true } => (recorded.apps.remove(&label).is_some(), None),
        Entry::Forgotten { label, app: false } => (recorded.keysets.remove(&label).is_some(), None),
    };
    if let Some(ended) = ended {
        open.retain(|open| open.intent.id != ended);
    }
    changed
}
