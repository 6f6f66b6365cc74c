//! What a plan must not do however right each step looks: doubles, wrong accounts, too much at once, mistyped labels.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::keyset::views::{Recorded, RecordedKeyset};
use crate::keyset::{AppId, FieldId, KeysetId, Label, Value};

use super::action::{Plan, Refusal, Refused};
use super::make::Inputs;

/// Names of `--target` and `--recreate` that nothing has.
pub(super) fn unknown_labels(inputs: &Inputs<'_>) -> Vec<Refusal> {
    let declared = &inputs.desired.keysets;
    let recorded = &inputs.recorded.keysets;
    let known = |text: &str| Label::parse(text).is_ok_and(|label| declared.contains_key(&label) || recorded.contains_key(&label));
    let asked: BTreeSet<&String> = inputs.policy.targets.iter().flatten().chain(&inputs.policy.recreate).collect();
    let mut refusals = Vec::new();
    for text in asked.into_iter().filter(|text| !known(text)) {
        let labels = || declared.keys().chain(recorded.keys());
        let why = Refused::UnknownLabel { label: text.clone(), nearest: nearest(text, labels()).cloned() };
        refusals.push(Refusal { label: None, why, origin: None });
    }
    refusals
}

/// The label that was probably meant.
fn nearest<'a>(text: &str, labels: impl Iterator<Item = &'a Label>) -> Option<&'a Label> {
    // Beyond a length it is no typing mistake, and comparing takes time by the product of the lengths.
    const CLOSE: f32 = 0.6;
    let near = |label: &&Label| label.as_str().len().abs_diff(text.len()) <= 4;
    labels
        .filter(near)
        .map(|label| (similar::TextDiff::from_chars(text, label.as_str()).ratio(), label))
        .filter(|(ratio, _)| *ratio >= CLOSE)
        // The first of equals, so that the answer does not depend on which map it came from.
        .fold(None, |best: Option<(f32, &Label)>, next| match best {
            Some(best) if best.0 >= next.0 => Some(best),
            _ => Some(next),
        })
        .map(|(_, label)| label)
}

/// Whether so many are gone that another account is the likelier story: half or more, so one of one is.
pub(super) fn suspicious(gone: usize, recorded: usize) -> bool {
    gone > 0 && gone * 2 >= recorded
}

/// More than `[limits]` or `--limit` allows.
pub(super) fn limits(plan: &Plan, inputs: &Inputs<'_>) -> Vec<Refusal> {
    let sum = plan.summary();
    let policy = inputs.policy;
    [
        ("create", sum.create, policy.limit_create),
        ("update", sum.update, policy.limit_update),
        ("delete", sum.delete + sum.delete_apps, Some(policy.limit_delete)),
    ]
    .into_iter()
    .filter_map(|(kind, planned, limit)| {
        let limit = limit.filter(|limit| planned > *limit)?;
        Some(Refusal { label: None, why: Refused::OverLimit { kind, planned, limit }, origin: None })
    })
    .collect()
}

/// Keysets of the account by app and name, without those that a declared label stands for already. Costs a walk over
/// the account; made only for plans that create.
pub(super) struct Names<'a>(HashMap<(&'a AppId, &'a str), (&'a KeysetId, Option<&'a Label>)>);

impl<'a> Names<'a> {
    pub fn of(inputs: &Inputs<'a>) -> Names<'a> {
        let mut names = HashMap::new();
        let Some(field) = name_field() else { return Names(names) };
        let left = |(label, _): &(&Label, &RecordedKeyset)| !inputs.desired.keysets.contains_key(*label);
        match inputs.live {
            Some(live) => {
                let Recorded { keysets, apps: _ } = inputs.recorded;
                let claimed: HashSet<&KeysetId> = keysets.iter().filter(|entry| !left(entry)).map(|(_, k)| &k.id).collect();
                let orphans: HashMap<&KeysetId, &Label> = keysets.iter().filter(left).map(|(label, k)| (&k.id, label)).collect();
                for keyset in live.keysets.values().filter(|k| !claimed.contains(&k.id)) {
                    if let Some(Value::Text(name)) = keyset.observed.get(field) {
                        names.entry((&keyset.app_id, &**name)).or_insert((&keyset.id, orphans.get(&keyset.id).copied()));
                    }
                }
            }
            None => {
                for (label, keyset) in inputs.recorded.keysets.iter().filter(left) {
                    if let Some(Value::Text(name)) = keyset.applied.get(field).or_else(|| keyset.seen.get(field)) {
                        names.entry((&keyset.app_id, &**name)).or_insert((&keyset.id, Some(label)));
                    }
                }
            }
        }
        Names(names)
    }

    /// The keyset that has the name already.
    pub fn taken(&self, app: &AppId, name: &str) -> Option<(&'a KeysetId, Option<&'a Label>)> {
        self.0.get(&(app, name)).copied()
    }
}

/// The row that holds a keyset's name.
pub(super) fn name_field() -> Option<FieldId> {
    FieldId::find("keyset", "name")
}
