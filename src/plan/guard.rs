//! What a plan must not do however right each step looks: doubles, wrong accounts, too much at
//! once, mistyped labels.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::keyset::views::{Freeze, Recorded, RecordedKeyset};
use crate::keyset::{AppId, Bounded, FieldId, KeysetId, Label, Origin, Value};

use super::inputs::Inputs;
use super::model::{Limit, Plan, Refusal, Refused};
use super::step::Step;

/// Names of `--target` and `--recreate` that nothing has.
pub(super) fn unknown_labels(inputs: &Inputs<'_>) -> Vec<Refusal> {
    let declared = &inputs.desired.keysets;
    let recorded = &inputs.recorded.keysets;
    let known = |text: &str| {
        Label::parse(text)
            .is_ok_and(|label| declared.contains_key(&label) || recorded.contains_key(&label))
    };
    let asked: BTreeSet<&String> =
        inputs.policy.targets.iter().flatten().chain(&inputs.policy.recreate).collect();
    let mut refusals = Vec::new();
    for text in asked.into_iter().filter(|text| !known(text)) {
        let labels = || declared.keys().chain(recorded.keys());
        let why = Refused::UnknownLabel {
            label: text.clone(),
            nearest: nearest(text, labels()).cloned(),
        };
        refusals.push(Refusal { label: None, why, origin: None });
    }
    refusals
}

/// The label that was probably meant.
fn nearest<'a>(text: &str, labels: impl Iterator<Item = &'a Label>) -> Option<&'a Label> {
    // Beyond a length it is no typing mistake, and comparing takes time by the product of the
    // lengths.
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

/// Whether so many are gone that another account is the likelier story: half or more, so one of one
/// is.
pub(super) fn suspicious(gone: usize, recorded: usize) -> bool {
    gone > 0 && gone * 2 >= recorded
}

/// More than `[limits]` or `--limit` allows.
pub(super) fn limits(plan: &Plan, inputs: &Inputs<'_>) -> Vec<Refusal> {
    let managed = inputs.recorded.keysets.len();
    let over = |kind: Bounded| {
        let Limit { budget, origin } = inputs.policy.limit(kind)?;
        let (planned, limit) = (planned(plan, kind), budget.of(managed));
        (planned > limit).then_some(Refusal {
            label: None,
            why: Refused::OverLimit { kind, planned, limit, budget },
            origin,
        })
    };
    Bounded::ALL.into_iter().filter_map(over).collect()
}

/// How much of that a plan does.
pub(super) fn planned(plan: &Plan, kind: Bounded) -> usize {
    if kind == Bounded::Irreversible {
        return plan.summary().irreversible;
    }
    let counted = plan.steps.iter().filter(|step| step.row().limit == Some(kind));
    match kind {
        Bounded::Create | Bounded::Irreversible | Bounded::Delete => counted.count(),
        // A keyset may have several updates. What goes to a keyset that this plan creates, which
        // has no id yet, is part of the create.
        Bounded::Update => counted
            .filter(|step| step.id.is_some())
            .map(|step| &step.label)
            .collect::<HashSet<_>>()
            .len(),
    }
}

/// What is planned for something that is frozen; once for each place that says so.
pub(super) fn frozen(plan: &Plan, inputs: &Inputs<'_>) -> Vec<Refusal> {
    let desired = inputs.desired;
    let freeze = |step: &Step| match step.is_app() {
        true => desired.app_freeze(&step.label),
        false => {
            let label = &step.label;
            let declared = desired.keysets.get(label).map(|keyset| &keyset.app);
            let app =
                declared.or_else(|| inputs.recorded.keysets.get(label).map(|keyset| &keyset.app));
            app.map_or(desired.freeze.as_ref(), |app| desired.keyset_freeze(label, app))
        }
    };
    let found: BTreeMap<Origin, (&Freeze, &Step)> = plan
        .steps
        .iter()
        .rev()
        .filter_map(|step| freeze(step).map(|freeze| (freeze.origin, (freeze, step))))
        .collect();
    let refusal = |(origin, (freeze, step)): (Origin, (&Freeze, &Step))| Refusal {
        label: (desired.freeze.as_ref() != Some(freeze)).then(|| step.label.clone()),
        why: Refused::Frozen { reason: freeze.reason.clone(), app: step.is_app() },
        origin: Some(origin),
    };
    found.into_iter().map(refusal).collect()
}

/// Keysets of the account by app and name, without those that a declared label stands for already.
/// Costs a walk over the account; made only for plans that create.
pub(super) struct Names<'a>(HashMap<(&'a AppId, &'a str), (&'a KeysetId, Option<&'a Label>)>);

impl<'a> Names<'a> {
    pub fn of(inputs: &Inputs<'a>) -> Names<'a> {
        let mut names = HashMap::new();
        let Some(field) = name_field() else { return Names(names) };
        let left =
            |(label, _): &(&Label, &RecordedKeyset)| !inputs.desired.keysets.contains_key(*label);
        match inputs.live {
            Some(live) => {
                let Recorded { keysets, apps: _ } = inputs.recorded;
                let claimed: HashSet<&KeysetId> =
                    keysets.iter().filter(|entry| !left(entry)).map(|(_, k)| &k.id).collect();
                let orphans: HashMap<&KeysetId, &Label> =
                    keysets.iter().filter(left).map(|(label, k)| (&k.id, label)).collect();
                for keyset in live.keysets.values().filter(|k| !claimed.contains(&k.id)) {
                    if let Some(Value::Text(name)) = keyset.observed.get(field) {
                        names
                            .entry((&keyset.app_id, &**name))
                            .or_insert((&keyset.id, orphans.get(&keyset.id).copied()));
                    }
                }
            }
            None => {
                for (label, keyset) in inputs.recorded.keysets.iter().filter(left) {
                    if let Some(Value::Text(name)) =
                        keyset.applied.get(field).or_else(|| keyset.seen.get(field))
                    {
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
