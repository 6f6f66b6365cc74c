//! The planner: make the world match, change one thing, see exactly that. Then its properties, then
//! how plans look.

use std::collections::BTreeSet;
use std::path::Path;

use keyform::apply::adopt::{Adoption, record};
use keyform::config::{Source, Sources};
use keyform::keyset::field::{Kind, Life};
use keyform::keyset::views::{
    AppSource, Desired, DesiredApp, DesiredKeyset, Freeze, Ignored, Live, LiveApp, LiveKeyset,
    Recorded, RecordedApp, RecordedKeyset, Rotate, SecretRecord,
};
use keyform::keyset::wire::observed_of;
use keyform::keyset::{
    AppId, Bounded, Budget, FieldId, Fingerprint, KeysetId, Label, Observed, Origin, ProjectName,
    PublicKeys, Push, Value,
};
use keyform::plan::{
    Change, Drift, Finding, Inputs, Limit, Mirroring, Note, Op, OpKind, OpenCreates, Orphan, Plan,
    Policy, Reason, Refusal, Refused, Rotation, Step, Who, check, drift, make,
};
use keyform::render::adopt::{self, Found};
use keyform::render::terraform::{self, Picture, Tally};
use keyform::render::{github, plan_human, plan_json, plan_markdown};
use proptest::prelude::*;

// -------------------------------------------------------------------------------------------------
// The world

/// A project, its state and an account, with a server small enough to be obviously right.
fn stored() -> SecretRecord {
    stored_as("0")
}

fn stored_as(digit: &str) -> SecretRecord {
    SecretRecord::Stored {
        sink: "keyring".into(),
        fingerprint: Fingerprint::parse(&format!("sha256:{}", digit.repeat(32))).unwrap(),
    }
}

#[derive(Clone)]
struct World {
    text: String,
    desired: Desired,
    recorded: Recorded,
    /// The server's complete truth; [`World::live`] shows what it tells.
    server: Live,
    /// Fields that the server takes and never shows.
    silent: BTreeSet<FieldId>,
    open: OpenCreates,
    policy: Policy,
    refresh: bool,
    ids: u32,
}

fn label(text: &str) -> Label {
    Label::parse(text).unwrap()
}
fn app_id(text: &str) -> AppId {
    AppId::parse(text).unwrap()
}
fn keyset_id(text: &str) -> KeysetId {
    KeysetId::parse(text).unwrap()
}
fn field(path: &str) -> FieldId {
    let (section, name) = path.split_once('.').unwrap_or(("keyset", path));
    FieldId::find(section, name).unwrap()
}
fn text(text: &str) -> Value {
    Value::Text(text.into())
}
fn on() -> Value {
    Value::Bool(true)
}
fn noon() -> jiff::Timestamp {
    "2026-03-23T12:00:00Z".parse().unwrap()
}

impl World {
    fn empty() -> World {
        World {
            text: String::new(),
            desired: Desired {
                project: ProjectName::parse("acme").unwrap(),
                apps: Default::default(),
                keysets: Default::default(),
                freeze: None,
            },
            recorded: Recorded::default(),
            server: Live::default(),
            silent: BTreeSet::new(),
            open: OpenCreates::default(),
            policy: Policy::default(),
            refresh: true,
            ids: 0,
        }
    }

    /// App `chat` with keysets `dev` and `prod`, applied; `other` is an empty app of the account
    /// that is referred to.
    fn matching() -> World {
        let mut world = World::empty();
        world.app("chat", "Chat");
        world.foreign_app("77", "Other");
        world.app_by_id("other", "77");
        for name in ["dev", "prod"] {
            world.keyset(name, "chat");
            world.set(name, "files.enabled", on());
            world.set(name, "files.retention", Value::Int(7));
            world.set(name, "files.region", text("us-east-1"));
            world.set(name, "presence.announceMax", Value::Int(20));
        }
        world.apply();
        assert_eq!(world.plan().summary().unchanged, 4);
        world
    }

    fn line(&mut self, line: &str) -> Origin {
        let start = self.text.len() as u32;
        self.text.push_str(line);
        self.text.push('\n');
        Origin { file: 0, start, end: self.text.len() as u32 - 1 }
    }
    fn app(&mut self, name: &str, called: &str) {
        let at = self.line(&format!("[app.{name}]"));
        let origin = self.line(&format!("name = {called:?}"));
        let app = DesiredApp {
            source: AppSource::Managed { name: called.into(), origin },
            freeze: None,
            moved_from: Box::default(),
            origin: at,
        };
        self.desired.apps.insert(label(name), app);
    }
    fn app_by_id(&mut self, name: &str, id: &str) {
        let at = self.line(&format!("[app.{name}]"));
        let origin = self.line(&format!("id = {id:?}"));
        self.desired.apps.insert(
            label(name),
            DesiredApp {
                source: AppSource::Existing { id: app_id(id), origin },
                freeze: None,
                moved_from: Box::default(),
                origin: at,
            },
        );
    }
    fn keyset(&mut self, name: &str, app: &str) {
        let origin = self.line(&format!("[keyset.{name}]"));
        let app_origin = self.line(&format!("app = {app:?}"));
        let keyset = DesiredKeyset {
            app: label(app),
            app_origin,
            settings: Default::default(),
            freeze: None,
            protect: false,
            mirrors: Box::default(),
            moved_from: Box::default(),
            ignored: Box::default(),
            rotate: None,
            push: Box::default(),
            origin,
        };
        self.desired.keysets.insert(label(name), keyset);
        self.set(name, "name", text(name));
        self.set(name, "type", text("testing"));
    }
    fn set(&mut self, keyset: &str, path: &str, value: Value) {
        let origin = self.line(&format!("{path} = {value}"));
        self.set_at(keyset, field(path), value, origin);
    }
    fn set_at(&mut self, keyset: &str, field: FieldId, value: Value, origin: Origin) {
        if field == self::field("type") {
            // As it is where nobody says otherwise.
            self.desired.keysets.get_mut(&label(keyset)).unwrap().protect =
                value == text("production");
        }
        self.desired
            .keysets
            .get_mut(&label(keyset))
            .unwrap()
            .settings
            .set(field, value, origin)
            .unwrap();
    }
    fn move_to(&mut self, keyset: &str, app: &str) {
        self.desired.keysets.get_mut(&label(keyset)).unwrap().app = label(app);
    }
    fn undeclare(&mut self, keyset: &str) {
        self.desired.keysets.remove(&label(keyset)).unwrap();
    }

    fn id(&self, keyset: &str) -> KeysetId {
        self.recorded.keysets[&label(keyset)].id.clone()
    }
    fn foreign_app(&mut self, id: &str, name: &str) {
        self.server.apps.insert(app_id(id), LiveApp { id: app_id(id), name: name.into() });
    }
    fn foreign_keyset(&mut self, id: &str, app: AppId, name: &str) {
        let observed = observed_of([(field("name"), &text(name))]);
        let keys = PublicKeys { publish_key: "pub-c-x".into(), subscribe_key: "sub-c-x".into() };
        let keyset = LiveKeyset {
            id: keyset_id(id),
            app_id: app,
            keys,
            created_at: None,
            observed,
            with_config: false,
        };
        self.server.keysets.insert(keyset_id(id), keyset);
    }
    /// Somebody turns a knob in the portal.
    fn change_outside(&mut self, keyset: &str, path: FieldId, value: Value) {
        let id = self.id(keyset);
        self.server.keysets.get_mut(&id).unwrap().observed.absorb(&observed_of([(path, &value)]));
    }
    fn delete_outside(&mut self, keyset: &str) {
        let id = self.id(keyset);
        self.server.keysets.remove(&id).unwrap();
    }

    fn live(&self) -> Live {
        let mut live = self.server.clone();
        for keyset in live.keysets.values_mut() {
            keyset.observed = self.told(&keyset.observed);
        }
        live
    }
    fn told(&self, truth: &Observed) -> Observed {
        observed_of(truth.iter().filter(|(f, _)| !self.silent.contains(f)))
    }

    fn plan(&self) -> Plan {
        let live = self.live();
        let inputs = Inputs {
            desired: &self.desired,
            recorded: &self.recorded,
            live: self.refresh.then_some(&live),
            open: &self.open,
            policy: &self.policy,
            now: noon(),
            push: &Default::default(),
        };
        let plan = make(&inputs);
        assert_eq!(
            check(&plan, &inputs),
            Vec::<String>::new(),
            "the plan breaks its own rules: {plan:#?}"
        );
        assert_eq!(make(&inputs), plan, "the same inputs give the same plan");
        plan
    }
    fn drift(&self) -> Drift {
        drift(&self.desired, &self.recorded, &self.live(), &Default::default(), true)
    }
    fn offline(&self) -> Plan {
        World { refresh: false, ..self.clone() }.plan()
    }

    /// One more place for a copy of its secret.
    fn mirror(&mut self, name: &str, to: &str) {
        let keyset = self.desired.keysets.get_mut(&label(name)).unwrap();
        let mut mirrors = std::mem::take(&mut keyset.mirrors).into_vec();
        mirrors.push(to.parse().unwrap());
        mirrors.sort();
        keyset.mirrors = mirrors.into();
    }

