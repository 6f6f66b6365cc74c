//! What all phases of a run share: whether a step may begin, what is known by now, and the story
//! for progress and report.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::context::Context;
use super::report::{Event, Outcome, StepRef};
use super::resolve::Patience;
use crate::keyset::views::{Live, RecordedKeyset};
use crate::keyset::{AppId, FieldId, KeysetId, Label, Value};
use crate::plan::OpKind;
use crate::ports::LedgerError;

/// Why no new step is begun. The first reason stays.
#[derive(Default)]
struct Brake {
    ledger: RefCell<Option<String>>,
    sink: RefCell<Option<String>>,
    interrupted: Cell<bool>,
}

pub struct Worker<'a> {
    pub context: &'a Context<'a>,
    brake: Brake,
    /// Ids that belong to labels: of the state, and of this run so far.
    pub taken: RefCell<BTreeSet<KeysetId>>,
    /// Records as they are by now, where this run has changed them.
    records: RefCell<BTreeMap<Label, RecordedKeyset>>,
    names: Names<'a>,
}

/// Live keysets by app and name.
type Names<'a> = HashMap<(&'a AppId, &'a str), Vec<&'a KeysetId>>;

fn names(live: &Live) -> Names<'_> {
    let mut names = Names::new();
    let field = FieldId::find("keyset", "name");
    for keyset in live.keysets.values() {
        // One whose name the server does not tell matches no name here.
        if let Some(Value::Text(name)) = field.and_then(|f| keyset.observed.get(f)) {
            names.entry((&keyset.app_id, &**name)).or_default().push(&keyset.id);
        }
    }
    names
}

impl<'a> Worker<'a> {
    pub fn new(context: &'a Context<'a>) -> Worker<'a> {
        let taken = context.recorded.keysets.values().map(|k| k.id.clone()).collect();
        Worker {
            context,
            brake: Brake::default(),
            taken: RefCell::new(taken),
            records: RefCell::default(),
            names: names(context.live),
        }
    }

    /// Keysets of that app and name in the account, before this run.
    pub fn known(&self, app: &AppId, name: &str) -> BTreeSet<KeysetId> {
        self.names.get(&(app, name)).into_iter().flatten().map(|id| (*id).clone()).collect()
    }

    pub fn record(&self, label: &Label) -> Option<RecordedKeyset> {
        self.records
            .borrow()
            .get(label)
            .or_else(|| self.context.recorded.keysets.get(label))
            .cloned()
    }

    pub fn note(&self, label: &Label, keyset: RecordedKeyset) {
        self.taken.borrow_mut().insert(keyset.id.clone());
        self.records.borrow_mut().insert(label.clone(), keyset);
    }

    pub fn patience(&self) -> Patience<'_> {
        Patience { settle: self.context.settle, stop: self.context.stop }
    }

    /// Why nothing like this may be begun, or sent, any more.
    pub fn stopped(&self, kind: OpKind) -> Option<String> {
        if (self.context.stop)() {
            self.brake.interrupted.set(true);
        }
        if self.brake.interrupted.get() {
            return Some("interrupted before it was begun".to_owned());
        }
        if let Some(why) = &*self.brake.ledger.borrow() {
            return Some(format!("the journal cannot be written: {why}"));
        }
        if kind.row().makes_secret {
            return self
                .brake
                .sink
                .borrow()
                .as_ref()
                .map(|why| format!("no secret can be stored any more: {why}"));
        }
        None
    }

    /// Begins a step, unless something speaks against it.
    pub fn begin(&self, step: &StepRef) -> Result<(), Box<Outcome>> {
        match self.stopped(step.kind) {
            Some(why) => Err(Box::new(Outcome::Skipped { why })),
            None => {
                (self.context.on_event)(Event::Started { step: step.clone() });
                Ok(())
            }
        }
    }

    pub fn searching(&self, step: &StepRef) {
        (self.context.on_event)(Event::Searching { step: step.clone() });
    }

    /// A journal that fails: no further work may be begun.
    pub fn broken(&self, error: &LedgerError) -> Outcome {
        self.brake.ledger.borrow_mut().get_or_insert_with(|| error.to_string());
        Outcome::unknown(format!(
            "{error}: what was done is not recorded; the next run looks for it"
        ))
    }

    /// Tells how a step ended, and draws the brake if it says so.
    pub fn end(&self, step: StepRef, outcome: Outcome) -> (StepRef, Outcome) {
        if matches!(outcome, Outcome::Unknown(_)) && (self.context.stop)() {
            self.brake.interrupted.set(true);
        }
        if let Some(why) = outcome.lost_secret() {
            self.brake.sink.borrow_mut().get_or_insert_with(|| why.to_owned());
        }
        (self.context.on_event)(Event::Finished { step: step.clone(), outcome: outcome.clone() });
        (step, outcome)
    }

    pub fn interrupted(&self) -> bool {
        self.brake.interrupted.get()
    }
    pub fn ledger_failed(&self) -> Option<String> {
        self.brake.ledger.borrow().clone()
    }
}
