//! One keyset that exists: what differs, and what follows from each field's life.

use crate::keyset::views::{DesiredKeyset, LiveKeyset, RecordedKeyset};
use crate::keyset::{Call, FieldId, Life, Origin, Setting, Value};

use super::model::Refused;
use super::step::Change;

/// What a keyset needs. Allocates nothing when it needs nothing.
#[derive(Default)]
pub(super) struct Diff {
    /// In the order of the table.
    pub changes: Vec<Change>,
    pub refused: Vec<(Refused, Origin)>,
    /// Somebody else changed these: field, value last applied (and still declared), value now.
    pub outside: Vec<(FieldId, Value, Value)>,
}

/// Compares the declared fields, and no others, with what is known of the keyset.
pub(super) fn keyset(
    desired: &DesiredKeyset,
    recorded: &RecordedKeyset,
    live: Option<&LiveKeyset>,
    allow_irreversible: bool,
) -> Diff {
    let known = Known { recorded, live };
    let mut diff = Diff::default();
    for setting in desired.settings.iter() {
        let now = known.value(setting.field);
        if now == Some(&setting.value) || desired.ignores(setting.field).is_some() {
            continue;
        }
        if let (Some(now), Some(applied)) =
            (known.shown(setting.field), recorded.applied.get(setting.field))
            && *applied == setting.value
        {
            diff.outside.push((setting.field, applied.clone(), now.clone()));
        }
        differing(&mut diff, setting, now, allow_irreversible);
    }
    if !diff.changes.is_empty() {
        add_companions(&mut diff.changes, desired, &known);
    }
    diff
}

/// A setting of a create: nothing was there before.
pub(super) fn created(setting: &Setting) -> Change {
    Change {
        field: setting.field,
        from: None,
        to: setting.value.clone(),
        origin: setting.origin,
        companion: false,
    }
}

/// The truth table of one declared field whose value is not what is there.
fn differing(diff: &mut Diff, setting: &Setting, now: Option<&Value>, allow_irreversible: bool) {
    let Setting { field, value: to, origin } = setting;
    let refused = match (field.field().life, now) {
        (Life::Mutable, _) => None,
        (Life::OnceSet, None | Some(Value::Null)) if allow_irreversible => None,
        (Life::OnceSet, None | Some(Value::Null)) => {
            Some(Refused::NeedsConsent { field: *field, to: to.clone() })
        }
        (Life::OnceSet | Life::Fixed, Some(from)) => {
            Some(Refused::Immutable { field: *field, from: from.clone(), to: to.clone() })
        }
        // No call could change them, so where the server is silent about one there is nothing to
        // compare and nothing to do.
        (Life::Fixed, None) | (Life::ReadOnly, _) => return,
    };
    match refused {
        Some(why) => diff.refused.push((why, *origin)),
        None => diff.changes.push(Change {
            field: *field,
            from: now.cloned(),
            to: to.clone(),
            origin: *origin,
            companion: false,
        }),
    }
}

/// The API wants some fields whenever a section is written that is on (or turned on). Those that
/// are declared go along. A once-set field never does: the API does not say whether it takes the
/// same value twice.
fn add_companions(changes: &mut Vec<Change>, desired: &DesiredKeyset, known: &Known<'_>) {
    let mut along: Vec<Change> = Vec::new();
    for change in changes.iter() {
        let Some(switch) = change.field.switch() else { continue };
        let on = desired.settings.get(switch).map(|s| &s.value).or_else(|| known.value(switch));
        if on != Some(&Value::Bool(true)) {
            continue;
        }
        for companion in switch.companions() {
            if let Some(setting) = desired.settings.get(companion)
                && companion.field().life == Life::Mutable
                && desired.ignores(companion).is_none()
                && !changes.iter().chain(&along).any(|c| c.field == companion)
            {
                along.push(Change {
                    from: known.value(companion).cloned(),
                    companion: true,
                    ..created(setting)
                });
            }
        }
    }
    if !along.is_empty() {
        changes.append(&mut along);
        changes.sort_by_key(|c| c.field);
    }
}

/// What is known of a keyset: the server's word, else what was sent last.
struct Known<'a> {
    recorded: &'a RecordedKeyset,
    live: Option<&'a LiveKeyset>,
}

impl<'a> Known<'a> {
    /// The value that the server shows now.
    fn shown(&self, field: FieldId) -> Option<&'a Value> {
        self.live?.observed.get(field)
    }

    /// The value to compare with.
    ///
    /// A field that the server takes and never shows counts as having the value last sent; else
    /// every plan would send it again. The value last seen counts only where the server was not
    /// asked: without a refresh, or for the configuration of a keyset whose configuration was not
    /// fetched (a refresh fetches it for every recorded keyset; if one did not, this keyset is
    /// planned as without a refresh).
    fn value(&self, field: FieldId) -> Option<&'a Value> {
        let asked =
            self.live.is_some_and(|live| live.with_config || field.section().call == Call::Keyset);
        self.shown(field)
            .or_else(|| self.recorded.applied.get(field))
            .or_else(|| if asked { None } else { self.recorded.seen.get(field) })
    }
}
