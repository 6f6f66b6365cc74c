//! `state list|show|mv|rm`: what is recorded, and changes to the record alone. The account is not
//! asked.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::Global;
use super::error::{Cause, Exit, Failure};
use super::output::Output;
use super::project::LockArgs;
use super::project::{self};
use crate::apply::custody::{ReadError, Refusal};
use crate::apply::relabel;
use crate::disk;
use crate::documents::Document;
use crate::documents::state::{StateList, StateMerged, StateMoved, StateRemoved, StateShow};
use crate::keyset::Label;
use crate::keyset::views::{Recorded, RecordedKeyset, SecretRecord};
use crate::ops::Workspace;
use crate::ops::Writer;
use crate::ops::find::{find, find_app};
use crate::ops::sinks;
use crate::ports::{self, Entry, Ledger};
use crate::render::style::{BOLD, GOOD};
use crate::state::{self, Side, Snapshot, Store};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List what is recorded: apps and keysets, with their ids
    List,
    /// Print what is recorded of one keyset, as JSON; holds no secret
    Show {
        /// The keyset's label
        label: String,
    },
    /// Give a keyset or app another label, as a renamed table in TOML needs it; its secret goes
    /// along
    Mv {
        /// The label of now
        from: String,
        /// The new label
        to: String,
        /// Labels of apps, not of keysets
        #[arg(long)]
        app: bool,
        #[command(flatten)]
        lock: LockArgs,
    },
    /// Forget a keyset or app; what it stands for is left alone in the account
    Rm {
        /// The label
        label: String,
        /// The label of an app, not of a keyset
        #[arg(long)]
        app: bool,
        /// Also where nothing else would tell where its secret is
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        lock: LockArgs,
    },
    /// Make one state of two that grew apart on two branches: for git, as the driver `keyform state
    /// merge %O %A %B`
    Merge {
        /// What both began with
        base: PathBuf,
        /// The state of this branch; the result is written here
        ours: PathBuf,
        /// The state of the other branch
        theirs: PathBuf,
    },
}

pub async fn run(global: &Global, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    if let Verb::Merge { base, ours, theirs } = &args.command {
        // While branches are merged the TOML may be full of marks: it is not looked at.
        return match merge(base, ours, theirs) {
            Ok(()) => {
                said(output, "the two states are one".to_owned(), |message| StateMerged { message })
            }
            Err(error) => Err(Failure::new(
                Cause::Error,
                format!(
                    "the states were not merged: \
                                                                 {error}"
                ),
            )
            .help(
                "take one side (`git checkout --ours` or `--theirs` state/keyform.json) and \
                       apply: it finds out from the account what the other one did; secrets of the \
                       other side come back with its files",
            )
            .into()),
        };
    }
    let workspace = project::open(global, output)?;
    match &args.command {
        Verb::Merge { .. } => Ok(Exit::Done),
        Verb::List => list(&read(&workspace).await?, output),
        Verb::Show { label } => show(&read(&workspace).await?, label, output),
        Verb::Mv { from, to, app, lock } => {
            let writing = lock.writing("state mv", output);
            let finished = Writer::run(&workspace, writing, async |writer, snapshot| {
                let to = Label::parse(to)
                    .map_err(|bad| Failure::new(Cause::Error, format!("`{to}`: {bad}")))?;
                if *app {
                    move_app(writer.store(), &snapshot, from, &to).await
                } else {
                    move_keyset(&workspace, writer.store(), &snapshot, from, &to).await
                }
            });
            said(output, finished.await?.whole()?, |message| StateMoved { message })
        }
        Verb::Rm { label, app, force, lock } => {
            let writing = lock.writing("state rm", output);
            let finished = Writer::run(&workspace, writing, async |writer, snapshot| {
                remove(writer.store(), &snapshot, label, *app, *force).await
            });
            said(output, finished.await?.whole()?, |message| StateRemoved { message })
        }
    }
}

/// Reads three files, and writes what they make to `ours`.
fn merge(base: &Path, ours: &Path, theirs: &Path) -> anyhow::Result<()> {
    let (read, name) = (disk::read, |path: &Path| path.display().to_string());
    let bytes = (read(base)?, read(ours)?, read(theirs)?);
    let names = (name(base), name(ours), name(theirs));
    let joined = state::join(
        &Side { name: &names.0, bytes: bytes.0.as_deref() },
        &Side { name: &names.1, bytes: bytes.1.as_deref() },
        &Side { name: &names.2, bytes: bytes.2.as_deref() },
    )?;
    let folder = ours.parent().filter(|folder| !folder.as_os_str().is_empty());
    Ok(disk::write(ours, folder.unwrap_or(Path::new(".")), &joined)?)
}

async fn read(workspace: &Workspace) -> anyhow::Result<Recorded> {
    Ok(workspace.snapshot().await?.recorded)
}

/// `document`: what a program is told instead of `message`.
fn said<D: Document>(
    output: &Output,
    message: String,
    document: fn(String) -> D,
) -> anyhow::Result<Exit> {
    output.result(&format!("{GOOD}✓{GOOD:#} {message}\n"));
    if output.is_json() {
        output.document(document(message), Exit::Done);
    }
    Ok(Exit::Done)
}

