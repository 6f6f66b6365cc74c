//! Answers that came, were sealed, and were not committed: their secrets are put where they belong. Asks no API.

use super::create::settled;
use super::report::{Outcome, Step, Verb};
use crate::keyset::views::{Desired, Recorded};
use crate::keyset::{FieldId, Label, ProjectName, Value};
use crate::ports::{self, Creation, Escrow, Item, Ledger, LedgerError, Namespace, Open, Probed, SecretName, Sink};

/// What became of the sealed answers.
pub struct Recovered {
    pub steps: Vec<(Step, Outcome)>,
}

/// Opens what is sealed in `open`, stores the secrets, records the keysets. What cannot be opened stays as it is: the apply
/// looks for what it told of.
pub async fn recover<L: Ledger, E: Escrow, S: Sink>(
    ledger: &L,
    escrow: &E,
    sink: Probed<'_, S>,
    (project, namespace): (&ProjectName, Namespace),
    recorded: &Recorded,
    desired: &Desired,
    open: &[Open],
) -> Result<Recovered, LedgerError> {
    let mut steps = Vec::new();
    for Open { intent, sealed } in open {
        let Some(sealed) = sealed else { continue };
        let label = intent.what.label().clone();
        let step = Step { verb: Verb::Recover, label: label.clone() };
        let before = recorded.keysets.get(&label);
        if matches!(&intent.what, Creation::SecretKey { id, .. } if before.is_none_or(|keyset| keyset.id != *id)) {
            // Its keyset is not recorded any more, or is another one now: there is nothing it could be the secret of.
            ports::void(ledger, ports::left_open(intent.clone())).await?;
            steps.push((step, Outcome::Nothing));
            continue;
        }
        let opened = match ports::left_sealed(escrow, intent.clone(), sealed) {
            Ok(sealed) => ports::open(sealed).map_err(|(_, bad)| format!("the answer makes no sense: {bad}")),
            Err((_, error)) => Err(error.to_string()),
        };
        let opened = match opened {
            Ok(opened) => opened,
            Err(why) => {
                let help = "`keyform apply` looks for what it told of, and makes a new secret key where the old one is lost";
                steps.push((step, Outcome::Failed { why, help: Some(help.to_owned()) }));
                continue;
            }
        };
        let name = SecretName { namespace, project: project.clone(), item: Item::Keyset(label.clone()) };
        let stored = ports::store(sink, &name, before.map(|k| &k.keys), opened).await;
        let outcome = match (&intent.what, before) {
            (Creation::SecretKey { id, .. }, Some(before)) => {
                let waits = stored.waits;
                let keyset = ports::commit_rotation(ledger, stored, before).await?;
                Outcome::Rotated { id: id.clone(), secret: keyset.secret, waits }
            }
            _ => settled(ledger, stored, &declared(desired, &label), false).await?.0,
        };
        steps.push((step, outcome));
    }
    Ok(Recovered { steps })
}

fn declared(desired: &Desired, label: &Label) -> Vec<(FieldId, Value)> {
    let settings = desired.keysets.get(label).map(|keyset| keyset.settings.iter());
    settings.into_iter().flatten().map(|setting| (setting.field, setting.value.clone())).collect()
}
