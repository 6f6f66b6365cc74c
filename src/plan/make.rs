//! The whole project: pairs up labels, orders the steps, and says no where no is due.

use std::collections::BTreeSet;

use crate::keyset::views::{DesiredKeyset, LiveKeyset, RecordedKeyset, Rotate, SecretRecord};
use crate::keyset::{AppId, KeysetId, Label, Value};

use super::apps::{self, Standing};
use super::inputs::{Inputs, Seen};
use super::model::{Note, OpenCreates, Plan, Refusal, Refused};
use super::moves::Moved;
use super::step::{Mirroring, Op, Reason, Rotation, Step};
use super::{diff, guard, push, remove};

/// Makes the plan. The same inputs give the same plan; nothing but `inputs` has a say.
///
/// *Guarantees*: only declared fields are sent; nothing is deleted unless the policy asks for it,
/// and nothing that is protected or declared; a keyset or app that is refused has no action beside
/// its refusal. Time and memory are linear in the inputs (but for the logarithm of the maps).
pub fn make(inputs: &Inputs<'_>) -> Plan {
    let mut plan = plan_despite_freeze(inputs);
    plan.refusals.extend(guard::frozen(&plan, inputs));
    plan
}

/// As if nothing were frozen; what is frozen is refused afterwards, beside its steps.
fn plan_despite_freeze(inputs: &Inputs<'_>) -> Plan {
    let Some(moved) = Moved::of(inputs) else { return plan_by_label(inputs) };
    let mut plan = plan_by_label(&moved.inputs(inputs));
    plan.steps.retain(|step| {
        moved
            .refusals
            .iter()
            .all(|refusal| refusal.label.as_ref() != Some(&step.label) || step.is_app())
    });
    plan.steps.extend(moved.steps);
    plan.refusals.extend(moved.refusals);
    plan.steps.sort_by(|a, b| a.rank().cmp(&b.rank()));
    plan
}

/// With every record under the label that it is to have.
fn plan_by_label(inputs: &Inputs<'_>) -> Plan {
    let mut plan = Plan {
        refreshed: inputs.live.is_some(),
        steps: Vec::new(),
        refusals: guard::unknown_labels(inputs),
        orphans: Vec::new(),
        notes: Vec::new(),
        unchanged: 0,
    };
    let wanted: Option<BTreeSet<&Label>> = inputs.policy.targets.as_ref().map(|_| {
        let in_scope = |(label, _): &(&Label, &DesiredKeyset)| inputs.in_scope(label);
        inputs.desired.keysets.iter().filter(in_scope).map(|(_, keyset)| &keyset.app).collect()
    });
    let standings = apps::plan(inputs, wanted.as_ref(), &mut plan);

    let mut keysets = Keysets {
        inputs: *inputs,
        plan: &mut plan,
        creates: Vec::new(),
        gone: Vec::new(),
        refusals: Vec::new(),
    };
    let mut recorded_count = 0;
    let mut gone_labels = Vec::new();
    for (label, keyset) in &inputs.desired.keysets {
        let recorded = inputs.recorded.keysets.get(label);
        let seen = recorded.map(|r| inputs.keyset_seen(&r.id));
        let open = inputs.open.keysets.get(label);
        // A wrong account shows in the whole of the state, whatever is targeted.
        recorded_count += usize::from(recorded.is_some());
        if matches!(seen, Some(Seen::Gone)) && open.is_none() {
            gone_labels.push(label);
        }
        if !inputs.in_scope(label) {
            continue;
        }
        let standing = standings.get(&keyset.app).copied().unwrap_or(Standing::Refused);
        if let Some(since) = inputs.open.sealed.get(label) {
            keysets.plan.notes.push(Note::Sealed { label: label.clone(), since: *since });
            if recorded.is_none() {
                // It exists, and its record is in the sealed answer.
                keysets.plan.unchanged += 1;
                continue;
            }
        }
        match (recorded, seen, open) {
            (Some(recorded), Some(Seen::There(live)), _) => {
                keysets.existing(label, keyset, recorded, Some(live), standing)
            }
            (Some(recorded), Some(Seen::NotAsked), None) => {
                keysets.existing(label, keyset, recorded, None, standing)
            }
            (_, _, Some(since)) => {
                keysets.create(label, keyset, Reason::Unfinished { since: *since }, standing)
            }
            (Some(recorded), Some(Seen::Gone), None) => {
                keysets.gone.push((label, keyset, &recorded.id, standing))
            }
            (None, _, None) | (Some(_), None, None) => {
                keysets.create(label, keyset, Reason::New, standing)
            }
        }
    }
    let vanished = keysets.judge_gone(&gone_labels, recorded_count);
    keysets.finish();
    plan.refusals.extend(vanished);
    remove::plan(inputs, &mut plan);
    plan.refusals.extend(guard::limits(&plan, inputs));
    leftovers(inputs, &mut plan);
    plan.steps.sort_by(|a, b| a.rank().cmp(&b.rank()));
    plan
}

