//! `secrets copy`: from the sinks that have the secrets to another one.

use super::super::error::{Cause, Exit, Failure};
use super::super::output::Output;
use super::super::project::LockArgs;
use crate::apply::Custody;
use crate::apply::custody::{Purpose, ReadError, Refusal, Request};
use crate::documents::secrets::{Copied, CopyOutcome, SecretsCopy};
use crate::keyset::Label;
use crate::keyset::views::{RecordedKeyset, SecretRecord};
use crate::ops::Workspace;
use crate::ops::Writer;
use crate::ops::find::{ADOPTED, find};
use crate::ops::sinks;
use crate::ops::sinks::SINK_HELP;
use crate::ports::{Entry, Ledger, Probed, Sink};
use crate::render::style::{BAD, GOOD};
use crate::render::text::{count, terminal};
use crate::secrets::AnySink;
use crate::state::{Snapshot, Store};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where they go: keyring, keyring-files, age or exec
    #[arg(long, value_name = "SINK")]
    to: String,
    /// Also where the other sink has something else under the same name, or does not tell
    #[arg(long)]
    overwrite: bool,
    /// Labels of keysets; all of them if none is named
    labels: Vec<String>,
    #[command(flatten)]
    lock: LockArgs,
}

pub async fn run(workspace: &Workspace, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let target = sinks::named(workspace, &args.to)?;
    let writing = args.lock.writing("secrets copy", output);
    let finished = Writer::run(workspace, writing, async |writer, snapshot| {
        let wanted: Vec<(&Label, &RecordedKeyset)> = if args.labels.is_empty() {
            snapshot.recorded.keysets.iter().collect()
        } else {
            args.labels
                .iter()
                .map(|text| find(&snapshot.recorded, text))
                .collect::<anyhow::Result<_>>()?
        };
        copy(workspace, writer.store(), &snapshot, &target, args.overwrite, &wanted).await
    });
    let done = finished.await?.whole()?;
    let failed = done.iter().filter(|(_, end)| end.is_err()).count();
    let exit = if failed == 0 { Exit::Done } else { Exit::Partial };
    if output.is_json() {
        let keysets = done.into_iter().map(|(label, end)| Copied {
            label: label.clone(),
            outcome: match end {
                Ok(true) => CopyOutcome::Copied,
                Ok(false) => CopyOutcome::ThereAlready,
                Err(message) => CopyOutcome::Failed { message },
            },
        });
        let to = target.name().to_owned();
        output.document(SecretsCopy { to, keysets: keysets.collect() }, exit);
        return Ok(exit);
    }
    let mut text = String::new();
    for (label, end) in &done {
        if let Err(why) = end {
            text.push_str(&format!("{BAD}✗{BAD:#} {label}: {}\n", terminal(why)));
        }
    }
    let copied = done.iter().filter(|(_, end)| matches!(end, Ok(true))).count();
    let there = done.len() - copied - failed;
    text.push_str(&format!(
        "{GOOD}{} copied{GOOD:#} to {}, {there} there already, {failed} failed.\n",
        count(copied, "secret"),
        target.name()
    ));
    output.result(&text);
    Ok(exit)
}

/// For each keyset whether its secret was copied, or was there already, or why not.
async fn copy(
    workspace: &Workspace,
    store: &Store,
    snapshot: &Snapshot,
    target: &AnySink,
    overwrite: bool,
    wanted: &[(&Label, &RecordedKeyset)],
) -> anyhow::Result<Vec<(Label, Result<bool, String>)>> {
    if let Some(open) = snapshot.open.iter().find(|open| open.sealed.is_some()) {
        let label = open.intent.what.label();
        return Err(Failure::new(
            Cause::Error,
            format!("the secret of `{label}` is still sealed in the journal: nothing was done"),
        )
        .help("`keyform secrets recover` first")
        .into());
    }
    let probed = Probed::of(target).await;
    probed.map_err(|error| {
        Failure::new(Cause::NoSink, format!("nothing was copied: {error}")).help(SINK_HELP)
    })?;
    let homes = sinks::homes(workspace);
    let copying =
        Copying { custody: &sinks::custody(workspace, &homes, snapshot), store, target, overwrite };
    let mut done = Vec::new();
    for (label, keyset) in wanted {
        let end = copying.one(label, keyset).await;
        done.push(((*label).clone(), end.map_err(|error| error.to_string())));
    }
    Ok(done)
}

struct Copying<'a> {
    custody: &'a Custody<'a, AnySink>,
    store: &'a Store,
    target: &'a AnySink,
    overwrite: bool,
}

impl Copying<'_> {
    /// Whether it was copied, or was there already.
    async fn one(&self, label: &Label, keyset: &RecordedKeyset) -> anyhow::Result<bool> {
        if matches!(&keyset.secret, SecretRecord::Stored { sink, .. } if **sink == *self.target.name())
        {
            return Ok(false);
        }
        let secret = self.custody.read(label, keyset).await.map_err(not_read)?;
        let request = Request {
            purpose: Purpose::Store,
            label,
            keyset: Some(keyset),
            coming: Some(secret.fingerprint()),
            overwrite: self.overwrite,
        };
        let name = self.custody.entry(keyset.sink_label(label));
        let placed = self.custody.place(self.target, &name, &request, &secret).await;
        placed.map_err(not_placed)?;
        let secret = SecretRecord::Stored {
            sink: self.target.name().into(),
            fingerprint: secret.fingerprint(),
        };
        let keyset = RecordedKeyset { secret, ..keyset.clone() };
        self.store
            .append(Entry::Keyset { label: label.clone(), keyset: Box::new(keyset), intent: None })
            .await?;
        Ok(true)
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
