//! A plan for programs: [`crate::documents::plan`], filled.

use serde_json::Value as Json;

use super::plan_words as words;
use crate::config::Sources;
use crate::documents::plan as document;
use crate::documents::{self, FieldName, FieldValue, Place, to_json};
use crate::keyset::Origin;
use crate::plan::{
    Change, Goal, Mirroring, Note, Plan, PushUpload, Reason, Refusal, Refused, Rotation, Step,
    Upload, Why,
};

/// The plan as one object, without the exit code of a command. It holds no secrets: neither does a
/// [`Plan`].
pub fn plan(plan: &Plan, sources: &Sources) -> Json {
    #[derive(serde::Serialize)]
    struct Whole {
        format_version: documents::Version,
        kind: &'static str,
        #[serde(flatten)]
        plan: document::Plan,
    }
    to_json(&Whole {
        format_version: documents::Version,
        kind: <document::Plan as documents::Document>::KIND,
        plan: filled(plan, sources),
    })
}

fn filled(plan: &Plan, sources: &Sources) -> document::Plan {
    let Plan { refreshed, steps, refusals, orphans, notes, unchanged: _ } = plan;
    let orphan = |orphan: &crate::plan::Orphan| document::Orphan {
        label: orphan.label.clone(),
        id: orphan.id.clone(),
        live: orphan.live,
        declared_as: orphan.declared_as.clone(),
        message: words::orphan(orphan),
    };
    document::Plan {
        refreshed: *refreshed,
        summary: document::Summary(plan.summary()),
        actions: steps.iter().map(|step| action(step, sources)).collect(),
        refusals: refusals.iter().map(|one| refusal(one, sources)).collect(),
        orphans: orphans.iter().map(orphan).collect(),
        notes: notes.iter().map(note).collect(),
        hash: None,
    }
}

/// A step without its place in the TOML.
pub fn canonical(step: &Step) -> Json {
    without_place(to_json(&action(step, &Sources::default())))
}

pub fn without_place(mut action: Json) -> Json {
    if let Json::Object(members) = &mut action {
        members.remove("place");
    }
    action
}

/// Every count has a name of its own, which the outputs of a GitHub step have too.
pub fn summary(plan: &Plan) -> Json {
    to_json(&plan.summary())
}

pub(super) fn action(step: &Step, sources: &Sources) -> document::Action {
    let (action, kind) = step.row().planned.unwrap_or_default();
    let facts = step.op.facts();
    document::Action {
        action,
        kind,
        label: step.label.clone(),
        place: place(step.origin, sources),
        id: step.id.as_ref().map(ToString::to_string),
        app: step.app.clone(),
        name: facts.name.map(str::to_owned),
        from: facts.from.map(str::to_owned),
        to: facts.to.map(|to| match to {
            Goal::Name(name) => name.to_owned(),
            Goal::Mirror(target) => target.to_string(),
        }),
        protect: facts.protect,
        publish_key: facts.keys.map(|keys| keys.publish_key.to_string()),
        subscribe_key: facts.keys.map(|keys| keys.subscribe_key.to_string()),
        changes: facts.changes.map(|changes| changes.iter().map(change).collect()),
        upload: facts.upload.map(upload),
        reason: facts.why.map(reason),
    }
}

fn upload(upload: &PushUpload) -> document::Upload {
    let PushUpload { push, file, texts, sha256, why: _, switch_off } = upload;
    document::Upload {
        push: *push,
        file: file.to_string(),
        sha256: sha256.to_string(),
        texts: texts.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect(),
        switch_off: *switch_off,
    }
}

fn change(change: &Change) -> document::Change {
    let Change { field, from, to, origin: _, companion } = change;
    document::Change {
        field: FieldName(*field),
        from: from.as_ref().map(FieldValue::from),
        to: to.into(),
        from_known: from.is_some(),
        irreversible: change.is_irreversible(),
        companion: *companion,
    }
}

