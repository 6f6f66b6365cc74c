//! A plan as Terraform's documented JSON of one (`terraform show -json PLAN`), for tools that read
//! that: summaries and policies.
//!
//! Types are `pubnub_app` and `pubnub_keyset`; values have the API's names. Only declared fields
//! are in it, as everywhere. Nothing is ever replaced, so no action is `["delete", "create"]`. What
//! is refused is shown as it is and stays, and `errored` is true. Keys that are secret are named as
//! unknown and sensitive, and are in no value.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use crate::keyset::views::{AppSource, Desired, DesiredKeyset, Recorded, RecordedKeyset};
use crate::keyset::{Call, FieldId, Label, Value, wire};
use crate::plan::{Change, Id, Op, Plan, Policy, Refused, Step};

/// Of Terraform's JSON. Its readers refuse what they do not know.
const FORMAT_VERSION: &str = "1.2";
/// Readers ask for a version of Terraform that they know: the first that wrote this format.
const WRITES_LIKE: &str = "1.5.0";
/// Where nothing is to be had: keyform is no provider.
const PROVIDER: &str = "keyform.invalid/keyform/pubnub";

/// What a plan is about, beside the plan itself.
#[derive(Clone, Copy)]
pub struct Picture<'a> {
    pub plan: &'a Plan,
    pub desired: &'a Desired,
    pub recorded: &'a Recorded,
    pub policy: &'a Policy,
}

/// How many apps and keysets are made, changed and deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub create: usize,
    pub update: usize,
    pub delete: usize,
}

type Values = Map<String, Json>;
type Resources = BTreeMap<(Kind, Label), Resource>;

/// Apps come first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    App,
    Keyset,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::App => "pubnub_app",
            Kind::Keyset => "pubnub_keyset",
        }
    }
}

/// What becomes of one app or keyset.
#[derive(Default)]
struct Resource {
    before: Option<Values>,
    after: Option<Values>,
    /// Names of values that the apply makes.
    unknown: Vec<&'static str>,
    forgotten: bool,
    /// Its label of before.
    moved: Option<Label>,
    /// It exists, and becomes known to the state.
    importing: Option<String>,
}

impl Resource {
    fn unchanged(values: Values) -> Resource {
        Resource { before: Some(values.clone()), after: Some(values), ..Resource::default() }
    }
    /// In both pictures: what is refused stays.
    fn stays(&mut self, change: impl Fn(&mut Values)) {
        [&mut self.before, &mut self.after].into_iter().flatten().for_each(change);
    }
    fn actions(&self) -> &'static [&'static str] {
        match (&self.before, &self.after) {
            _ if self.forgotten => &["forget"],
            (None, _) => &["create"],
            (Some(_), None) => &["delete"],
            (Some(before), Some(after)) if before == after && self.unknown.is_empty() => &["no-op"],
            (Some(_), Some(_)) => &["update"],
        }
    }
}

pub fn tally(picture: Picture<'_>) -> Tally {
    let mut tally = Tally::default();
    for resource in resources(picture).values() {
        match resource.actions() {
            ["create"] => tally.create += 1,
            ["update"] => tally.update += 1,
            ["delete"] => tally.delete += 1,
            _ => {}
        }
    }
    tally
}

pub fn plan(picture: Picture<'_>, version: &str) -> Json {
    let resources = resources(picture);
    let terraform_version = format!("{WRITES_LIKE}+keyform.{version}");
    let after =
        resources.iter().filter_map(|(id, resource)| Some(value(id, resource.after.as_ref()?)));
    let before =
        resources.iter().filter_map(|(id, resource)| Some(value(id, resource.before.as_ref()?)));
    let declared =
        resources.iter().filter(|(_, resource)| resource.after.is_some()).map(|(id, _)| {
            let mut json = identity(id);
            json["provider_config_key"] = "pubnub".into();
            json["expressions"] = json!({});
            json["schema_version"] = 0.into();
            json
        });
    let refused = !picture.plan.refusals.is_empty();
    json!({
        "format_version": FORMAT_VERSION,
        "terraform_version": terraform_version,
        "variables": {},
        "planned_values": { "root_module": { "resources": after.collect::<Vec<_>>() } },
        "resource_changes": resources.iter().map(|(id, resource)| change(id, resource)).collect::<Vec<_>>(),
        "output_changes": {},
        "prior_state": {
            "format_version": "1.0",
            "terraform_version": terraform_version,
            "values": { "root_module": { "resources": before.collect::<Vec<_>>() } },
        },
        "configuration": {
            "provider_config": { "pubnub": { "name": "pubnub", "full_name": PROVIDER } },
            "root_module": { "resources": declared.collect::<Vec<_>>() },
        },
        "applyable": !refused && !picture.plan.steps.is_empty(),
        "complete": picture.policy.targets.is_none(),
        "errored": refused,
    })
}

