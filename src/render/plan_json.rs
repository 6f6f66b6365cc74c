//! A plan for programs.

use serde_json::{Map, Value as Json, json};

use crate::config::Sources;
use crate::keyset::{Origin, Value, wire::to_json};
use crate::plan::{
    Action, Change, Mirroring, Note, Plan, Reason, Refusal, Refused, Rotation, Summary, Upload,
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
    let Plan { refreshed, actions, refusals, orphans, notes, unchanged: _ } = plan;
    json!({
        "format_version": FORMAT_VERSION,
        "kind": "plan",
        "refreshed": refreshed,
        "summary": summary(plan),
        "actions": actions.iter().map(|a| action(a, sources)).collect::<Vec<_>>(),
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
pub fn canonical(one: &Action) -> Json {
    without_place(action(one, &Sources::default()))
}

pub fn without_place(mut action: Json) -> Json {
    if let Json::Object(members) = &mut action {
        members.remove("place");
    }
    action
}

/// Every count has a name of its own, which the outputs of a GitHub step have too.
pub fn summary(plan: &Plan) -> Json {
    let Summary {
        create_apps,
        rename_apps,
        adopt_apps,
        create,
        update,
        upload,
        rotate,
        mirror,
        moved,
        protect,
        delete,
        delete_apps,
        forget,
        irreversible,
        refused,
        orphans,
        unchanged,
    } = plan.summary();
    json!({
        "create_apps": create_apps, "rename_apps": rename_apps, "adopt_apps": adopt_apps, "create": create, "update": update,
        "upload": upload, "rotate": rotate, "mirror": mirror, "move": moved, "protect": protect, "delete": delete, "delete_apps": delete_apps,
        "forget": forget, "irreversible": irreversible, "refused": refused, "orphans": orphans, "unchanged": unchanged,
    })
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

pub(super) fn action(action: &Action, sources: &Sources) -> Json {
    let (mut json, origin) = match action {
        Action::CreateApp { label, name, reason: why, origin } => (
            json!({ "action": "create", "kind": "app", "label": label, "name": name, "reason": reason(why) }),
            origin,
        ),
        Action::RenameApp { label, id, from, to, origin } => (
            json!({ "action": "rename", "kind": "app", "label": label, "id": id, "from": from, "to": to }),
            origin,
        ),
        Action::AdoptApp { label, id, name, origin } => (
            json!({ "action": "adopt", "kind": "app", "label": label, "id": id, "name": name }),
            origin,
        ),
        Action::CreateKeyset { label, app, settings, reason: why, protect, origin } => {
            let mut json = json!({
                "action": "create", "kind": "keyset", "label": label, "app": app, "reason": reason(why), "changes": changes(settings),
            });
            if let Some(protect) = protect {
                json["protect"] = (*protect).into();
            }
            (json, origin)
        }
        Action::MoveApp { label, from, id, origin } => (
            json!({ "action": "move", "kind": "app", "label": label, "from": from, "id": id }),
            origin,
        ),
        Action::MoveKeyset { label, from, id, origin } => (
            json!({ "action": "move", "kind": "keyset", "label": label, "from": from, "id": id }),
            origin,
        ),
        Action::ProtectKeyset { label, id, protect, origin } => (
            json!({ "action": "protect", "kind": "keyset", "label": label, "id": id, "protect": protect }),
            origin,
        ),
        Action::DeleteKeyset { label, id, app, keys } => {
            let (publish, subscribe) = (&keys.publish_key, &keys.subscribe_key);
            return json!({
                "action": "delete", "kind": "keyset", "label": label, "id": id, "app": app, "publishKey": publish, "subscribeKey": subscribe,
                "place": null,
            });
        }
        Action::DeleteApp { label, id, name } => {
            return json!({ "action": "delete", "kind": "app", "label": label, "id": id, "name": name, "place": null });
        }
        Action::ForgetKeyset { label, id } => {
            return json!({ "action": "forget", "kind": "keyset", "label": label, "id": id, "place": null });
        }
        Action::ForgetApp { label, id } => {
            return json!({ "action": "forget", "kind": "app", "label": label, "id": id, "place": null });
        }
        Action::UpdateKeyset { label, id, app, changes: all, origin } => {
            let json = json!({ "action": "update", "kind": "keyset", "label": label, "id": id, "app": app, "changes": changes(all) });
            (json, origin)
        }
        Action::UploadPush {
            label,
            id,
            app,
            push,
            file,
            texts,
            sha256,
            why,
            switch_off,
            origin,
        } => {
            let reason = match why {
                Upload::New => json!({ "why": "new" }),
                Upload::Changed => json!({ "why": "changed" }),
                Upload::ChangedOutside { field, live } => {
                    json!({ "why": "changed_outside", "field": field.to_string(), "live": to_json(live) })
                }
            };
            let mut json = json!({
                "action": "upload", "kind": "push", "label": label, "app": app, "push": push, "file": file, "sha256": sha256,
                "texts": texts, "switch_off": switch_off, "reason": reason,
            });
            if let Some(id) = id {
                json["id"] = json!(id);
            }
            (json, origin)
        }
        Action::RotateSecret { label, id, app, why, origin } => {
            let reason = match why {
                Rotation::Missing { why } => json!({ "why": "missing", "message": why }),
                Rotation::Unfinished { since } => json!({ "why": "unfinished", "since": since }),
                Rotation::Due { since, every, overlap } => {
                    json!({ "why": "due", "since": since, "every_seconds": every.as_secs(), "overlap_seconds": overlap.as_secs() })
                }
            };
            (
                json!({ "action": "rotate", "kind": "secret_key", "label": label, "id": id, "app": app, "reason": reason }),
                origin,
            )
        }
        Action::MirrorSecret { label, to, why, origin } => {
            let why = match why {
                Mirroring::New => "new",
                Mirroring::Outdated => "outdated",
            };
            (
                json!({ "action": "mirror", "kind": "secret_key", "label": label, "to": to, "reason": { "why": why } }),
                origin,
            )
        }
    };
    if let Json::Object(object) = &mut json {
        object.insert("place".into(), place(*origin, sources));
    }
    json
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
