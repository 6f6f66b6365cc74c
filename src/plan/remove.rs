//! What the state knows and the TOML does not declare any more: reported, or with `--delete`
//! removed.

use std::collections::{BTreeMap, BTreeSet};

use crate::keyset::views::{AppSource, Recorded, RecordedKeyset};
use crate::keyset::{AppId, KeysetId, Label};

use super::guard;
use super::inputs::{Inputs, Seen};
use super::model::{Note, Orphan, Plan, Refusal, Refused};
use super::step::{Op, Step};

pub(super) fn plan(inputs: &Inputs<'_>, plan: &mut Plan) {
    let forgettable = !another_account(inputs);
    // A run that ended between the two records of a new label leaves a keyset with two of them.
    let declared: BTreeMap<&KeysetId, &Label> = inputs
        .recorded
        .keysets
        .iter()
        .filter(|(label, _)| inputs.desired.keysets.contains_key(*label))
        .map(|(l, k)| (&k.id, l))
        .collect();
    let mut deleted: BTreeSet<&KeysetId> = BTreeSet::new();
    for (label, keyset) in &inputs.recorded.keysets {
        if inputs.desired.keysets.contains_key(label) || !inputs.in_scope(label) {
            continue;
        }
        let verdict = match declared.get(&keyset.id) {
            Some(_) => Verdict::Leave,
            None => verdict(inputs, label, keyset, forgettable),
        };
        match verdict {
            Verdict::Leave => {
                let live = inputs.live.map(|live| live.keysets.contains_key(&keyset.id));
                let declared_as = declared.get(&keyset.id).map(|label| (*label).clone());
                plan.orphans.push(Orphan {
                    label: label.clone(),
                    id: keyset.id.clone(),
                    live,
                    declared_as,
                });
            }
            Verdict::Refuse(why) => {
                plan.refusals.push(Refusal { label: Some(label.clone()), why, origin: None })
            }
            Verdict::Forget => {
                plan.steps.push(Step::new(label, Op::ForgetKeyset).id(keyset.id.clone()));
            }
            Verdict::Delete => {
                deleted.insert(&keyset.id);
                let step = Step::new(label, Op::DeleteKeyset { keys: keyset.keys.clone() });
                plan.steps.push(step.id(keyset.id.clone()).in_app(&keyset.app));
            }
        }
    }
    if inputs.policy.targets.is_none() {
        apps(inputs, &deleted, forgettable, plan);
    }
}

enum Verdict {
    Leave,
    Refuse(Refused),
    Forget,
    Delete,
}

fn verdict(
    inputs: &Inputs<'_>,
    label: &Label,
    keyset: &RecordedKeyset,
    forgettable: bool,
) -> Verdict {
    let open = inputs.open;
    let begun = open.keysets.contains_key(label)
        || open.sealed.contains_key(label)
        || open.secret_keys.contains_key(label);
    if !inputs.policy.delete || begun {
        return Verdict::Leave;
    }
    match inputs.keyset_seen(&keyset.id) {
        // An API key that may not see the app shows none of its keysets either.
        Seen::Gone if forgettable && !matches!(inputs.app_seen(&keyset.app_id), Seen::Gone) => {
            Verdict::Forget
        }
        Seen::Gone => Verdict::Leave,
        _ if keyset.is_protected() => Verdict::Refuse(Refused::Protected { id: keyset.id.clone() }),
        Seen::There(live) if live.keys != keyset.keys => {
            Verdict::Refuse(Refused::OtherKeys { id: keyset.id.clone() })
        }
        Seen::There(_) | Seen::NotAsked => Verdict::Delete,
    }
}

/// Whether so much of the state is gone that nothing may be concluded from it.
fn another_account(inputs: &Inputs<'_>) -> bool {
    let Recorded { keysets, apps: _ } = inputs.recorded;
    let gone = keysets
        .values()
        .filter(|keyset| matches!(inputs.keyset_seen(&keyset.id), Seen::Gone))
        .count();
    guard::suspicious(gone, keysets.len())
}

/// Apps that keyform made and that nobody declares any more: deleted once they are empty.
fn apps(inputs: &Inputs<'_>, deleted: &BTreeSet<&KeysetId>, forgettable: bool, plan: &mut Plan) {
    let referred: BTreeSet<&AppId> = inputs
        .desired
        .apps
        .iter()
        .filter_map(|(label, app)| match &app.source {
            AppSource::Existing { id, .. } => Some(id),
            AppSource::Managed { .. } => inputs.recorded.apps.get(label).map(|app| &app.id),
        })
        .collect();
    let left = |(label, app): &(&Label, &crate::keyset::views::RecordedApp)| {
        app.managed && !inputs.desired.apps.contains_key(*label) && !referred.contains(&app.id)
    };
    let left: Vec<_> = inputs.recorded.apps.iter().filter(left).collect();
    if left.is_empty() {
        return;
    }
    let mut holds: BTreeMap<&AppId, BTreeSet<&KeysetId>> = BTreeMap::new();
    let recorded = inputs.recorded.keysets.values().map(|keyset| (&keyset.app_id, &keyset.id));
    let live = inputs
        .live
        .into_iter()
        .flat_map(|live| live.keysets.values().map(|keyset| (&keyset.app_id, &keyset.id)));
    let gone: BTreeSet<&KeysetId> = plan
        .steps
        .iter()
        .filter(|step| step.op == Op::ForgetKeyset)
        .filter_map(Step::keyset_id)
        .collect();
    for (app, id) in
        recorded.chain(live).filter(|(_, id)| !deleted.contains(id) && !gone.contains(id))
    {
        holds.entry(app).or_default().insert(id);
    }
    let mut steps = Vec::new();
    for (label, app) in left {
        let holds = holds.get(&app.id).map_or(0, BTreeSet::len);
        let begun = inputs.open.apps.contains_key(label);
        match inputs.app_seen(&app.id) {
            Seen::Gone if inputs.policy.delete && forgettable && holds == 0 && !begun => {
                steps.push(Step::new(label, Op::ForgetApp).id(app.id.clone()));
            }
            Seen::There(_) | Seen::NotAsked if inputs.policy.delete && holds == 0 && !begun => {
                let step = Step::new(label, Op::DeleteApp { name: app.name.clone() });
                steps.push(step.id(app.id.clone()));
            }
            _ => {
                plan.notes.push(Note::OrphanApp { label: label.clone(), id: app.id.clone(), holds })
            }
        }
    }
    plan.steps.extend(steps);
}
