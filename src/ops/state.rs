//! Changes to the record alone: other labels, and what is forgotten. The account is not asked.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::{Cause, Failure};
use super::find::{find, find_app};
use super::sinks;
use super::workspace::Workspace;
use super::writer::{Writer, Writing};
use crate::apply::custody::{ReadError, Refusal};
use crate::apply::relabel;
use crate::disk;
use crate::keyset::views::{RecordedKeyset, SecretRecord};
use crate::keyset::{AppId, KeysetId, Label};
use crate::ports::{Creation, Entry, Ledger, Open};
use crate::state::{self, Side, Snapshot, Store};

/// What is recorded under another label now.
pub struct Moved {
    pub from: Label,
    pub to: Label,
    /// The sink that has the keyset's secret under the new label too; the old entry stays.
    pub secret_in: Option<Box<str>>,
}

/// Gives a keyset another label; its secret goes along.
pub async fn move_keyset(
    workspace: &Workspace,
    writing: Writing<'_>,
    from: &str,
    to: &str,
) -> anyhow::Result<Moved> {
    let finished = Writer::run(workspace, writing, async |writer, snapshot| {
        let to = parse(to)?;
        let (from, keyset) = find(&snapshot.recorded, from)?;
        is_free(&snapshot.recorded.keysets, &to)?;
        nothing_begun(&snapshot, from, false)?;
        let homes = sinks::homes(workspace);
        let custody = sinks::custody(workspace, &homes, &snapshot);
        // Sinks know secrets by label: the record must not go where its secret does not.
        let moved = custody.move_to(&to, from, keyset).await;
        moved.map_err(|refusal| not_moved(refusal, from, &to))?;
        let secret_in = keyset.secret.sink().map(Into::into);
        let record = RecordedKeyset { secret_label: None, ..keyset.clone() };
        relabel::record_keyset(writer.store(), &to, from, record).await?;
        Ok(Moved { from: from.clone(), to, secret_in })
    });
    finished.await?.whole()
}

/// Gives an app another label; its keysets are recorded as being in it.
pub async fn move_app(
    workspace: &Workspace,
    writing: Writing<'_>,
    from: &str,
    to: &str,
) -> anyhow::Result<Moved> {
    let finished = Writer::run(workspace, writing, async |writer, snapshot| {
        let to = parse(to)?;
        let (from, app) = find_app(&snapshot.recorded, from)?;
        is_free(&snapshot.recorded.apps, &to)?;
        nothing_begun(&snapshot, from, true)?;
        relabel::record_app(writer.store(), &snapshot.recorded, &to, from, app).await?;
        Ok(Moved { from: from.clone(), to, secret_in: None })
    });
    finished.await?.whole()
}

/// What is recorded no more, and left alone in the account.
pub enum Forgotten {
    App(Label, AppId),
    Keyset(Label, KeysetId),
}

/// Forgets an app that holds no recorded keysets.
pub async fn forget_app(
    workspace: &Workspace,
    writing: Writing<'_>,
    label: &str,
) -> anyhow::Result<Forgotten> {
    let finished = Writer::run(workspace, writing, async |writer, snapshot| {
        let (label, app) = find_app(&snapshot.recorded, label)?;
        nothing_begun(&snapshot, label, true)?;
        let inside = snapshot.recorded.keysets.values().filter(|keyset| keyset.app == *label);
        let keysets = inside.count();
        if keysets > 0 {
            let told =
                format!("{keysets} recorded keysets are in app `{label}`: nothing was changed");
            return Err(Failure::new(Cause::Refused, told).help("forget these first").into());
        }
        forget(writer.store(), label, true).await?;
        Ok(Forgotten::App(label.clone(), app.id.clone()))
    });
    finished.await?.whole()
}

/// Forgets a keyset. `force`: also where nothing else would tell where its secret is.
pub async fn forget_keyset(
    workspace: &Workspace,
    writing: Writing<'_>,
    label: &str,
    force: bool,
) -> anyhow::Result<Forgotten> {
    let finished = Writer::run(workspace, writing, async |writer, snapshot| {
        let (label, keyset) = find(&snapshot.recorded, label)?;
        nothing_begun(&snapshot, label, false)?;
        if let (SecretRecord::Stored { sink, fingerprint }, false) = (&keyset.secret, force) {
            let told = format!(
                "only the state tells that the secret of `{label}` (keyset {}) is in {sink}, and \
                 which one it is ({fingerprint}): nothing was changed",
                keyset.id
            );
            return Err(Failure::new(Cause::Refused, told)
                .help("--force forgets it all the same; the entry in the sink stays")
                .into());
        }
        forget(writer.store(), label, false).await?;
        Ok(Forgotten::Keyset(label.clone(), keyset.id.clone()))
    });
    finished.await?.whole()
}

