//! New labels for what is recorded, as `moved` in the TOML says: before anything else is carried
//! out, since everything else goes by the new ones. The account is not asked.

use super::custody::{Custody, Refusal};
use super::report::{Outcome, StepRef};
use crate::keyset::Label;
use crate::keyset::views::{Recorded, RecordedApp, RecordedKeyset};
use crate::plan::{Op, Step};
use crate::ports::{Entry, Ledger, LedgerError, Sink};

/// What is written to, and what is known.
pub struct Relabelling<'a, L, S> {
    pub ledger: &'a L,
    /// Also of what is recorded.
    pub custody: &'a Custody<'a, S>,
}

impl<L: Ledger, S: Sink> Relabelling<'_, L, S> {
    /// Carries out the moves of a plan, and nothing else of it.
    pub async fn run(&self, steps: &[Step]) -> Result<Vec<(StepRef, Outcome)>, LedgerError> {
        let recorded = self.custody.recorded;
        let mut done = Vec::new();
        for step in steps {
            let label = &step.label;
            match &step.op {
                Op::MoveApp { from } => {
                    if let Some(app) = recorded.apps.get(from) {
                        record_app(self.ledger, recorded, label, from, app).await?;
                        let outcome = Outcome::Moved { from: from.clone(), kept_under: None };
                        done.push((step.into(), outcome));
                    }
                }
                Op::MoveKeyset { from } => {
                    if let Some(keyset) = recorded.keysets.get(from) {
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
        if let Some(there) = self.custody.recorded.keysets.get(label) {
            // An earlier run ended between the two records.
            self.ledger.append(Entry::Forgotten { label: from.clone(), app: false }).await?;
            return Ok(there.secret_label.clone());
        }
        // Where its secret cannot go along it stays where it is, and the record says so.
        let secret_label = match self.custody.move_to(label, from, keyset).await {
            Ok(()) => None,
            Err(refusal) => {
                if let Refusal::Sink(error) = &refusal {
                    tracing::warn!(%error, %label, "its secret stays under the old label");
                }
                Some(keyset.sink_label(from).clone())
            }
        };
        let moved = RecordedKeyset { secret_label: secret_label.clone(), ..keyset.clone() };
        record_keyset(self.ledger, label, from, moved).await?;
        Ok(secret_label)
    }
}

/// Records an app under another label, and its keysets as being in it.
pub async fn record_app<L: Ledger>(
    ledger: &L,
    recorded: &Recorded,
    label: &Label,
    from: &Label,
    app: &RecordedApp,
) -> Result<(), LedgerError> {
    if !recorded.apps.contains_key(label) {
        ledger.append(Entry::App { label: label.clone(), app: app.clone(), intent: None }).await?;
    }
    for (of, keyset) in recorded.keysets.iter().filter(|(_, keyset)| keyset.app == *from) {
        let keyset = RecordedKeyset { app: label.clone(), ..keyset.clone() };
        ledger
            .append(Entry::Keyset { label: of.clone(), keyset: Box::new(keyset), intent: None })
            .await?;
    }
    ledger.append(Entry::Forgotten { label: from.clone(), app: true }).await
}

/// Records a keyset under another label. Between the two records it has both, which loses nothing:
/// a keyset with a declared label is never deleted under another one.
pub async fn record_keyset<L: Ledger>(
    ledger: &L,
    label: &Label,
    from: &Label,
    keyset: RecordedKeyset,
) -> Result<(), LedgerError> {
    ledger
        .append(Entry::Keyset { label: label.clone(), keyset: Box::new(keyset), intent: None })
        .await?;
    ledger.append(Entry::Forgotten { label: from.clone(), app: false }).await
}
