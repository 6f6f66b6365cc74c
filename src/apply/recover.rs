//! Answers that came, were sealed, and were not committed: their secrets are put where they belong.
//!
//! A sealed answer is the older of two truths: what was recorded meanwhile, here or by another
//! clone, is not overwritten unless the account says that the sealed key is the present one. And it
//! may be the only copy of that: it is given up only when the account says that another key is, or
//! that the keyset is gone.

use std::collections::BTreeSet;
use std::time::Duration;

use super::create::settled;
use super::custody::{Custody, Purpose, Request};
use super::failure::StepError;
use super::refresh;
use super::report::{Outcome, StepRef};
use super::rotate::permanent;
use crate::keyset::KeyPrefix;
use crate::keyset::views::{Desired, Recorded, RecordedKeyset, SecretRecord};
use crate::keyset::{FieldId, KeysetId, Label, Value};
use crate::plan::OpKind;
use crate::ports::{
    self, Api, Clock, Creation, Escrow, EscrowError, Held, Intent, Ledger, LedgerError, Made, Open,
    Opened, Probed, SecretName, Sink,
};

/// Between two looks at a keyset's keys.
const PAUSE: Duration = Duration::from_millis(500);

/// What became of the sealed answers.
#[derive(Default)]
pub struct Recovered {
    pub steps: Vec<(StepRef, Outcome)>,
    /// Their answers cannot be opened and count as lost from here on.
    pub lost: BTreeSet<uuid::Uuid>,
}

/// What is acted through, and what is known.
pub struct Recovery<'a, A, L, E, S, C> {
    /// `None`: nobody can be asked.
    pub api: Option<&'a A>,
    pub ledger: &'a L,
    pub escrow: &'a E,
    pub clock: &'a C,
    pub sink: Probed<'a, S>,
    /// All sinks of the project, one of which an earlier run put secrets into.
    pub sinks: &'a [S],
    pub custody: &'a Custody<'a, S>,
    /// How long a new key may take to be listed.
    pub settle: Duration,
    pub recorded: &'a Recorded,
    pub desired: &'a Desired,
}

/// What to do with an opened answer.
enum Verdict {
    Use,
    /// Its key is not the present one any more.
    Outdated,
    /// It contradicts what is recorded, for this reason, and only the account could tell.
    Contradicts(String),
}

/// What the account says about the key that an answer tells of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Account {
    Present,
    AnotherIs,
    KeysetGone,
    /// It cannot be asked, or does not tell.
    Silent,
}

