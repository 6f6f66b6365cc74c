//! Custody of secrets: everything that writes, reads, moves or removes a sink's entry goes through
//! here, and one truth table decides whether it may.
//!
//! *Guarantees*: a secret that the state does not know is never overwritten or removed unasked; it
//! may be the only copy of another keyset's. *Assumptions*: what a sink says of its entries is
//! true. *Caveats*: a sink that can neither be read nor asked (`Found::NotTold`) takes a first
//! create on trust: what another project put there under the same name is lost.

mod refusal;
mod request;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::keyset::views::{Recorded, RecordedKeyset, SecretRecord};
use crate::keyset::{Fingerprint, Label, ProjectName, Secret};
use crate::ports::{
    self, Claim, Creation, Held, Intent, Item, Namespace, Owner, Probed, SecretName, Sink,
    SinkError,
};

pub use refusal::{NoSink, ReadError, Refusal};
pub use request::Request;
pub use table::Purpose;
use table::{Decision, Found, Known, decide};

/// The sinks of a project, and what is known of their entries.
pub struct Custody<'a, S> {
    /// All sinks there are, also those that the project would not choose any more; or why one
    /// cannot be set up.
    pub sinks: &'a [Result<S, NoSink>],
    pub project: &'a ProjectName,
    pub namespace: Namespace,
    pub recorded: &'a Recorded,
    /// What the journal has begun and not ended.
    pub open: Vec<Intent>,
    pub in_hand: InHand,
}

/// Secret keys that this run stored and that a copy is to be made of: where the sink cannot be
/// read, there is no other moment for it.
#[derive(Default)]
pub struct InHand {
    wanted: BTreeSet<Label>,
    secrets: Mutex<BTreeMap<Label, Secret>>,
}

impl InHand {
    /// Keeps those of these labels, and drops the others.
    pub fn for_labels<'l>(labels: impl IntoIterator<Item = &'l Label>) -> InHand {
        InHand { wanted: labels.into_iter().cloned().collect(), secrets: Mutex::default() }
    }
    fn keep(&self, label: &Label, secret: Option<Secret>) {
        if let Some(secret) = secret.filter(|_| self.wanted.contains(label)) {
            self.secrets
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(label.clone(), secret);
        }
    }
    fn take(&self, label: &Label) -> Option<Secret> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).remove(label)
    }
}

impl<'a, S: Sink> Custody<'a, S> {
    /// The entry of a keyset's secret key.
    pub fn entry(&self, label: &Label) -> SecretName {
        SecretName {
            namespace: self.namespace,
            project: self.project.clone(),
            item: Item::Keyset(label.clone()),
        }
    }