/// Makes one state of two that grew apart, and writes it to `ours`. Files that are there are read,
/// whatever project they are of.
pub fn merge(base: &Path, ours: &Path, theirs: &Path) -> anyhow::Result<()> {
    let (read, name) = (disk::read, |path: &Path| path.display().to_string());
    let names = (name(base), name(ours), name(theirs));
    let joined = || -> anyhow::Result<()> {
        let bytes = (read(base)?, read(ours)?, read(theirs)?);
        let joined = state::join(
            &Side { name: &names.0, bytes: bytes.0.as_deref() },
            &Side { name: &names.1, bytes: bytes.1.as_deref() },
            &Side { name: &names.2, bytes: bytes.2.as_deref() },
        )?;
        let folder = ours.parent().filter(|folder| !folder.as_os_str().is_empty());
        Ok(disk::write(ours, folder.unwrap_or(Path::new(".")), &joined)?)
    };
    joined().map_err(|error| {
        Failure::new(Cause::Error, format!("the states were not merged: {error}"))
            .help(
                "take one side (`git checkout --ours` or `--theirs` state/keyform.json) and apply: \
                 it finds out from the account what the other one did; secrets of the other side \
                 come back with its files",
            )
            .into()
    })
}

async fn forget(store: &Store, label: &Label, app: bool) -> anyhow::Result<()> {
    Ok(store.append(Entry::Forgotten { label: label.clone(), app }).await?)
}

fn parse(label: &str) -> anyhow::Result<Label> {
    let parsed = Label::parse(label);
    parsed.map_err(|bad| Failure::new(Cause::Error, format!("`{label}`: {bad}")).into())
}

/// What was begun under a label and has no end yet would be lost with it.
fn nothing_begun(snapshot: &Snapshot, label: &Label, app: bool) -> anyhow::Result<()> {
    let about = |open: &&Open| {
        open.intent.what.label() == label && matches!(open.intent.what, Creation::App { .. }) == app
    };
    if snapshot.open.iter().find(about).is_none() {
        return Ok(());
    }
    let told = format!("something was begun for `{label}` and has no end yet: nothing was changed");
    let failure = Failure::new(Cause::Refused, told);
    Err(failure.help("`keyform apply` finds out what became of it").into())
}

fn is_free<T>(all: &BTreeMap<Label, T>, to: &Label) -> anyhow::Result<()> {
    if !all.contains_key(to) {
        return Ok(());
    }
    let told = format!("`{to}` is recorded already: nothing was changed");
    let help = format!("move that one away first, or forget it: keyform state rm {to}");
    Err(Failure::new(Cause::Refused, told).help(help).into())
}

fn not_moved(refusal: Refusal, from: &Label, to: &Label) -> anyhow::Error {
    let refused = |told: String, help: &str| Failure::new(Cause::Refused, told).help(help).into();
    match refusal {
        Refusal::NotRead(ReadError::NotThere(sink) | ReadError::Another(sink)) => refused(
            format!(
                "the {sink} sink does not have the secret of `{from}` that is recorded: nothing \
                 was changed"
            ),
            "`keyform secrets doctor` looks further",
        ),
        Refusal::NotRead(ReadError::NoSink(missing)) => {
            Failure::new(Cause::Error, missing.why).into()
        }
        Refusal::NotRead(ReadError::Sink(error)) | Refusal::Sink(error) => error.into(),
        Refusal::NotRecorded(entry) | Refusal::NotTold(entry) | Refusal::InUse(entry, _) => {
            refused(
                format!(
                    "the {} sink has another secret for `{to}` already: nothing was changed",
                    entry.sink
                ),
                "it may be the only copy of another keyset's; choose another label, or delete it \
                 with the sink's own tool",
            )
        }
        // A keyset without a stored secret has none to move.
        Refusal::NotRead(error @ (ReadError::NeverHad | ReadError::Missing(_))) => error.into(),
    }
}