    /// Carries the plan out as apply would, against a server that sets once-set fields once.
    fn apply(&mut self) {
        let plan = self.plan();
        assert_eq!(plan.refusals, [], "nothing of a refused plan is applied");
        for step in &plan.steps {
            let Step { label, app, op, .. } = step;
            match op {
                Op::UploadPush(_) => unreachable!("no world declares push credentials"),
                Op::CreateApp { name, .. } => {
                    self.ids += 1;
                    let id = app_id(&format!("app-{}", self.ids));
                    self.server
                        .apps
                        .insert(id.clone(), LiveApp { id: id.clone(), name: name.clone() });
                    self.recorded.apps.insert(
                        label.clone(),
                        RecordedApp { id, name: name.clone(), managed: true },
                    );
                    self.open.apps.remove(label);
                }
                Op::RenameApp { to, .. } => {
                    self.server.apps.get_mut(step.app_id().unwrap()).unwrap().name = to.clone();
                    self.recorded.apps.get_mut(label).unwrap().name = to.clone();
                }
                Op::AdoptApp { name } => {
                    let id = step.app_id().unwrap();
                    self.recorded.apps.insert(
                        label.clone(),
                        RecordedApp { id: id.clone(), name: name.clone(), managed: false },
                    );
                }
                Op::CreateKeyset { settings, protect, .. } => {
                    self.create(label, app.as_ref().unwrap(), settings);
                    self.recorded.keysets.get_mut(label).unwrap().protect = *protect;
                }
                Op::MoveApp { from } => {
                    let app = self.recorded.apps.remove(from).unwrap();
                    self.recorded.apps.insert(label.clone(), app);
                    self.recorded
                        .keysets
                        .values_mut()
                        .filter(|k| k.app == *from)
                        .for_each(|k| k.app = label.clone());
                }
                Op::MoveKeyset { from } => {
                    let keyset = self.recorded.keysets.remove(from).unwrap();
                    self.recorded.keysets.insert(label.clone(), keyset);
                }
                Op::ProtectKeyset { protect } => {
                    self.recorded.keysets.get_mut(label).unwrap().protect = Some(*protect);
                }
                Op::DeleteKeyset { .. } => {
                    let id = step.keyset_id().unwrap();
                    assert!(self.server.keysets.remove(id).is_some());
                    self.recorded.keysets.remove(label);
                }
                Op::DeleteApp { .. } => {
                    let id = step.app_id().unwrap();
                    assert!(
                        self.server.keysets.values().all(|keyset| keyset.app_id != *id),
                        "400: it holds keysets"
                    );
                    self.server.apps.remove(id);
                    self.recorded.apps.remove(label);
                }
                Op::ForgetKeyset => _ = self.recorded.keysets.remove(label),
                Op::ForgetApp => _ = self.recorded.apps.remove(label),
                Op::RotateSecret { .. } => {
                    self.recorded.keysets.get_mut(label).unwrap().secret = stored();
                    self.open.secret_keys.remove(label);
                }
                Op::MirrorSecret { to, .. } => {
                    let keyset = self.recorded.keysets.get_mut(label).unwrap();
                    let SecretRecord::Stored { fingerprint, .. } = &keyset.secret else {
                        panic!("{label} has no secret to copy")
                    };
                    keyset.mirrors.insert(to.clone(), fingerprint.clone());
                }
                Op::UpdateKeyset { changes } => {
                    let id = step.keyset_id().unwrap();
                    let sent = observed_of(changes.iter().map(|c| (c.field, &c.to)));
                    let keyset = self.server.keysets.get_mut(id).unwrap();
                    for change in changes.iter().filter(|c| c.field.field().life == Life::OnceSet) {
                        let now = keyset.observed.get(change.field);
                        assert!(
                            matches!(now, None | Some(Value::Null)),
                            "400: {} cannot be changed once set",
                            change.field
                        );
                    }
                    keyset.observed.absorb(&sent);
                    let truth = keyset.observed.clone();
                    let told = self.told(&truth);
                    let recorded = self.recorded.keysets.get_mut(label).unwrap();
                    recorded.applied.absorb(&sent);
                    recorded.seen.absorb(&told);
                }
            }
        }
    }

    fn create(&mut self, label: &Label, app: &Label, settings: &[Change]) {
        self.ids += 1;
        let id = keyset_id(&format!("ks-{}", self.ids));
        let app_id = self.recorded.apps[app].id.clone();
        let keys = PublicKeys {
            publish_key: format!("pub-c-{id}").into(),
            subscribe_key: format!("sub-c-{id}").into(),
        };
        let applied = observed_of(settings.iter().map(|c| (c.field, &c.to)));
        let defaults: Vec<(FieldId, Value)> = FieldId::all()
            .map(|f| (f, if f.field().nullable { Value::Null } else { some_value(f, 0) }))
            .collect();
        let mut observed = observed_of(defaults.iter().map(|(f, v)| (*f, v)));
        observed.absorb(&applied);
        let keyset = RecordedKeyset {
            mirrors: Default::default(),
            push: Default::default(),
            secret_since: None,
            secret_label: None,
            protect: None,
            applied_at: None,
            id: id.clone(),
            app: app.clone(),
            app_id: app_id.clone(),
            keys: keys.clone(),
            created_at: None,
            applied,
            seen: self.told(&observed),
            secret: stored(),
        };
        self.recorded.keysets.insert(label.clone(), keyset);
        self.server.keysets.insert(
            id.clone(),
            LiveKeyset { id, app_id, keys, created_at: None, observed, with_config: true },
        );
        self.open.keysets.remove(label);
    }

    fn sources(&self) -> Sources {
        Sources { files: vec![Source::new("keyform.toml", self.text.clone())] }
    }
}

/// An acceptable value of a field.
fn some_value(field: FieldId, seed: u8) -> Value {
    let n = usize::from(seed);
    match field.field().kind {
        Kind::Flag => Value::Bool(seed % 2 == 1),
        Kind::Int { min, max } => {
            Value::Int(min + i64::from(seed) % (max.unwrap_or(min + 50) - min + 1))
        }
        Kind::OneOf(values) => Value::Int(values[n % values.len()]),
        Kind::Choice(words) => text(words[n % words.len()]),
        Kind::Text { .. } => text(&format!("text {seed}")),
    }
}

/// Labels that change.
fn moved(plan: &Plan) -> usize {
    let summary = plan.summary();
    summary.count(OpKind::MoveApp) + summary.count(OpKind::MoveKeyset)
}

/// The one refusal of a plan that has no other, and whose label has no action.
fn refused(world: &World) -> Refused {
    let plan = world.plan();
    assert_eq!(plan.refusals.len(), 1, "{:#?}", plan.refusals);
    plan.refusals[0].why.clone()
}

/// The one update of a plan that does nothing else: `field: from -> to`, sent-along ones with `+`.
fn one_update(plan: &Plan) -> Vec<String> {
    assert_eq!(plan.refusals, []);
    let [Step { op: Op::UpdateKeyset { changes }, .. }] = &plan.steps[..] else {
        panic!("not one update: {:#?}", plan.steps)
    };
    let from = |c: &Change| c.from.as_ref().map_or("?".into(), Value::to_string);
    changes
        .iter()
        .map(|c| {
            format!("{}{}: {} -> {}", if c.companion { "+" } else { "" }, c.field, from(c), c.to)
        })
        .collect()
}

// -------------------------------------------------------------------------------------------------
// Truth table

#[test]
fn a_new_project_is_created_apps_first() {
    let mut world = World::empty();
    world.keyset("a", "zoo");
    world.app("zoo", "Zoo");
    let plan = world.plan();
    let labels: Vec<String> = plan.steps.iter().map(|a| a.label.to_string()).collect();
    assert_eq!(labels, ["zoo", "a"]);
    assert!(
        matches!(&plan.steps[1].op, Op::CreateKeyset { reason: Reason::New, settings, .. } if settings.len() == 2)
    );
}

#[test]
fn after_an_apply_there_is_nothing_to_do_with_and_without_a_refresh() {
    let world = World::matching();
    assert!(world.plan().is_empty());
    assert!(world.offline().is_empty());
    assert_eq!(world.offline().summary().unchanged, 4);
}

#[test]
fn one_changed_value_is_one_change_and_what_the_api_wants_with_it() {
    let mut world = World::matching();
    world.set("dev", "files.retention", Value::Int(30));
    assert_eq!(one_update(&world.plan()), ["files.retention: 7 -> 30"]);
    assert_eq!(one_update(&world.offline()), ["files.retention: 7 -> 30"]);

    let mut world = World::matching();
    world.set("dev", "files.enabled", Value::Bool(false));
    assert_eq!(one_update(&world.plan()), ["files.enabled: true -> false"]);
    world.apply();
    world.set("dev", "files.enabled", on());
    // The region is not sent again: whether the API takes the same one twice is not known.
    assert_eq!(
        one_update(&world.plan()),
        ["files.enabled: false -> true", "+files.retention: 7 -> 7"]
    );
}

#[test]
fn name_and_type_change_like_any_field() {
    let mut world = World::matching();
    world.set("dev", "name", text("dev 2"));
    world.set("dev", "type", text("production"));
    assert_eq!(
        one_update(&world.plan()),
        ["name: \"dev\" -> \"dev 2\"", "type: \"testing\" -> \"production\""]
    );
}

#[test]
fn what_was_never_applied_is_compared_with_what_was_seen() {
    let mut world = World::matching();
    world.set("dev", "presence.interval", Value::Int(10));
    assert_eq!(one_update(&world.offline()), ["presence.interval: null -> 10"]);
    world.set("dev", "presence.interval", Value::Int(10));
    world.set("dev", "accessManager.enabled", Value::Bool(false));
    assert_eq!(
        one_update(&world.offline()),
        ["presence.interval: null -> 10"],
        "false was seen already"
    );
}

#[test]
fn undeclared_fields_are_nobodys() {
    let mut world = World::matching();
    world.change_outside("dev", field("streamController.enabled"), on());
    assert!(world.plan().is_empty());
}

#[test]
fn a_change_outside_is_put_back_and_said() {
    let mut world = World::matching();
    world.change_outside("dev", field("files.retention"), Value::Int(1));
    let plan = world.plan();
    assert_eq!(one_update(&plan), ["files.retention: 1 -> 7"]);
    let note = Note::ChangedOutside {
        label: label("dev"),
        field: field("files.retention"),
        recorded: Value::Int(7),
        live: Some(Value::Int(1)),
    };
    assert_eq!(plan.notes, [note]);

    world.set("dev", "files.retention", Value::Int(1));
    assert!(world.plan().is_empty(), "declared as it is");
    world.set("dev", "files.retention", Value::Int(30));
    assert_eq!(world.plan().notes, [], "changed by the user too: nothing is put back");
}

