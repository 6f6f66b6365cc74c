//! JSON Schemas of what keyform prints as JSON: of everything that a command may print, errors
//! included.
//!
//! New members may come without another `format_version`, so the schemas allow members that they do
//! not name.

use serde_json::{Map, Value as Json, json};

/// What is described here by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    Plan,
    Apply,
    /// Of a line, not of all of them.
    Events,
}

impl Document {
    pub const ALL: [Document; 3] = [Document::Plan, Document::Apply, Document::Events];

    pub fn name(self) -> &'static str {
        match self {
            Document::Plan => "plan",
            Document::Apply => "apply",
            Document::Events => "events",
        }
    }
    pub fn find(name: &str) -> Option<Document> {
        Document::ALL.into_iter().find(|document| document.name() == name)
    }
}

pub fn of(document: Document) -> Json {
    let (title, kinds): (&str, &[&str]) = match document {
        Document::Plan => ("keyform plan --format json", &["plan", "error"]),
        // A plan: there is nothing to do, or it is refused.
        Document::Apply => ("keyform apply --format json", &["apply", "plan", "error"]),
        Document::Events => ("a line of keyform apply --format jsonl", &["event"]),
    };
    let any: Vec<Json> = kinds.iter().map(|kind| reference(kind)).collect();
    json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, "anyOf": any, "$defs": definitions() })
}

