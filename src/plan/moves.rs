//! Labels that changed in the TOML: `moved` pairs what is recorded under an old one with the new
//! one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::keyset::Label;
use crate::keyset::views::{Desired, Recorded};

use super::inputs::Inputs;
use super::model::{OpenCreates, Refusal, Refused};
use super::step::{Op, Step};

/// State and journal as they are once the labels are changed, and what changes them.
pub(super) struct Moved {
    recorded: Recorded,
    open: OpenCreates,
    /// Only what is in scope.
    pub steps: Vec<Step>,
    pub refusals: Vec<Refusal>,
}

impl Moved {
    /// `None`: no label changes.
    pub fn of(inputs: &Inputs<'_>) -> Option<Moved> {
        let Inputs { desired, recorded, open, .. } = inputs;
        let changes = Changes::of(desired, recorded, open);
        if changes.is_empty() {
            return None;
        }
        let (mut steps, mut refusals) = (Vec::new(), Vec::new());
        for (from, to) in &changes.apps {
            if let (Some(app), Some(declared)) = (recorded.apps.get(*from), desired.apps.get(*to)) {
                let step = Step::new(to, Op::MoveApp { from: (*from).clone() });
                steps.push(step.id(app.id.clone()).at(declared.origin));
            }
        }
        for (from, to) in changes.keysets.iter().filter(|(_, to)| inputs.in_scope(to)) {
            if let (Some(since), Some(declared)) =
                (open.sealed.get(*from), desired.keysets.get(*to))
            {
                let why = Refused::MovedWhileSealed { from: (*from).clone(), since: *since };
                refusals.push(Refusal {
                    label: Some((*to).clone()),
                    why,
                    origin: Some(declared.origin),
                });
                continue;
            }
            if let (Some(keyset), Some(declared)) =
                (recorded.keysets.get(*from), desired.keysets.get(*to))
            {
                let step = Step::new(to, Op::MoveKeyset { from: (*from).clone() });
                steps.push(step.id(keyset.id.clone()).at(declared.origin));
            }
        }
        let open = OpenCreates {
            apps: renamed(&open.apps, &changes.apps),
            keysets: renamed(&open.keysets, &changes.keysets),
            secret_keys: renamed(&open.secret_keys, &changes.keysets),
            sealed: renamed(&open.sealed, &changes.keysets),
        };
        Some(Moved { recorded: changes.carried_out(recorded), open, steps, refusals })
    }

    pub fn inputs<'a>(&'a self, inputs: &Inputs<'a>) -> Inputs<'a> {
        Inputs { recorded: &self.recorded, open: &self.open, ..*inputs }
    }
}

/// What is recorded, under the labels that the TOML gives it.
pub fn relabelled<'a>(desired: &Desired, recorded: &'a Recorded) -> Cow<'a, Recorded> {
    let changes = Changes::of(desired, recorded, &OpenCreates::default());
    if changes.is_empty() {
        Cow::Borrowed(recorded)
    } else {
        Cow::Owned(changes.carried_out(recorded))
    }
}

/// New labels by old ones.
struct Changes<'a> {
    apps: BTreeMap<&'a Label, &'a Label>,
    keysets: BTreeMap<&'a Label, &'a Label>,
}

impl<'a> Changes<'a> {
    /// A label that nobody declares any more gives what it stands for to the one that names it, if
    /// that one stands for nothing yet; or for the same already, as a run leaves it that ended
    /// between the two records.
    fn of(desired: &'a Desired, recorded: &Recorded, open: &OpenCreates) -> Changes<'a> {
        let apps = desired.apps.iter().filter(|(_, app)| !app.moved_from.is_empty()).filter_map(
            |(label, app)| {
                let there = recorded.apps.get(label).map(|app| &app.id);
                let known = |from: &&Label| match (recorded.apps.get(from), there) {
                    (Some(old), Some(there)) => old.id == *there,
                    (old, None) => old.is_some() || open.apps.contains_key(from),
                    (None, Some(_)) => false,
                };
                app.moved_from
                    .iter()
                    .find(|from| known(from) && !desired.apps.contains_key(from))
                    .map(|from| (from, label))
            },
        );
        let keysets = desired
            .keysets
            .iter()
            .filter(|(_, keyset)| !keyset.moved_from.is_empty())
            .filter_map(|(label, keyset)| {
                let begun = |from: &Label| {
                    open.keysets.contains_key(from)
                        || open.sealed.contains_key(from)
                        || open.secret_keys.contains_key(from)
                };
                let there = recorded.keysets.get(label);
                let known = |from: &&Label| match (recorded.keysets.get(from), there) {
                    // What differs is not decided here: one of the two may be newer.
                    (Some(old), Some(there)) => old.id == there.id && old.secret == there.secret,
                    (old, None) => old.is_some() || begun(from),
                    (None, Some(_)) => false,
                };
                keyset
                    .moved_from
                    .iter()
                    .find(|from| known(from) && !desired.keysets.contains_key(from))
                    .map(|from| (from, label))
            });
        Changes { apps: apps.collect(), keysets: keysets.collect() }
    }

    fn is_empty(&self) -> bool {
        self.apps.is_empty() && self.keysets.is_empty()
    }

    fn carried_out(&self, recorded: &Recorded) -> Recorded {
        let mut keysets = renamed(&recorded.keysets, &self.keysets);
        for keyset in keysets.values_mut() {
            if let Some(to) = self.apps.get(&keyset.app) {
                keyset.app = (*to).clone();
            }
        }
        Recorded { apps: renamed(&recorded.apps, &self.apps), keysets }
    }
}

fn renamed<T: Clone>(
    map: &BTreeMap<Label, T>,
    labels: &BTreeMap<&Label, &Label>,
) -> BTreeMap<Label, T> {
    let kept =
        map.iter().filter(|(label, _)| labels.get(label).is_none_or(|to| !map.contains_key(to)));
    kept.map(|(label, value)| ((*labels.get(label).unwrap_or(&label)).clone(), value.clone()))
        .collect()
}