#[test]
fn a_field_that_the_server_never_shows_is_sent_once() {
    let mut world = World::matching();
    world.silent.insert(field("presence.debounce"));
    world.set("dev", "presence.debounce", Value::Int(3));
    assert_eq!(one_update(&world.plan()), ["presence.debounce: ? -> 3"]);
    world.apply();
    assert!(world.plan().is_empty());
    world.set("dev", "presence.debounce", Value::Int(4));
    assert_eq!(one_update(&world.plan()), ["presence.debounce: 3 -> 4"]);
}

#[test]
fn a_keyset_whose_configuration_was_not_fetched_is_planned_from_the_state() {
    let mut world = World::matching();
    let id = world.id("dev");
    let bare = world.server.keysets.get_mut(&id).unwrap();
    bare.observed = observed_of([(field("name"), &text("dev")), (field("type"), &text("testing"))]);
    bare.with_config = false;
    assert!(world.plan().is_empty());
    world.set("dev", "presence.interval", Value::Int(10));
    assert_eq!(one_update(&world.plan()), ["presence.interval: null -> 10"]);
}

#[test]
fn a_region_is_set_once_and_only_with_consent() {
    let mut world = World::matching();
    world.set("dev", "appContext.region", text("aws-iad-1"));
    world.set("dev", "files.retention", Value::Int(30));
    assert_eq!(
        refused(&world),
        Refused::NeedsConsent { field: field("appContext.region"), to: text("aws-iad-1") }
    );
    assert_eq!(world.plan().steps, [], "nothing of a refused keyset");

    world.policy.allow_irreversible = true;
    assert_eq!(
        one_update(&world.plan()),
        ["files.retention: 7 -> 30", "appContext.region: null -> \"aws-iad-1\""]
    );
    assert_eq!(world.plan().summary().irreversible, 1);
    world.apply();
    assert!(world.plan().is_empty());
}

#[test]
fn a_set_region_never_changes_even_with_consent() {
    let mut world = World::matching();
    world.policy.allow_irreversible = true;
    world.set("dev", "files.region", text("eu-central-1"));
    let want = Refused::Immutable {
        field: field("files.region"),
        from: text("us-east-1"),
        to: text("eu-central-1"),
    };
    assert_eq!(refused(&world), want);
    world.refresh = false;
    assert_eq!(refused(&world), want);
    let origin = world.plan().refusals[0].origin.unwrap();
    assert_eq!(
        &world.text[origin.start as usize..origin.end as usize],
        "files.region = \"eu-central-1\""
    );
}

#[test]
fn a_region_is_set_together_with_its_companions() {
    let mut world = World::empty();
    world.app("chat", "Chat");
    world.keyset("dev", "chat");
    world.set("dev", "files.retention", Value::Int(7));
    world.apply();
    world.policy.allow_irreversible = true;
    world.set("dev", "files.enabled", on());
    world.set("dev", "files.region", text("us-east-1"));
    let want = [
        "files.enabled: false -> true",
        "+files.retention: 7 -> 7",
        "files.region: null -> \"us-east-1\"",
    ];
    assert_eq!(one_update(&world.plan()), want);
}

#[test]
fn a_keyset_cannot_move_but_its_apps_label_can_change() {
    let mut world = World::matching();
    world.move_to("dev", "other");
    assert_eq!(refused(&world), Refused::AppChanged { from: label("chat"), to: label("other") });

    let mut world = World::matching();
    world.desired.apps.remove(&label("chat"));
    world.app_by_id("talk", "app-1");
    world.move_to("dev", "talk");
    world.move_to("prod", "talk");
    let plan = world.plan();
    assert_eq!(plan.refusals, []);
    assert!(matches!(&plan.steps[..], [Step { op: Op::AdoptApp { .. }, .. }]), "{plan:#?}");
    world.apply();
    assert!(world.plan().is_empty());
}

#[test]
fn an_app_label_that_holds_keysets_cannot_mean_another_app() {
    let mut world = World::matching();
    world.app_by_id("chat", "77");
    assert_eq!(
        refused(&world),
        Refused::AppReplaced { app: label("chat"), from: app_id("app-1"), to: app_id("77") }
    );

    world.foreign_app("78", "Third");
    let mut world = World { desired: World::matching().desired, ..world };
    world.app_by_id("other", "78");
    assert!(
        matches!(&world.plan().steps[..], [Step { op: Op::AdoptApp { .. }, .. }]),
        "without keysets it can"
    );
}

#[test]
fn an_app_is_renamed_from_what_it_is_called_now() {
    let mut world = World::matching();
    world.server.apps.get_mut(&app_id("app-1")).unwrap().name = "Typo".into();
    assert!(
        matches!(&world.plan().steps[..], [Step { op: Op::RenameApp { from, to, .. }, .. }] if &**from == "Typo" && &**to == "Chat")
    );
    assert!(world.offline().is_empty(), "the state does not know");
    world.apply();
    assert!(world.plan().is_empty());
}

#[test]
fn an_app_that_is_referred_to_must_be_there() {
    let mut world = World::matching();
    world.app_by_id("far", "99");
    assert_eq!(refused(&world), Refused::AppNotVisible { id: app_id("99") });
}

#[test]
fn names_in_the_account_are_never_doubled() {
    let mut world = World::matching();
    world.foreign_app("80", "New");
    world.app("new", "New");
    assert_eq!(
        refused(&world),
        Refused::AppNameTaken { name: "New".into(), id: app_id("80"), recorded_as: None }
    );
    world.open.apps.insert(label("new"), noon());
    assert!(matches!(
        &world.plan().steps[..],
        [Step { op: Op::CreateApp { reason: Reason::Unfinished { .. }, .. }, .. }]
    ));

    let mut world = World::matching();
    world.foreign_keyset("x1", app_id("app-1"), "stage");
    world.foreign_keyset("x2", app_id("77"), "test");
    world.keyset("stage", "chat");
    world.keyset("test", "chat");
    let taken = Refused::NameTaken {
        app: label("chat"),
        name: "stage".into(),
        id: keyset_id("x1"),
        recorded_as: None,
    };
    assert_eq!(refused(&world), taken, "`test` is in another app");
    world.open.keysets.insert(label("stage"), noon());
    assert_eq!(world.plan().refusals, [], "an unfinished create looks for it");
}

#[test]
fn a_relabelled_keyset_is_not_doubled() {
    for refresh in [true, false] {
        let mut world = World::matching();
        world.refresh = refresh;
        world.undeclare("dev");
        world.keyset("develop", "chat");
        world.set("develop", "name", text("dev"));
        let id = world.id("dev");
        assert_eq!(
            refused(&world),
            Refused::NameTaken {
                app: label("chat"),
                name: "dev".into(),
                id,
                recorded_as: Some(label("dev"))
            }
        );
    }
    let mut world = World::matching();
    world.desired.apps.remove(&label("chat"));
    world.desired.keysets.clear();
    world.app("talk", "Chat");
    assert!(
        matches!(refused(&world), Refused::AppNameTaken { recorded_as: Some(old), .. } if old == label("chat"))
    );
}

#[test]
fn one_of_many_that_is_gone_is_made_again() {
    let mut world = World::matching();
    world.keyset("stage", "chat");
    world.apply();
    world.delete_outside("dev");
    let plan = world.plan();
    assert!(
        matches!(
            &plan.steps[..],
            [Step { op: Op::CreateKeyset { reason: Reason::DeletedOutside { .. }, .. }, .. }]
        ),
        "{plan:#?}"
    );
    assert!(world.offline().is_empty());
    world.apply();
    assert!(world.plan().is_empty());
}

#[test]
fn many_that_are_gone_look_like_another_account() {
    let mut world = World::matching();
    world.delete_outside("dev");
    world.set("prod", "files.retention", Value::Int(30));
    assert_eq!(refused(&world), Refused::Vanished { gone: vec![label("dev")], recorded: 2 });
    world.policy.recreate.insert("prod".into());
    assert!(matches!(refused(&world), Refused::Vanished { .. }), "another label covers nothing");
    world.policy.recreate.insert("dev".into());
    assert_eq!(world.plan().summary().count(OpKind::CreateKeyset), 1);
    world.apply();
    assert!(world.plan().is_empty());
}

#[test]
fn targets_do_not_hide_that_the_account_is_another() {
    let mut world = World::matching();
    for n in 0..4 {
        world.keyset(&format!("t{n}"), "chat");
    }
    world.apply();
    for name in ["dev", "prod", "t1", "t2"] {
        world.delete_outside(name);
    }
    world.policy.targets = Some(["dev".to_string()].into());
    assert!(matches!(refused(&world), Refused::Vanished { gone, recorded: 6 } if gone.len() == 4));
}

#[test]
fn an_app_that_is_gone_with_its_keysets_is_another_account_too() {
    let mut world = World::matching();
    world.delete_outside("dev");
    world.delete_outside("prod");
    world.server.apps.remove(&app_id("app-1"));
    let plan = world.plan();
    let not_visible = Refused::AppNotVisible { id: app_id("app-1") };
    assert!(
        plan.refusals.iter().any(|r| r.why == not_visible && r.label == Some(label("chat"))),
        "{plan:#?}"
    );
    assert_eq!(plan.steps, []);

    world.policy.recreate = ["dev".to_string(), "prod".to_string()].into();
    assert_eq!(
        (
            world.plan().summary().count(OpKind::CreateApp),
            world.plan().summary().count(OpKind::CreateKeyset)
        ),
        (1, 2)
    );
    world.apply();
    assert!(world.plan().is_empty());

    let mut empty = World::empty();
    empty.app("chat", "Chat");
    empty.apply();
    empty.server.apps.clear();
    assert!(matches!(
        &empty.plan().steps[..],
        [Step { op: Op::CreateApp { reason: Reason::DeletedOutside { .. }, .. }, .. }]
    ));
}

