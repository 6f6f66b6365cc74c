//! What a record does to the picture. Replaying a record twice changes nothing.

use crate::keyset::views::Recorded;
use crate::ports::{Entry, Intent};

pub fn fold(recorded: &mut Recorded, open: &mut Vec<Intent>, entry: Entry) {
    let ended = match entry {
        Entry::Intend(intent) => {
            if open.iter().all(|other| other.id != intent.id) {
                open.push(intent);
            }
            return;
        }
        Entry::Void { intent } => Some(intent),
        Entry::App { label, app, intent } => {
            recorded.apps.insert(label, app);
            intent
        }
        Entry::Keyset { label, keyset, intent } => {
            recorded.keysets.insert(label, *keyset);
            intent
        }
    };
    if let Some(ended) = ended {
        open.retain(|intent| intent.id != ended);
    }
}
