//! Where TOML, state and account are not of one mind, and who changed it. Says nothing of what
//! should be done.
//!
//! Quiet by construction: only declared fields are looked at, and what the account does not show
//! says nothing.

use std::collections::BTreeSet;

use crate::keyset::push::{Push, PushFiles};
use crate::keyset::views::{AppSource, Desired, Live, Recorded, RecordedKeyset};
use crate::keyset::{AppId, FieldId, KeysetId, Label, Origin, Value};

use super::moves::relabelled;
use super::push::{Standing, standing};
use super::step::Upload;

/// Everything that is not as declared, applied or known. Apps first, then keysets, each by label;
/// what nobody manages last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drift {
    pub findings: Vec<Finding>,
    /// Differences that the TOML leaves alone.
    pub ignored: Vec<IgnoredDrift>,
    /// Declared apps and keysets that are as they should be.
    pub in_order: usize,
}

/// A declared field that others may change, and somebody did.
#[derive(Clone, Debug, PartialEq)]
pub struct IgnoredDrift {
    pub label: Label,
    pub field: FieldId,
    pub declared: Value,
    pub live: Value,
    pub reason: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// A declared field of a keyset.
    Field {
        label: Label,
        id: KeysetId,
        field: FieldId,
        who: Who,
        declared: Value,
        applied: Option<Value>,
        live: Value,
        origin: Origin,
    },
    /// Push credentials are not those that are declared.
    Push {
        label: Label,
        id: KeysetId,
        push: Push,
        why: Upload,
        origin: Origin,
    },
    /// The name of an app that keyform manages.
    AppName {
        label: Label,
        id: AppId,
        who: Who,
        declared: Box<str>,
        applied: Box<str>,
        live: Box<str>,
        origin: Origin,
    },
    /// Recorded, and gone in the account.
    Gone {
        label: Label,
        id: KeysetId,
        origin: Option<Origin>,
    },
    AppGone {
        label: Label,
        id: AppId,
        origin: Option<Origin>,
    },
    /// The keyset is in another app than the state says.
    Moved {
        label: Label,
        id: KeysetId,
        from: AppId,
        to: AppId,
        origin: Option<Origin>,
    },
    /// Declared, and not created yet.
    NotApplied {
        label: Label,
        origin: Origin,
    },
    AppNotApplied {
        label: Label,
        origin: Origin,
    },
    /// Recorded, there, and not declared any more.
    NotDeclared {
        label: Label,
        id: KeysetId,
    },
    AppNotDeclared {
        label: Label,
        id: AppId,
    },
    /// In the account, and in no file.
    Unmanaged {
        id: KeysetId,
        name: Option<Box<str>>,
        app: AppId,
    },
    AppUnmanaged {
        id: AppId,
        name: Box<str>,
    },
}

/// Who made a declared value and the account's differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The TOML says something else than was applied last; the account is as it was.
    Toml,
    /// The account was changed; the TOML is as it was.
    Account,
    /// Both were changed, to different values.
    Both,
    /// The field was never applied with success: the account has the server's own value.
    Server,
}

/// Compares all three. `unmanaged`: also tell of what nobody manages.
pub fn drift(
    desired: &Desired,
    recorded: &Recorded,
    live: &Live,
    push: &PushFiles,
    unmanaged: bool,
) -> Drift {
    let mut drift = Drift::default();
    let recorded = &*relabelled(desired, recorded);
    apps(desired, recorded, live, &mut drift);
    for (label, keyset) in &desired.keysets {
        let Some(known) = recorded.keysets.get(label) else {
            drift
                .findings
                .push(Finding::NotApplied { label: label.clone(), origin: keyset.origin });
            continue;
        };
        let before = drift.findings.len();
        let Some(there) = live.keysets.get(&known.id) else {
            drift.findings.push(Finding::Gone {
                label: label.clone(),
                id: known.id.clone(),
                origin: Some(keyset.origin),
            });
            continue;
        };
        moved(label, known, &there.app_id, Some(keyset.origin), &mut drift);
        for setting in keyset.settings.iter() {
            let Some(now) = there.observed.get(setting.field).filter(|now| **now != setting.value)
            else {
                continue;
            };
            if let Some(ignored) = keyset.ignores(setting.field) {
                drift.ignored.push(IgnoredDrift {
                    label: label.clone(),
                    field: setting.field,
                    declared: setting.value.clone(),
                    live: now.clone(),
                    reason: ignored.reason.clone(),
                });
                continue;
            }
            let applied = known.applied.get(setting.field);
            drift.findings.push(Finding::Field {
                label: label.clone(),
                id: known.id.clone(),
                field: setting.field,
                who: who(&setting.value, applied, known.seen.get(setting.field), now),
                declared: setting.value.clone(),
                applied: applied.cloned(),
                live: now.clone(),
                origin: setting.origin,
            });
        }
        for declared in &keyset.push {
            if let Standing::Due { why, .. } | Standing::NoFile { why, .. } =
                standing(declared, Some(known), Some(there), push.get(&declared.file))
            {
                let (label, id, push) = (label.clone(), known.id.clone(), declared.push);
                drift.findings.push(Finding::Push {
                    label,
                    id,
                    push,
                    why,
                    origin: declared.origin,
                });
            }
        }
        drift.in_order += usize::from(drift.findings.len() == before);
    }
    for (label, known) in
        recorded.keysets.iter().filter(|(label, _)| !desired.keysets.contains_key(label))
    {
        drift.findings.push(match live.keysets.get(&known.id) {
            Some(_) => Finding::NotDeclared { label: label.clone(), id: known.id.clone() },
            None => Finding::Gone { label: label.clone(), id: known.id.clone(), origin: None },
        });
    }
    if unmanaged {
        let known: BTreeSet<&KeysetId> =
            recorded.keysets.values().map(|keyset| &keyset.id).collect();
        let name = FieldId::find("keyset", "name");
        for (id, there) in live.keysets.iter().filter(|(id, _)| !known.contains(id)) {
            let name =
                name.and_then(|field| there.observed.get(field)).and_then(|value| match value {
                    Value::Text(text) => Some(text.clone()),
                    Value::Null | Value::Bool(_) | Value::Int(_) => None,
                });
            drift.findings.push(Finding::Unmanaged {
                id: id.clone(),
                name,
                app: there.app_id.clone(),
            });
        }
        let referred = desired.apps.values().filter_map(|app| match &app.source {
            AppSource::Existing { id, .. } => Some(id),
            AppSource::Managed { .. } => None,
        });
        let known: BTreeSet<&AppId> =
            recorded.apps.values().map(|app| &app.id).chain(referred).collect();
        for (id, app) in live.apps.iter().filter(|(id, _)| !known.contains(id)) {
            drift.findings.push(Finding::AppUnmanaged { id: id.clone(), name: app.name.clone() });
        }
    }
    drift
}