    /// The sink of that name.
    pub fn sink(&self, name: &str) -> Result<&'a S, NoSink> {
        let named = |sink: &&Result<S, NoSink>| match sink {
            Ok(sink) => *sink.name() == *name,
            Err(missing) => missing.sink == name,
        };
        match self.sinks.iter().find(named) {
            Some(Ok(sink)) => Ok(sink),
            Some(Err(missing)) => Err(missing.clone()),
            None => Err(NoSink {
                sink: name.to_owned(),
                why: format!("the project has no sink {name} any more"),
            }),
        }
    }

    /// The right to put a secret under this name, before the request that makes the secret: one
    /// that could not be stored would be of no use. What is there already is kept beside if need
    /// be.
    pub async fn claim<'s>(
        &self,
        sink: Probed<'s, S>,
        name: &SecretName,
        request: &Request<'_>,
    ) -> Result<Claim<'s, S>, Refusal> {
        // What the sandbox gave out is worth nothing.
        if name.namespace == Namespace::Account
            && let Decision::KeepBeside = self.check_overwrite(sink.sink(), name, request).await?
        {
            keep_beside(sink.sink(), name, request.label).await.map_err(Refusal::Sink)?;
        }
        Ok(sink.claim(name))
    }

    /// Puts a secret that is in hand, and compares. `name`: of the entry.
    pub async fn place(
        &self,
        sink: &S,
        name: &SecretName,
        request: &Request<'_>,
        secret: &Secret,
    ) -> Result<(), Refusal> {
        self.check_overwrite(sink, name, request).await?;
        let owner = request.keyset.map(|keyset| Owner { id: &keyset.id, keys: &keyset.keys });
        ports::put_and_compare(sink, name, owner, secret).await.map_err(Refusal::Sink)
    }

    /// Puts the recorded secret of `from` under the name of `to` too, in the same sink. The old
    /// entry stays. A keyset without a stored secret has nothing to move.
    pub async fn move_to(
        &self,
        to: &Label,
        from: &Label,
        keyset: &RecordedKeyset,
    ) -> Result<(), Refusal> {
        let SecretRecord::Stored { sink, fingerprint } = &keyset.secret else { return Ok(()) };
        let secret = self.read(from, keyset).await.map_err(Refusal::NotRead)?;
        let sink = self.sink(sink).map_err(|missing| Refusal::NotRead(missing.into()))?;
        let name = self.entry(to);
        let request = Request {
            purpose: Purpose::Move,
            label: to,
            keyset: Some(keyset),
            coming: Some(fingerprint.clone()),
            overwrite: false,
        };
        if self.check_overwrite(sink, &name, &request).await? == Decision::NoNeed {
            return Ok(());
        }
        let owner = Owner { id: &keyset.id, keys: &keyset.keys };
        ports::put_and_compare(sink, &name, Some(owner), &secret).await.map_err(Refusal::Sink)
    }

    /// Takes the secret of a keyset that is gone out of the sink that the record names.
    pub async fn discard(&self, label: &Label, keyset: &RecordedKeyset) -> Result<(), Refusal> {
        let SecretRecord::Stored { sink, fingerprint } = &keyset.secret else { return Ok(()) };
        let sink = self.sink(sink).map_err(|missing| Refusal::NotRead(missing.into()))?;
        let name = self.entry(keyset.sink_label(label));
        let request = Request {
            purpose: Purpose::Discard,
            label,
            keyset: Some(keyset),
            coming: Some(fingerprint.clone()),
            overwrite: false,
        };
        match self.check_overwrite(sink, &name, &request).await? {
            Decision::NoNeed => Ok(()),
            _ => sink.remove(&name).await.map(drop).map_err(Refusal::Sink),
        }
    }

    /// The very secret that is recorded, out of its sink.
    pub async fn read(&self, label: &Label, keyset: &RecordedKeyset) -> Result<Secret, ReadError> {
        let (sink, fingerprint) = match &keyset.secret {
            SecretRecord::Stored { sink, fingerprint } => (sink, fingerprint),
            SecretRecord::Unknown => return Err(ReadError::NeverHad),
            SecretRecord::Missing { why, .. } => return Err(ReadError::Missing(why.clone())),
        };
        let name = self.entry(keyset.sink_label(label));
        match self.sink(sink)?.get(&name).await? {
            Some(secret) if secret.fingerprint() == *fingerprint => Ok(secret),
            Some(_) => Err(ReadError::Another(sink.clone())),
            None => Err(ReadError::NotThere(sink.clone())),
        }
    }

    /// The same, or what this run kept in hand.
    pub async fn read_or_take(
        &self,
        label: &Label,
        keyset: &RecordedKeyset,
    ) -> Result<Secret, ReadError> {
        let kept = self.in_hand.take(label);
        match kept.filter(|secret| keyset.secret.held() == Some(&secret.fingerprint())) {
            Some(secret) => Ok(secret),
            None => self.read(label, keyset).await,
        }
    }

    /// Keeps a secret that is in its sink by now for the copies that are to be made of it.
    pub fn keep_in_hand(&self, label: &Label, secret: Option<Secret>) {
        self.in_hand.keep(label, secret);
    }

    /// What the table says, where it does not refuse.
    async fn check_overwrite(
        &self,
        sink: &S,
        name: &SecretName,
        request: &Request<'_>,
    ) -> Result<Decision, Refusal> {
        let (found, error) = match self.found(sink, name, request).await {
            Ok(found) => (found, None),
            Err(error) => (Found::Failed, Some(error)),
        };
        let other = self.other_use(sink.name(), name, request);
        let known = match other {
            Some(_) => Known::InUse,
            None => self.known(sink.name(), request),
        };
        match decide(request.purpose, found, known) {
            Decision::IfTold if request.overwrite => Ok(Decision::Go),
            Decision::IfTold | Decision::Refuse => Err(match error {
                Some(error) => Refusal::Sink(error),
                None => refusal::of(sink.kind(), name, request, found, other),
            }),
            decision => Ok(decision),
        }
    }

    async fn found(
        &self,
        sink: &S,
        name: &SecretName,
        request: &Request<'_>,
    ) -> Result<Found, SinkError> {
        let found = match ports::held(sink, name).await? {
            Held::Nothing => return Ok(Found::Nothing),
            Held::Unread => return Ok(Found::Unreadable),
            Held::NotKnown => return Ok(Found::NotTold),
            Held::Secret(found) => found,
        };
        let recorded = request.keyset.and_then(|keyset| keyset.secret.held());
        Ok(if request.coming.as_ref() == Some(&found) || recorded == Some(&found) {
            Found::Ours
        } else if self.is_elsewhere(sink, name, &found).await {
            Found::Copy
        } else {
            Found::Other
        })
    }

    /// Whether the sink has it in another entry too, which the state records for it: so nothing is
    /// lost here.
    async fn is_elsewhere(&self, sink: &S, name: &SecretName, found: &Fingerprint) -> bool {
        let stored = |keyset: &RecordedKeyset| matches!(&keyset.secret, SecretRecord::Stored { fingerprint, .. } if fingerprint == found);
        for (other, keyset) in self.recorded.keysets.iter().filter(|(_, keyset)| stored(keyset)) {
            let there = self.entry(keyset.sink_label(other));
            if there != *name
                && matches!(ports::held(sink, &there).await, Ok(Held::Secret(held)) if held == *found)
            {
                return true;
            }
        }
        false
    }

    /// What is known of the entry, but for its use by others.
    fn known(&self, sink: &str, request: &Request<'_>) -> Known {
        match request.keyset.map(|keyset| &keyset.secret) {
            Some(SecretRecord::Stored { sink: home, .. }) if **home == *sink => Known::Own,
            // Its key was to be put there, and was lost; a claim of the entry came before that.
            Some(SecretRecord::Missing { .. }) => Known::Begun,
            // Sealed in the journal: an earlier run may have put it there.
            _ if request.coming.is_some()
                && matches!(request.purpose, Purpose::Create | Purpose::Renew) =>
            {
                Known::Begun
            }
            _ if self.open.iter().any(|intent| is_own(intent, request)) => Known::Begun,
            _ => Known::Unrecorded,
        }
    }

    /// The label of another keyset whose secret is in the entry, or is about to be, as far as state
    /// and journal know.
    fn other_use(&self, sink: &str, name: &SecretName, request: &Request<'_>) -> Option<Label> {
        let own = request.keyset.map(|keyset| &keyset.id);
        let uses = |keyset: &RecordedKeyset| match &keyset.secret {
            SecretRecord::Stored { sink: home, .. } => **home == *sink,
            SecretRecord::Missing { .. } => true,
            SecretRecord::Unknown => false,
        };
        let is_named = |label: &Label| self.entry(label) == *name;
        let recorded = self.recorded.keysets.iter().find(|(label, keyset)| {
            Some(&keyset.id) != own && is_named(keyset.sink_label(label)) && uses(keyset)
        });
        let begun = |intent: &&Intent| !is_own(intent, request) && is_named(self.begun_for(intent));
        match recorded {
            Some((label, _)) => Some(label.clone()),
            None => self
                .open
                .iter()
                .filter(|intent| !matches!(intent.what, Creation::App { .. }))
                .find(begun)
                .map(|intent| intent.what.label().clone()),
        }
    }

    /// The label that the entry of an open intent has.
    fn begun_for<'i>(&'i self, intent: &'i Intent) -> &'i Label {
        let label = intent.what.label();
        match &intent.what {
            Creation::SecretKey { id, .. } => self
                .recorded
                .keysets
                .iter()
                .find(|(_, keyset)| keyset.id == *id)
                .map_or(label, |(label, keyset)| keyset.sink_label(label)),
            Creation::App { .. } | Creation::Keyset { .. } => label,
        }
    }
}

