//! What nobody declares any more, with `--delete`: keysets, then the apps that held them.
//!
//! A keyset is asked away by its id, which is never given to another one, so a repeated request
//! does no harm. Its record goes once the account has confirmed it, and its secret key, which opens
//! nothing any more, after that.

use super::context::Ports;
use super::failure::StepError;
use super::refresh::{exists, keysets};
use super::report::Outcome;
use crate::keyset::views::RecordedKeyset;
use crate::keyset::{AppId, Label};
use crate::ports::{Api, ApiError, ApiErrorKind, Clock, Entry, Escrow, Ledger, LedgerError, Sink};

/// Deletes the keyset that is recorded under the label.
pub async fn keyset<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    label: &Label,
    keyset: &RecordedKeyset,
) -> Result<Outcome, LedgerError> {
    if let Err(error) = ports.api.delete_keyset(&keyset.id).await {
        match may_be_gone(&error) && matches!(exists(ports.api, &keyset.id).await, Ok(false)) {
            true => {}
            false if error.certainly_not_done() => return Ok(Outcome::failed(&error)),
            false => {
                return Ok(Outcome::unknown(StepError::from(&error).and(ASKED_AGAIN)));
            }
        }
    }
    ports.ledger.append(Entry::Forgotten { label: label.clone(), app: false }).await?;
    let kept = ports.custody.discard(label, keyset).await;
    let secret = kept.err().map(|refusal| refusal.why());
    Ok(Outcome::Deleted { id: keyset.id.to_string(), keys: Some(keyset.keys.clone()), secret })
}

const ASKED_AGAIN: &str = "asked again by the next apply with --delete";

/// Deletes an app that holds nothing any more: what becomes of keysets whose app is deleted is not
/// documented, so the account is asked once more.
pub async fn app<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    label: &Label,
    id: &AppId,
) -> Result<Outcome, LedgerError> {
    match keysets(ports.api).await {
        Ok(keysets) => {
            let holds = keysets.values().filter(|keyset| keyset.app_id == *id).count();
            if holds > 0 {
                return Ok(Outcome::Skipped { why: format!("it holds keysets: {holds}") });
            }
        }
        Err(error) => return Ok(Outcome::failed(&error)),
    }
    if let Err(error) = ports.api.delete_app(id).await {
        let gone =
            async || super::refresh::apps(ports.api).await.is_ok_and(|apps| !apps.contains_key(id));
        if !(may_be_gone(&error) && gone().await) {
            return Ok(match error.certainly_not_done() {
                true => Outcome::failed(&error),
                false => Outcome::unknown(StepError::from(&error).and(ASKED_AGAIN)),
            });
        }
    }
    ports.ledger.append(Entry::Forgotten { label: label.clone(), app: true }).await?;
    Ok(Outcome::Deleted { id: id.to_string(), keys: None, secret: None })
}

/// An earlier try may have been carried out although its answer got lost; which status what is gone
/// gets is not documented.
fn may_be_gone(error: &ApiError) -> bool {
    !matches!(error.kind, ApiErrorKind::NotSent(_) | ApiErrorKind::Status { status: 401 | 429, .. })
}