/// The keysets' half of a plan while it is made.
struct Keysets<'p, 'a> {
    inputs: Inputs<'a>,
    plan: &'p mut Plan,
    creates: Vec<Create<'a>>,
    /// Recorded, in scope, and not at the server any more.
    gone: Vec<(&'a Label, &'a DesiredKeyset, &'a KeysetId, Standing<'a>)>,
    refusals: Vec<Refusal>,
}

struct Create<'a> {
    label: &'a Label,
    keyset: &'a DesiredKeyset,
    reason: Reason,
    /// `None` for an app that does not exist yet.
    app: Option<&'a AppId>,
}

impl<'a> Keysets<'_, 'a> {
    fn existing(
        &mut self,
        label: &'a Label,
        keyset: &'a DesiredKeyset,
        recorded: &RecordedKeyset,
        live: Option<&LiveKeyset>,
        standing: Standing<'a>,
    ) {
        let app_now = live.map_or(&recorded.app_id, |live| &live.app_id);
        let moves = match standing {
            Standing::Known(id) => id != app_now,
            Standing::Coming => true,
            // The app's own refusal says it all.
            Standing::Refused => false,
        };
        let diff = diff::keyset(keyset, recorded, live, self.inputs.policy.allow_irreversible);
        let refusals = self.refusals.len();
        if moves {
            let why = Refused::AppChanged { from: recorded.app.clone(), to: keyset.app.clone() };
            self.refusals.push(Refusal {
                label: Some(label.clone()),
                why,
                origin: Some(keyset.app_origin),
            });
        }
        for (why, origin) in diff.refused {
            self.refusals.push(Refusal { label: Some(label.clone()), why, origin: Some(origin) });
        }
        for (field, recorded, live) in diff.outside {
            self.plan.notes.push(Note::ChangedOutside {
                label: label.clone(),
                field,
                recorded,
                live: Some(live),
            });
        }
        let uploads = self.plan.steps.len();
        push::plan(
            &self.inputs,
            label,
            keyset,
            Some((&recorded.id, recorded)),
            live,
            self.plan,
            &mut self.refusals,
        );
        if self.refusals.len() > refusals {
            self.plan.steps.truncate(uploads);
            return;
        }
        let rotation = self.rotation(label, keyset, recorded);
        let app = &keyset.app;
        let step = |op| Step::new(label, op).id(recorded.id.clone()).at(keyset.origin);
        if !diff.changes.is_empty() {
            self.plan.steps.push(step(Op::UpdateKeyset { changes: diff.changes }).in_app(app));
        }
        if keyset.protect != recorded_protection(recorded, keyset) {
            self.plan.steps.push(step(Op::ProtectKeyset { protect: keyset.protect }));
        }
        let renewed = rotation.is_some();
        if let Some(why) = rotation {
            self.plan.steps.push(step(Op::RotateSecret { why: Box::new(why) }).in_app(app));
        }
        self.mirrors(label, keyset, Some(recorded), renewed);
        if self.plan.steps.len() == uploads {
            self.plan.unchanged += 1;
        }
    }

    /// Copies that are wanted and are not there as they should be. `renewed`: its secret key is
    /// about to be another one.
    fn mirrors(
        &mut self,
        label: &Label,
        keyset: &DesiredKeyset,
        recorded: Option<&RecordedKeyset>,
        renewed: bool,
    ) {
        if !renewed
            && recorded.is_some_and(|recorded| matches!(recorded.secret, SecretRecord::Unknown))
        {
            // There is nothing to copy until somebody asks for a new one.
            return;
        }
        for to in &keyset.mirrors {
            let now = recorded.and_then(|recorded| match &recorded.secret {
                SecretRecord::Stored { fingerprint, .. } if !renewed => Some(fingerprint),
                _ => None,
            });
            let why = match recorded.and_then(|recorded| recorded.mirrors.get(to)) {
                Some(sent) if Some(sent) == now => continue,
                Some(_) => Mirroring::Outdated,
                None => Mirroring::New,
            };
            let op = Op::MirrorSecret { to: to.clone(), why };
            self.plan.steps.push(Step::new(label, op).at(keyset.origin));
        }
    }

    /// A secret that is recorded as missing never left the API's answer, so nobody can hold it.
    fn rotation(
        &self,
        label: &Label,
        keyset: &DesiredKeyset,
        recorded: &RecordedKeyset,
    ) -> Option<Rotation> {
        if self.inputs.open.sealed.contains_key(label) {
            return None;
        }
        match (self.inputs.open.secret_keys.get(label), &recorded.secret) {
            (_, SecretRecord::Missing { why, .. }) => Some(Rotation::Missing { why: why.clone() }),
            (Some(since), SecretRecord::Stored { .. } | SecretRecord::Unknown) => {
                Some(Rotation::Unfinished { since: *since })
            }
            (None, SecretRecord::Stored { .. }) => due(keyset, recorded, self.inputs.now),
            // Somebody may be using one that keyform never had.
            (None, SecretRecord::Unknown) => None,
        }
    }

    fn create(
        &mut self,
        label: &'a Label,
        keyset: &'a DesiredKeyset,
        reason: Reason,
        standing: Standing<'a>,
    ) {
        let app = match standing {
            Standing::Known(id) => Some(id),
            Standing::Coming => None,
            // Nothing can be made in an app that is refused; the app's refusal is the one to read.
            Standing::Refused => return,
        };
        self.creates.push(Create { label, keyset, reason, app });
    }

    /// Makes what is gone again, unless it looks like another account and the user does not insist.
    fn judge_gone(&mut self, all_gone: &[&Label], recorded: usize) -> Option<Refusal> {
        let suspicious = guard::suspicious(all_gone.len(), recorded);
        let mut refused = false;
        for (label, keyset, id, standing) in std::mem::take(&mut self.gone) {
            if suspicious && !self.inputs.policy.recreate.contains(label.as_str()) {
                refused = true;
            } else {
                self.create(label, keyset, Reason::DeletedOutside { id: id.to_string() }, standing);
            }
        }
        let gone = || all_gone.iter().map(|label| (*label).clone()).collect();
        refused.then(|| Refusal {
            label: None,
            why: Refused::Vanished { gone: gone(), recorded },
            origin: None,
        })
    }

    fn finish(mut self) {
        if !self.creates.is_empty() {
            let names = guard::Names::of(&self.inputs);
            for create in std::mem::take(&mut self.creates) {
                match doubles(&create, &names) {
                    Some(refusal) => self.refusals.push(refusal),
                    None => {
                        let (steps, refusals) = (self.plan.steps.len(), self.refusals.len());
                        push::plan(
                            &self.inputs,
                            create.label,
                            create.keyset,
                            None,
                            None,
                            self.plan,
                            &mut self.refusals,
                        );
                        if self.refusals.len() > refusals {
                            self.plan.steps.truncate(steps);
                            continue;
                        }
                        let op = Op::CreateKeyset {
                            settings: create.keyset.settings.iter().map(diff::created).collect(),
                            reason: create.reason,
                            protect: create.keyset.protect_note(),
                        };
                        let step = Step::new(create.label, op).in_app(&create.keyset.app);
                        self.plan.steps.push(step.at(create.keyset.origin));
                        self.mirrors(create.label, create.keyset, None, true);
                    }
                }
            }
        }
        self.refusals.sort_by(|a, b| a.label.cmp(&b.label));
        self.plan.refusals.append(&mut self.refusals);
    }
}

