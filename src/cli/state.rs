//! `state list|show|mv|rm`: what is recorded, and changes to the record alone. The account is not
//! asked.

use std::path::PathBuf;

use clap::Subcommand;

use super::Global;
use super::error::Exit;
use super::output::Output;
use super::project::{self, LockArgs};
use crate::documents::Document;
use crate::documents::state::{StateList, StateMerged, StateMoved, StateRemoved, StateShow};
use crate::keyset::views::Recorded;
use crate::ops::find::find;
use crate::ops::state::{self as change, Forgotten, Moved};
use crate::render::style::{BOLD, GOOD};

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
        change::merge(base, ours, theirs)?;
        return said(output, "the two states are one".to_owned(), |message| StateMerged {
            message,
        });
    }
    let workspace = project::open(global, output)?;
    match &args.command {
        Verb::Merge { .. } => Ok(Exit::Done),
        Verb::List => list(&workspace.snapshot().await?.recorded, output),
        Verb::Show { label } => show(&workspace.snapshot().await?.recorded, label, output),
        Verb::Mv { from, to, app, lock } => {
            let writing = lock.writing("state mv", output);
            let text = if *app {
                let Moved { from, to, .. } =
                    change::move_app(&workspace, writing, from, to).await?;
                format!("app {from} is recorded as {to}")
            } else {
                moved(&change::move_keyset(&workspace, writing, from, to).await?)
            };
            said(output, text, |message| StateMoved { message })
        }
        Verb::Rm { label, app, force, lock } => {
            let writing = lock.writing("state rm", output);
            let gone = if *app {
                change::forget_app(&workspace, writing, label).await?
            } else {
                change::forget_keyset(&workspace, writing, label, *force).await?
            };
            let what = match gone {
                Forgotten::App(label, id) => format!("app {label} ({id})"),
                Forgotten::Keyset(label, id) => format!("keyset {label} ({id})"),
            };
            let text = format!("{what} is forgotten, and left alone in the account");
            said(output, text, |message| StateRemoved { message })
        }
    }
}

fn moved(Moved { from, to, secret_in }: &Moved) -> String {
    let note = secret_in.as_ref().map(|sink| {
        format!(
            "; its secret is in {sink} under the new label, and the old entry stays until you \
             delete it"
        )
    });
    format!("keyset {from} is recorded as {to}{}", note.unwrap_or_default())
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