fn apps(desired: &Desired, recorded: &Recorded, live: &Live, drift: &mut Drift) {
    for (label, app) in &desired.apps {
        let known = recorded.apps.get(label);
        let before = drift.findings.len();
        match (&app.source, known) {
            (AppSource::Existing { id, .. }, _) => {
                if !live.apps.contains_key(id) {
                    drift.findings.push(Finding::AppGone {
                        label: label.clone(),
                        id: id.clone(),
                        origin: Some(app.origin),
                    });
                }
            }
            (AppSource::Managed { .. }, None) => {
                drift
                    .findings
                    .push(Finding::AppNotApplied { label: label.clone(), origin: app.origin });
            }
            (AppSource::Managed { name, origin }, Some(known)) => match live.apps.get(&known.id) {
                None => drift.findings.push(Finding::AppGone {
                    label: label.clone(),
                    id: known.id.clone(),
                    origin: Some(app.origin),
                }),
                Some(there) if there.name != *name => drift.findings.push(Finding::AppName {
                    label: label.clone(),
                    id: known.id.clone(),
                    who: judge(known.name == *name, known.name == there.name),
                    declared: name.clone(),
                    applied: known.name.clone(),
                    live: there.name.clone(),
                    origin: *origin,
                }),
                Some(_) => {}
            },
        }
        drift.in_order += usize::from(drift.findings.len() == before);
    }
    for (label, known) in recorded
        .apps
        .iter()
        .filter(|(label, known)| known.managed && !desired.apps.contains_key(label))
    {
        drift.findings.push(match live.apps.contains_key(&known.id) {
            true => Finding::AppNotDeclared { label: label.clone(), id: known.id.clone() },
            false => Finding::AppGone { label: label.clone(), id: known.id.clone(), origin: None },
        });
    }
}

fn moved(
    label: &Label,
    known: &RecordedKeyset,
    now: &AppId,
    origin: Option<Origin>,
    drift: &mut Drift,
) {
    if known.app_id != *now {
        let (from, to) = (known.app_id.clone(), now.clone());
        drift.findings.push(Finding::Moved {
            label: label.clone(),
            id: known.id.clone(),
            from,
            to,
            origin,
        });
    }
}

/// Of a field whose value in the account is not the declared one.
fn who(declared: &Value, applied: Option<&Value>, seen: Option<&Value>, live: &Value) -> Who {
    match applied {
        Some(applied) => judge(applied == declared, applied == live),
        // Declared since, or not taken when it was sent.
        None if seen.is_none_or(|seen| seen == live) => Who::Server,
        None => Who::Both,
    }
}

/// Whether the TOML and the account still say what was applied.
fn judge(toml_stayed: bool, account_stayed: bool) -> Who {
    match (toml_stayed, account_stayed) {
        (true, _) => Who::Account,
        (false, true) => Who::Toml,
        (false, false) => Who::Both,
    }
}

impl Drift {
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }
}

impl Finding {
    /// Where it is declared.
    pub fn origin(&self) -> Option<Origin> {
        match self {
            Finding::Field { origin, .. }
            | Finding::Push { origin, .. }
            | Finding::AppName { origin, .. }
            | Finding::NotApplied { origin, .. }
            | Finding::AppNotApplied { origin, .. } => Some(*origin),
            Finding::Gone { origin, .. }
            | Finding::AppGone { origin, .. }
            | Finding::Moved { origin, .. } => *origin,
            Finding::NotDeclared { .. }
            | Finding::AppNotDeclared { .. }
            | Finding::Unmanaged { .. }
            | Finding::AppUnmanaged { .. } => None,
        }
    }
}
