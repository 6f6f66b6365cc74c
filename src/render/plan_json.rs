//! A plan for programs.

use serde_json::{Map, Value as Json, json};

use crate::config::Sources;
use crate::keyset::{Origin, Value, wire::to_json};
use crate::plan::{
    Change, Mirroring, Note, Op, Plan, PushUpload, Reason, Refusal, Refused, Rotation, Step, Upload,
};

use super::plan_words as words;

/// Raised when something that was there changes its meaning or goes; new members alone do not raise
/// it.
pub const FORMAT_VERSION: u32 = 1;

/// The plan as one object. It holds no secrets: neither does a [`Plan`].
///
/// ```text
/// format_version   1
/// kind             "plan"
/// refreshed        whether the account was looked at
/// summary          counts: create_apps, rename_apps, adopt_apps, create, update, upload, rotate, mirror, move, protect, delete, delete_apps, forget, irreversible, refused, orphans, unchanged
/// actions[]        in the order of apply:
///   action, kind   "create" | "rename" | "adopt" + "app";  "create" | "update" | "protect" + "keyset";
///                  "move" | "delete" | "forget" + either;  "rotate" | "mirror" + "secret_key";  "upload" + "push"
///   label, place   place: {path, line, column} from 1, or null
///   reason         creates: {why: "new" | "deleted_outside" | "unfinished", id?, since?}
///                  rotations: {why: "missing" | "unfinished" | "due", message?, since?, every_seconds?, overlap_seconds?};  mirrors: {why: "new" | "outdated"}
///   id, name, from, to, app, protect, publishKey, subscribeKey      where the action has them
///   changes[]      keysets: {field, from, to, from_known, irreversible, companion}
/// refusals[]       {why, kind: "app" | "keyset" | "plan", label, place, message, reason, instead[]} and the members of its
///                  `why`, which are named below; one refusal is enough for nothing to be applied
///   why            "immutable" "needs_consent" "app_changed" "app_replaced" "app_not_visible" "vanished" "over_limit"
///                  "frozen" "no_push_file" "name_taken" "app_name_taken" "unknown_label" "protected" "other_keys" "moved_while_sealed"
/// orphans[]        {label, id, live: true | false | null, declared_as: another label of the same keyset, or null, message}
/// notes[]          {note: "sealed" | "orphan_app" | "changed_outside" | "unfinished" | "not_compared", label, message, ...}
/// ```
///
/// `from: null` with `from_known: true` is the API's null; with `false` the value before is not
/// known. Values are data and come as they are; `message`, `reason` of a refusal and `instead` are
/// for people and may be reworded.
pub fn plan(plan: &Plan, sources: &Sources) -> Json {
    let Plan { refreshed, steps, refusals, orphans, notes, unchanged: _ } = plan;
    json!({
        "format_version": FORMAT_VERSION,
        "kind": "plan",
        "refreshed": refreshed,
        "summary": summary(plan),
        "actions": steps.iter().map(|a| action(a, sources)).collect::<Vec<_>>(),
        "refusals": refusals.iter().map(|r| refusal(r, sources)).collect::<Vec<_>>(),
        "orphans": orphans.iter().map(|o| {
            json!({ "label": o.label, "id": o.id, "live": o.live, "declared_as": o.declared_as, "message": words::orphan(o) })
        }).collect::<Vec<_>>(),
        "notes": notes.iter().map(|n| {
            let (tag, message) = words::note(n);
            with(json!({ "note": tag, "message": message }), note(n))
        }).collect::<Vec<_>>(),
    })
}

/// An action without its place in the TOML.
pub fn canonical(step: &Step) -> Json {
    without_place(action(step, &Sources::default()))
}

pub fn without_place(mut action: Json) -> Json {
    if let Json::Object(members) = &mut action {
        members.remove("place");
    }
    action
}

/// Every count has a name of its own, which the outputs of a GitHub step have too.
pub fn summary(plan: &Plan) -> Json {
    Json::Object(
        plan.summary().named().into_iter().map(|(name, n)| (name.to_owned(), n.into())).collect(),
    )
}

pub(super) fn refusal(Refusal { label, why, origin }: &Refusal, sources: &Sources) -> Json {
    let words = words::refused(why);
    let kind = match label {
        None => "plan",
        Some(_) if why.is_app() => "app",
        Some(_) => "keyset",
    };
    let common = json!({
        "why": words.tag,
        "kind": kind,
        "label": label,
        "place": origin.map_or(Json::Null, |o| place(o, sources)),
        "message": words.what,
        "reason": words.why,
        "instead": words.instead,
    });
    with(common, refused(why))
}

pub(super) fn action(step: &Step, sources: &Sources) -> Json {
    let (action, kind) = step.row().planned.unwrap_or_default();
    let mut json = json!({
        "action": action,
        "kind": kind,
        "label": step.label,
        "place": step.origin.map_or(Json::Null, |origin| place(origin, sources)),
    });
    if let Some(id) = &step.id {
        json["id"] = id.as_str().into();
    }
    if let Some(app) = &step.app {
        json["app"] = app.as_str().into();
    }
    with(json, special(&step.op))
}

