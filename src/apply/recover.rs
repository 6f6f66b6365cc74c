//! Answers that came, were sealed, and were not committed: their secrets are put where they belong.
//!
//! A sealed answer is the older of two truths: what was recorded meanwhile, here or by another clone, is not overwritten
//! unless the account says that the sealed key is the current one.

use std::collections::BTreeSet;

use super::create::settled;
use super::report::{Outcome, Step, Verb};
use crate::keyset::views::{Desired, Recorded, RecordedKeyset, SecretRecord};
use crate::keyset::wire::KeyPrefix;
use crate::keyset::{FieldId, KeysetId, Label, ProjectName, Value};
use crate::ports::{
    self, Creation, Escrow, EscrowError, Held, Intent, Item, Ledger, LedgerError, Made, Namespace, Open, Opened, Probed, SecretName, Sink,
};

/// What became of the sealed answers.
#[derive(Default)]
pub struct Recovered {
    pub steps: Vec<(Step, Outcome)>,
    /// Their answers cannot be opened and count as lost from here on.
    pub lost: BTreeSet<uuid::Uuid>,
}

/// What is acted through, and what is known.
pub struct Recovery<'a, L, E, S> {
    pub ledger: &'a L,
    pub escrow: &'a E,
    pub sink: Probed<'a, S>,
    pub project: &'a ProjectName,
    pub namespace: Namespace,
    pub recorded: &'a Recorded,
    pub desired: &'a Desired,
}

/// What to do with an opened answer.
enum Verdict {
    Use,
    /// Its key is not the current one any more.
    Outdated,
    /// It contradicts what is recorded, for this reason, and only the account could tell.
    Contradicts(String),
}