/// Whether it is about the keyset that asks.
fn is_own(intent: &Intent, request: &Request<'_>) -> bool {
    match &intent.what {
        Creation::SecretKey { id, .. } => request.keyset.is_some_and(|keyset| keyset.id == *id),
        Creation::Keyset { label, .. } => label == request.label,
        Creation::App { .. } => false,
    }
}

/// Copies what the sink has under a name to a name beside it.
async fn keep_beside<S: Sink>(sink: &S, name: &SecretName, label: &Label) -> Result<(), SinkError> {
    let failed = |why: &str| SinkError::Broken { sink: sink.name(), why: why.to_owned() };
    let Some(secret) = sink.get(name).await? else { return Ok(()) };
    let found = secret.fingerprint();
    let short: String =
        found.to_string().chars().filter(char::is_ascii_hexdigit).rev().take(8).collect();
    // A label has 128 characters at most, all of them one byte.
    let base: String = label.as_str().chars().take(100).collect();
    let beside = Label::parse(&format!("{base}.kept-{short}"))
        .map_err(|_| failed("what it has cannot be kept under another name"))?;
    let entry = SecretName { item: Item::Keyset(beside.clone()), ..name.clone() };
    match ports::held(sink, &entry).await? {
        Held::Secret(there) if there == found => return Ok(()),
        Held::Nothing => {}
        _ => {
            return Err(failed(
                "what it has under this name is not known, and the name to keep it under is taken",
            ));
        }
    }
    ports::put_and_compare(sink, &entry, None, &secret).await?;
    let sink = sink.name();
    tracing::warn!(
        "the {sink} had a secret under `{label}` that this state does not know: it is kept there \
         as `{beside}`"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyset::KeysetId;

    /// A sink that can neither be read nor asked.
    struct Blind;
    impl Sink for Blind {
        fn kind(&self) -> ports::SinkType {
            ports::SinkType::Exec
        }
        async fn probe(&self) -> Result<(), SinkError> {
            Ok(())
        }
        fn readable(&self) -> bool {
            false
        }
        async fn put(
            &self,
            _: &SecretName,
            _: Option<Owner<'_>>,
            _: &Secret,
        ) -> Result<(), SinkError> {
            Ok(())
        }
        async fn get(&self, _: &SecretName) -> Result<Option<Secret>, SinkError> {
            Err(SinkError::WriteOnly { sink: "exec", why: "it gives nothing back".into() })
        }
        async fn remove(&self, _: &SecretName) -> Result<bool, SinkError> {
            Ok(false)
        }
    }

    fn label(text: &str) -> Label {
        Label::parse(text).expect("a label")
    }

    /// How a create of `a` ends with these open intents about secret keys, by their labels.
    async fn create(namespace: Namespace, begun: &[&str]) -> Result<(), Refusal> {
        let (project, recorded) =
            (ProjectName::parse("acme").expect("a name"), Recorded::default());
        let intent = |text: &&str| Intent {
            id: uuid::Uuid::nil(),
            at: jiff::Timestamp::UNIX_EPOCH,
            what: Creation::SecretKey {
                label: label(text),
                id: KeysetId::parse("9").expect("an id"),
                expires_at: None,
                from: None,
                over: None,
            },
        };
        let custody: Custody<'_, Blind> = Custody {
            sinks: &[],
            project: &project,
            namespace,
            recorded: &recorded,
            open: begun.iter().map(intent).collect(),
            in_hand: InHand::default(),
        };
        let a = label("a");
        let request = Request {
            purpose: Purpose::Create,
            label: &a,
            keyset: None,
            coming: None,
            overwrite: false,
        };
        let probed = Probed::of(&Blind).await.expect("a sink");
        custody.claim(probed, &custody.entry(&a), &request).await.map(drop)
    }

    #[tokio::test]
    async fn a_first_create_is_not_put_over_what_the_journal_has_begun_for_another_keyset() {
        assert_eq!(create(Namespace::Account, &[]).await, Ok(()));
        assert_eq!(create(Namespace::Account, &["b"]).await, Ok(()));
        let refused = create(Namespace::Account, &["a"]).await;
        assert!(matches!(refused, Err(Refusal::InUse(..))), "{refused:?}");
        // What the sandbox gave out is worth nothing.
        assert_eq!(create(Namespace::Sandbox, &["a"]).await, Ok(()));
    }
}
