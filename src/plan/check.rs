//! Proves a finished plan against its invariants, without trusting how it was made. A note is a bug of keyform.

use std::collections::BTreeSet;

use crate::keyset::views::SecretRecord;
use crate::keyset::{KeysetId, Label, Life, Value};

use super::action::{Action, Change, Plan, Refused};
use super::make::Inputs;

/// Every way in which `plan` is not a plan for `inputs`; empty, or a bug.
pub fn check(plan: &Plan, inputs: &Inputs<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    order(plan, &mut notes);
    labels(plan, inputs, &mut notes);
    for action in &plan.actions {
        match action {
            Action::CreateApp { .. } | Action::RenameApp { .. } | Action::AdoptApp { .. } => {}
            Action::RotateSecret { label, id, .. } => rotate(inputs, label, id, &mut notes),
            Action::MirrorSecret { label, to, .. } => {
                if !inputs.desired.keysets.get(label).is_some_and(|keyset| keyset.mirrors.contains(to)) {
                    notes.push(format!("{label} is copied to {to}, where nobody wants it"));
                }
            }
            Action::CreateKeyset { label, app, settings, .. } => create(plan, inputs, label, app, settings, &mut notes),
            Action::UpdateKeyset { label, changes, .. } => update(inputs, label, changes, &mut notes),
        }
    }
    limits(plan, inputs, &mut notes);
    notes
}

/// Apps before keysets, each by label, each label once.
fn order(plan: &Plan, notes: &mut Vec<String>) {
    for pair in plan.actions.windows(2) {
        if let [a, b] = pair
            && a.rank() >= b.rank()
        {
            notes.push(format!("{} stands before {}", a.label(), b.label()));
        }
    }
}

/// Only a keyset that is recorded as it is, and whose secret is in no hand, gets a new one unasked.
fn rotate(inputs: &Inputs<'_>, label: &Label, id: &KeysetId, notes: &mut Vec<String>) {
    match inputs.recorded.keysets.get(label) {
        Some(keyset) if keyset.id == *id => {
            if matches!(keyset.secret, SecretRecord::Stored { .. } | SecretRecord::Unknown) && !inputs.open.secret_keys.contains_key(label)
            {
                notes.push(format!("the secret of {label} is stored and would be rotated"));
            }
        }
        _ => notes.push(format!("{label} is rotated and not recorded")),
    }
}

/// Only what is declared, in scope and not refused is acted upon.
fn labels(plan: &Plan, inputs: &Inputs<'_>, notes: &mut Vec<String>) {
    let refused: BTreeSet<(bool, &Label)> =
        plan.refusals.iter().filter_map(|r| r.label.as_ref().map(|label| (r.why.is_app(), label))).collect();
    for action in &plan.actions {
        let label = action.label();
        let declared = if action.is_app() { inputs.desired.apps.contains_key(label) } else { inputs.desired.keysets.contains_key(label) };
        if !declared {
            notes.push(format!("{label} is acted upon and not declared"));
        }
        if refused.contains(&(action.is_app(), label)) {
            notes.push(format!("{label} is refused and acted upon"));
        }
        if !action.is_app() && !inputs.in_scope(label) {
            notes.push(format!("{label} is acted upon and not targeted"));
        }
    }
    let actions = plan.actions.iter().map(|a| (a.is_app(), a.label())).collect::<BTreeSet<_>>().len();
    let most = inputs.desired.apps.len() + inputs.desired.keysets.len();
    if plan.unchanged + actions > most {
        notes.push(format!("{} unchanged and {actions} acted upon are more than the {most} declared", plan.unchanged));
    }
}

fn create(plan: &Plan, inputs: &Inputs<'_>, label: &Label, app: &Label, settings: &[Change], notes: &mut Vec<String>) {
    let coming = |action: &Action| action.is_app() && action.label() == app;
    // Actions are ordered, apps first; a project may have as many apps as keysets.
    let app_action =
        plan.actions.binary_search_by(|a| (!a.is_app(), a.label()).cmp(&(false, app))).is_ok_and(|at| coming(&plan.actions[at]));
    if !app_action && !inputs.recorded.apps.contains_key(app) {
        notes.push(format!("{label} is created in {app}, which nothing makes known"));
    }
    if let Some(recorded) = inputs.recorded.keysets.get(label)
        && inputs.live.is_some_and(|live| live.keysets.contains_key(&recorded.id))
    {
        notes.push(format!("{label} is created and exists"));
    }
    declared(inputs, label, settings, notes);
    let all = inputs.desired.keysets.get(label).map_or(0, |keyset| keyset.settings.iter().count());
    if settings.len() != all || settings.iter().any(|s| s.from.is_some() || s.companion) {
        notes.push(format!("{label} is created with other than its declared settings"));
    }
}

fn update(inputs: &Inputs<'_>, label: &Label, changes: &[Change], notes: &mut Vec<String>) {
    declared(inputs, label, changes, notes);
    if changes.iter().all(|c| c.companion) {
        notes.push(format!("{label} is updated without a change"));
    }
    for change in changes {
        let Change { field, from, to, origin: _, companion } = change;
        let same = from.as_ref() == Some(to);
        let fault = match (field.field().life, companion) {
            (Life::Mutable, false) => same.then_some("changes to what it is"),
            (Life::Mutable, true) => {
                let alone = !changes.iter().any(|c| !c.companion && c.field.section().name == field.section().name);
                (alone || (from.is_some() && !same)).then_some("goes along and should not")
            }
            (Life::OnceSet, false) if !matches!(from, None | Some(Value::Null)) => Some("is set a second time"),
            (Life::OnceSet, false) if !inputs.policy.allow_irreversible => Some("is final and not consented to"),
            (Life::OnceSet, false) => None,
            (Life::OnceSet | Life::Fixed | Life::ReadOnly, _) => Some("cannot be sent"),
        };
        if let Some(fault) = fault {
            notes.push(format!("{label}: {field} {fault}"));
        }
    }
}

/// Everything sent is declared, with its value and place, once, in the order of the table.
fn declared(inputs: &Inputs<'_>, label: &Label, changes: &[Change], notes: &mut Vec<String>) {
    for change in changes {
        let setting = inputs.desired.keysets.get(label).and_then(|keyset| keyset.settings.get(change.field));
        if !setting.is_some_and(|s| s.value == change.to && s.origin == change.origin) {
            notes.push(format!("{label}: {} is not what is declared", change.field));
        }
    }
    if changes.windows(2).any(|pair| matches!(pair, [a, b] if a.field >= b.field)) {
        notes.push(format!("{label}: changes out of order"));
    }
}

fn limits(plan: &Plan, inputs: &Inputs<'_>, notes: &mut Vec<String>) {
    let sum = plan.summary();
    for (kind, planned, limit) in [("create", sum.create, inputs.policy.limit_create), ("update", sum.update, inputs.policy.limit_update)] {
        let over = limit.is_some_and(|limit| planned > limit);
        let said = plan.refusals.iter().any(|r| matches!(&r.why, Refused::OverLimit { kind: k, .. } if *k == kind));
        if over != said {
            notes.push(format!("the limit of {kind} is passed over"));
        }
    }
}