fn list(recorded: &Recorded, output: &Output) -> anyhow::Result<Exit> {
    if output.is_json() {
        output.document(StateList::of(recorded), Exit::Done);
        return Ok(Exit::Done);
    }
    let labels = recorded.apps.keys().chain(recorded.keysets.keys());
    let width = labels.map(|label| label.as_str().len()).max().unwrap_or(0);
    let mut text = String::new();
    for (label, app) in &recorded.apps {
        text.push_str(&format!("app     {BOLD}{:width$}{BOLD:#}  {}\n", label.as_str(), app.id));
    }
    for (label, keyset) in &recorded.keysets {
        text.push_str(&format!(
            "keyset  {BOLD}{:width$}{BOLD:#}  {}  in app {}\n",
            label.as_str(),
            keyset.id,
            keyset.app
        ));
    }
    output.result(if text.is_empty() { "Nothing is recorded.\n" } else { &text });
    Ok(Exit::Done)
}

fn show(recorded: &Recorded, label: &str, output: &Output) -> anyhow::Result<Exit> {
    let (label, keyset) = find(recorded, label)?;
    output.document(StateShow::of(label, keyset), Exit::Done);
    Ok(Exit::Done)
}

/// What was begun under a label and has no end yet would be lost with it.
fn nothing_begun(snapshot: &Snapshot, label: &Label, app: bool) -> anyhow::Result<()> {
    let about = |open: &&ports::Open| {
        open.intent.what.label() == label
            && matches!(open.intent.what, ports::Creation::App { .. }) == app
    };
    match snapshot.open.iter().find(about) {
        None => Ok(()),
        Some(_) => Err(Failure::new(
            Cause::Refused,
            format!("something was begun for `{label}` and has no end yet: nothing was changed"),
        )
        .help("`keyform apply` finds out what became of it")
        .into()),
    }
}

fn free<T>(all: &std::collections::BTreeMap<Label, T>, to: &Label) -> anyhow::Result<()> {
    if all.contains_key(to) {
        let failure = Failure::new(
            Cause::Refused,
            format!("`{to}` is recorded already: nothing was changed"),
        );
        return Err(failure
            .help(format!("move that one away first, or forget it: keyform state rm {to}"))
            .into());
    }
    Ok(())
}

async fn move_keyset(
    workspace: &Workspace,
    store: &Store,
    snapshot: &Snapshot,
    from: &str,
    to: &Label,
) -> anyhow::Result<String> {
    let (from, keyset) = find(&snapshot.recorded, from)?;
    free(&snapshot.recorded.keysets, to)?;
    nothing_begun(snapshot, from, false)?;
    let homes = sinks::homes(workspace);
    let custody = sinks::custody(workspace, &homes, snapshot);
    // Sinks know secrets by label: the record must not go where its secret does not.
    custody.move_to(to, from, keyset).await.map_err(|refusal| not_moved(refusal, from, to))?;
    let note = match &keyset.secret {
        SecretRecord::Stored { sink, .. } => format!(
            "; its secret is in {sink} under the new label, and the old entry stays until you \
             delete it"
        ),
        SecretRecord::Missing { .. } | SecretRecord::Unknown => String::new(),
    };
    let moved = RecordedKeyset { secret_label: None, ..keyset.clone() };
    relabel::record_keyset(store, to, from, moved).await?;
    Ok(format!("keyset {from} is recorded as {to}{note}"))
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

async fn move_app(
    store: &Store,
    snapshot: &Snapshot,
    from: &str,
    to: &Label,
) -> anyhow::Result<String> {
    let (from, app) = find_app(&snapshot.recorded, from)?;
    free(&snapshot.recorded.apps, to)?;
    nothing_begun(snapshot, from, true)?;
    relabel::record_app(store, &snapshot.recorded, to, from, app).await?;
    Ok(format!("app {from} is recorded as {to}"))
}

async fn remove(
    store: &Store,
    snapshot: &Snapshot,
    label: &str,
    app: bool,
    force: bool,
) -> anyhow::Result<String> {
    if app {
        let (label, app) = find_app(&snapshot.recorded, label)?;
        nothing_begun(snapshot, label, true)?;
        let keysets =
            snapshot.recorded.keysets.values().filter(|keyset| keyset.app == *label).count();
        if keysets > 0 {
            let failure = Failure::new(
                Cause::Refused,
                format!("{keysets} recorded keysets are in app `{label}`: nothing was changed"),
            );
            return Err(failure.help("forget these first").into());
        }
        store.append(Entry::Forgotten { label: label.clone(), app: true }).await?;
        return Ok(format!("app {label} ({}) is forgotten, and left alone in the account", app.id));
    }
    let (label, keyset) = find(&snapshot.recorded, label)?;
    nothing_begun(snapshot, label, false)?;
    if let (SecretRecord::Stored { sink, fingerprint }, false) = (&keyset.secret, force) {
        let told = format!(
            "only the state tells that the secret of `{label}` (keyset {}) is in {sink}, and which \
             one it is ({fingerprint}): nothing was changed",
            keyset.id
        );
        return Err(Failure::new(Cause::Refused, told)
            .help("--force forgets it all the same; the entry in the sink stays")
            .into());
    }
    store.append(Entry::Forgotten { label: label.clone(), app: false }).await?;
    Ok(format!("keyset {label} ({}) is forgotten, and left alone in the account", keyset.id))
}
