//! Copies of secret keys, once their sinks have them. What was sent is recorded, so that it is sent
//! again only when the key is another one.

use std::collections::BTreeMap;

use super::custody::{Custody, ReadError};
use super::failure::StepError;
use super::report::{Event, Outcome, StepRef};
use crate::keyset::views::{Recorded, SecretRecord};
use crate::keyset::{Label, MirrorTarget, Secret};
use crate::plan::{Op, OpKind, Step};
use crate::ports::{CopyFailed, Entry, Ledger, LedgerError, Mirror, Sink};
use crate::protocol::{self, Point};

/// What goes where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Copy {
    pub label: Label,
    pub to: MirrorTarget,
}

/// The copies of a plan.
pub fn planned(steps: &[Step]) -> Vec<Copy> {
    let copy = |step: &Step| match &step.op {
        Op::MirrorSecret { to, .. } => Some(Copy { label: step.label.clone(), to: to.clone() }),
        _ => None,
    };
    steps.iter().filter_map(copy).collect()
}

/// How the copies are sent.
pub struct Sending<'a, M, L, S> {
    pub mirror: &'a M,
    pub ledger: &'a L,
    pub custody: &'a Custody<'a, S>,
    /// As it is when all else is done.
    pub recorded: &'a Recorded,
    /// Also what was sent before.
    pub again: bool,
    pub stop: &'a dyn Fn() -> bool,
    pub on_event: &'a dyn Fn(Event),
}

/// Sends them one after the other, as GitHub asks for. One failure does not stop the others, but
/// for a journal that fails.
pub async fn send<M: Mirror, L: Ledger, S: Sink>(
    sending: &Sending<'_, M, L, S>,
    copies: &[Copy],
) -> (Vec<(StepRef, Outcome)>, Result<(), LedgerError>) {
    let mut steps = Vec::new();
    let mut hand: Option<(&Label, Secret)> = None;
    let mut records = BTreeMap::new();
    for Copy { label, to } in copies {
        let step = StepRef::new(OpKind::MirrorSecret, label);
        let mut end = |outcome: Outcome| {
            (sending.on_event)(Event::Finished { step: step.clone(), outcome: outcome.clone() });
            steps.push((step.clone(), outcome));
        };
        if (sending.stop)() {
            end(Outcome::Skipped { why: format!("interrupted before it was sent to {to}") });
            continue;
        }
        let Some(recorded) = sending.recorded.keysets.get(label) else {
            end(Outcome::Skipped { why: "its keyset is not there".to_owned() });
            continue;
        };
        let SecretRecord::Stored { sink, fingerprint } = &recorded.secret else {
            end(Outcome::Skipped { why: "it is in no sink yet".to_owned() });
            continue;
        };
        let record = records.entry(label).or_insert_with(|| recorded.clone());
        if !sending.again && record.mirrors.get(to) == Some(fingerprint) {
            // What might have become another key is still the same.
            continue;
        }
        (sending.on_event)(Event::Started { step: step.clone() });
        if hand.as_ref().is_none_or(|(of, _)| *of != label) {
            hand = match sending.custody.read_or_take(label, recorded).await {
                Ok(secret) => Some((label, secret)),
                Err(ReadError::NotThere(_) | ReadError::Another(_)) => None,
                Err(why) => {
                    let help = "apply where the sink can be read; or make a new key, which is \
                                copied at once: `keyform secrets rotate`";
                    let error = StepError::new(format!("not sent to {to}: {why}"));
                    end(Outcome::failed(error.help(help)));
                    continue;
                }
            };
        }
        let Some((_, secret)) = &hand else {
            let why = format!(
                "not sent to {to}: the {sink} sink does not have the secret that the state records"
            );
            end(Outcome::failed(
                StepError::new(why).help("`keyform secrets doctor` looks further"),
            ));
            continue;
        };
        if let Err(failed) = sending.mirror.put(to, secret).await {
            let CopyFailed { why, help } = failed;
            end(Outcome::failed(StepError { help, ..StepError::new(why) }));
            continue;
        }
        protocol::reached(Point::MirrorSent);
        record.mirrors.insert(to.clone(), fingerprint.clone());
        let entry =
            Entry::Keyset { label: label.clone(), keyset: Box::new(record.clone()), intent: None };
        if let Err(error) = sending.ledger.append(entry).await {
            end(Outcome::unknown(format!(
                "{error}: it was sent to {to}, and that is not recorded"
            )));
            return (steps, Err(error));
        }
        end(Outcome::Mirrored { to: to.clone() });
    }
    (steps, Ok(()))
}
