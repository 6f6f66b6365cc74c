//! Secrets go from the sinks that have them to another one, which is theirs from then on.

use super::super::error::{Cause, Failure};
use super::super::find::{ADOPTED, find};
use super::super::sinks::{self, SINK_HELP};
use super::super::workspace::Workspace;
use super::super::writer::{Writer, Writing};
use crate::apply::Custody;
use crate::apply::custody::{Purpose, ReadError, Refusal, Request};
use crate::keyset::Label;
use crate::keyset::views::{RecordedKeyset, SecretRecord};
use crate::ports::{Entry, Ledger, Probed, Sink};
use crate::secrets::AnySink;
use crate::state::{Snapshot, Store};

/// What is copied where.
pub struct Order<'a> {
    /// The name of a sink.
    pub to: &'a str,
    /// Labels of keysets; all of them if there is none.
    pub labels: &'a [String],
    /// Also over what the other sink has, or may have, under the same name.
    pub overwrite: bool,
}

/// How it ended for each keyset.
pub struct Copies {
    pub to: &'static str,
    pub keysets: Vec<(Label, Copied)>,
}

pub enum Copied {
    Now,
    ThereAlready,
    Failed { why: String },
}

pub async fn copy(
    workspace: &Workspace,
    writing: Writing<'_>,
    order: &Order<'_>,
) -> anyhow::Result<Copies> {
    let target = sinks::named(workspace, order.to)?;
    let finished = Writer::run(workspace, writing, async |writer, snapshot| {
        let wanted: Vec<(&Label, &RecordedKeyset)> = if order.labels.is_empty() {
            snapshot.recorded.keysets.iter().collect()
        } else {
            let find = |text: &String| find(&snapshot.recorded, text);
            order.labels.iter().map(find).collect::<anyhow::Result<_>>()?
        };
        nothing_sealed(&snapshot)?;
        Probed::of(&target).await.map_err(|error| {
            Failure::new(Cause::NoSink, format!("nothing was copied: {error}")).help(SINK_HELP)
        })?;
        let homes = sinks::homes(workspace);
        let copying = Copying {
            custody: &sinks::custody(workspace, &homes, &snapshot),
            store: writer.store(),
            target: &target,
            overwrite: order.overwrite,
        };
        let mut keysets = Vec::new();
        for (label, keyset) in wanted {
            let end = copying.one(label, keyset).await;
            let end = end.unwrap_or_else(|error| Copied::Failed { why: error.to_string() });
            keysets.push((label.clone(), end));
        }
        Ok(Copies { to: target.name(), keysets })
    });
    finished.await?.whole()
}

/// What is sealed may be newer than what a sink has.
fn nothing_sealed(snapshot: &Snapshot) -> anyhow::Result<()> {
    let Some(open) = snapshot.open.iter().find(|open| open.sealed.is_some()) else { return Ok(()) };
    let told = format!(
        "the secret of `{}` is still sealed in the journal: nothing was done",
        open.intent.what.label()
    );
    Err(Failure::new(Cause::Error, told).help("`keyform secrets recover` first").into())
}

struct Copying<'a> {
    custody: &'a Custody<'a, AnySink>,
    store: &'a Store,
    target: &'a AnySink,
    overwrite: bool,
}

impl Copying<'_> {
    async fn one(&self, label: &Label, keyset: &RecordedKeyset) -> anyhow::Result<Copied> {
        if keyset.secret.sink() == Some(self.target.name()) {
            return Ok(Copied::ThereAlready);
        }
        let secret = self.custody.read(label, keyset).await.map_err(not_read)?;
        let fingerprint = secret.fingerprint();
        let request = Request {
            purpose: Purpose::Store,
            label,
            keyset: Some(keyset),
            coming: Some(fingerprint.clone()),
            overwrite: self.overwrite,
        };
        let name = self.custody.entry(keyset.sink_label(label));
        let placed = self.custody.place(self.target, &name, &request, &secret).await;
        placed.map_err(not_placed)?;
        let secret = SecretRecord::Stored { sink: self.target.name().into(), fingerprint };
        let keyset = RecordedKeyset { secret, ..keyset.clone() };
        self.store
            .append(Entry::Keyset { label: label.clone(), keyset: Box::new(keyset), intent: None })
            .await?;
        Ok(Copied::Now)
    }
}

fn not_read(error: ReadError) -> anyhow::Error {
    match error {
        ReadError::NeverHad => anyhow::anyhow!("the keyset was adopted: {ADOPTED}"),
        ReadError::Missing(why) => {
            anyhow::anyhow!("it has no secret that could be copied: {why}")
        }
        ReadError::NotThere(from) | ReadError::Another(from) => anyhow::anyhow!(
            "the {from} sink does not have the secret that the state records; `keyform secrets \
             doctor` looks further"
        ),
        ReadError::NoSink(missing) => missing.into(),
        ReadError::Sink(error) => error.into(),
    }
}

fn not_placed(refusal: Refusal) -> anyhow::Error {
    match refusal {
        Refusal::NotRecorded(entry) => anyhow::anyhow!(
            "the {} sink has something under this name already, and it may be the only copy of it: \
             --overwrite replaces it",
            entry.sink
        ),
        Refusal::NotTold(entry) => anyhow::anyhow!(
            "the {} sink does not tell whether it has something under this name already, which may \
             be the only copy of it: --overwrite puts it there all the same",
            entry.sink
        ),
        Refusal::Sink(error) => error.into(),
        Refusal::InUse(..) | Refusal::NotRead(_) => anyhow::anyhow!(refusal.why()),
    }
}
