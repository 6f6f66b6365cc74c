//! Apps: what a label stands for, and what it takes to make it so.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::keyset::views::{AppSource, DesiredApp};
use crate::keyset::{AppId, Label, Origin};

use super::inputs::{Inputs, Seen};
use super::model::{Plan, Refusal, Refused};
use super::step::{Op, Reason, Step};

/// What an app's label stands for while the keysets are planned.
#[derive(Clone, Copy)]
pub(super) enum Standing<'a> {
    Known(&'a AppId),
    /// The plan creates it.
    Coming,
    Refused,
}

/// Plans the apps that `wanted` names.
pub(super) fn plan<'a>(
    inputs: &Inputs<'a>,
    wanted: Option<&BTreeSet<&Label>>,
    plan: &mut Plan,
) -> BTreeMap<&'a Label, Standing<'a>> {
    let names = LazyCell::new(|| names(inputs));
    let holding = LazyCell::new(|| holding(inputs));
    let moved = LazyCell::new(|| moved(inputs));
    let mut standings = BTreeMap::new();
    for (label, app) in &inputs.desired.apps {
        if wanted.is_some_and(|wanted| !wanted.contains(label)) {
            continue;
        }
        let facts = Facts { inputs, label, app, names: &names, holding: &holding, moved: &moved };
        let (verdict, standing) = facts.judge();
        match verdict {
            Verdict::Fine => plan.unchanged += 1,
            Verdict::Act(step) => plan.steps.push(*step),
            Verdict::Refuse(why, origin) => {
                plan.refusals.push(Refusal {
                    label: Some(label.clone()),
                    why,
                    origin: Some(origin),
                });
            }
        }
        standings.insert(label, standing);
    }
    standings
}

enum Verdict {
    Fine,
    Act(Box<Step>),
    Refuse(Refused, Origin),
}

/// One app and everything that may matter to it; the lazy ones are rarely needed.
struct Facts<'f, 'a, N, H, M> {
    inputs: &'f Inputs<'a>,
    label: &'a Label,
    app: &'a DesiredApp,
    names: &'f LazyCell<Names<'a>, N>,
    holding: &'f LazyCell<HashMap<&'a AppId, bool>, H>,
    moved: &'f LazyCell<BTreeSet<&'a Label>, M>,
}

impl<'a, N, H, M> Facts<'_, 'a, N, H, M>
where
    N: FnOnce() -> Names<'a>,
    H: FnOnce() -> HashMap<&'a AppId, bool>,
    M: FnOnce() -> BTreeSet<&'a Label>,
{
    fn judge(&self) -> (Verdict, Standing<'a>) {
        let Facts { inputs, label, app, .. } = self;
        let recorded = inputs.recorded.apps.get(label);
        match &app.source {
            AppSource::Managed { name, origin } => match recorded {
                None => self.create(name, Reason::New, *origin),
                Some(known) => match (inputs.app_seen(&known.id), inputs.open.apps.get(label)) {
                    (Seen::There(live), _) => self.named(&known.id, &live.name, name, *origin),
                    (Seen::NotAsked, None) => self.named(&known.id, &known.name, name, *origin),
                    (Seen::NotAsked | Seen::Gone, Some(_)) => {
                        self.create(name, Reason::New, *origin)
                    }
                    // An account that shows none of several apps is another one, or does not tell.
                    (Seen::Gone, None)
                        if inputs.recorded.apps.len() > 1
                            && inputs.live.is_some_and(|live| live.apps.is_empty()) =>
                    {
                        refuse(Refused::AppNotVisible { id: known.id.clone() }, *origin)
                    }
                    (Seen::Gone, None) => match self.holding.get(&known.id) {
                        None | Some(true) => self.create(
                            name,
                            Reason::DeletedOutside { id: known.id.to_string() },
                            *origin,
                        ),
                        Some(false) => {
                            refuse(Refused::AppNotVisible { id: known.id.clone() }, *origin)
                        }
                    },
                },
            },
            AppSource::Existing { id, origin } => {
                let name = match inputs.app_seen(id) {
                    Seen::Gone => {
                        return refuse(Refused::AppNotVisible { id: id.clone() }, *origin);
                    }
                    Seen::There(live) => live.name.clone(),
                    Seen::NotAsked => id.as_str().into(),
                };
                match recorded {
                    Some(known) if known.id == *id => (Verdict::Fine, Standing::Known(id)),
                    Some(known) if self.moved.contains(label) => refuse(
                        Refused::AppReplaced {
                            app: (*label).clone(),
                            from: known.id.clone(),
                            to: id.clone(),
                        },
                        *origin,
                    ),
                    Some(_) | None => {
                        let step = Step::new(label, Op::AdoptApp { name }).id(id.clone());
                        (Verdict::Act(Box::new(step.at(*origin))), Standing::Known(id))
                    }
                }
            }
        }
    }

    fn named(
        &self,
        id: &'a AppId,
        now: &str,
        name: &str,
        origin: Origin,
    ) -> (Verdict, Standing<'a>) {
        let verdict = if now == name {
            Verdict::Fine
        } else {
            let op = Op::RenameApp { from: now.into(), to: name.into() };
            Verdict::Act(Box::new(Step::new(self.label, op).id(id.clone()).at(origin)))
        };
        (verdict, Standing::Known(id))
    }

    fn create(&self, name: &str, reason: Reason, origin: Origin) -> (Verdict, Standing<'a>) {
        let open = self.inputs.open.apps.get(self.label);
        // An app that an unfinished create may have made is no stranger: finding it is what the
        // resume does.
        if open.is_none()
            && let Some((id, recorded_as)) = self.names.get(name)
        {
            let why = Refused::AppNameTaken {
                name: name.into(),
                id: (*id).clone(),
                recorded_as: recorded_as.cloned(),
            };
            return refuse(why, origin);
        }
        let reason = open.map_or(reason, |since| Reason::Unfinished { since: *since });
        let op = Op::CreateApp { name: name.into(), reason };
        (Verdict::Act(Box::new(Step::new(self.label, op).at(origin))), Standing::Coming)
    }
}

