//! Two states that grew out of one on two branches of version control. Pure: what each branch
//! changed is taken; what both changed otherwise is for a person.

use std::collections::{BTreeMap, BTreeSet};

use crate::keyset::Label;
use crate::keyset::views::Recorded;

/// Labels about which the two branches do not agree: apps, then keysets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conflicts {
    pub apps: Vec<Label>,
    pub keysets: Vec<Label>,
}

impl Conflicts {
    pub fn is_empty(&self) -> bool {
        self.apps.is_empty() && self.keysets.is_empty()
    }
}

/// `base`: what both began with.
pub fn join(base: &Recorded, ours: &Recorded, theirs: &Recorded) -> Result<Recorded, Conflicts> {
    let (apps, bad_apps) = each(&base.apps, &ours.apps, &theirs.apps);
    let (keysets, mut bad_keysets) = each(&base.keysets, &ours.keysets, &theirs.keysets);
    // One keyset under two labels: it got another one on one branch, and something else on the
    // other.
    let mut seen = BTreeMap::new();
    for (label, keyset) in &keysets {
        if let Some(first) = seen.insert(&keyset.id, label) {
            bad_keysets.extend([first.clone(), label.clone()]);
        }
    }
    bad_keysets.sort();
    bad_keysets.dedup();
    let conflicts = Conflicts { apps: bad_apps, keysets: bad_keysets };
    if conflicts.is_empty() { Ok(Recorded { apps, keysets }) } else { Err(conflicts) }
}

fn each<T: PartialEq + Clone>(
    base: &BTreeMap<Label, T>,
    ours: &BTreeMap<Label, T>,
    theirs: &BTreeMap<Label, T>,
) -> (BTreeMap<Label, T>, Vec<Label>) {
    let (mut all, mut conflicts) = (BTreeMap::new(), Vec::new());
    for label in ours.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
        let (before, our, their) = (base.get(label), ours.get(label), theirs.get(label));
        let taken = match (our, their) {
            _ if our == their || their == before => our,
            _ if our == before => their,
            _ => {
                conflicts.push(label.clone());
                our
            }
        };
        if let Some(taken) = taken {
            all.insert(label.clone(), taken.clone());
        }
    }
    (all, conflicts)
}
