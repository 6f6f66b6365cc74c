//! Push credentials: uploaded whole, recorded by their digest, and looked at in the account
//! afterwards.

use super::context::Ports;
use super::report::{Outcome, differing};
use crate::keyset::push::{Push, PushTexts, RecordedPush};
use crate::keyset::views::RecordedKeyset;
use crate::keyset::wire::{body, observed_of};
use crate::keyset::{Call, FieldId, Label, PushContent, Value};
use crate::ports::{Api, Clock, Entry, Escrow, Ledger, LedgerError, Sink};
use crate::protocol::{self, Point};

/// What is uploaded.
pub struct Upload<'a> {
    pub push: Push,
    pub texts: &'a PushTexts,
    pub sha256: &'a str,
    pub content: &'a PushContent,
    /// The TOML says that the switch which an upload turns on is to be off.
    pub switch_off: bool,
}

/// Uploads and records. To do it again does no harm: what is there is replaced by the same.
pub async fn upload<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    label: &Label,
    keyset: &mut RecordedKeyset,
    upload: &Upload<'_>,
) -> Result<Outcome, LedgerError> {
    let Upload { push, texts, sha256, content, switch_off } = upload;
    if let Err(error) = ports.api.upload_push(&keyset.id, *push, texts, content).await {
        return Ok(Outcome::failed(&error));
    }
    protocol::reached(Point::UploadAnswered);
    let mut asked: Vec<(FieldId, Value)> = texts
        .iter()
        .filter_map(|(name, text)| Some((push.field(name)?, Value::Text(text.clone()))))
        .collect();
    keyset.push.insert(*push, RecordedPush { sha256: (*sha256).into(), texts: (*texts).clone() });
    keyset.applied_at = Some(ports.clock.now());
    keyset.seen.absorb(&observed_of(asked.iter().map(|(field, text)| (*field, text))));
    let switch = Push::switch().filter(|_| *switch_off);
    if let Some(switch) = switch {
        // The upload did that, and nobody else.
        keyset.applied.absorb(&observed_of([(switch, &Value::Bool(true))]));
    }
    record(ports, label, keyset).await?;
    if let Some(switch) = switch {
        let off = Value::Bool(false);
        match ports.api.patch_config(&keyset.id, &body(Call::Config, [(switch, &off)])).await {
            Ok(_) => {
                keyset.applied.absorb(&observed_of([(switch, &off)]));
                asked.push((switch, off));
            }
            Err(error) => return Ok(Outcome::failed(&error)),
        }
        record(ports, label, keyset).await?;
    }
    // The answer to an upload is not fully documented: the account is asked.
    match ports.api.config(&keyset.id).await {
        Ok(now) => {
            let differing = differing(&asked, &now);
            keyset.seen.absorb(&now);
            record(ports, label, keyset).await?;
            Ok(Outcome::Uploaded { differing })
        }
        Err(error) => {
            tracing::debug!(%error, "what was uploaded was not looked at");
            Ok(Outcome::Uploaded { differing: Vec::new() })
        }
    }
}

async fn record<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    label: &Label,
    keyset: &RecordedKeyset,
) -> Result<(), LedgerError> {
    ports
        .ledger
        .append(Entry::Keyset {
            label: label.clone(),
            keyset: Box::new(keyset.clone()),
            intent: None,
        })
        .await
}