/// Whether its secret key is as old as the TOML lets one become.
pub(super) fn due(
    keyset: &DesiredKeyset,
    recorded: &RecordedKeyset,
    now: jiff::Timestamp,
) -> Option<Rotation> {
    let Rotate { every, overlap, origin: _ } = keyset.rotate?;
    let since = recorded.secret_since.or(recorded.created_at)?;
    let due = since.checked_add(every).is_ok_and(|at| at <= now);
    due.then_some(Rotation::Due { since, every, overlap })
}

/// What the state would say of it once the plan is carried out, its type being what is declared
/// then.
fn recorded_protection(recorded: &RecordedKeyset, keyset: &DesiredKeyset) -> bool {
    match recorded.protect {
        Some(protect) => protect,
        None => keyset.protect_note().map_or(keyset.protect, |protect| !protect),
    }
}

/// Refuses a create whose app has a keyset of the same name already.
fn doubles(create: &Create<'_>, names: &guard::Names<'_>) -> Option<Refusal> {
    // A keyset that an unfinished create may have made is no stranger: finding it is what the
    // resume does.
    if matches!(create.reason, Reason::Unfinished { .. }) {
        return None;
    }
    let name = create.keyset.settings.get(guard::name_field()?)?;
    let Value::Text(text) = &name.value else { return None };
    let (id, recorded_as) = names.taken(create.app?, text)?;
    let why = Refused::NameTaken {
        app: create.keyset.app.clone(),
        name: text.clone(),
        id: id.clone(),
        recorded_as: recorded_as.cloned(),
    };
    Some(Refusal { label: Some(create.label.clone()), why, origin: Some(name.origin) })
}

/// What the state and the journal know and the TOML does not.
fn leftovers(inputs: &Inputs<'_>, plan: &mut Plan) {
    let left =
        |label: &Label| !inputs.desired.keysets.contains_key(label) && inputs.in_scope(label);
    let OpenCreates { apps: _, keysets, secret_keys, sealed } = inputs.open;
    for (label, since) in keysets.iter().chain(secret_keys).filter(|(label, _)| left(label)) {
        plan.notes.push(Note::Unfinished { label: label.clone(), since: *since });
    }
    for (label, since) in sealed.iter().filter(|(label, _)| left(label)) {
        plan.notes.push(Note::Sealed { label: label.clone(), since: *since });
    }
}