fn definitions() -> Map<String, Json> {
    let all = [
        ("plan", plan()),
        ("apply", apply()),
        ("error", error()),
        ("event", event()),
        ("summary", summary()),
        ("action", action()),
        ("refusal", refusal()),
        ("step", json!({ "oneOf": outcomes(&[("step", text()), ("label", text())]) })),
        ("secret", secret()),
        ("change", change()),
        ("problem", problem()),
        ("place", object(&[("path", text()), ("line", int()), ("column", int())], &[])),
        ("value", json!({ "type": ["null", "boolean", "integer", "string"] })),
    ];
    all.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn plan() -> Json {
    let orphan = [
        ("label", text()),
        ("id", text()),
        ("live", nullable(&flag())),
        ("declared_as", nullable(&text())),
        ("message", text()),
    ];
    let members = [
        ("refreshed", flag()),
        ("summary", reference("summary")),
        ("actions", list(&reference("action"))),
        ("refusals", list(&reference("refusal"))),
        ("orphans", list(&object(&orphan, &[]))),
        ("notes", list(&note())),
    ];
    let mut plan = document("plan", &members);
    // What `apply --approve` takes; none where something is refused.
    plan["properties"]["hash"] = nullable(&text());
    plan
}

fn summary() -> Json {
    let counts = [
        "create_apps",
        "rename_apps",
        "adopt_apps",
        "create",
        "update",
        "upload",
        "rotate",
        "mirror",
        "move",
        "protect",
        "delete",
        "delete_apps",
        "forget",
        "irreversible",
        "refused",
        "orphans",
        "unchanged",
    ];
    object(&counts.map(|name| (name, int())), &[])
}

fn action() -> Json {
    let new = object(&[("why", one("new"))], &[]);
    let deleted = object(&[("why", one("deleted_outside")), ("id", text())], &[]);
    let unfinished = object(&[("why", one("unfinished")), ("since", text())], &[]);
    let create = json!({ "oneOf": [new, deleted, unfinished.clone()] });
    let missing = object(&[("why", one("missing")), ("message", text())], &[]);
    let due = object(
        &[
            ("why", one("due")),
            ("since", text()),
            ("every_seconds", int()),
            ("overlap_seconds", int()),
        ],
        &[],
    );
    let rotate = json!({ "oneOf": [missing, unfinished, due] });
    let mirror = object(&[("why", any_of(&["new", "outdated"]))], &[]);
    let changes = list(&reference("change"));
    let is = |action: &str, kind: &str, members: &[(&str, Json)]| {
        let common = [
            ("action", one(action)),
            ("kind", one(kind)),
            ("label", text()),
            ("place", nullable(&reference("place"))),
        ];
        object(&[&common, members].concat(), &[])
    };
    let id = || ("id", text());
    let app = || ("app", text());
    json!({ "oneOf": [
        is("create", "app", &[("name", text()), ("reason", create.clone())]),
        is("rename", "app", &[id(), ("from", text()), ("to", text())]),
        is("adopt", "app", &[id(), ("name", text())]),
        is("create", "keyset", &[app(), ("reason", create), ("changes", changes.clone())]),
        is("update", "keyset", &[id(), app(), ("changes", changes)]),
        upload(),
        is("rotate", "secret_key", &[id(), app(), ("reason", rotate)]),
        is("mirror", "secret_key", &[("to", text()), ("reason", mirror)]),
        is("move", "app", &[id(), ("from", text())]),
        is("move", "keyset", &[id(), ("from", text())]),
        is("protect", "keyset", &[id(), ("protect", flag())]),
        is("delete", "keyset", &[id(), app(), ("publishKey", text()), ("subscribeKey", text())]),
        is("delete", "app", &[id(), ("name", text())]),
        is("forget", "keyset", &[id()]),
        is("forget", "app", &[id()]),
    ] })
}

/// Its `id` is there where the keyset exists already.
fn upload() -> Json {
    let outside = object(
        &[("why", one("changed_outside")), ("field", text()), ("live", reference("value"))],
        &[],
    );
    let reason =
        json!({ "oneOf": [object(&[("why", any_of(&["new", "changed"]))], &[]), outside] });
    let texts = json!({ "type": "object", "additionalProperties": text() });
    let members = [
        ("action", one("upload")),
        ("kind", one("push")),
        ("label", text()),
        ("place", nullable(&reference("place"))),
        ("app", text()),
        ("push", text()),
        ("file", text()),
        ("sha256", text()),
        ("texts", texts),
        ("switch_off", flag()),
        ("reason", reason),
    ];
    object(&members, &[("id", text())])
}

fn change() -> Json {
    let members = [
        ("field", text()),
        ("from", reference("value")),
        ("to", reference("value")),
        ("from_known", flag()),
        ("irreversible", flag()),
        ("companion", flag()),
    ];
    object(&members, &[])
}

fn refusal() -> Json {
    let is = |why: &str, members: &[(&str, Json)]| {
        let common = [
            ("why", one(why)),
            ("kind", any_of(&["app", "keyset", "plan"])),
            ("label", nullable(&text())),
            ("place", nullable(&reference("place"))),
            ("message", text()),
            ("reason", text()),
            ("instead", list(&text())),
        ];
        object(&[&common, members].concat(), &[])
    };
    let (from, to) = (|| ("from", text()), || ("to", text()));
    let recorded_as = || ("recorded_as", nullable(&text()));
    json!({ "oneOf": [
        is("immutable", &[("field", text()), ("from", reference("value")), ("to", reference("value"))]),
        is("needs_consent", &[("field", text()), ("to", reference("value"))]),
        is("app_changed", &[from(), to()]),
        is("app_replaced", &[from(), to()]),
        is("app_not_visible", &[("id", text())]),
        is("moved_while_sealed", &[from(), ("since", text())]),
        is("protected", &[("id", text())]),
        is("other_keys", &[("id", text())]),
        is("vanished", &[("gone", list(&text())), ("recorded", int())]),
        is("over_limit", &[("limit_of", text()), ("planned", int()), ("limit", int()), ("budget", text())]),
        is("frozen", &[("freeze", text())]),
        is("no_push_file", &[("push", text()), ("file", text()), ("error", text())]),
        is("name_taken", &[("app", text()), ("name", text()), ("id", text()), recorded_as()]),
        is("app_name_taken", &[("name", text()), ("id", text()), recorded_as()]),
        is("unknown_label", &[("asked", text()), ("nearest", nullable(&text()))]),
    ] })
}

fn note() -> Json {
    let is = |note: &str, members: &[(&str, Json)]| {
        object(
            &[&[("note", one(note)), ("message", text()), ("label", text())], members].concat(),
            &[],
        )
    };
    json!({ "oneOf": [
        is("sealed", &[("since", text())]),
        is("unfinished", &[("since", text())]),
        is("orphan_app", &[("id", text()), ("holds", int())]),
        is("not_compared", &[("file", text())]),
        is("changed_outside", &[("field", text()), ("recorded", reference("value")), ("live", reference("value"))]),
    ] })
}

fn apply() -> Json {
    document(
        "apply",
        &[
            ("interrupted", flag()),
            ("journal_error", nullable(&text())),
            ("steps", list(&reference("step"))),
        ],
    )
}

/// Everything a step may end with, each with these members too.
fn outcomes(common: &[(&str, Json)]) -> Vec<Json> {
    let is = |outcome: &str, members: &[(&str, Json)]| {
        object(&[&[("outcome", one(outcome))], common, members].concat(), &[])
    };
    let differing = (
        "differing",
        list(&object(
            &[("field", text()), ("asked", reference("value")), ("got", reference("value"))],
            &[],
        )),
    );
    let id = || ("id", text());
    let secret = || ("secret", reference("secret"));
    let key = |name: &'static str| (name, nullable(&text()));
    vec![
        is("done", &[id()]),
        is("found", &[id()]),
        is("rotated", &[id(), secret()]),
        is("kept", &[id(), secret()]),
        is(
            "created",
            &[
                id(),
                ("publishKey", text()),
                ("subscribeKey", text()),
                secret(),
                ("found", flag()),
                differing.clone(),
            ],
        ),
        is("updated", std::slice::from_ref(&differing)),
        is("uploaded", &[differing]),
        is("mirrored", &[("to", text())]),
        is("moved", &[("from", text()), ("secret_kept_under", nullable(&text()))]),
        is("noted", &[("protect", flag())]),
        is("deleted", &[id(), key("publishKey"), key("subscribeKey"), key("secret_left")]),
        is("forgotten", &[id()]),
        is("nothing", &[]),
        with_request(is("failed", &[("message", text()), ("help", nullable(&text()))])),
        with_request(is("unknown", &[("message", text())])),
        is("skipped", &[("message", text())]),
    ]
}

/// Where a request failed, that is told too.
fn with_request(mut outcome: Json) -> Json {
    let request = [
        ("method", text()),
        ("path", text()),
        ("status", nullable(&int())),
        ("messages", list(&text())),
        ("tries", int()),
        ("retryable", flag()),
    ];
    outcome["properties"]["error"] = object(&request, &[("code", text())]);
    outcome
}

fn secret() -> Json {
    json!({ "oneOf": [
        object(&[("status", one("stored")), ("sink", text()), ("fingerprint", text())], &[]),
        object(&[("status", any_of(&["sealed", "missing"])), ("why", text())], &[]),
        object(&[("status", one("unknown"))], &[]),
    ] })
}

fn event() -> Json {
    let common = [("format_version", version()), ("kind", one("event")), ("at", text())];
    let is = |event: &str, members: &[(&str, Json)]| {
        object(&[&[("event", one(event))], &common[..], members].concat(), &[])
    };
    let counts = ["done", "failed", "unknown", "not_begun", "to_look_at"].map(|name| (name, int()));
    let report =
        [[("interrupted", flag()), ("journal_error", nullable(&text()))].as_slice(), &counts]
            .concat();
    let step = [("step", text()), ("label", text())];
    let finished = [&[("event", one("finished"))], &common[..], &step].concat();
    let mut all = vec![
        is("begin", &[("keyform", text()), ("project", text())]),
        is("planned", &[("action", reference("action"))]),
        is("refused", &[("refusal", reference("refusal"))]),
        is("plan", &[("refreshed", flag()), ("summary", reference("summary"))]),
        is("started", &step),
        is("searching", &step),
        is("report", &report),
        is("error", &[("message", text()), ("help", list(&text()))]),
        is("end", &[("exit_code", int())]),
    ];
    all.extend(outcomes(&finished));
    json!({ "oneOf": all })
}

fn problem() -> Json {
    let fix = ["line", "column", "end_line", "end_column"].map(|name| (name, int()));
    let fix = [&fix[..], &[("path", text()), ("with", text())]].concat();
    let members = [
        ("code", json!({ "type": "string", "pattern": "^KF[0-9]{3}$" })),
        ("severity", any_of(&["error", "warning"])),
        ("message", text()),
        ("path", nullable(&text())),
        ("line", nullable(&int())),
        ("column", nullable(&int())),
        ("label", text()),
        ("help", nullable(&text())),
    ];
    object(&members, &[("fix", object(&fix, &[]))])
}

/// What every command prints when it ends with an error.
fn error() -> Json {
    let members = [
        ("format_version", version()),
        ("kind", one("error")),
        ("exit_code", int()),
        ("message", text()),
        ("help", list(&text())),
    ];
    object(&members, &[("problems", list(&reference("problem")))])
}

fn document(kind: &str, members: &[(&str, Json)]) -> Json {
    object(
        &[&[("format_version", version()), ("kind", one(kind)), ("exit_code", int())], members]
            .concat(),
        &[],
    )
}

fn object(required: &[(&str, Json)], optional: &[(&str, Json)]) -> Json {
    let properties: Map<String, Json> = required
        .iter()
        .chain(optional)
        .map(|(name, of)| ((*name).to_owned(), of.clone()))
        .collect();
    let required: Vec<&str> = required.iter().map(|(name, _)| *name).collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

fn version() -> Json {
    json!({ "const": super::plan_json::FORMAT_VERSION })
}
fn reference(name: &str) -> Json {
    json!({ "$ref": format!("#/$defs/{name}") })
}
fn one(text: &str) -> Json {
    json!({ "const": text })
}
fn any_of(texts: &[&str]) -> Json {
    json!({ "enum": texts })
}
fn text() -> Json {
    json!({ "type": "string" })
}
fn int() -> Json {
    json!({ "type": "integer", "minimum": 0 })
}
fn flag() -> Json {
    json!({ "type": "boolean" })
}
fn list(of: &Json) -> Json {
    json!({ "type": "array", "items": of })
}
fn nullable(of: &Json) -> Json {
    json!({ "anyOf": [of, { "type": "null" }] })
}