impl<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock> Recovery<'_, A, L, E, S, C> {
    /// Opens what is sealed in `open`, stores the secrets, records the keysets. Of several answers
    /// about one keyset the last one counts.
    pub async fn run(&self, open: &[Open]) -> Result<Recovered, LedgerError> {
        let mut recovered = Recovered::default();
        let sealed: Vec<(&Intent, &str)> =
            open.iter().filter_map(|open| Some((&open.intent, open.sealed.as_deref()?))).collect();
        for (n, (intent, answer)) in sealed.iter().enumerate() {
            let label = intent.what.label();
            let same = |(other, _): &&(&Intent, &str)| match (&other.what, &intent.what) {
                (Creation::SecretKey { id: other, .. }, Creation::SecretKey { id, .. }) => {
                    other == id
                }
                (other, _) => other.label() == label,
            };
            if sealed[n + 1..].iter().any(|other| same(&other)) {
                continue;
            }
            let outcome = self.one(intent, answer, &mut recovered.lost).await?;
            if outcome.is_done() {
                for (older, _) in sealed[..n].iter().filter(same) {
                    ports::void(self.ledger, ports::left_open((*older).clone())).await?;
                }
            }
            recovered.steps.push((StepRef::new(OpKind::Recover, label), outcome));
        }
        Ok(recovered)
    }

    async fn one(
        &self,
        intent: &Intent,
        answer: &str,
        lost: &mut BTreeSet<uuid::Uuid>,
    ) -> Result<Outcome, LedgerError> {
        let label = intent.what.label();
        let known = self.recorded.keysets.get(label).filter(|keyset| match &intent.what {
            Creation::SecretKey { id, .. } => keyset.id == *id,
            _ => true,
        });
        let opened = match ports::left_sealed(self.escrow, intent.clone(), answer) {
            Ok(sealed) => {
                ports::open(sealed).map_err(|(_, bad)| format!("the answer makes no sense: {bad}"))
            }
            Err((_, error @ (EscrowError::NoKey | EscrowError::OtherKey)))
                if self.may_be_in_use(intent, known).await =>
            {
                let help = "its secret may be in the sink, and somebody may have read it: run \
                            `keyform secrets recover` where the private \
                            key is (KEYFORM_AGE_IDENTITY_FILE)";
                return Ok(Outcome::failed(StepError::new(error.to_string()).help(help)));
            }
            Err((_, error)) => Err(error.to_string()),
        };
        let opened = match opened {
            Ok(opened) => opened,
            Err(why) => {
                lost.insert(intent.id);
                let help = "`keyform apply` looks for what it told of, and makes a new secret key \
                            where the old one is lost";
                return Ok(Outcome::failed(StepError::new(why).help(help)));
            }
        };
        // Another clone may have recorded it under another label; its own comes first, where it has
        // both.
        let named = |keyset: &RecordedKeyset| keyset.id == *opened.keyset_id();
        let (label, before) = match self.recorded.keysets.iter().find(|(_, keyset)| named(keyset)) {
            Some((other, keyset)) if !known.is_some_and(named) => (other, Some(keyset)),
            _ => (label, known),
        };
        let account = self.account(intent, opened.keyset_id(), opened.prefix()).await;
        match (before, opened.made()) {
            (None, Made::SecretKey(id))
                if !matches!(account, Account::AnotherIs | Account::KeysetGone) =>
            {
                return Ok(unrecorded(label, id));
            }
            (None, Made::SecretKey(_)) => return self.give_up(intent).await,
            // The id must be recorded in any case.
            (None, Made::Keyset(_)) if account == Account::AnotherIs => {
                return Ok(settled(self.ledger, ports::outdated(opened), &[], true).await?.0);
            }
            _ => {}
        }
        let verdict = match before {
            None => Verdict::Use,
            Some(before) if before.id != *opened.keyset_id() => {
                self.of_two(intent, &opened, before, account).await
            }
            Some(before) => verdict(intent, &opened, before, account),
        };
        match verdict {
            Verdict::Use => {}
            Verdict::Outdated => return self.give_up(intent).await,
            Verdict::Contradicts(why) => {
                let help = "`keyform apply` asks the account which one is right; two keysets of \
                            one label are for you to choose from: \
                            delete the one that is not wanted in the portal";
                return Ok(Outcome::failed(StepError::new(why).help(help)));
            }
        }
        let name = self.name(before.map_or(label, |keyset| keyset.sink_label(label)));
        let same = before.filter(|before| opened.keyset_id() == &before.id);
        let blind = matches!(self.sink.holds(&name).await, Ok(Held::NotKnown | Held::Unread));
        if blind
            && account == Account::Silent
            && same.is_some()
            && matches!(opened.made(), Made::SecretKey(_))
        {
            // Another clone may have put a newer one there.
            let why = format!(
                "whether it is the present key is not told, and what the {} has is not either",
                self.sink.name()
            );
            let help = "`keyform apply` asks the account, and stores it if it is";
            return Ok(Outcome::failed(StepError::new(why).help(help)));
        }
        let purpose = match account == Account::Present && same.is_some() {
            true => Purpose::Renew,
            false => Purpose::Create,
        };
        let coming = opened.fingerprint();
        let request = Request { purpose, label, keyset: before, coming, overwrite: false };
        let claim = match self.custody.claim(self.sink, &name, &request).await {
            Ok(claim) => claim,
            Err(refusal) => return Ok(refusal.into()),
        };
        let stored = ports::store(&claim, same.map(|k| &k.keys), opened).await;
        let waits = stored.waits;
        match same {
            // What was recorded of it since is newer than the answer, but for the secret.
            Some(before) => {
                let keyset = ports::commit_rotation(self.ledger, label, stored, before).await?;
                Ok(Outcome::Rotated { id: keyset.id, secret: keyset.secret, waits, found: true })
            }
            None => {
                // What was sent is not known any more; what is declared now and differs is the
                // plan's business.
                let sent = match &stored.made {
                    Made::Keyset(live) => declared(self.desired, label)
                        .into_iter()
                        .filter(|(f, v)| live.observed.get(*f) == Some(v))
                        .collect(),
                    Made::SecretKey(_) => Vec::new(),
                };
                Ok(settled(self.ledger, stored, &sent, false).await?.0)
            }
        }
    }

    /// It is of no use to anybody.
    async fn give_up(&self, intent: &Intent) -> Result<Outcome, LedgerError> {
        ports::void(self.ledger, ports::left_open(intent.clone())).await.map(|()| Outcome::Nothing)
    }

    fn name(&self, label: &Label) -> SecretName {
        self.custody.entry(label)
    }

    /// Whether a secret that cannot be opened here got as far as a sink, where somebody may have
    /// read it. `known`: what is recorded of its keyset.
    async fn may_be_in_use(&self, intent: &Intent, known: Option<&RecordedKeyset>) -> bool {
        let label = intent.what.label();
        let before = known.filter(|_| matches!(intent.what, Creation::SecretKey { .. }));
        let name = self.name(before.map_or(label, |keyset| keyset.sink_label(label)));
        for sink in self.sinks {
            // One that cannot be asked, or does not tell, may have it.
            let held = match Probed::of(sink).await {
                Ok(sink) => sink.holds(&name).await.unwrap_or(Held::NotKnown),
                Err(_) => Held::NotKnown,
            };
            match &held {
                Held::Nothing => {}
                Held::Secret(found)
                    if before.and_then(|keyset| keyset.secret.held()) == Some(found) => {}
                Held::Secret(_) | Held::Unread | Held::NotKnown => return true,
            }
        }
        false
    }

    /// The answer is about one keyset, and the state records another one under the label: two were
    /// made, or one took the place of the other.
    async fn of_two(
        &self,
        intent: &Intent,
        opened: &Opened,
        before: &RecordedKeyset,
        account: Account,
    ) -> Verdict {
        let replaced =
            matches!(&intent.what, Creation::Keyset { replaces: Some(id), .. } if *id == before.id);
        if account == Account::KeysetGone {
            return Verdict::Outdated;
        }
        let gone = async || match self.api {
            Some(api) => self.is_gone(api, &before.id).await,
            None => false,
        };
        if replaced || gone().await {
            return Verdict::Use;
        }
        Verdict::Contradicts(format!(
            "the sealed answer is about keyset {}, and the state records {}",
            opened.keyset_id(),
            before.id
        ))
    }

    /// Whether it is certainly not there any more: it does not answer, and a listing that shows
    /// others of ours does not show it. Another account, or a key that may not read, says as little
    /// of all of them.
    async fn is_gone(&self, api: &A, id: &KeysetId) -> bool {
        if !matches!(refresh::exists(api, id).await, Ok(false)) {
            return false;
        }
        let ours = |all: &std::collections::BTreeMap<KeysetId, _>| {
            self.recorded.keysets.values().any(|keyset| all.contains_key(&keyset.id))
        };
        refresh::keysets(api).await.is_ok_and(|all| !all.contains_key(id) && ours(&all))
    }

    /// Asks for the keyset's present key, until it is the one of `sealed` or that one has had the
    /// time to be listed.
    async fn account(&self, intent: &Intent, id: &KeysetId, sealed: Option<KeyPrefix>) -> Account {
        let (Some(api), Some(sealed)) = (self.api, sealed) else { return Account::Silent };
        let age =
            Duration::try_from(self.clock.now().duration_since(intent.at)).unwrap_or_default();
        let mut waited = age.min(self.settle);
        loop {
            match permanent(api, id).await {
                Some(now) if now == sealed => return Account::Present,
                Some(_) if waited >= self.settle => return Account::AnotherIs,
                Some(_) => {}
                None if self.is_gone(api, id).await => return Account::KeysetGone,
                None => return Account::Silent,
            }
            let nap = PAUSE.min(self.settle - waited);
            self.clock.sleep(nap).await;
            waited += nap;
        }
    }
}