fn refuse<'a>(why: Refused, origin: Origin) -> (Verdict, Standing<'a>) {
    (Verdict::Refuse(why, origin), Standing::Refused)
}

/// Apps of the account by name, without those that a declared label stands for already, and the
/// label under which the state knows them.
type Names<'a> = HashMap<&'a str, (&'a AppId, Option<&'a Label>)>;

fn names<'a>(inputs: &Inputs<'a>) -> Names<'a> {
    let mut names = Names::new();
    let mut claimed = BTreeSet::new();
    let mut left = BTreeMap::new();
    for (label, app) in &inputs.recorded.apps {
        if inputs.desired.apps.contains_key(label) {
            claimed.insert(&app.id);
        } else {
            left.insert(&app.id, (label, &app.name));
        }
    }
    match inputs.live {
        Some(live) => {
            for app in live.apps.values().filter(|app| !claimed.contains(&app.id)) {
                names
                    .entry(&*app.name)
                    .or_insert((&app.id, left.get(&app.id).map(|(label, _)| *label)));
            }
        }
        None => {
            for (id, (label, name)) in left {
                names.entry(&**name).or_insert((id, Some(label)));
            }
        }
    }
    names
}

/// Apps that hold recorded keysets, and whether the user insists that all of these are gone and to
/// be made again.
fn holding<'a>(inputs: &Inputs<'a>) -> HashMap<&'a AppId, bool> {
    let mut holding = HashMap::new();
    for (label, keyset) in &inputs.recorded.keysets {
        let gone = matches!(inputs.keyset_seen(&keyset.id), Seen::Gone);
        let given_up = !inputs.desired.keysets.contains_key(label)
            || inputs.policy.recreate.contains(label.as_str());
        *holding.entry(&keyset.app_id).or_insert(true) &= gone && given_up;
    }
    holding
}

/// App labels whose keysets exist in the app that the label stood for before, which is not the one
/// it stands for now.
fn moved<'a>(inputs: &Inputs<'a>) -> BTreeSet<&'a Label> {
    let held = |(label, keyset): (&Label, &'a crate::keyset::views::DesiredKeyset)| {
        let recorded = inputs.recorded.keysets.get(label)?;
        let app = inputs.recorded.apps.get(&keyset.app)?;
        (recorded.app_id == app.id).then_some(&keyset.app)
    };
    inputs.desired.keysets.iter().filter_map(held).collect()
}
