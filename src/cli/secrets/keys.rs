//! `secrets keys` and `secrets expire`: the secret keys that an account's keyset has, by their
//! public prefixes.

use std::time::Duration;

use super::super::error::Exit;
use super::super::output::Output;
use super::super::project::{ConnectArgs, LockArgs, duration};
use crate::documents::secrets::{SecretExpire, SecretKey, SecretKeys};
use crate::ops::Workspace;
use crate::ops::secrets::keys::{self, Expired, Expiry, Key};
use crate::render::style::{BOLD, DIM, GOOD};

#[derive(Debug, clap::Args)]
pub struct KeysArgs {
    /// The keyset's label
    label: String,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, clap::Args)]
pub struct ExpireArgs {
    /// The keyset's label
    label: String,
    /// Which key: `sec-c-` and five characters, as `secrets keys` shows it
    prefix: String,
    /// It ends now: whatever uses it stops working
    #[arg(long, required_unless_present = "within", conflicts_with = "within")]
    now: bool,
    /// It ends after this time: 60s to 366 days, such as 1h; needs a paid plan
    #[arg(long = "in", value_name = "DURATION", value_parser = duration)]
    within: Option<Duration>,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    lock: LockArgs,
}

pub async fn list(workspace: &Workspace, args: &KeysArgs, output: &Output) -> anyhow::Result<Exit> {
    let (label, keys) = keys::list(workspace, &args.label, &args.connect.options()).await?;
    if output.is_json() {
        let keys = keys.into_iter().map(|Key { listed, stored }| SecretKey {
            prefix: listed.prefix,
            expires_at: listed.expires_at,
            stored,
        });
        output.document(SecretKeys { label, keys: keys.collect() }, Exit::Done);
        return Ok(Exit::Done);
    }
    let mut text = format!("{BOLD}{:13}{:27}{BOLD:#}\n", "KEY", "WORKS");
    for Key { listed, stored } in &keys {
        let prefix =
            listed.prefix.as_ref().map_or_else(|| "(not told)".to_owned(), ToString::to_string);
        let works =
            listed.expires_at.map_or_else(|| "for ever".to_owned(), |at| format!("until {at:.0}"));
        let note = match stored {
            Some(true) => format!("{GOOD}the one that is stored{GOOD:#}"),
            Some(false) if listed.expires_at.is_none() => "not the one that is stored".to_owned(),
            _ => String::new(),
        };
        text.push_str(format!("{prefix:13}{works:27}{note}").trim_end());
        text.push('\n');
    }
    output.result(&text);
    Ok(Exit::Done)
}

pub async fn expire(
    workspace: &Workspace,
    args: &ExpireArgs,
    output: &Output,
) -> anyhow::Result<Exit> {
    let expiry = Expiry {
        label: &args.label,
        prefix: &args.prefix,
        within: args.within,
        connect: args.connect.options(),
    };
    let writing = args.lock.writing("secrets expire", output);
    let Expired { label, id, prefix, until } = keys::expire(workspace, writing, &expiry).await?;
    if output.is_json() {
        output.document(SecretExpire { label, prefix, expires_at: until }, Exit::Done);
        return Ok(Exit::Done);
    }
    let when =
        until.map_or_else(|| "works no more".to_owned(), |at| format!("works until {at:.0}"));
    output.result(&format!(
        "{GOOD}✓{GOOD:#} {prefix} of keyset {BOLD}{label}{BOLD:#} {when} {DIM}(id {id}){DIM:#}\n"
    ));
    Ok(Exit::Done)
}
