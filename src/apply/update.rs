//! Changes to what exists. Name and type are one call, configuration another; each is recorded when
//! it is done.

use super::context::Ports;
use super::report::{Outcome, differing};
use crate::keyset::views::RecordedKeyset;
use crate::keyset::wire::{body, observed_of};
use crate::keyset::{Call, FieldId, Label, Observed, Value};
use crate::plan::Change;
use crate::ports::{Api, ApiError, Clock, Entry, Escrow, Ledger, LedgerError, Sink};
use crate::protocol::{self, Point};

/// Sends the changes, reads the answers back, and records what is true afterwards.
pub async fn keyset<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    label: &Label,
    keyset: &mut RecordedKeyset,
    changes: &[Change],
) -> Result<Outcome, LedgerError> {
    let mut wrong = Vec::new();
    for call in [Call::Keyset, Call::Config] {
        let sent: Vec<(FieldId, Value)> = changes
            .iter()
            .filter(|c| c.field.section().call == call)
            .map(|c| (c.field, c.to.clone()))
            .collect();
        if sent.is_empty() {
            continue;
        }
        let answer = match send(ports.api, keyset, call, &sent).await {
            Ok(answer) => answer,
            Err(error) => return Ok(Outcome::failed(&error)),
        };
        let differing = differing(&sent, &answer);
        let kept = sent.iter().filter(|(f, _)| differing.iter().all(|d| d.field != *f));
        keyset.applied.absorb(&observed_of(kept.map(|(f, v)| (*f, v))));
        keyset.seen.absorb(&answer);
        keyset.applied_at = Some(ports.clock.now());
        wrong.extend(differing);
        ports
            .ledger
            .append(Entry::Keyset {
                label: label.clone(),
                keyset: Box::new(keyset.clone()),
                intent: None,
            })
            .await?;
        protocol::reached(Point::UpdateAnswered);
    }
    Ok(Outcome::Updated { differing: wrong })
}

async fn send<A: Api>(
    api: &A,
    keyset: &RecordedKeyset,
    call: Call,
    sent: &[(FieldId, Value)],
) -> Result<Observed, ApiError> {
    let body = body(call, sent.iter().map(|(f, v)| (*f, v)));
    match call {
        Call::Keyset => api.patch_keyset(&keyset.id, &body).await.map(|live| live.observed),
        Call::Config => api.patch_config(&keyset.id, &body).await,
    }
}