/// What only this kind of step has.
fn special(op: &Op) -> Json {
    match op {
        Op::CreateApp { name, reason: why } => json!({ "name": name, "reason": reason(why) }),
        Op::RenameApp { from, to } => json!({ "from": from, "to": to }),
        Op::AdoptApp { name } | Op::DeleteApp { name } => json!({ "name": name }),
        Op::CreateKeyset { settings, reason: why, protect } => {
            let mut json = json!({ "reason": reason(why), "changes": changes(settings) });
            if let Some(protect) = protect {
                json["protect"] = (*protect).into();
            }
            json
        }
        Op::MoveApp { from } | Op::MoveKeyset { from } => json!({ "from": from }),
        Op::ProtectKeyset { protect } => json!({ "protect": protect }),
        Op::DeleteKeyset { keys } => {
            json!({ "publishKey": keys.publish_key, "subscribeKey": keys.subscribe_key })
        }
        Op::UpdateKeyset { changes: all } => json!({ "changes": changes(all) }),
        Op::UploadPush(upload) => {
            let PushUpload { push, file, texts, sha256, why, switch_off } = &**upload;
            let reason = match why {
                Upload::New => json!({ "why": "new" }),
                Upload::Changed => json!({ "why": "changed" }),
                Upload::ChangedOutside { field, live } => {
                    json!({ "why": "changed_outside", "field": field.to_string(), "live": to_json(live) })
                }
            };
            json!({
                "push": push, "file": file, "sha256": sha256, "texts": texts, "switch_off": switch_off,
                "reason": reason,
            })
        }
        Op::RotateSecret { why } => {
            let reason = match &**why {
                Rotation::Missing { why } => json!({ "why": "missing", "message": why }),
                Rotation::Unfinished { since } => json!({ "why": "unfinished", "since": since }),
                Rotation::Due { since, every, overlap } => {
                    json!({ "why": "due", "since": since, "every_seconds": every.as_secs(), "overlap_seconds": overlap.as_secs() })
                }
            };
            json!({ "reason": reason })
        }
        Op::MirrorSecret { to, why } => {
            let why = match why {
                Mirroring::New => "new",
                Mirroring::Outdated => "outdated",
            };
            json!({ "to": to, "reason": { "why": why } })
        }
        Op::ForgetKeyset | Op::ForgetApp => json!({}),
    }
}

fn changes(changes: &[Change]) -> Vec<Json> {
    let one = |change: &Change| {
        let Change { field, from, to, origin: _, companion } = change;
        json!({
            "field": field.to_string(),
            "from": from.as_ref().map(to_json),
            "to": to_json(to),
            "from_known": from.is_some(),
            "irreversible": change.is_irreversible(),
            "companion": companion,
        })
    };
    changes.iter().map(one).collect()
}

fn reason(reason: &Reason) -> Json {
    match reason {
        Reason::New => json!({ "why": "new" }),
        Reason::DeletedOutside { id } => json!({ "why": "deleted_outside", "id": id }),
        Reason::Unfinished { since } => json!({ "why": "unfinished", "since": since }),
    }
}

/// What a refusal is about, beside its words.
fn refused(why: &Refused) -> Json {
    match why {
        Refused::Immutable { field, from, to } => {
            json!({ "field": field.to_string(), "from": to_json(from), "to": to_json(to) })
        }
        Refused::NeedsConsent { field, to } => {
            json!({ "field": field.to_string(), "to": to_json(to) })
        }
        Refused::AppChanged { from, to } => json!({ "from": from, "to": to }),
        Refused::AppReplaced { app: _, from, to } => json!({ "from": from, "to": to }),
        Refused::AppNotVisible { id } => json!({ "id": id }),
        Refused::MovedWhileSealed { from, since } => json!({ "from": from, "since": since }),
        Refused::Protected { id } | Refused::OtherKeys { id } => json!({ "id": id }),
        Refused::Vanished { gone, recorded } => json!({ "gone": gone, "recorded": recorded }),
        Refused::OverLimit { kind, planned, limit, budget } => {
            json!({ "limit_of": kind.name(), "planned": planned, "limit": limit, "budget": budget.to_string() })
        }
        Refused::NoPushFile { push, file, why } => {
            json!({ "push": push, "file": file, "error": why })
        }
        Refused::Frozen { reason, app: _ } => json!({ "freeze": reason }),
        Refused::NameTaken { app, name, id, recorded_as } => {
            json!({ "app": app, "name": name, "id": id, "recorded_as": recorded_as })
        }
        Refused::AppNameTaken { name, id, recorded_as } => {
            json!({ "name": name, "id": id, "recorded_as": recorded_as })
        }
        Refused::UnknownLabel { label, nearest } => json!({ "asked": label, "nearest": nearest }),
    }
}

fn note(note: &Note) -> Json {
    match note {
        Note::Sealed { label, since } => json!({ "label": label, "since": since }),
        Note::OrphanApp { label, id, holds } => json!({ "label": label, "id": id, "holds": holds }),
        Note::ChangedOutside { label, field, recorded, live } => {
            let live: Option<Json> = live.as_ref().map(|v: &Value| to_json(v));
            json!({ "label": label, "field": field.to_string(), "recorded": to_json(recorded), "live": live })
        }
        Note::NotCompared { label, file } => json!({ "label": label, "file": file }),
        Note::Unfinished { label, since } => json!({ "label": label, "since": since }),
    }
}

fn place(origin: Origin, sources: &Sources) -> Json {
    sources
        .place(origin)
        .map_or(Json::Null, |p| json!({ "path": p.path, "line": p.line, "column": p.column }))
}

/// The members of both objects.
fn with(base: Json, more: Json) -> Json {
    let members = |json| if let Json::Object(object) = json { object } else { Map::new() };
    Json::Object(members(base).into_iter().chain(members(more)).collect())
}