#[test]
fn an_unfinished_create_is_looked_for() {
    for refresh in [true, false] {
        let mut world = World::matching();
        world.refresh = refresh;
        world.keyset("stage", "chat");
        world.open.keysets.insert(label("stage"), noon());
        world.open.keysets.insert(label("lost"), noon());
        let plan = world.plan();
        assert!(
            matches!(&plan.steps[..], [Step { op: Op::CreateKeyset { reason: Reason::Unfinished { since }, .. }, .. }] if *since == noon())
        );
        assert_eq!(plan.notes, [Note::Unfinished { label: label("lost"), since: noon() }]);
    }
    // An app of the same label is something else.
    let mut world = World::empty();
    world.app("same", "Same");
    world.keyset("same", "same");
    world.open.apps.insert(label("same"), noon());
    let plan = world.plan();
    assert!(matches!(
        &plan.steps[..],
        [
            Step { op: Op::CreateApp { reason: Reason::Unfinished { .. }, .. }, .. },
            Step { op: Op::CreateKeyset { reason: Reason::New, .. }, .. }
        ]
    ));
}

#[test]
fn what_is_not_declared_any_more_is_reported_and_left_alone() {
    let mut world = World::matching();
    world.undeclare("dev");
    let orphan =
        Orphan { label: label("dev"), id: world.id("dev"), live: Some(true), declared_as: None };
    assert_eq!(world.plan().orphans, std::slice::from_ref(&orphan));
    assert_eq!(world.offline().orphans, [Orphan { live: None, ..orphan.clone() }]);
    world.delete_outside("dev");
    let plan = world.plan();
    assert_eq!(plan.orphans, [Orphan { live: Some(false), ..orphan }]);
    assert!(plan.is_empty());

    world.desired.keysets.clear();
    world.desired.apps.clear();
    assert_eq!(
        world.plan().notes,
        [Note::OrphanApp { label: label("chat"), id: app_id("app-1"), holds: 2 }],
        "only what keyform made"
    );
}

#[test]
fn a_missing_secret_is_made_anew_and_one_that_is_sealed_is_not() {
    let mut world = World::matching();
    world.recorded.keysets.get_mut(&label("dev")).unwrap().secret =
        SecretRecord::Missing { why: "the keyring was locked".into(), current: None, held: None };
    for plan in [world.plan(), world.offline()] {
        let [step @ Step { op: Op::RotateSecret { why }, .. }] = &plan.steps[..] else {
            panic!("{:?}", plan.steps)
        };
        assert_eq!((&step.label, step.keyset_id()), (&label("dev"), Some(&world.id("dev"))));
        assert_eq!(**why, Rotation::Missing { why: "the keyring was locked".into() });
    }
    // With another change it is a step of its own.
    world
        .server
        .keysets
        .get_mut(&world.id("dev"))
        .unwrap()
        .observed
        .absorb(&observed_of([(field("presence.interval"), &Value::Int(77))]));
    let undeclared = world.plan();
    assert_eq!(undeclared.summary().count(OpKind::RotateSecret), 1);

    world.open.sealed.insert(label("dev"), noon());
    let plan = world.plan();
    assert!(
        !plan.is_empty() && plan.steps.iter().all(|step| step.kind() != OpKind::RotateSecret),
        "{:?}",
        plan.steps
    );
    assert_eq!(plan.notes, [Note::Sealed { label: label("dev"), since: noon() }]);
}

#[test]
fn a_copy_is_sent_when_there_is_none_or_its_secret_is_another_one() {
    let mut world = World::matching();
    world.mirror("dev", "github:acme/chat/prod/KEY");
    world.mirror("dev", "github:acme/chat/KEY");
    world.keyset("new", "chat");
    world.mirror("new", "github:acme/chat/NEW");
    let whys = |world: &World| -> Vec<(String, Mirroring)> {
        let copy = |step: &Step| match &step.op {
            Op::MirrorSecret { to, why } => Some((to.to_string(), *why)),
            _ => None,
        };
        world.plan().steps.iter().filter_map(copy).collect()
    };
    let new = |to: &str| (to.to_owned(), Mirroring::New);
    let all = [
        new("github:acme/chat/KEY"),
        new("github:acme/chat/prod/KEY"),
        new("github:acme/chat/NEW"),
    ];
    assert_eq!(whys(&world), all);
    assert_eq!(world.plan().summary().count(OpKind::MirrorSecret), 3);
    world.policy.targets = Some(["new".to_string()].into());
    assert_eq!(whys(&world), [new("github:acme/chat/NEW")]);
    world.policy.targets = None;
    world.apply();
    assert!(world.plan().is_empty());

    // Its secret key is about to be another one, or is already.
    let outdated = |to: &str| (to.to_owned(), Mirroring::Outdated);
    let mut lost = world.clone();
    lost.recorded.keysets.get_mut(&label("dev")).unwrap().secret =
        SecretRecord::Missing { why: "lost".into(), current: None, held: None };
    assert_eq!(
        whys(&lost),
        [outdated("github:acme/chat/KEY"), outdated("github:acme/chat/prod/KEY")]
    );
    lost.apply();
    assert!(lost.plan().is_empty());
    world.recorded.keysets.get_mut(&label("new")).unwrap().secret = stored_as("1");
    assert_eq!(whys(&world), [outdated("github:acme/chat/NEW")]);
}

#[test]
fn drift_says_who_it_was() {
    let mut world = World::matching();
    assert!(world.drift().is_empty());
    let (interval, debounce) = (field("presence.interval"), field("presence.debounce"));
    world.set("dev", "presence.interval", Value::Int(30));
    world.apply();
    let whos = |world: &World| -> Vec<(FieldId, Who)> {
        let who = |finding: &Finding| match finding {
            Finding::Field { field, who, .. } => (*field, *who),
            other => panic!("{other:?}"),
        };
        world.drift().findings.iter().map(who).collect()
    };
    let mut both = world.clone();
    world.change_outside("dev", interval, Value::Int(40));
    assert_eq!(whos(&world), [(interval, Who::Account)]);
    both.set("dev", "presence.interval", Value::Int(50));
    assert_eq!(whos(&both), [(interval, Who::Toml)]);
    both.change_outside("dev", interval, Value::Int(60));
    assert_eq!(whos(&both), [(interval, Who::Both)]);
    both.change_outside("dev", interval, Value::Int(50));
    assert_eq!(whos(&both), [], "the account has what is declared, whoever put it there");
    // Declared since, and the server has a value of its own.
    let mut server = World::matching();
    server.set("dev", "presence.debounce", Value::Int(3));
    assert_eq!(whos(&server), [(debounce, Who::Server)]);
}

#[test]
fn drift_tells_of_what_is_gone_moved_and_unmanaged() {
    let mut world = World::matching();
    world.delete_outside("dev");
    let id = world.id("prod");
    world.server.keysets.get_mut(&id).unwrap().app_id = app_id("88");
    world.foreign_app("88", "Elsewhere");
    world.app("later", "Later");
    world.keyset("new", "later");
    let tags = |drift: &Drift| -> Vec<String> {
        drift
            .findings
            .iter()
            .map(|finding| format!("{finding:?}").split([' ', '{']).next().unwrap().to_owned())
            .collect()
    };
    let drift = world.drift();
    assert_eq!(tags(&drift), ["AppNotApplied", "Gone", "NotApplied", "Moved", "AppUnmanaged"]);
    assert_eq!(drift.in_order, 2, "the two apps");
    world.undeclare("prod");
    assert_eq!(
        tags(&world.drift()),
        ["AppNotApplied", "Gone", "NotApplied", "NotDeclared", "AppUnmanaged"]
    );
    world.recorded.keysets.remove(&label("prod"));
    assert_eq!(
        tags(&world.drift()),
        ["AppNotApplied", "Gone", "NotApplied", "Unmanaged", "AppUnmanaged"]
    );
}

#[test]
fn targets_take_their_apps_along_and_nothing_else() {
    let mut world = World::matching();
    world.app("new", "New");
    world.app("idle", "Idle");
    world.keyset("n1", "new");
    world.keyset("n2", "new");
    world.undeclare("prod");
    world.policy.targets = Some(["n1".to_string()].into());
    let plan = world.plan();
    let labels: Vec<String> = plan.steps.iter().map(|a| a.label.to_string()).collect();
    assert_eq!(
        (labels, plan.unchanged, plan.orphans),
        (vec!["new".to_string(), "n1".to_string()], 0, vec![])
    );
}

#[test]
fn a_label_that_nobody_has_is_refused_with_the_nearest() {
    let mut world = World::matching();
    world.policy.targets = Some(["prd".to_string()].into());
    assert_eq!(
        refused(&world),
        Refused::UnknownLabel { label: "prd".into(), nearest: Some(label("prod")) }
    );
    world.policy.targets = None;
    world.policy.recreate.insert("\u{1b}[2J".into());
    assert_eq!(refused(&world), Refused::UnknownLabel { label: "\u{1b}[2J".into(), nearest: None });
}

#[test]
fn limits_are_of_the_whole_apply() {
    let mut world = World::matching();
    for n in 0..3 {
        world.keyset(&format!("n{n}"), "chat");
    }
    world.set("dev", "files.retention", Value::Int(30));
    let limit = |world: &mut World, kind, text: &str| {
        let budget = Budget::parse(text).unwrap();
        world.policy.limits.insert(kind, Limit { budget, origin: None });
        budget
    };
    limit(&mut world, Bounded::Create, "3");
    limit(&mut world, Bounded::Update, "1");
    assert_eq!(world.plan().refusals, []);
    let budget = limit(&mut world, Bounded::Create, "2");
    assert_eq!(
        refused(&world),
        Refused::OverLimit { kind: Bounded::Create, planned: 3, limit: 2, budget }
    );
    world.policy.limits.remove(&Bounded::Create);
    let budget = limit(&mut world, Bounded::Update, "0");
    assert_eq!(
        refused(&world),
        Refused::OverLimit { kind: Bounded::Update, planned: 1, limit: 0, budget }
    );
    // Of the two that are recorded: a part of one is none.
    let budget = limit(&mut world, Bounded::Update, "49%");
    assert_eq!(
        refused(&world),
        Refused::OverLimit { kind: Bounded::Update, planned: 1, limit: 0, budget }
    );
    limit(&mut world, Bounded::Update, "50%");
    assert_eq!(world.plan().refusals, []);
}

