//! A secret key that somebody has, for a keyset of which keyform has none, or an old one.

use super::super::account::ConnectOptions;
use super::super::clock::SystemClock;
use super::super::error::{Cause, Failure};
use super::super::find::find;
use super::super::sinks;
use super::super::workspace::Workspace;
use super::super::writer::{Writer, Writing};
use crate::apply::custody::{Purpose, Refusal, Request};
use crate::apply::rotate::permanent;
use crate::keyset::views::{RecordedKeyset, SecretRecord};
use crate::keyset::{Label, Secret};
use crate::ports::{Clock, Entry, Ledger};
use crate::state::Snapshot;

/// What is imported.
pub struct Order<'a> {
    pub label: &'a str,
    pub secret: &'a Secret,
    /// Also over what the sink has, or may have, under the name, and the state does not record.
    pub overwrite: bool,
    pub connect: ConnectOptions,
}

/// Puts it into a sink if the account says that it is the current one; gives back the sink's name.
pub async fn import(
    workspace: &Workspace,
    writing: Writing<'_>,
    order: &Order<'_>,
) -> anyhow::Result<&'static str> {
    let finished = Writer::run(workspace, writing, async |writer, snapshot| {
        let (label, keyset) = find(&snapshot.recorded, order.label)?;
        if snapshot.open.iter().any(|open| open.intent.what.label() == label) {
            let told =
                format!("something was begun for `{label}` and has no end yet: nothing was done");
            return Err(Failure::new(Cause::Refused, told).help("`keyform apply` first").into());
        }
        is_current(writer, order, label, keyset).await?;
        let sink = place(workspace, &snapshot, order, label, keyset).await?;
        let secret =
            SecretRecord::Stored { sink: sink.into(), fingerprint: order.secret.fingerprint() };
        let secret_since = Some(SystemClock.now());
        let keyset = RecordedKeyset { secret, secret_since, ..keyset.clone() };
        writer
            .store()
            .append(Entry::Keyset { label: label.clone(), keyset: Box::new(keyset), intent: None })
            .await?;
        Ok(sink)
    });
    finished.await?.whole()
}

/// Whether the account says so.
async fn is_current(
    writer: &Writer<'_>,
    order: &Order<'_>,
    label: &Label,
    keyset: &RecordedKeyset,
) -> anyhow::Result<()> {
    let client = writer.account(&order.connect).await?;
    match (permanent(client, &keyset.id).await, order.secret.prefix()) {
        (Some(current), Some(prefix)) if current == prefix => Ok(()),
        (Some(_), _) => {
            let told =
                format!("the account has another current key for `{label}`: nothing was done");
            Err(Failure::new(Cause::Refused, told)
                .help(
                    "this one is of another keyset, or was replaced; `keyform secrets rotate` \
                     makes a new one",
                )
                .into())
        }
        (None, _) => {
            let told = format!(
                "the account does not tell which key of `{label}` is the current one: nothing was \
                 done"
            );
            Err(Failure::new(Cause::Error, told).into())
        }
    }
}

async fn place(
    workspace: &Workspace,
    snapshot: &Snapshot,
    order: &Order<'_>,
    label: &Label,
    keyset: &RecordedKeyset,
) -> anyhow::Result<&'static str> {
    let all = sinks::all(workspace)?;
    let sink = sinks::first_usable(&all).await?;
    let homes = sinks::homes(workspace);
    let custody = sinks::custody(workspace, &homes, snapshot);
    let name = custody.entry(keyset.sink_label(label));
    let request = Request {
        purpose: Purpose::Store,
        label,
        keyset: Some(keyset),
        coming: Some(order.secret.fingerprint()),
        overwrite: order.overwrite,
    };
    let placed = custody.place(sink.sink(), &name, &request, order.secret).await;
    placed.map_err(|refusal| not_placed(refusal, label))?;
    Ok(sink.name())
}

fn not_placed(refusal: Refusal, label: &Label) -> anyhow::Error {
    let may_be_told = |told: String| {
        Failure::new(Cause::Refused, told)
            .help(
                "it may be the only copy of another keyset's key; --overwrite puts this one there \
                 all the same",
            )
            .into()
    };
    match refusal {
        Refusal::Sink(error) => error.into(),
        Refusal::NotRecorded(entry) => may_be_told(format!(
            "the {} sink has something else under `{label}`, which this state does not know: \
             nothing was done",
            entry.sink
        )),
        Refusal::NotTold(entry) => may_be_told(format!(
            "the {} sink does not tell whether it has something under `{label}`, and this state \
             records nothing there: nothing was done",
            entry.sink
        )),
        Refusal::InUse(..) | Refusal::NotRead(_) => {
            let told = format!("{}: nothing was done", refusal.why());
            let failure = Failure::new(Cause::Refused, told);
            refusal.help().into_iter().fold(failure, Failure::help).into()
        }
    }
}