/// A label with a dot is no name of Terraform's, and stands as an index.
fn address((kind, label): &(Kind, Label)) -> String {
    if label.as_str().contains('.') {
        format!("{}.this[{:?}]", kind.name(), label.as_str())
    } else {
        format!("{}.{label}", kind.name())
    }
}

fn identity(id: &(Kind, Label)) -> Json {
    let (kind, label) = id;
    let mut json =
        json!({ "address": address(id), "mode": "managed", "type": kind.name(), "name": label });
    if label.as_str().contains('.') {
        json["name"] = "this".into();
        json["index"] = label.as_str().into();
    }
    json
}

fn value(id: &(Kind, Label), values: &Values) -> Json {
    let mut json = identity(id);
    json["provider_name"] = PROVIDER.into();
    json["schema_version"] = 0.into();
    json["values"] = Json::Object(values.clone());
    json["sensitive_values"] = sensitive(id.0);
    json
}

fn change(id: &(Kind, Label), resource: &Resource) -> Json {
    let Resource { before, after, unknown, forgotten: _, moved, importing } = resource;
    let mut json = identity(id);
    json["provider_name"] = PROVIDER.into();
    let none = || json!(false);
    json["change"] = json!({
        "actions": resource.actions(),
        "before": before,
        "after": after,
        "after_unknown": if after.is_some() { unknown.iter().map(|name| ((*name).to_owned(), true.into())).collect::<Values>().into() } else { none() },
        "before_sensitive": if before.is_some() { sensitive(id.0) } else { none() },
        "after_sensitive": if after.is_some() { sensitive(id.0) } else { none() },
    });
    if let Some(from) = moved {
        json["previous_address"] = address(&(id.0, from.clone())).into();
    }
    if let Some(existing) = importing {
        json["change"]["importing"] = json!({ "id": existing });
    }
    json
}

fn sensitive(kind: Kind) -> Json {
    match kind {
        Kind::App => json!({}),
        Kind::Keyset => json!({ SECRET: true }),
    }
}

const SECRET: &str = "secretKey";

fn resources(picture: Picture<'_>) -> Resources {
    let Picture { plan, desired, recorded, policy } = picture;
    let mut resources = Resources::new();
    let in_scope = |label: &Label| {
        policy.targets.as_ref().is_none_or(|targets| targets.contains(label.as_str()))
    };
    let moves: BTreeMap<(Kind, &Label), &Label> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.op {
            Op::MoveApp { from } => Some(((Kind::App, &step.label), from)),
            Op::MoveKeyset { from } => Some(((Kind::Keyset, &step.label), from)),
            _ => None,
        })
        .collect();
    for (label, keyset) in desired.keysets.iter().filter(|(label, _)| in_scope(label)) {
        if let Some(known) =
            recorded.keysets.get(*moves.get(&(Kind::Keyset, label)).unwrap_or(&label))
        {
            resources.insert(
                (Kind::Keyset, label.clone()),
                Resource::unchanged(declared_values(keyset, known)),
            );
        }
    }
    for (label, app) in &desired.apps {
        let wanted = policy.targets.is_none()
            || desired.keysets.iter().any(|(keyset, k)| k.app == *label && in_scope(keyset));
        let known = recorded.apps.get(*moves.get(&(Kind::App, label)).unwrap_or(&label));
        let Some(known) = known.filter(|_| wanted) else { continue };
        let name = match &app.source {
            AppSource::Managed { name, .. } => name,
            AppSource::Existing { .. } => &known.name,
        };
        resources.insert(
            (Kind::App, label.clone()),
            Resource::unchanged(app_values(known.id.as_str(), name)),
        );
    }
    plan.steps.iter().for_each(|step| apply(step, picture, &mut resources));
    for refusal in &plan.refusals {
        if let Some(label) = &refusal.label {
            refuse(label, &refusal.why, &mut resources);
        }
    }
    resources
}