/// It may be the present key of a keyset that exists.
fn unrecorded(label: &Label, id: &KeysetId) -> Outcome {
    let why = format!(
        "a secret key of keyset {id} is sealed in the journal, and the state has no such keyset \
         any more"
    );
    Outcome::failed(StepError::new(why).help(format!(
        "`keyform adopt {label} --id {id}` records it, and then `keyform secrets recover` stores \
         the key; if it is of no use, delete the keyset in the portal or make it another key there"
    )))
}

fn began_over(intent: &Intent) -> Option<&KeyPrefix> {
    match &intent.what {
        Creation::SecretKey { over, .. } => over.as_ref(),
        _ => None,
    }
}

fn verdict(intent: &Intent, opened: &Opened, before: &RecordedKeyset, account: Account) -> Verdict {
    let contradicts = || {
        Verdict::Contradicts(
            "the state records another secret key than the sealed answer tells of".to_owned(),
        )
    };
    match (account, &before.secret) {
        (Account::Present, _) => Verdict::Use,
        (Account::KeysetGone, _) => Verdict::Outdated,
        (Account::AnotherIs, SecretRecord::Stored { fingerprint, .. })
            if opened.fingerprint().as_ref() == Some(fingerprint) =>
        {
            Verdict::Use
        }
        (Account::AnotherIs, _) => Verdict::Outdated,
        (Account::Silent, SecretRecord::Stored { fingerprint, .. }) => {
            // A rotation began from the key that is recorded still: nothing came between, as far as
            // is known here.
            let from = matches!(&intent.what, Creation::SecretKey { from: Some(from), .. } if from == fingerprint);
            if from || opened.fingerprint().as_ref() == Some(fingerprint) {
                Verdict::Use
            } else {
                contradicts()
            }
        }
        // Only the key that was lost when it began, and is recorded as lost still, gives way to it
        // unasked.
        (Account::Silent, SecretRecord::Missing { current: Some(current), .. })
            if opened.prefix().as_ref() != Some(current) && began_over(intent) != Some(current) =>
        {
            contradicts()
        }
        (Account::Silent, SecretRecord::Missing { .. } | SecretRecord::Unknown) => Verdict::Use,
    }
}

fn declared(desired: &Desired, label: &Label) -> Vec<(FieldId, Value)> {
    let settings = desired.keysets.get(label).map(|keyset| keyset.settings.iter());
    settings.into_iter().flatten().map(|setting| (setting.field, setting.value.clone())).collect()
}
