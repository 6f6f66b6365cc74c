//! Records what exists already. The account is only read.

use std::collections::BTreeMap;

use crate::keyset::views::{
    DesiredKeyset, LiveApp, LiveKeyset, RecordedApp, RecordedKeyset, SecretRecord,
};
use crate::keyset::wire::observed_of;
use crate::keyset::{AppId, KeysetId, Label, PublicKeys};
use crate::ports::{Api, ApiError, Entry, Ledger, LedgerError};

/// A keyset of the account, and the label it is to have.
pub struct Adoption<'a> {
    pub label: &'a Label,
    pub desired: &'a DesiredKeyset,
    pub live: &'a LiveKeyset,
}

/// Its configuration too, without which nothing could be compared.
pub async fn with_config<A: Api>(api: &A, mut live: LiveKeyset) -> Result<LiveKeyset, ApiError> {
    live.observed.absorb(&api.config(&live.id).await?);
    live.with_config = true;
    Ok(live)
}

/// The record of an app that was made outside keyform. `managed`: its name is declared, so that
/// keyform may change it.
pub async fn app<L: Ledger>(
    ledger: &L,
    label: &Label,
    live: &LiveApp,
    managed: bool,
) -> Result<(), LedgerError> {
    let app = RecordedApp { id: live.id.clone(), name: live.name.clone(), managed };
    ledger.append(Entry::App { label: label.clone(), app, intent: None }).await
}

/// The record of a keyset: what is declared and true counts as applied, and its secret key is in
/// other hands.
pub async fn keyset<L: Ledger>(ledger: &L, adoption: &Adoption<'_>) -> Result<(), LedgerError> {
    let record = record(adoption);
    ledger
        .append(Entry::Keyset {
            label: adoption.label.clone(),
            keyset: Box::new(record),
            intent: None,
        })
        .await
}

pub fn record(Adoption { label: _, desired, live }: &Adoption<'_>) -> RecordedKeyset {
    let LiveKeyset { id, app_id, keys, created_at, observed, with_config: _ } = live;
    let (id, app_id, keys): (&KeysetId, &AppId, &PublicKeys) = (id, app_id, keys);
    let same = desired
        .settings
        .iter()
        .filter(|setting| observed.get(setting.field) == Some(&setting.value));
    RecordedKeyset {
        id: id.clone(),
        app: desired.app.clone(),
        app_id: app_id.clone(),
        keys: keys.clone(),
        created_at: *created_at,
        applied: observed_of(same.map(|setting| (setting.field, &setting.value))),
        seen: observed.clone(),
        secret: SecretRecord::Unknown,
        mirrors: BTreeMap::new(),
        secret_since: None,
        secret_label: None,
        protect: desired.protect_note(),
        applied_at: None,
        push: BTreeMap::new(),
    }
}
