//! The links of a create's chain, over the proofs of `ports`.
//!
//! *Guarantees*: at most one POST per proof of absence; an id that is known is recorded, with or
//! without its secret. *Assumptions*: `Ledger::append` returns after the disk has it; a complete
//! listing shows what exists.

use super::context::Ports;
use super::failure::StepError;
use super::report::{Outcome, differing};
use crate::keyset::views::{LiveApp, LiveKeyset, RecordedKeyset};
use crate::keyset::wire::observed_of;
use crate::keyset::{FieldId, Value};
use crate::ports::{
    self, Api, Body, Claim, Clock, Escrow, Fresh, Ledger, LedgerError, Made, Posted, PostedApp,
    Sink, Stored, Unknown,
};

/// How a try of a create ended.
pub enum Tried {
    /// The keyset's record is there if it was made.
    Done(Outcome, Option<Box<RecordedKeyset>>),
    /// Its answer is lost or makes no sense, for this reason: it has to be looked for.
    Lost(Unknown, StepError),
}

/// One POST and what follows from its answer. `permit`: given back when the answer is here.
pub async fn keyset<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    claim: &Claim<'_, S>,
    fresh: Fresh,
    body: &Body,
    settings: &[(FieldId, Value)],
    permit: impl Sized,
) -> Result<Tried, LedgerError> {
    let posted = ports::post(ports.api, ports.ledger, fresh, body).await;
    drop(permit);
    let answered = match posted? {
        Posted::Answered(answered) => answered,
        Posted::Refused(error) => return Ok(Tried::Done(Outcome::failed(&error), None)),
        Posted::Unknown(unknown, error) => return Ok(Tried::Lost(unknown, error.into())),
    };
    let sealed = ports::seal(ports.escrow, ports.ledger, answered).await;
    let opened = match ports::open(sealed) {
        Ok(opened) => opened,
        Err((unknown, bad)) => {
            return Ok(Tried::Lost(
                unknown,
                format!("not an answer of the Admin API: {bad}").into(),
            ));
        }
    };
    let mut stored = ports::store(claim, None, opened).await;
    let (label, key) = (stored.label().clone(), stored.key.take());
    let (outcome, keyset) = settled(ports.ledger, stored, settings, false).await?;
    ports.custody.keep_in_hand(&label, key);
    Ok(Tried::Done(outcome, keyset))
}

/// One POST of an app.
pub async fn app<A: Api, L: Ledger, E: Escrow, S: Sink, C: Clock>(
    ports: &Ports<'_, A, L, E, S, C>,
    fresh: Fresh,
) -> Result<Tried, LedgerError> {
    Ok(match ports::post_app(ports.api, ports.ledger, fresh).await? {
        PostedApp::Made(app) => Tried::Done(Outcome::App { id: app.id }, None),
        PostedApp::Refused(error) => Tried::Done(Outcome::failed(&error), None),
        PostedApp::Unknown(unknown, error) => Tried::Lost(unknown, error.into()),
    })
}

/// A keyset that the listing shows to be the intent's own. Its secret is still to be made.
pub async fn found<A: Api, L: Ledger>(
    api: &A,
    ledger: &L,
    unknown: Unknown,
    mut live: LiveKeyset,
    settings: &[(FieldId, Value)],
) -> Result<(Outcome, Option<Box<RecordedKeyset>>), LedgerError> {
    // Without its configuration the next plan compares anew; the id must be recorded in any case.
    if let Ok(config) = api.config(&live.id).await {
        live.observed.absorb(&config);
        live.with_config = true;
    }
    let current = super::rotate::permanent(api, &live.id).await;
    settled(ledger, ports::found(unknown, live, current), settings, true).await
}

/// An app that the listing shows to be the intent's own.
pub async fn found_app<L: Ledger>(
    ledger: &L,
    unknown: Unknown,
    app: LiveApp,
) -> Result<Outcome, LedgerError> {
    let id = app.id.clone();
    ports::found_app(ledger, unknown, app).await.map(|()| Outcome::App { id })
}

/// Records a keyset that was made; `settings`: what was asked for.
pub async fn settled<L: Ledger>(
    ledger: &L,
    stored: Stored,
    settings: &[(FieldId, Value)],
    found: bool,
) -> Result<(Outcome, Option<Box<RecordedKeyset>>), LedgerError> {
    let Made::Keyset(live) = &stored.made else {
        return Err(LedgerError {
            what: "commit".into(),
            why: "the answer is about a secret key".into(),
        });
    };
    let differing = differing(settings, &live.observed);
    let applied = observed_of(
        settings
            .iter()
            .filter(|(f, _)| differing.iter().all(|d| d.field != *f))
            .map(|(f, v)| (*f, v)),
    );
    let waits = stored.waits;
    let keyset = ports::commit(ledger, stored, applied).await?;
    let outcome = Outcome::Created {
        id: keyset.id.clone(),
        keys: keyset.keys.clone(),
        secret: keyset.secret.clone(),
        waits,
        differing,
        found,
    };
    Ok((outcome, Some(Box::new(keyset))))
}