fn apply(step: &Step, picture: Picture<'_>, resources: &mut Resources) {
    let Picture { plan: _, desired, recorded, policy: _ } = picture;
    let label = &step.label;
    let kind = if step.is_app() { Kind::App } else { Kind::Keyset };
    let id = step.id.as_ref().map_or("", Id::as_str);
    let resource = resources.entry((kind, label.clone())).or_default();
    match &step.op {
        Op::CreateApp { name, .. } => {
            let values = Values::from_iter([("name".to_owned(), (**name).into())]);
            *resource =
                Resource { after: Some(values), unknown: vec!["id"], ..Resource::default() };
        }
        Op::RenameApp { from, to } => {
            resource.before = Some(app_values(id, from));
            resource.after = Some(app_values(id, to));
        }
        Op::AdoptApp { name } => {
            *resource = Resource::unchanged(app_values(id, name));
            resource.importing = Some(id.to_owned());
        }
        Op::CreateKeyset { settings, .. } => {
            let protect = desired.keysets.get(label).is_some_and(|keyset| keyset.protect);
            let app = step.app.as_ref().map_or("", Label::as_str);
            let mut values = Values::from_iter([
                ("app".to_owned(), app.into()),
                ("protect".to_owned(), protect.into()),
            ]);
            settings.iter().for_each(|change| put(&mut values, change.field, Some(&change.to)));
            let unknown = vec!["id", "publishKey", "subscribeKey", SECRET];
            *resource = Resource { after: Some(values), unknown, ..Resource::default() };
        }
        Op::UpdateKeyset { changes } => {
            for Change { field, from, to, .. } in changes {
                resource.before.iter_mut().for_each(|values| put(values, *field, from.as_ref()));
                resource.after.iter_mut().for_each(|values| put(values, *field, Some(to)));
            }
        }
        Op::MoveApp { from } | Op::MoveKeyset { from } => resource.moved = Some(from.clone()),
        Op::ProtectKeyset { protect } => {
            for (values, protect) in
                [(&mut resource.before, !protect), (&mut resource.after, *protect)]
            {
                values
                    .iter_mut()
                    .for_each(|values| drop(values.insert("protect".to_owned(), protect.into())));
            }
        }
        Op::DeleteKeyset { .. } => {
            resource.before = recorded.keysets.get(label).map(recorded_values)
        }
        Op::DeleteApp { name } => resource.before = Some(app_values(id, name)),
        Op::ForgetKeyset => {
            *resource = Resource {
                before: recorded.keysets.get(label).map(recorded_values),
                forgotten: true,
                ..Resource::default()
            };
        }
        Op::ForgetApp => {
            let before = recorded.apps.get(label).map(|app| app_values(app.id.as_str(), &app.name));
            *resource = Resource { before, forgotten: true, ..Resource::default() };
        }
        // What exists gets a value that is known afterwards. Where it is made by the same plan, all
        // of that is part of the create.
        _ => {
            let unknown = step.row().unknown.filter(|name| !resource.unknown.contains(name));
            resource.unknown.extend(unknown.filter(|_| resource.before.is_some()));
        }
    }
}

/// What is refused is not done: what is there stays.
fn refuse(label: &Label, why: &Refused, resources: &mut Resources) {
    let kind = if why.is_app() { Kind::App } else { Kind::Keyset };
    let Some(resource) = resources.get_mut(&(kind, label.clone())) else { return };
    match why {
        Refused::Immutable { field, from, to: _ } => {
            resource.stays(|values| put(values, *field, Some(from)))
        }
        Refused::NeedsConsent { field, to: _ } => {
            resource.stays(|values| put(values, *field, None))
        }
        Refused::AppChanged { from, to: _ } => {
            resource.stays(|values| drop(values.insert("app".to_owned(), from.as_str().into())))
        }
        Refused::AppReplaced { app: _, from, to: _ } => {
            resource.stays(|values| drop(values.insert("id".to_owned(), from.as_str().into())));
        }
        Refused::AppNotVisible { .. }
        | Refused::Vanished { .. }
        | Refused::MovedWhileSealed { .. }
        | Refused::Protected { .. }
        | Refused::OtherKeys { .. }
        | Refused::OverLimit { .. }
        | Refused::Frozen { .. }
        | Refused::NoPushFile { .. }
        | Refused::NameTaken { .. }
        | Refused::AppNameTaken { .. }
        | Refused::UnknownLabel { .. } => {}
    }
}

fn app_values(id: &str, name: &str) -> Values {
    Values::from_iter([("id".to_owned(), id.into()), ("name".to_owned(), name.into())])
}

/// What is declared, which is what is there wherever the plan has no change. Fields that are left
/// to others are nobody's.
fn declared_values(keyset: &DesiredKeyset, known: &RecordedKeyset) -> Values {
    let mut values = identifying(known);
    values.insert("app".to_owned(), keyset.app.as_str().into());
    values.insert("protect".to_owned(), keyset.protect.into());
    for setting in keyset.settings.iter().filter(|setting| keyset.ignores(setting.field).is_none())
    {
        put(&mut values, setting.field, Some(&setting.value));
    }
    values
}

/// What was applied last.
fn recorded_values(known: &RecordedKeyset) -> Values {
    let mut values = identifying(known);
    values.insert("app".to_owned(), known.app.as_str().into());
    values.insert("protect".to_owned(), known.is_protected().into());
    known.applied.iter().for_each(|(field, value)| put(&mut values, field, Some(value)));
    values
}

fn identifying(known: &RecordedKeyset) -> Values {
    let keys = [
        ("id", known.id.as_str()),
        ("publishKey", &known.keys.publish_key),
        ("subscribeKey", &known.keys.subscribe_key),
    ];
    keys.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect()
}

/// `None`: it has no value that is known.
fn put(values: &mut Values, field: FieldId, value: Option<&Value>) {
    let name = field.field().name.to_owned();
    let target = match field.section().call {
        Call::Keyset => values,
        Call::Config => match values.entry(field.section().name).or_insert_with(|| json!({})) {
            Json::Object(section) => section,
            _ => return,
        },
    };
    match value {
        Some(value) => drop(target.insert(name, wire::to_json(value))),
        None => drop(target.remove(&name)),
    }
}
