//! What a record does to the picture. Replaying a record twice changes nothing.

use crate::keyset::views::Recorded;
use crate::ports::{Entry, Intent};

/// Returns whether `recorded` is another now.
pub fn fold(recorded: &mut Recorded, open: &mut Vec<Intent>, entry: Entry) -> bool {
    let (changed, ended) = match entry {
        Entry::Intend(intent) => {
            if open.iter().all(|other| other.id != intent.id) {
                open.push(intent);
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
    };
    if let Some(ended) = ended {
        open.retain(|intent| intent.id != ended);
    }
    changed
}