fn reason(why: Why<'_>) -> document::Reason {
    match why {
        Why::Create(Reason::New) | Why::Upload(Upload::New) | Why::Mirror(Mirroring::New) => {
            document::Reason::New
        }
        Why::Create(Reason::DeletedOutside { id }) => {
            document::Reason::DeletedOutside { id: id.clone() }
        }
        Why::Create(Reason::Unfinished { since }) | Why::Rotate(Rotation::Unfinished { since }) => {
            document::Reason::Unfinished { since: since.to_string() }
        }
        Why::Rotate(Rotation::Missing { why }) => {
            document::Reason::Missing { message: why.to_string() }
        }
        Why::Rotate(Rotation::Due { since, every, overlap }) => document::Reason::Due {
            since: since.to_string(),
            every_seconds: every.as_secs(),
            overlap_seconds: overlap.as_secs(),
        },
        Why::Upload(Upload::Changed) => document::Reason::Changed,
        Why::Upload(Upload::ChangedOutside { field, live }) => {
            document::Reason::ChangedOutside { field: FieldName(*field), live: live.into() }
        }
        Why::Mirror(Mirroring::Outdated) => document::Reason::Outdated,
    }
}

pub(super) fn refusal(refusal: &Refusal, sources: &Sources) -> document::Refusal {
    let Refusal { label, why, origin } = refusal;
    let words = words::refused(why);
    document::Refusal {
        kind: match label {
            None => document::RefusalOf::Plan,
            Some(_) if why.is_app() => document::RefusalOf::App,
            Some(_) => document::RefusalOf::Keyset,
        },
        label: label.clone(),
        place: place(*origin, sources),
        message: words.what,
        reason: words.why,
        instead: words.instead,
        why: refused(why),
    }
}

/// What a refusal is about, beside its words.
fn refused(why: &Refused) -> document::Refused {
    use document::Refused as To;
    match why.clone() {
        Refused::Immutable { field, from, to } => {
            To::Immutable { field: FieldName(field), from: (&from).into(), to: (&to).into() }
        }
        Refused::NeedsConsent { field, to } => {
            To::NeedsConsent { field: FieldName(field), to: (&to).into() }
        }
        Refused::AppChanged { from, to } => To::AppChanged { from, to },
        Refused::AppReplaced { app: _, from, to } => To::AppReplaced { from, to },
        Refused::AppNotVisible { id } => To::AppNotVisible { id },
        Refused::MovedWhileSealed { from, since } => {
            To::MovedWhileSealed { from, since: since.to_string() }
        }
        Refused::Protected { id } => To::Protected { id },
        Refused::OtherKeys { id } => To::OtherKeys { id },
        Refused::Vanished { gone, recorded } => To::Vanished { gone, recorded },
        Refused::OverLimit { kind, planned, limit, budget } => {
            To::OverLimit { limit_of: kind.name(), planned, limit, budget: budget.to_string() }
        }
        Refused::NoPushFile { push, file, why } => {
            To::NoPushFile { push, file: file.into(), error: why.into() }
        }
        Refused::Frozen { reason, app: _ } => To::Frozen { freeze: reason.into() },
        Refused::NameTaken { app, name, id, recorded_as } => {
            To::NameTaken { app, name: name.into(), id, recorded_as }
        }
        Refused::AppNameTaken { name, id, recorded_as } => {
            To::AppNameTaken { name: name.into(), id, recorded_as }
        }
        Refused::UnknownLabel { label, nearest } => To::UnknownLabel { asked: label, nearest },
    }
}

fn note(note: &Note) -> document::Note {
    use document::Noted as To;
    let about = match note.clone() {
        Note::Sealed { label, since } => To::Sealed { label, since: since.to_string() },
        Note::Unfinished { label, since } => To::Unfinished { label, since: since.to_string() },
        Note::OrphanApp { label, id, holds } => To::OrphanApp { label, id, holds },
        Note::NotCompared { label, file } => To::NotCompared { label, file: file.into() },
        Note::ChangedOutside { label, field, recorded, live } => To::ChangedOutside {
            label,
            field: FieldName(field),
            recorded: (&recorded).into(),
            live: live.as_ref().map(FieldValue::from),
        },
    };
    document::Note { message: words::note(note), note: about }
}

fn place(origin: Option<Origin>, sources: &Sources) -> Option<Place> {
    Place::of(origin?, sources)
}
