//! Proves a finished plan against its invariants, without trusting how it was made. A note is a bug
//! of keyform.

use std::collections::BTreeSet;

use crate::keyset::push::PushFile;
use crate::keyset::views::{Live, RecordedApp, RecordedKeyset, SecretRecord};
use crate::keyset::{Bounded, KeysetId, Label, Life, PublicKeys, Value};

use super::guard;
use super::inputs::Inputs;
use super::kind::Section;
use super::make::due;
use super::model::{Plan, Refusal, Refused};
use super::moves::Moved;
use super::step::{Change, Id, Op, PushUpload, Step};

/// Every way in which `plan` is not a plan for `inputs`; empty, or a bug.
pub fn check(plan: &Plan, inputs: &Inputs<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    order(plan, &mut notes);
    moves(plan, inputs, &mut notes);
    let moved = Moved::of(inputs);
    let inputs = &moved.as_ref().map_or(*inputs, |moved| moved.inputs(inputs));
    labels(plan, inputs, &mut notes);
    for step in &plan.steps {
        special(plan, inputs, step, &mut notes);
    }
    limits(plan, inputs, &mut notes);
    if guard::frozen(plan, inputs).iter().any(|refusal| !plan.refusals.contains(refusal)) {
        notes.push("what is frozen would be changed".to_owned());
    }
    notes
}

/// What a kind of step has to prove beyond what holds for all of them.
fn special(plan: &Plan, inputs: &Inputs<'_>, step: &Step, notes: &mut Vec<String>) {
    let label = &step.label;
    let desired = inputs.desired.keysets.get(label);
    let fault = match &step.op {
        Op::ProtectKeyset { protect } => desired
            .is_none_or(|keyset| keyset.protect != *protect)
            .then(|| format!("{label} is protected otherwise than declared")),
        Op::DeleteKeyset { keys } => return delete(inputs, step, keys, notes),
        Op::DeleteApp { .. } => (!inputs.policy.delete || holds_keysets(plan, inputs, step))
            .then(|| format!("app {label} is deleted and holds keysets")),
        Op::ForgetKeyset | Op::ForgetApp => {
            let there = |live: &Live| match &step.id {
                Some(Id::Keyset(id)) => live.keysets.contains_key(id),
                Some(Id::App(id)) => live.apps.contains_key(id),
                None => true,
            };
            let app = if step.is_app() { "app " } else { "" };
            (!inputs.policy.delete || inputs.live.is_none_or(there))
                .then(|| format!("{app}{label} is forgotten and not known to be gone"))
        }
        Op::UploadPush(upload) => {
            let PushUpload { push, file, sha256, .. } = &**upload;
            let declared =
                desired.is_some_and(|keyset| keyset.push.iter().any(|p| p.push == *push));
            (!declared || inputs.push.get(file) != Some(&PushFile::Is(sha256.clone())))
                .then(|| format!("{label}: {push} is uploaded otherwise than declared"))
        }
        Op::RotateSecret { .. } => return rotate(inputs, step, notes),
        Op::MirrorSecret { to, .. } => desired
            .is_none_or(|keyset| !keyset.mirrors.contains(to))
            .then(|| format!("{label} is copied to {to}, where nobody wants it")),
        Op::CreateKeyset { settings, .. } => return create(plan, inputs, step, settings, notes),
        Op::UpdateKeyset { changes } => return update(inputs, label, changes, notes),
        // `labels` and `moves` say it all.
        _ => None,
    };
    notes.extend(fault);
}

fn holds_keysets(plan: &Plan, inputs: &Inputs<'_>, app: &Step) -> bool {
    let going = |id: &KeysetId| {
        let goes = |step: &Step| matches!(step.op, Op::DeleteKeyset { .. });
        plan.steps.iter().any(|step| goes(step) && step.keyset_id() == Some(id))
    };
    let holds = |live: &Live| {
        live.keysets
            .values()
            .any(|keyset| Some(&keyset.app_id) == app.app_id() && !going(&keyset.id))
    };
    inputs.live.is_some_and(holds)
}

/// Apps before keysets, each by label, each label once.
fn order(plan: &Plan, notes: &mut Vec<String>) {
    for pair in plan.steps.windows(2) {
        if let [a, b] = pair
            && a.rank() >= b.rank()
        {
            notes.push(format!("{} stands before {}", a.label, b.label));
        }
    }
}

/// Only a keyset that is recorded as it is, and whose secret is in no hand, gets a new one unasked.
fn rotate(inputs: &Inputs<'_>, step: &Step, notes: &mut Vec<String>) {
    let label = &step.label;
    match inputs.recorded.keysets.get(label) {
        Some(keyset) if Some(&keyset.id) == step.keyset_id() => {
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
fn delete(inputs: &Inputs<'_>, step: &Step, keys: &PublicKeys, notes: &mut Vec<String>) {
    let label = &step.label;
    let Some(id) = step.keyset_id() else {
        return notes.push(format!("{label} is deleted and has no id"));
    };
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
    for step in &plan.steps {
        let label = &step.label;
        let fine = match &step.op {
            Op::MoveKeyset { from } => {
                let is_it = |keyset: &RecordedKeyset| Some(&keyset.id) == step.keyset_id();
                !desired.keysets.contains_key(from)
                    && recorded.keysets.get(label).is_none_or(is_it)
                    && recorded.keysets.get(from).is_some_and(is_it)
            }
            Op::MoveApp { from } => {
                let is_it = |app: &RecordedApp| Some(&app.id) == step.app_id();
                !desired.apps.contains_key(from)
                    && recorded.apps.get(label).is_none_or(is_it)
                    && recorded.apps.get(from).is_some_and(is_it)
            }
            _ => true,
        };
        if !fine {
            notes.push(format!("{label} takes a record that is not free"));
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
    for step in &plan.steps {
        let label = &step.label;
        let declared = if step.is_app() {
            inputs.desired.apps.contains_key(label)
        } else {
            inputs.desired.keysets.contains_key(label)
        };
        if declared == step.is_removal() {
            notes.push(format!(
                "{label} is {}",
                if declared { "removed and declared" } else { "acted upon and not declared" }
            ));
        }
        if refused.contains(&(step.is_app(), label)) {
            notes.push(format!("{label} is refused and acted upon"));
        }
        if !step.is_app() && !inputs.in_scope(label) {
            notes.push(format!("{label} is acted upon and not targeted"));
        }
    }
    let acted = plan
        .steps
        .iter()
        .filter(|step| !step.is_removal() && step.row().section != Section::Moves)
        .map(|step| (step.is_app(), &step.label))
        .collect::<BTreeSet<_>>()
        .len();
    let most = inputs.desired.apps.len() + inputs.desired.keysets.len();
    if plan.unchanged + acted > most {
        notes.push(format!(
            "{} unchanged and {acted} acted upon are more than the {most} declared",
            plan.unchanged
        ));
    }
}

fn create(
    plan: &Plan,
    inputs: &Inputs<'_>,
    step: &Step,
    settings: &[Change],
    notes: &mut Vec<String>,
) {
    let label = &step.label;
    // Steps are ordered, apps first; a project may have as many apps as keysets.
    let made_known = |app: &Label| {
        plan.steps.binary_search_by(|a| (a.rank().0, &a.label).cmp(&(0, app))).is_ok()
            || inputs.recorded.apps.contains_key(app)
    };
    if !step.app.as_ref().is_some_and(made_known) {
        let app = step.app.as_ref().map_or("no app", Label::as_str);
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