#[test]
fn what_is_set_for_ever_has_a_limit_of_its_own() {
    let mut world = World::matching();
    world.policy.allow_irreversible = true;
    world.set("dev", "appContext.region", text("aws-iad-1"));
    world.set("dev", "appContext.enabled", Value::Bool(true));
    assert_eq!(world.plan().summary().irreversible, 1);
    let budget = Budget::Count(0);
    world.policy.limits.insert(Bounded::Irreversible, Limit { budget, origin: None });
    assert_eq!(
        refused(&world),
        Refused::OverLimit { kind: Bounded::Irreversible, planned: 1, limit: 0, budget }
    );
}

#[test]
fn what_is_frozen_is_planned_and_refused() {
    let mut world = World::matching();
    let freeze = |n| {
        Some(Freeze {
            reason: "release week".into(),
            origin: Origin { file: 0, start: n, end: n + 1 },
        })
    };
    let frozen = |app| Refused::Frozen { reason: "release week".into(), app };
    world.desired.keysets.get_mut(&label("prod")).unwrap().freeze = freeze(1);
    assert!(world.plan().is_empty(), "nothing to do is no reason to refuse");
    world.set("dev", "files.retention", Value::Int(30));
    assert_eq!(world.plan().refusals, []);
    world.desired.keysets.get_mut(&label("dev")).unwrap().freeze = freeze(2);
    let plan = world.plan();
    assert_eq!((plan.refusals.len(), plan.steps.len()), (1, 1), "it is shown all the same");
    assert_eq!(
        (plan.refusals[0].why.clone(), plan.refusals[0].label.clone()),
        (frozen(false), Some(label("dev")))
    );
    // The app's, for all that is in it, also what is to be deleted; once.
    world.desired.apps.get_mut(&label("chat")).unwrap().freeze = freeze(3);
    world.undeclare("prod");
    world.policy.delete = true;
    world.policy.limits.insert(Bounded::Delete, Limit { budget: Budget::Count(9), origin: None });
    let plan = world.plan();
    assert_eq!((plan.refusals.len(), plan.steps.len()), (1, 2), "{plan:?}");
    // The project's.
    world.desired.freeze = freeze(4);
    assert_eq!(world.plan().refusals.iter().map(|r| r.label.clone()).collect::<Vec<_>>(), [None]);
}

#[test]
fn check_sees_a_plan_that_was_tampered_with() {
    let mut world = World::matching();
    world.keyset("new", "chat");
    world.set("dev", "files.retention", Value::Int(30));
    let plan = world.plan();
    let live = world.live();
    let inputs = Inputs {
        desired: &world.desired,
        recorded: &world.recorded,
        live: Some(&live),
        open: &world.open,
        policy: &world.policy,
        now: noon(),
        push: &Default::default(),
    };
    let broken = |tamper: &dyn Fn(&mut Plan)| {
        let mut plan = plan.clone();
        tamper(&mut plan);
        check(&plan, &inputs).join("; ")
    };
    let change = |plan: &mut Plan, to: &dyn Fn(&mut Change)| {
        for step in &mut plan.steps {
            if let Op::UpdateKeyset { changes } = &mut step.op {
                to(&mut changes[0]);
            }
        }
    };
    assert_eq!(broken(&|_| {}), "");
    assert!(broken(&|p| p.steps.reverse()).contains("stands before"));
    assert!(broken(&|p| p.steps.push(p.steps[0].clone())).contains("stands before"));
    assert!(broken(&|p| change(p, &|c| c.to = Value::Int(90))).contains("is not what is declared"));
    assert!(
        broken(&|p| change(p, &|c| c.field = field("presence.interval")))
            .contains("is not what is declared")
    );
    assert!(
        broken(&|p| change(p, &|c| c.from = Some(Value::Int(30))))
            .contains("changes to what it is")
    );
    assert!(broken(&|p| change(p, &|c| c.companion = true)).contains("without a change"));
    let twice = |c: &mut Change| {
        (c.field, c.from, c.to) =
            (field("files.region"), Some(text("eu-central-1")), text("us-east-1"));
    };
    assert!(broken(&|p| change(p, &twice)).contains("set a second time"));
    let refusal = Refusal {
        label: Some(label("dev")),
        why: Refused::NeedsConsent { field: field("files.region"), to: on() },
        origin: None,
    };
    assert!(broken(&|p| p.refusals.push(refusal.clone())).contains("refused and acted upon"));
}

// -------------------------------------------------------------------------------------------------
// Properties

/// Keyset number to its declared fields, each with a seed of its value.
type Sketch = Vec<(u8, Vec<(FieldId, u8)>)>;

fn writable() -> Vec<FieldId> {
    FieldId::all()
        .filter(|f| {
            matches!(f.field().life, Life::Mutable | Life::OnceSet) && f.section().name != "keyset"
        })
        .collect()
}

fn a_field() -> impl Strategy<Value = FieldId> {
    proptest::sample::select(writable())
}

fn a_sketch() -> impl Strategy<Value = Sketch> {
    proptest::collection::vec(
        (0..6u8, proptest::collection::vec((a_field(), any::<u8>()), 0..12)),
        0..6,
    )
}

/// Declares the sketch. Once-set fields have one value per keyset for ever, unless `restless`.
fn declare(world: &mut World, sketch: &Sketch, restless: bool) {
    world.desired.keysets.clear();
    world.app_by_id("a0", "ext");
    world.app("a1", "One");
    world.app("a2", "Two");
    for (n, fields) in sketch {
        let name = format!("k{n}");
        world.keyset(&name, &format!("a{}", n % 3));
        for (f, seed) in fields {
            let seed = if f.field().life == Life::OnceSet && !restless { *n } else { *seed };
            world.set(&name, &f.to_string(), some_value(*f, seed));
        }
    }
}

