//! Proves a finished plan against its invariants, without trusting how it was made. A note is a bug
//! of keyform.

use std::collections::BTreeSet;

use crate::keyset::push::PushFile;
use crate::keyset::views::{Live, RecordedKeyset, SecretRecord};
use crate::keyset::{Bounded, KeysetId, Label, Life, PublicKeys, Value};

use super::action::{Action, Change, Plan, Refusal, Refused};
use super::guard;
use super::make::{Inputs, due};
use super::moves::Moved;

/// Every way in which `plan` is not a plan for `inputs`; empty, or a bug.
pub fn check(plan: &Plan, inputs: &Inputs<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    order(plan, &mut notes);
    moves(plan, inputs, &mut notes);
    let moved = Moved::of(inputs);
    let inputs = &moved.as_ref().map_or(*inputs, |moved| moved.inputs(inputs));
    labels(plan, inputs, &mut notes);
    for action in &plan.actions {
        match action {
            Action::CreateApp { .. }
            | Action::RenameApp { .. }
            | Action::AdoptApp { .. }
            | Action::MoveApp { .. }
            | Action::MoveKeyset { .. } => {}
            Action::ProtectKeyset { label, protect, .. } => {
                if inputs.desired.keysets.get(label).is_none_or(|keyset| keyset.protect != *protect)
                {
                    notes.push(format!("{label} is protected otherwise than declared"));
                }
            }
            Action::DeleteKeyset { label, id, keys, .. } => {
                delete(inputs, label, id, keys, &mut notes)
            }
            Action::ForgetKeyset { label, id } => {
                if !inputs.policy.delete
                    || inputs.live.is_none_or(|live| live.keysets.contains_key(id))
                {
                    notes.push(format!("{label} is forgotten and not known to be gone"));
                }
            }
            Action::DeleteApp { label, id, .. } => {
                let going = |keyset: &KeysetId| {
                    plan.actions
                        .iter()
                        .any(|a| matches!(a, Action::DeleteKeyset { id, .. } if id == keyset))
                };
                let holds = |live: &Live| {
                    live.keysets.values().any(|keyset| keyset.app_id == *id && !going(&keyset.id))
                };
                if !inputs.policy.delete || inputs.live.is_some_and(holds) {
                    notes.push(format!("app {label} is deleted and holds keysets"));
                }
            }
            Action::ForgetApp { label, id } => {
                if !inputs.policy.delete
                    || inputs.live.is_none_or(|live| live.apps.contains_key(id))
                {
                    notes.push(format!("app {label} is forgotten and not known to be gone"));
                }
            }
            Action::UploadPush { label, push, sha256, file, .. } => {
                let declared = inputs
                    .desired
                    .keysets
                    .get(label)
                    .is_some_and(|keyset| keyset.push.iter().any(|p| p.push == *push));
                if !declared || inputs.push.get(file) != Some(&PushFile::Is(sha256.clone())) {
                    notes.push(format!("{label}: {push} is uploaded otherwise than declared"));
                }
            }
            Action::RotateSecret { label, id, .. } => rotate(inputs, label, id, &mut notes),
            Action::MirrorSecret { label, to, .. } => {
                if !inputs
                    .desired
                    .keysets
                    .get(label)
                    .is_some_and(|keyset| keyset.mirrors.contains(to))
                {
                    notes.push(format!("{label} is copied to {to}, where nobody wants it"));
                }
            }
            Action::CreateKeyset { label, app, settings, .. } => {
                create(plan, inputs, label, app, settings, &mut notes)
            }
            Action::UpdateKeyset { label, changes, .. } => {
                update(inputs, label, changes, &mut notes)
            }
        }
    }
    limits(plan, inputs, &mut notes);
    if guard::frozen(plan, inputs).iter().any(|refusal| !plan.refusals.contains(refusal)) {
        notes.push("what is frozen would be changed".to_owned());
    }
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
            let due = inputs
                .desired
                .keysets
                .get(label)
                .is_some_and(|desired| due(desired, keyset, inputs.now).is_some());
            let stored = matches!(keyset.secret, SecretRecord::Stored { .. });
            if (stored && !due || matches!(keyset.secret, SecretRecord::Unknown))
                && !inputs.open.secret_keys.contains_key(label)
            {
                notes.push(format!("the secret of {label} is stored and would be rotated"));
            }
        }
        _ => notes.push(format!("{label} is rotated and not recorded")),
    }
}

/// Only what is asked for, recorded as it is, and not protected is deleted.
fn delete(
    inputs: &Inputs<'_>,
    label: &Label,
    id: &KeysetId,
    keys: &PublicKeys,
    notes: &mut Vec<String>,
) {
    let known = inputs
        .recorded
        .keysets
        .get(label)
        .filter(|keyset| keyset.id == *id && keyset.keys == *keys);
    let declared = |(label, keyset): (&Label, &RecordedKeyset)| {
        keyset.id == *id && inputs.desired.keysets.contains_key(label)
    };
    if !inputs.policy.delete
        || known.is_none_or(RecordedKeyset::is_protected)
        || inputs.recorded.keysets.iter().any(declared)
    {
        notes.push(format!("{label} is deleted and may not be"));
    }
    if inputs.live.is_some_and(|live| live.keysets.get(id).is_none_or(|there| there.keys != *keys))
    {
        notes.push(format!("{label} is deleted and is another one in the account"));
    }
}

