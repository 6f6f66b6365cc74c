//! `secrets import`: a secret key that somebody has, for a keyset of which keyform has none, or an
//! old one.

use std::io::Read;

use zeroize::Zeroizing;

use super::super::error::{Cause, Exit, Failure};
use super::super::output::Output;
use super::super::project::{ConnectArgs, LockArgs};
use crate::documents::secrets::SecretImport;
use crate::keyset::Secret;
use crate::ops::Workspace;
use crate::ops::secrets::import::{self, Order};
use crate::render::style::GOOD;

/// Longest input read, in bytes; a key has about sixty.
const MAX: u64 = 4096;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The keyset's label; the key is read from stdin
    label: String,
    /// Also over something that the sink has under this name, or may have, and the state does not
    /// record
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    lock: LockArgs,
}

pub async fn run(workspace: &Workspace, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let order = Order {
        label: &args.label,
        secret: &read()?,
        overwrite: args.overwrite,
        connect: args.connect.options(),
    };
    let writing = args.lock.writing("secrets import", output);
    let sink = import::import(workspace, writing, &order).await?;
    output.result(&format!(
        "{GOOD}✓{GOOD:#} the secret key of keyset {} is the current one, and is in {sink} now\n",
        args.label
    ));
    if output.is_json() {
        let (label, sink) = (args.label.clone(), sink.to_string());
        output.document(SecretImport { label, sink }, Exit::Done);
    }
    Ok(Exit::Done)
}

fn read() -> anyhow::Result<Secret> {
    let mut text = Zeroizing::new(String::with_capacity(MAX as usize + 1));
    std::io::stdin().lock().take(MAX + 1).read_to_string(&mut text)?;
    let key = Zeroizing::new(text.trim().to_owned());
    if text.len() as u64 > MAX || !key.starts_with("sec-c-") {
        let failure =
            Failure::new(Cause::Error, "stdin holds no secret key (sec-c-...): nothing was done");
        return Err(failure.help("keyform secrets import LABEL < FILE").into());
    }
    Ok(Secret::parse(key)?)
}