fn new_world() -> World {
    let mut world = World::empty();
    world.foreign_app("ext", "Elsewhere");
    world.policy.allow_irreversible = true;
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_project_converges_in_one_apply(first in a_sketch(), second in a_sketch(), silent in proptest::collection::btree_set(a_field(), 0..4)) {
        let mut world = new_world();
        world.silent = silent;
        for sketch in [&first, &second] {
            declare(&mut world, sketch, false);
            let before = world.server.clone();
            let known = world.recorded.clone();
            world.apply();
            prop_assert_eq!(&world.plan().steps, &[]);
            prop_assert_eq!(&world.offline().steps, &[]);
            // Undeclared fields are never sent.
            for (name, keyset) in &known.keysets {
                let declared = world.desired.keysets.get(name);
                for (f, value) in before.keysets[&keyset.id].observed.iter() {
                    if declared.is_none_or(|d| d.settings.get(f).is_none()) {
                        prop_assert_eq!(world.server.keysets[&keyset.id].observed.get(f), Some(value), "{} of {}", f, name);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_undeclared_may_change_at_will(sketch in a_sketch(), edits in proptest::collection::vec((0..6u8, a_field(), any::<u8>()), 0..10)) {
        let mut world = new_world();
        declare(&mut world, &sketch, false);
        world.apply();
        for (n, f, seed) in edits {
            let name = label(&format!("k{n}"));
            if world.desired.keysets.get(&name).is_some_and(|k| k.settings.get(f).is_none()) {
                world.change_outside(name.as_str(), f, some_value(f, seed));
            }
        }
        prop_assert!(world.plan().is_empty());
        prop_assert_eq!(world.drift().findings, vec![]);
    }

    #[test]
    fn what_is_declared_and_changed_outside_is_exactly_what_is_put_back(sketch in a_sketch(), pick in any::<proptest::sample::Index>(), seed in any::<u8>()) {
        let mut world = new_world();
        declare(&mut world, &sketch, false);
        world.apply();
        let declared: Vec<(String, FieldId, Value)> = world.desired.keysets.iter()
            .flat_map(|(l, k)| k.settings.iter().map(|s| (l.to_string(), s.field, s.value.clone())))
            .filter(|(_, f, _)| f.field().life == Life::Mutable)
            .collect();
        prop_assume!(!declared.is_empty());
        let (name, f, was) = pick.get(&declared);
        let now = some_value(*f, seed);
        prop_assume!(now != *was);
        world.change_outside(name, *f, now.clone());
        let drift = world.drift();
        let [Finding::Field { label: of, field, who, declared, live, .. }] = &drift.findings[..] else { panic!("{drift:#?}") };
        prop_assert_eq!((of.as_str(), *field, *who, declared, live), (name.as_str(), *f, Who::Account, was, &now));
        let plan = world.plan();
        prop_assert_eq!(plan.notes.len(), 1);
        let [Step { label, op: Op::UpdateKeyset { changes }, .. }] = &plan.steps[..] else { panic!("{plan:#?}") };
        prop_assert_eq!(label.as_str(), name);
        let real: Vec<_> = changes.iter().filter(|c| !c.companion).map(|c| (c.field, c.from.clone(), c.to.clone())).collect();
        prop_assert_eq!(real, vec![(*f, Some(now), was.clone())]);
        world.apply();
        prop_assert!(world.plan().is_empty());
    }

    /// Whatever an account has, taking it over leaves nothing to do, and takes over nothing twice.
    #[test]
    fn what_is_adopted_needs_nothing(sketch in a_sketch(), edit in (a_field(), any::<u8>())) {
        let app = LiveApp { id: app_id("1"), name: "Chat \u{1f600} \"x\"".into() };
        let keyset = |n: u8, fields: &[(FieldId, u8)]| {
            let values: Vec<(FieldId, Value)> = fields.iter().map(|(f, seed)| (*f, some_value(*f, *seed))).collect();
            let mut observed = observed_of([(field("name"), &text(&format!("k {n}"))), (field("type"), &text("testing"))]);
            observed.absorb(&observed_of(values.iter().map(|(f, v)| (*f, v))));
            let keys = PublicKeys { publish_key: "pub-c-x".into(), subscribe_key: "sub-c-x".into() };
            LiveKeyset { id: keyset_id(&format!("ks-{n}")), app_id: app.id.clone(), keys, created_at: None, observed, with_config: true }
        };
        let keysets: Vec<LiveKeyset> = sketch.iter().map(|(n, fields)| (*n, fields)).collect::<std::collections::BTreeMap<_, _>>()
            .into_iter().map(|(n, fields)| keyset(n, fields)).collect();
        let none = std::collections::BTreeMap::new();
        let found = || Found { apps: vec![&app], ambiguous: Default::default(), keysets: keysets.iter().collect(), known_apps: &none, taken: Default::default() };
        let declaration = adopt::declare(&found());
        prop_assert_eq!(&declaration.toml, &adopt::declare(&found()).toml);
        let source = Source::new("keyform.toml", format!("[project]\nname = \"p\"\n{}", declaration.toml));
        let loaded = keyform::config::read(Sources { files: vec![source] });
        let errors: Vec<_> = loaded.problems.iter().filter(|p| p.severity == keyform::config::Severity::Error).collect();
        prop_assert!(errors.is_empty(), "{:?}\n{}", errors, declaration.toml);
        let project = loaded.project.expect("without errors");
        let mut recorded = Recorded::default();
        for (label, id) in &declaration.apps {
            recorded.apps.insert(label.clone(), RecordedApp { id: id.clone(), name: app.name.clone(), managed: true });
        }
        for (label, id) in &declaration.keysets {
            let live = keysets.iter().find(|k| k.id == *id).expect("it is one of them");
            recorded.keysets.insert(label.clone(), record(&Adoption { label, desired: &project.desired.keysets[label], live }));
        }
        prop_assert_eq!(recorded.keysets.len(), keysets.len());
        let mut live = Live { apps: [(app.id.clone(), app.clone())].into(), keysets: keysets.iter().map(|k| (k.id.clone(), k.clone())).collect() };
        let (open, policy) = (OpenCreates::default(), Policy::default());
        let plan = make(&Inputs { desired: &project.desired, recorded: &recorded, live: Some(&live), open: &open, policy: &policy, now: noon(), push: &Default::default() });
        prop_assert!(plan.is_empty(), "{:#?}\n{}", plan, declaration.toml);
        prop_assert_eq!(drift(&project.desired, &recorded, &live, &Default::default(), true).findings, vec![]);
        // What nobody declared may change afterwards.
        if let Some((label, keyset)) = project.desired.keysets.iter().next()
            && keyset.settings.get(edit.0).is_none()
        {
            let id = recorded.keysets[label].id.clone();
            live.keysets.get_mut(&id).unwrap().observed.absorb(&observed_of([(edit.0, &some_value(edit.0, edit.1))]));
            prop_assert_eq!(drift(&project.desired, &recorded, &live, &Default::default(), true).findings, vec![]);
        }
    }

    #[test]
    fn whatever_is_gone_can_be_insisted_on(sketch in a_sketch(), gone in proptest::collection::btree_set(0..6u8, 0..6)) {
        let mut world = new_world();
        declare(&mut world, &sketch, false);
        world.apply();
        for n in gone {
            let name = format!("k{n}");
            if world.recorded.keysets.contains_key(&label(&name)) {
                world.delete_outside(&name);
                world.policy.recreate.insert(name);
            }
        }
        world.apply();
        prop_assert!(world.plan().is_empty());
    }

    /// Any two projects, even ones that must be refused: `World::plan` checks the invariants of
    /// each.
    #[test]
    fn every_plan_keeps_its_rules(first in a_sketch(), second in a_sketch(), consent: bool, refresh: bool, gone in 0..6u8) {
        let mut world = new_world();
        declare(&mut world, &first, true);
        world.apply();
        declare(&mut world, &second, true);
        world.policy.allow_irreversible = consent;
        world.refresh = refresh;
        if world.recorded.keysets.contains_key(&label(&format!("k{gone}"))) {
            world.delete_outside(&format!("k{gone}"));
        }
        let plan = world.plan();
        for refusal in &plan.refusals {
            let fine = match &refusal.why {
                Refused::Immutable { from, to, .. } => from != to,
                Refused::NeedsConsent { .. } => !consent,
                Refused::Vanished { .. } => refresh,
                _ => false,
            };
            prop_assert!(fine, "{:?}", refusal);
        }
        if plan.refusals.is_empty() && refresh {
            world.apply();
            prop_assert!(world.plan().is_empty());
        }
    }

    #[test]
    fn the_order_of_tables_does_not_matter(sketch in a_sketch()) {
        // Each value keeps its place, so that the plans can be the same to the byte.
        let place = |n: u8, f: FieldId| {
            let row = FieldId::all().position(|other| other == f).unwrap() as u32;
            Origin { file: u32::from(n), start: row, end: row + 1 }
        };
        let sketch: std::collections::BTreeMap<u8, std::collections::BTreeMap<FieldId, u8>> =
            sketch.into_iter().map(|(n, fields)| (n, fields.into_iter().collect())).collect();
        let build = |reverse: bool| {
            let mut world = new_world();
            let mut keysets: Vec<_> = sketch.iter().collect();
            if reverse { keysets.reverse(); }
            for name in if reverse { ["a2", "a1"] } else { ["a1", "a2"] } {
                let source = AppSource::Managed { name: name.into(), origin: place(9, field("name")) };
                world.desired.apps.insert(label(name), DesiredApp { source, freeze: None, moved_from: Box::default(), origin: place(9, field("type")) });
            }
            for (n, fields) in keysets {
                let name = format!("k{n}");
                let origin = place(*n, field("type"));
                let keyset = DesiredKeyset {
                    freeze: None,
                    mirrors: Box::default(), moved_from: Box::default(), ignored: Box::default(), rotate: None, push: Box::default(),
                    app: label(&format!("a{}", n % 2 + 1)), app_origin: origin, settings: Default::default(), protect: false, origin,
                };
                world.desired.keysets.insert(label(&name), keyset);
                let mut fields: Vec<_> = fields.iter().collect();
                if reverse { fields.reverse(); }
                for (f, seed) in fields {
                    world.set_at(&name, *f, some_value(*f, *seed), place(*n, *f));
                }
            }
            world.plan()
        };
        prop_assert_eq!(build(false), build(true));
    }
}

#[test]
fn a_label_that_moved_takes_its_record_along() {
    let mut world = World::matching();
    let rename = |world: &mut World, from: &str, to: &str, old: &[&str]| {
        let mut keyset = world.desired.keysets.remove(&label(from)).unwrap();
        keyset.moved_from = old.iter().map(|old| label(old)).collect();
        world.desired.keysets.insert(label(to), keyset);
    };
    rename(&mut world, "dev", "next", &["never", "dev"]);
    let id = world.recorded.keysets[&label("dev")].id.clone();
    let origin = world.desired.keysets[&label("next")].origin;
    let step = Step::new(&label("next"), Op::MoveKeyset { from: label("dev") }).id(id).at(origin);
    assert_eq!(world.plan().steps, std::slice::from_ref(&step));
    assert_eq!(world.offline().steps, [step]);
    assert!(world.drift().is_empty(), "a label is nothing that the account has");

    // A change goes along, and so does what was begun.
    world.set("next", "presence.announceMax", Value::Int(30));
    world.open.secret_keys.insert(label("dev"), noon());
    let plan = world.plan();
    assert_eq!(plan.steps.len(), 3, "{plan:?}");
    assert!(plan.steps.iter().all(|step| step.label == label("next")));
    world.open.secret_keys.clear();
    world.open.sealed.insert(label("dev"), noon());
    assert_eq!(refused(&world), Refused::MovedWhileSealed { from: label("dev"), since: noon() });
    world.open.sealed.clear();
    // An unfinished create under the old label is one under the new.
    let record = world.recorded.keysets.remove(&label("dev")).unwrap();
    world.open.keysets.insert(label("dev"), noon());
    assert!(matches!(
        &world.plan().steps[..],
        [Step { op: Op::CreateKeyset { reason: Reason::Unfinished { .. }, .. }, .. }]
    ));
    world.open.keysets.clear();
    world.recorded.keysets.insert(label("dev"), record);

    world.apply();
    assert!(world.plan().is_empty());
    // Once more, in one step from two names ago, and an app with its keysets.
    rename(&mut world, "next", "last", &["next", "dev"]);
    let mut app = world.desired.apps.remove(&label("chat")).unwrap();
    app.moved_from = [label("chat")].into();
    world.desired.apps.insert(label("talk"), app);
    world.desired.keysets.values_mut().for_each(|keyset| keyset.app = label("talk"));
    assert_eq!(moved(&world.plan()), 2);
    world.apply();
    assert!(world.plan().is_empty());
    assert_eq!(world.server.keysets.len(), 2, "nothing was made again");
}

#[test]
fn what_is_not_declared_is_deleted_only_as_far_as_it_was_asked_for() {
    let mut world = World::matching();
    world.undeclare("dev");
    world.policy.delete = true;
    assert_eq!(
        world.plan().refusals[0].why,
        Refused::OverLimit {
            kind: Bounded::Delete,
            planned: 1,
            limit: 0,
            budget: Budget::Count(0)
        }
    );
    world.policy.limits.insert(Bounded::Delete, Limit { budget: Budget::Count(1), origin: None });
    let keys = world.recorded.keysets[&label("dev")].keys.clone();
    let delete = |keys| {
        let step = Step::new(&label("dev"), Op::DeleteKeyset { keys });
        step.id(keyset_id("ks-2")).in_app(&label("chat"))
    };
    assert_eq!(world.plan().steps, [delete(keys.clone())]);

    // Protected when it was declared last, by itself or by its type.
    world.recorded.keysets.get_mut(&label("dev")).unwrap().protect = Some(true);
    assert_eq!(refused(&world), Refused::Protected { id: keyset_id("ks-2") });
    let dev = world.recorded.keysets.get_mut(&label("dev")).unwrap();
    dev.protect = None;
    dev.applied.absorb(&observed_of([(field("type"), &text("production"))]));
    assert_eq!(refused(&world), Refused::Protected { id: keyset_id("ks-2") });
    let dev = world.recorded.keysets.get_mut(&label("dev")).unwrap();
    dev.protect = Some(false);
    dev.keys.publish_key = "pub-c-other".into();
    assert_eq!(refused(&world), Refused::OtherKeys { id: keyset_id("ks-2") });
    world.recorded.keysets.get_mut(&label("dev")).unwrap().keys = keys;
    // What was begun is found out first.
    world.open.secret_keys.insert(label("dev"), noon());
    assert_eq!(world.plan().steps, []);
    world.open.secret_keys.clear();

    // The app goes with its last keyset, and not before.
    world.undeclare("prod");
    world.desired.apps.remove(&label("chat"));
    world.policy.limits.insert(Bounded::Delete, Limit { budget: Budget::Count(2), origin: None });
    assert_eq!(
        world.plan().refusals[0].why,
        Refused::OverLimit {
            kind: Bounded::Delete,
            planned: 3,
            limit: 2,
            budget: Budget::Count(2)
        }
    );
    world.policy.limits.insert(Bounded::Delete, Limit { budget: Budget::Count(3), origin: None });
    world.foreign_keyset("ks-99", app_id("app-1"), "somebody's");
    assert_eq!(
        world.plan().summary().count(OpKind::DeleteApp),
        0,
        "it holds a keyset that nobody declared"
    );
    world.server.keysets.remove(&keyset_id("ks-99"));
    let plan = world.plan();
    assert_eq!(
        (plan.summary().count(OpKind::DeleteKeyset), plan.summary().count(OpKind::DeleteApp)),
        (2, 1)
    );
    assert!(matches!(plan.steps.last(), Some(Step { op: Op::DeleteApp { .. }, .. })));
    world.apply();
    assert!(world.server.keysets.is_empty() && world.plan().is_empty());
}

#[test]
fn what_is_declared_under_another_label_is_never_deleted() {
    let mut world = World::matching();
    // As a run leaves it that ended between the two records of a new label.
    let twin = world.recorded.keysets[&label("dev")].clone();
    world.recorded.keysets.insert(label("old"), twin);
    let app = world.recorded.apps[&label("chat")].clone();
    world.recorded.apps.insert(label("former"), app);
    world.policy.delete = true;
    world.policy.limits.insert(Bounded::Delete, Limit { budget: Budget::Count(9), origin: None });
    let plan = world.plan();
    assert!(plan.steps.is_empty() && plan.refusals.is_empty(), "{plan:?}");
    // Where the new one says so, the old record goes.
    world.desired.keysets.get_mut(&label("dev")).unwrap().moved_from = [label("old")].into();
    world.desired.apps.get_mut(&label("chat")).unwrap().moved_from = [label("former")].into();
    world.policy.delete = false;
    assert_eq!(moved(&world.plan()), 2);
    world.apply();
    assert!(
        world.plan().is_empty()
            && world.recorded.keysets.len() == 2
            && world.recorded.apps.len() == 2
    );
}

#[test]
fn what_is_gone_is_forgotten_only_where_the_account_is_certainly_the_same() {
    let mut world = World::matching();
    world.keyset("third", "chat");
    world.apply();
    world.policy.delete = true;
    world.undeclare("dev");
    world.delete_outside("dev");
    assert_eq!(
        world.plan().steps,
        [Step::new(&label("dev"), Op::ForgetKeyset).id(keyset_id("ks-2"))]
    );
    let app = world.server.apps.remove(&app_id("app-1")).unwrap();
    assert!(world.plan().steps.is_empty(), "who may not see the app sees none of its keysets");
    world.server.apps.insert(app.id.clone(), app);
    world.undeclare("prod");
    world.delete_outside("prod");
    assert!(world.plan().steps.is_empty(), "two of three look like another account");
}

#[test]
fn what_others_may_change_is_left_alone_once_it_is_there() {
    let mut world = World::matching();
    let ignored = Ignored {
        field: field("presence.announceMax"),
        reason: Some("support".into()),
        origin: Origin { file: 0, start: 0, end: 0 },
    };
    world.desired.keysets.get_mut(&label("dev")).unwrap().ignored = [ignored].into();
    world.change_outside("dev", field("presence.announceMax"), Value::Int(33));
    assert!(world.plan().is_empty() && world.plan().notes.is_empty());
    let drift = world.drift();
    assert!(drift.is_empty());
    assert_eq!((drift.ignored.len(), drift.ignored[0].reason.as_deref()), (1, Some("support")));
    // Nor is it sent along with something else.
    world.set("dev", "presence.announceMax", Value::Int(40));
    world.set("dev", "files.retention", Value::Int(30));
    assert_eq!(one_update(&world.plan()), ["files.retention: 7 -> 30"]);
}

#[test]
fn a_secret_key_is_replaced_when_the_toml_says_so_and_not_before() {
    let mut world = World::matching();
    let days = |n: u64| std::time::Duration::from_secs(n * 24 * 3600);
    let rotate =
        Rotate { every: days(90), overlap: days(1), origin: Origin { file: 0, start: 0, end: 0 } };
    world.desired.keysets.get_mut(&label("dev")).unwrap().rotate = Some(rotate);
    let since = |age: u64| noon().checked_sub(days(age)).unwrap();
    for (age, due) in [(89, false), (90, true), (400, true)] {
        world.recorded.keysets.get_mut(&label("dev")).unwrap().secret_since = Some(since(age));
        let why = Rotation::Due { since: since(age), every: days(90), overlap: days(1) };
        let planned: Vec<Rotation> = world
            .plan()
            .steps
            .into_iter()
            .filter_map(|step| match step.op {
                Op::RotateSecret { why } => Some(*why),
                _ => None,
            })
            .collect();
        assert_eq!(planned, if due { vec![why] } else { vec![] }, "{age} days");
    }
    // Nobody knows how old a key is that keyform never had.
    world.recorded.keysets.get_mut(&label("dev")).unwrap().secret = SecretRecord::Unknown;
    assert!(world.plan().is_empty());
}

#[test]
fn protection_is_noted_while_it_is_declared() {
    let mut world = World::matching();
    world.desired.keysets.get_mut(&label("dev")).unwrap().protect = true;
    assert_eq!(world.plan().summary().count(OpKind::ProtectKeyset), 1);
    world.apply();
    assert!(world.plan().is_empty());
    assert!(world.recorded.keysets[&label("dev")].is_protected());
}

/// A guard against quadratic loops: 20,000 keysets take a fraction of a second even unoptimised.
#[test]
fn many_keysets_are_planned_in_linear_time() {
    let mut world = World::empty();
    world.app("chat", "Chat");
    for n in 0..20_000 {
        world.keyset(&format!("t{n}"), "chat");
    }
    let begin = std::time::Instant::now();
    world.apply();
    assert_eq!(world.plan().unchanged, 20_001);
    let plan = World {
        recorded: Recorded { keysets: Default::default(), ..world.recorded.clone() },
        ..world.clone()
    }
    .plan();
    assert_eq!(plan.refusals.len(), 20_000, "each name is taken");
    plan_json::plan(&plan, &world.sources());
    plan_human::plan(&plan, &world.sources(), plan_human::Options::default());
    assert!(begin.elapsed().as_secs() < 60, "{:?}", begin.elapsed());
}

// -------------------------------------------------------------------------------------------------
// Goldens

#[test]
fn plans_look_as_they_should() {
    let mut wrong = Vec::new();
    let mut as_terraform = serde_json::Map::new();
    for (name, world) in goldens() {
        let (plan, sources) = (world.plan(), world.sources());
        compare(name, &plan, &sources, &mut wrong);
        if name != "create-many" {
            as_terraform.insert(name.to_owned(), terraform_changes(&world, &plan));
        }
    }
    golden("terraform.json", &format!("{:#}\n", serde_json::Value::from(as_terraform)), &mut wrong);
    let (plan, sources) = every_refusal();
    compare("every-refusal", &plan, &sources, &mut wrong);
    let (plan, sources) = every_note();
    compare("every-note-and-orphan", &plan, &sources, &mut wrong);
    assert!(
        wrong.is_empty(),
        "differ from tests/golden-plans (UPDATE_GOLDEN=1 rewrites them): {wrong:?}"
    );
}

/// The changes of the plan in Terraform's JSON; the rest of it is held against them.
fn terraform_changes(world: &World, plan: &Plan) -> serde_json::Value {
    let picture =
        Picture { plan, desired: &world.desired, recorded: &world.recorded, policy: &world.policy };
    let json = terraform::plan(picture, "1.2.3");
    let all = |json: &serde_json::Value| json.as_array().unwrap().clone();
    let changes = all(&json["resource_changes"]);
    let with = |side: &str| {
        changes
            .iter()
            .filter(|one| !one["change"][side].is_null())
            .map(|one| one["address"].clone())
            .collect::<Vec<_>>()
    };
    let addresses = |json: &serde_json::Value| {
        all(&json["resources"]).iter().map(|one| one["address"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(addresses(&json["planned_values"]["root_module"]), with("after"));
    assert_eq!(addresses(&json["prior_state"]["values"]["root_module"]), with("before"));
    assert_eq!(addresses(&json["configuration"]["root_module"]), with("after"));
    let count = |action: &str| {
        changes.iter().filter(|one| one["change"]["actions"] == serde_json::json!([action])).count()
    };
    let Tally { create, update, delete } = terraform::tally(picture);
    assert_eq!((create, update, delete), (count("create"), count("update"), count("delete")));
    assert_eq!(json["errored"], !plan.refusals.is_empty());
    for one in &changes {
        let unknown =
            one["change"]["after_unknown"].as_object().is_some_and(|unknown| !unknown.is_empty());
        let same = one["change"]["before"] == one["change"]["after"] && !unknown;
        assert_eq!(one["change"]["actions"] == serde_json::json!(["no-op"]), same, "{one}");
    }
    json["resource_changes"].clone()
}

#[test]
fn colour_marks_what_changes() {
    let (_, world) = goldens().into_iter().find(|(name, _)| *name == "update").unwrap();
    let human = plan_human::plan(&world.plan(), &world.sources(), plan_human::Options::default());
    let mut wrong = Vec::new();
    golden("coloured.txt", &human.replace('\u{1b}', "ESC"), &mut wrong);
    assert!(wrong.is_empty(), "{human}");
}

#[test]
fn all_details_of_many_creates_are_there_when_asked_for() {
    let (_, world) = goldens().into_iter().find(|(name, _)| *name == "create-many").unwrap();
    let lines = |verbose| {
        plan_human::plan(&world.plan(), &world.sources(), plan_human::Options { verbose })
            .lines()
            .count()
    };
    assert!(lines(true) >= 3 * lines(false));
}

fn goldens() -> Vec<(&'static str, World)> {
    let mut create = World::empty();
    create.foreign_app("77", "Elsewhere");
    create.app("chat", "Acme Chat");
    create.app_by_id("shared", "77");
    create.keyset("chat-dev", "chat");
    create.set("chat-dev", "files.enabled", on());
    create.set("chat-dev", "files.retention", Value::Int(0));
    create.set("chat-dev", "files.region", text("us-east-1"));
    create.keyset("shared-dev", "shared");

    let mut many = World::empty();
    many.app("chat", "Acme Chat");
    for n in 0..21 {
        many.keyset(&format!("tenant-{n:02}"), "chat");
    }
    many.set("tenant-07", "appContext.region", text("aws-fra-1"));

    let mut update = World::matching();
    update.set("dev", "files.enabled", Value::Bool(false));
    update.apply();
    update.set("dev", "name", text("a rather long name of the development keyset"));
    update.apply();
    update.app("chat", "Chat two");
    update.policy.allow_irreversible = true;
    update.silent.insert(field("presence.debounce"));
    update.set("dev", "name", text("a rather long name of the staging keyset"));
    update.set("dev", "files.enabled", on());
    update.set("dev", "presence.interval", Value::Int(30));
    update.set("dev", "presence.debounce", Value::Int(3));
    update.set("dev", "appContext.region", text("aws-iad-1"));
    update.change_outside("prod", field("files.retention"), Value::Int(0));

    let mut again = World::matching();
    again.app("unfinished", "Unfinished");
    again.open.apps.insert(label("unfinished"), noon());
    again.keyset("stage", "chat");
    again.open.keysets.insert(label("stage"), noon());
    again.delete_outside("dev");
    again.policy.recreate.insert("dev".into());

    let mut refused = World::matching();
    refused.set("prod", "files.region", text("eu-central-1"));
    refused.keyset("stage", "chat");
    refused.undeclare("dev");

    let mut copies = World::matching();
    copies.mirror("dev", "github:acme/chat/prod/KEY");
    copies.mirror("prod", "github:acme/chat/KEY");
    copies.apply();
    copies.mirror("dev", "github:acme/chat/KEY_DEV");
    copies.recorded.keysets.get_mut(&label("prod")).unwrap().secret =
        SecretRecord::Missing { why: "the keyring was locked".into(), current: None, held: None };

    let mut lives = World::matching();
    for app in ["empty", "lost"] {
        lives.app(app, app);
    }
    for keyset in ["done", "gone", "prod.eu"] {
        lives.keyset(keyset, "chat");
    }
    lives.apply();
    lives.policy.delete = true;
    lives.policy.limits.insert(Bounded::Delete, Limit { budget: Budget::Count(9), origin: None });
    lives.delete_outside("gone");
    for keyset in ["done", "gone"] {
        lives.undeclare(keyset);
    }
    let lost = lives.recorded.apps[&label("lost")].id.clone();
    lives.server.apps.remove(&lost).unwrap();
    for app in ["empty", "lost"] {
        lives.desired.apps.remove(&label(app)).unwrap();
    }
    lives.desired.keysets.get_mut(&label("dev")).unwrap().protect = true;
    let mut prod = lives.desired.keysets.remove(&label("prod")).unwrap();
    prod.moved_from = [label("prod")].into();
    lives.desired.keysets.insert(label("production"), prod);
    let mut other = lives.desired.apps.remove(&label("other")).unwrap();
    other.moved_from = [label("other")].into();
    lives.desired.apps.insert(label("others"), other);

    let mut offline = World::matching();
    offline.refresh = false;
    vec![
        ("copies", copies),
        ("lives", lives),
        ("create", create),
        ("create-many", many),
        ("update", update),
        ("create-again", again),
        ("refused", refused),
        ("nothing", World::matching()),
        ("nothing-not-refreshed", offline),
    ]
}

/// Every variant, with hostile text where text comes from outside. The match makes a new variant
/// fail to compile here.
fn every_refusal() -> (Plan, Sources) {
    let hostile = "a\u{1b}[31m\n\u{202e}b";
    let region = field("files.region");
    let all = [
        Refused::Immutable { field: region, from: text(hostile), to: text("us-east-1") },
        Refused::Immutable { field: field("appId"), from: text("1"), to: text("2") },
        Refused::AppChanged { from: label("chat"), to: label("other") },
        Refused::AppChanged { from: label("chat"), to: label("chat") },
        Refused::AppReplaced { app: label("chat"), from: app_id("1"), to: app_id("2") },
        Refused::NeedsConsent { field: region, to: text("us-east-1") },
        Refused::AppNotVisible { id: app_id("77") },
        Refused::Vanished { gone: (0..7).map(|n| label(&format!("k{n}"))).collect(), recorded: 9 },
        Refused::OverLimit {
            kind: Bounded::Create,
            planned: 60,
            limit: 50,
            budget: Budget::Count(50),
        },
        Refused::OverLimit {
            kind: Bounded::Update,
            planned: 6,
            limit: 5,
            budget: Budget::Percent(10),
        },
        Refused::OverLimit {
            kind: Bounded::Irreversible,
            planned: 1,
            limit: 0,
            budget: Budget::Count(0),
        },
        Refused::NoPushFile {
            push: Push::find("apns").unwrap(),
            file: hostile.into(),
            why: hostile.into(),
        },
        Refused::Frozen { reason: hostile.into(), app: false },
        Refused::NameTaken {
            app: label("chat"),
            name: hostile.into(),
            id: keyset_id("ks-1"),
            recorded_as: None,
        },
        Refused::NameTaken {
            app: label("chat"),
            name: "dev".into(),
            id: keyset_id("ks-1"),
            recorded_as: Some(label("old")),
        },
        Refused::AppNameTaken { name: hostile.into(), id: app_id("77"), recorded_as: None },
        Refused::AppNameTaken {
            name: "Chat".into(),
            id: app_id("77"),
            recorded_as: Some(label("old")),
        },
        Refused::UnknownLabel { label: hostile.into(), nearest: None },
        Refused::UnknownLabel { label: "prd".into(), nearest: Some(label("prod")) },
        Refused::OverLimit {
            kind: Bounded::Delete,
            planned: 3,
            limit: 0,
            budget: Budget::Count(0),
        },
        Refused::Protected { id: keyset_id("ks-1") },
        Refused::OtherKeys { id: keyset_id("ks-1") },
        Refused::MovedWhileSealed { from: label("old"), since: noon() },
    ];
    let with_label = |why: &Refused| match why {
        Refused::Immutable { .. }
        | Refused::AppChanged { .. }
        | Refused::NeedsConsent { .. }
        | Refused::NameTaken { .. } => Some("dev"),
        Refused::Protected { .. }
        | Refused::OtherKeys { .. }
        | Refused::MovedWhileSealed { .. }
        | Refused::Frozen { .. }
        | Refused::NoPushFile { .. } => Some("dev"),
        Refused::AppReplaced { .. }
        | Refused::AppNotVisible { .. }
        | Refused::AppNameTaken { .. } => Some("chat"),
        Refused::Vanished { .. } | Refused::OverLimit { .. } | Refused::UnknownLabel { .. } => None,
    };
    let refusal = |why: Refused| {
        let label = with_label(&why).map(label);
        Refusal {
            origin: label.as_ref().map(|_| Origin { file: 0, start: 14, end: 17 }),
            label,
            why,
        }
    };
    let refusals = all.into_iter().map(refusal).collect();
    let plan = Plan {
        refreshed: true,
        steps: vec![],
        refusals,
        orphans: vec![],
        notes: vec![],
        unchanged: 3,
    };
    let sources = Sources {
        files: vec![Source::new("keysets/\u{1b}x.toml", "[keyset.x]\nü app = \"chat\"\n")],
    };
    (plan, sources)
}

fn every_note() -> (Plan, Sources) {
    let notes = vec![
        Note::Sealed { label: label("dev"), since: noon() },
        Note::OrphanApp { label: label("chat"), id: app_id("77"), holds: 1 },
        Note::ChangedOutside {
            label: label("dev"),
            field: field("files.retention"),
            recorded: Value::Int(7),
            live: Some(Value::Null),
        },
        Note::ChangedOutside {
            label: label("dev"),
            field: field("files.retention"),
            recorded: Value::Int(7),
            live: None,
        },
        Note::Unfinished { label: label("lost"), since: noon() },
    ];
    let orphan = |name: &str, live| Orphan {
        label: label(name),
        id: keyset_id(&format!("ks-{name}")),
        live,
        declared_as: None,
    };
    let orphans = vec![
        orphan("a", Some(true)),
        orphan("b", Some(false)),
        orphan("c", None),
        Orphan { declared_as: Some(label("new")), ..orphan("d", Some(true)) },
    ];
    (
        Plan { refreshed: true, steps: vec![], refusals: vec![], orphans, notes, unchanged: 1 },
        Sources::default(),
    )
}

fn compare(name: &str, plan: &Plan, sources: &Sources, wrong: &mut Vec<String>) {
    let human = plan_human::plan(plan, sources, plan_human::Options::default());
    let plain = anstream::adapter::strip_str(&human).to_string();
    assert!(
        !plain.contains(|c: char| c.is_control() && c != '\n'),
        "{name}: control characters reach the terminal"
    );
    golden(&format!("{name}.txt"), &plain, wrong);
    golden(&format!("{name}.json"), &format!("{:#}\n", plan_json::plan(plan, sources)), wrong);
    if ["every-refusal", "lives"].contains(&name) {
        golden(&format!("{name}.md"), &plan_markdown::plan(plan, sources), wrong);
        golden(
            &format!("{name}.github"),
            &github::plan(plan, sources, &plan_human::summary_line(plan)),
            wrong,
        );
    }
}

fn golden(file: &str, text: &str, wrong: &mut Vec<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden-plans").join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    } else if std::fs::read_to_string(&path).unwrap_or_default() != text {
        wrong.push(file.to_owned());
    }
}