/// A label gives its record away once, and only one that is not declared any more.
fn moves(plan: &Plan, inputs: &Inputs<'_>, notes: &mut Vec<String>) {
    let (desired, recorded) = (inputs.desired, inputs.recorded);
    for action in &plan.actions {
        let fine = match action {
            Action::MoveKeyset { label, from, id, .. } => {
                !desired.keysets.contains_key(from)
                    && recorded.keysets.get(label).is_none_or(|keyset| keyset.id == *id)
                    && recorded.keysets.get(from).is_some_and(|keyset| keyset.id == *id)
            }
            Action::MoveApp { label, from, id, .. } => {
                !desired.apps.contains_key(from)
                    && recorded.apps.get(label).is_none_or(|app| app.id == *id)
                    && recorded.apps.get(from).is_some_and(|app| app.id == *id)
            }
            _ => true,
        };
        if !fine {
            notes.push(format!("{} takes a record that is not free", action.label()));
        }
    }
}

/// Only what is declared, in scope and not refused is acted upon.
fn labels(plan: &Plan, inputs: &Inputs<'_>, notes: &mut Vec<String>) {
    fn of_label(refusal: &Refusal) -> Option<(bool, &Label)> {
        refusal.label.as_ref().map(|label| (refusal.why.is_app(), label))
    }
    let refused: BTreeSet<(bool, &Label)> =
        // What is frozen is shown beside its refusal.
        plan.refusals.iter().filter(|r| !matches!(r.why, Refused::Frozen { .. })).filter_map(of_label).collect();
    for action in &plan.actions {
        let label = action.label();
        let declared = if action.is_app() {
            inputs.desired.apps.contains_key(label)
        } else {
            inputs.desired.keysets.contains_key(label)
        };
        if declared == action.is_removal() {
            notes.push(format!(
                "{label} is {}",
                if declared { "removed and declared" } else { "acted upon and not declared" }
            ));
        }
        if refused.contains(&(action.is_app(), label)) {
            notes.push(format!("{label} is refused and acted upon"));
        }
        if !action.is_app() && !inputs.in_scope(label) {
            notes.push(format!("{label} is acted upon and not targeted"));
        }
    }
    let acted = plan.actions.iter().filter(|a| {
        !a.is_removal() && !matches!(a, Action::MoveApp { .. } | Action::MoveKeyset { .. })
    });
    let actions = acted.map(|a| (a.is_app(), a.label())).collect::<BTreeSet<_>>().len();
    let most = inputs.desired.apps.len() + inputs.desired.keysets.len();
    if plan.unchanged + actions > most {
        notes.push(format!(
            "{} unchanged and {actions} acted upon are more than the {most} declared",
            plan.unchanged
        ));
    }
}

fn create(
    plan: &Plan,
    inputs: &Inputs<'_>,
    label: &Label,
    app: &Label,
    settings: &[Change],
    notes: &mut Vec<String>,
) {
    let coming = |action: &Action| action.is_app() && action.label() == app;
    // Actions are ordered, apps first; a project may have as many apps as keysets.
    let app_action = plan
        .actions
        .binary_search_by(|a| (a.rank().0, a.label()).cmp(&(0, app)))
        .is_ok_and(|at| coming(&plan.actions[at]));
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
                let alone = !changes
                    .iter()
                    .any(|c| !c.companion && c.field.section().name == field.section().name);
                (alone || (from.is_some() && !same)).then_some("goes along and should not")
            }
            (Life::OnceSet, false) if !matches!(from, None | Some(Value::Null)) => {
                Some("is set a second time")
            }
            (Life::OnceSet, false) if !inputs.policy.allow_irreversible => {
                Some("is final and not consented to")
            }
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
        let setting =
            inputs.desired.keysets.get(label).and_then(|keyset| keyset.settings.get(change.field));
        if !setting.is_some_and(|s| s.value == change.to && s.origin == change.origin) {
            notes.push(format!("{label}: {} is not what is declared", change.field));
        }
    }
    if changes.windows(2).any(|pair| matches!(pair, [a, b] if a.field >= b.field)) {
        notes.push(format!("{label}: changes out of order"));
    }
}

fn limits(plan: &Plan, inputs: &Inputs<'_>, notes: &mut Vec<String>) {
    for kind in Bounded::ALL {
        let limit =
            inputs.policy.limit(kind).map(|limit| limit.budget.of(inputs.recorded.keysets.len()));
        let over = limit.is_some_and(|limit| guard::planned(plan, kind) > limit);
        let said = plan
            .refusals
            .iter()
            .any(|r| matches!(&r.why, Refused::OverLimit { kind: k, .. } if *k == kind));
        if over != said {
            notes.push(format!("the limit of {} is passed over", kind.name()));
        }
    }
}