impl<L: Ledger, E: Escrow, S: Sink> Recovery<'_, L, E, S> {
    /// Opens what is sealed in `open`, stores the secrets, records the keysets. Of several answers about one keyset the last one
    /// counts. `current`: which of a keyset's keys is the current one, where the account can be asked.
    pub async fn run(&self, open: &[Open], current: impl AsyncFn(&KeysetId) -> Option<KeyPrefix>) -> Result<Recovered, LedgerError> {
        let mut recovered = Recovered::default();
        let sealed: Vec<(&Intent, &str)> = open.iter().filter_map(|open| Some((&open.intent, open.sealed.as_deref()?))).collect();
        for (n, (intent, answer)) in sealed.iter().enumerate() {
            let label = intent.what.label();
            let same = |(other, _): &&(&Intent, &str)| other.what.label() == label;
            if sealed[n + 1..].iter().any(|other| same(&other)) {
                continue;
            }
            let outcome = self.one(intent, answer, &current, &mut recovered.lost).await?;
            if outcome.is_done() {
                for (older, _) in sealed[..n].iter().filter(same) {
                    ports::void(self.ledger, ports::left_open((*older).clone())).await?;
                }
            }
            recovered.steps.push((Step { verb: Verb::Recover, label: label.clone() }, outcome));
        }
        Ok(recovered)
    }

    async fn one(
        &self,
        intent: &Intent,
        answer: &str,
        current: &impl AsyncFn(&KeysetId) -> Option<KeyPrefix>,
        lost: &mut BTreeSet<uuid::Uuid>,
    ) -> Result<Outcome, LedgerError> {
        let label = intent.what.label();
        let before = self.recorded.keysets.get(label);
        if matches!(&intent.what, Creation::SecretKey { id, .. } if before.is_none_or(|keyset| keyset.id != *id)) {
            // Its keyset is not recorded any more, or is another one now: there is nothing it could be the secret of.
            ports::void(self.ledger, ports::left_open(intent.clone())).await?;
            return Ok(Outcome::Nothing);
        }
        let home = match (&intent.what, before) {
            (Creation::SecretKey { .. }, Some(keyset)) => keyset.sink_label(label),
            _ => label,
        };
        let name = SecretName { namespace: self.namespace, project: self.project.clone(), item: Item::Keyset(home.clone()) };
        let opened = match ports::left_sealed(self.escrow, intent.clone(), answer) {
            Ok(sealed) => ports::open(sealed).map_err(|(_, bad)| format!("the answer makes no sense: {bad}")),
            Err((_, error @ (EscrowError::NoKey | EscrowError::OtherKey))) if self.may_be_in_use(intent, &name).await => {
                let help = "its secret is in the sink, and somebody may have read it: run `keyform secrets recover` where the private key is \
                            (KEYFORM_AGE_IDENTITY_FILE)";
                return Ok(Outcome::Failed { why: error.to_string(), help: Some(help.to_owned()) });
            }
            Err((_, error)) => Err(error.to_string()),
        };
        let opened = match opened {
            Ok(opened) => opened,
            Err(why) => {
                lost.insert(intent.id);
                let help = "`keyform apply` looks for what it told of, and makes a new secret key where the old one is lost";
                return Ok(Outcome::Failed { why, help: Some(help.to_owned()) });
            }
        };
        match verdict(intent, &opened, before, current).await {
            Verdict::Use => {}
            Verdict::Outdated => {
                ports::void(self.ledger, ports::left_open(intent.clone())).await?;
                return Ok(Outcome::Nothing);
            }
            Verdict::Contradicts(why) => {
                let help = "`keyform apply` asks the account which one is right; two keysets of one label are for you to choose from: \
                            delete the one that is not wanted in the portal";
                return Ok(Outcome::Failed { why, help: Some(help.to_owned()) });
            }
        }
        let same = before.filter(|before| opened.keyset_id() == &before.id);
        let stored = ports::store(self.sink, &name, same.map(|k| &k.keys), opened).await;
        let waits = stored.waits;
        match same {
            // What was recorded of it since is newer than the answer, but for the secret.
            Some(before) => {
                let keyset = ports::commit_rotation(self.ledger, stored, before).await?;
                Ok(Outcome::Rotated { id: keyset.id, secret: keyset.secret, waits, found: true })
            }
            None => {
                // What was sent is not known any more; what is declared now and differs is the plan's business.
                let sent = match &stored.made {
                    Made::Keyset(live) => {
                        declared(self.desired, label).into_iter().filter(|(f, v)| live.observed.get(*f) == Some(v)).collect()
                    }
                    Made::SecretKey(_) => Vec::new(),
                };
                Ok(settled(self.ledger, stored, &sent, false).await?.0)
            }
        }
    }

    /// Whether the secret of a create that cannot be opened here got as far as the sink.
    async fn may_be_in_use(&self, intent: &Intent, name: &SecretName) -> bool {
        matches!(intent.what, Creation::Keyset { .. }) && !matches!(self.sink.holds(name).await, Ok(Held::Nothing | Held::NotKnown))
    }
}

async fn verdict(
    intent: &Intent,
    opened: &Opened,
    before: Option<&RecordedKeyset>,
    current: &impl AsyncFn(&KeysetId) -> Option<KeyPrefix>,
) -> Verdict {
    let Some(before) = before else { return Verdict::Use };
    if let Made::Keyset(live) = opened.made()
        && live.id != before.id
    {
        let replaced = matches!(&intent.what, Creation::Keyset { replaces: Some(id), .. } if *id == before.id);
        let told = || format!("the sealed answer is about keyset {}, and the state records {}", live.id, before.id);
        return if replaced { Verdict::Use } else { Verdict::Contradicts(told()) };
    }
    let SecretRecord::Stored { fingerprint, .. } = &before.secret else { return Verdict::Use };
    // A rotation began from the key that is recorded still: nothing came between.
    if matches!(&intent.what, Creation::SecretKey { from: Some(from), .. } if from == fingerprint) {
        return Verdict::Use;
    }
    match (current(&before.id).await, opened.prefix()) {
        (Some(current), Some(sealed)) if current == sealed => Verdict::Use,
        (Some(_), Some(_)) => Verdict::Outdated,
        _ => Verdict::Contradicts("the state records another secret key than the sealed answer tells of".to_owned()),
    }
}

fn declared(desired: &Desired, label: &Label) -> Vec<(FieldId, Value)> {
    let settings = desired.keysets.get(label).map(|keyset| keyset.settings.iter());
    settings.into_iter().flatten().map(|setting| (setting.field, setting.value.clone())).collect()
}
