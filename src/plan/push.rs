//! Whether push credentials have to be uploaded: what was uploaded is compared by its digest, and
//! by what the account shows of it.

use crate::keyset::push::{DeclaredPush, Push, PushFile};
use crate::keyset::views::{DesiredKeyset, LiveKeyset, RecordedKeyset};
use crate::keyset::{FieldId, KeysetId, Label, Value};

use super::inputs::Inputs;
use super::model::{Note, Plan, Refusal, Refused};
use super::step::{Id, Op, PushUpload, Step, Upload};

/// How declared credentials stand.
pub(super) enum Standing<'a> {
    InOrder,
    Due {
        why: Upload,
        sha256: &'a str,
    },
    /// The file is not here; the rest is as it was uploaded.
    NotCompared,
    /// It has to be uploaded, or may have to be, and its file cannot be read.
    NoFile {
        why: Upload,
        problem: &'a str,
    },
}

const ABSENT: &str = "there is no such file here";

pub(super) fn standing<'a>(
    declared: &DeclaredPush,
    recorded: Option<&RecordedKeyset>,
    live: Option<&LiveKeyset>,
    file: Option<&'a PushFile>,
) -> Standing<'a> {
    let last = recorded.and_then(|recorded| recorded.push.get(&declared.push));
    let why = match last {
        None => Some(Upload::New),
        Some(last) if last.texts != declared.texts => Some(Upload::Changed),
        Some(_) => live
            .and_then(|live| changed_outside(declared, live))
            .map(|(field, live)| Upload::ChangedOutside { field, live }),
    };
    match (file, why) {
        (Some(PushFile::Is(sha256)), Some(why)) => Standing::Due { why, sha256 },
        (Some(PushFile::Is(sha256)), None) if last.is_some_and(|last| last.sha256 != *sha256) => {
            Standing::Due { why: Upload::Changed, sha256 }
        }
        (Some(PushFile::Is(_)), None) => Standing::InOrder,
        (Some(PushFile::Unusable(problem)), why) => {
            Standing::NoFile { why: why.unwrap_or(Upload::Changed), problem }
        }
        (Some(PushFile::Absent) | None, Some(why)) => Standing::NoFile { why, problem: ABSENT },
        (Some(PushFile::Absent) | None, None) => Standing::NotCompared,
    }
}

/// Something that the account shows of it and that was not uploaded. What it does not mention says
/// nothing.
fn changed_outside(declared: &DeclaredPush, live: &LiveKeyset) -> Option<(FieldId, Value)> {
    declared.texts.iter().find_map(|(name, text)| {
        let field = declared.push.field(name)?;
        let shown = live.observed.get(field)?;
        (*shown != Value::Text(text.clone())).then(|| (field, shown.clone()))
    })
}

/// The uploads of one keyset; `known`: its id and record, where it exists.
pub(super) fn plan(
    inputs: &Inputs<'_>,
    label: &Label,
    keyset: &DesiredKeyset,
    known: Option<(&KeysetId, &RecordedKeyset)>,
    live: Option<&LiveKeyset>,
    plan: &mut Plan,
    refusals: &mut Vec<Refusal>,
) {
    let off = Push::switch().is_some_and(|switch| {
        let off = Some(&Value::Bool(false));
        match live.filter(|_| keyset.ignores(switch).is_some()) {
            // Left to others: as they have it.
            Some(live) => live.observed.get(switch) == off,
            None => keyset.settings.get(switch).map(|setting| &setting.value) == off,
        }
    });
    for declared in &keyset.push {
        let file = inputs.push.get(&declared.file);
        match standing(declared, known.map(|(_, recorded)| recorded), live, file) {
            Standing::InOrder => {}
            Standing::NotCompared => plan
                .notes
                .push(Note::NotCompared { label: label.clone(), file: declared.file.clone() }),
            Standing::NoFile { why: _, problem } => {
                let why = Refused::NoPushFile {
                    push: declared.push,
                    file: declared.file.clone(),
                    why: problem.into(),
                };
                refusals.push(Refusal {
                    label: Some(label.clone()),
                    why,
                    origin: Some(declared.origin),
                });
            }
            Standing::Due { why, sha256 } => {
                let op = Op::UploadPush(Box::new(PushUpload {
                    push: declared.push,
                    file: declared.file.clone(),
                    texts: declared.texts.clone(),
                    sha256: sha256.into(),
                    why,
                    switch_off: off,
                }));
                let id = known.map(|(id, _)| Id::Keyset(id.clone()));
                let step = Step::new(label, op).in_app(&keyset.app).at(declared.origin);
                plan.steps.push(Step { id, ..step });
            }
        }
    }
}
