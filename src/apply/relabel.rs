//! New labels for what is recorded, as `moved` in the TOML says: before anything else is carried
//! out, since everything else goes by the new ones. The account is not asked.

use super::report::{Outcome, StepRef};
use crate::keyset::views::{Recorded, RecordedApp, RecordedKeyset, SecretRecord};
use crate::keyset::{Label, ProjectName};
use crate::plan::{Op, Step};
use crate::ports::{self, Entry, Held, Ledger, LedgerError, Namespace, Owner, Sink};

use super::rotate::entry;

/// What is written to, and what is known.
pub struct Relabelling<'a, L, S> {
    pub ledger: &'a L,
    /// All sinks there are.
    pub homes: &'a [S],
    pub project: &'a ProjectName,
    pub namespace: Namespace,
    pub recorded: &'a Recorded,
}

impl<L: Ledger, S: Sink> Relabelling<'_, L, S> {
    /// Carries out the moves of a plan, and nothing else of it.
    pub async fn run(&self, steps: &[Step]) -> Result<Vec<(StepRef, Outcome)>, LedgerError> {
        let mut done = Vec::new();
        for step in steps {
            let label = &step.label;
            match &step.op {
                Op::MoveApp { from } => {
                    if let Some(app) = self.recorded.apps.get(from) {
                        self.app(label, from, app).await?;
                        let outcome = Outcome::Moved { from: from.clone(), kept_under: None };
                        done.push((step.into(), outcome));
                    }
                }
                Op::MoveKeyset { from } => {
                    if let Some(keyset) = self.recorded.keysets.get(from) {
                        let app = self.app_of(keyset, steps);
                        let kept_under = self
                            .keyset(label, from, &RecordedKeyset { app, ..keyset.clone() })
                            .await?;
                        let outcome = Outcome::Moved { from: from.clone(), kept_under };
                        done.push((step.into(), outcome));
                    }
                }
                _ => {}
            }
        }
        Ok(done)
    }

    async fn app(&self, label: &Label, from: &Label, app: &RecordedApp) -> Result<(), LedgerError> {
        if !self.recorded.apps.contains_key(label) {
            self.ledger
                .append(Entry::App { label: label.clone(), app: app.clone(), intent: None })
                .await?;
        }
        for (of, keyset) in self.recorded.keysets.iter().filter(|(_, keyset)| keyset.app == *from) {
            let keyset = RecordedKeyset { app: label.clone(), ..keyset.clone() };
            self.ledger
                .append(Entry::Keyset { label: of.clone(), keyset: Box::new(keyset), intent: None })
                .await?;
        }
        self.ledger.append(Entry::Forgotten { label: from.clone(), app: true }).await
    }

    /// The label of its app, which may just have got another one.
    fn app_of(&self, keyset: &RecordedKeyset, steps: &[Step]) -> Label {
        let moved = steps.iter().find_map(|step| match &step.op {
            Op::MoveApp { from } if *from == keyset.app => Some(&step.label),
            _ => None,
        });
        moved.unwrap_or(&keyset.app).clone()
    }

    async fn keyset(
        &self,
        label: &Label,
        from: &Label,
        keyset: &RecordedKeyset,
    ) -> Result<Option<Label>, LedgerError> {
        if let Some(there) = self.recorded.keysets.get(label) {
            // An earlier run ended between the two records.
            self.ledger.append(Entry::Forgotten { label: from.clone(), app: false }).await?;
            return Ok(there.secret_label.clone());
        }
        let secret_label = match self.copied(label, from, keyset).await {
            true => None,
            false => Some(keyset.sink_label(from).clone()),
        };
        let moved = RecordedKeyset { secret_label: secret_label.clone(), ..keyset.clone() };
        // Between the two records it has both labels, which loses nothing: a keyset with a declared
        // label is never deleted under another one.
        self.ledger
            .append(Entry::Keyset { label: label.clone(), keyset: Box::new(moved), intent: None })
            .await?;
        self.ledger.append(Entry::Forgotten { label: from.clone(), app: false }).await?;
        Ok(secret_label)
    }

    /// Whether its secret is in the sink under the new label too; else it stays where it is, and
    /// the record says so.
    async fn copied(&self, label: &Label, from: &Label, keyset: &RecordedKeyset) -> bool {
        let SecretRecord::Stored { sink, fingerprint } = &keyset.secret else { return true };
        let Some(home) = self.homes.iter().find(|home| *home.name() == **sink) else {
            return false;
        };
        let (old, new) = (
            entry(self.namespace, self.project, keyset.sink_label(from)),
            entry(self.namespace, self.project, label),
        );
        let Ok(Some(secret)) = home.get(&old).await else { return false };
        if secret.fingerprint() != *fingerprint {
            return false;
        }
        // Whatever has that name already may be the only copy of another one.
        match ports::held(home, &new).await {
            Ok(Held::Nothing) => {}
            Ok(held) if held == Held::Secret(fingerprint.clone()) => return true,
            _ => return false,
        }
        let owner = Owner { id: &keyset.id, keys: &keyset.keys };
        match ports::put_and_compare(home, &new, Some(owner), &secret).await {
            Ok(()) => home.readable(),
            Err(error) => {
                tracing::warn!(%error, %label, "its secret stays under the old label");
                false
            }
        }
    }
}
