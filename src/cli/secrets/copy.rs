//! `secrets copy`: from the sinks that have the secrets to another one.

use super::super::error::Exit;
use super::super::output::Output;
use super::super::project::LockArgs;
use crate::documents::secrets::{Copied as KeysetCopied, CopyOutcome, SecretsCopy};
use crate::ops::Workspace;
use crate::ops::secrets::copy::{self, Copied, Copies, Order};
use crate::render::style::{BAD, GOOD};
use crate::render::text::{count, terminal};

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
    let writing = args.lock.writing("secrets copy", output);
    let order = Order { to: &args.to, labels: &args.labels, overwrite: args.overwrite };
    let copies = copy::copy(workspace, writing, &order).await?;
    let how_many =
        |which: fn(&Copied) -> bool| copies.keysets.iter().filter(|(_, end)| which(end)).count();
    let failed = how_many(|end| matches!(end, Copied::Failed { .. }));
    let exit = if failed == 0 { Exit::Done } else { Exit::Partial };
    if output.is_json() {
        output.document(document(copies), exit);
        return Ok(exit);
    }
    let mut text = String::new();
    for (label, end) in &copies.keysets {
        if let Copied::Failed { why } = end {
            text.push_str(&format!("{BAD}✗{BAD:#} {label}: {}\n", terminal(why)));
        }
    }
    let copied = how_many(|end| matches!(end, Copied::Now));
    let there = how_many(|end| matches!(end, Copied::ThereAlready));
    text.push_str(&format!(
        "{GOOD}{} copied{GOOD:#} to {}, {there} there already, {failed} failed.\n",
        count(copied, "secret"),
        copies.to
    ));
    output.result(&text);
    Ok(exit)
}

fn document(copies: Copies) -> SecretsCopy {
    let keysets = copies.keysets.into_iter().map(|(label, end)| KeysetCopied {
        label,
        outcome: match end {
            Copied::Now => CopyOutcome::Copied,
            Copied::ThereAlready => CopyOutcome::ThereAlready,
            Copied::Failed { why } => CopyOutcome::Failed { message: why },
        },
    });
    SecretsCopy { to: copies.to.to_owned(), keysets: keysets.collect() }
}
