//! `secrets list` and `secrets get`.

use super::super::error::Exit;
use super::super::output::Output;
use crate::documents::secrets::SecretsList;
use crate::keyset::views::{Recorded, SecretRecord};
use crate::ops::Workspace;
use crate::ops::find::{find, secret_of};
use crate::ops::sinks;
use crate::render::style::{BAD, BOLD};
use crate::render::text::terminal;
use crate::state::Snapshot;

pub fn list(recorded: &Recorded, output: &Output) -> anyhow::Result<Exit> {
    if output.is_json() {
        output.document(SecretsList::of(recorded), Exit::Done);
        return Ok(Exit::Done);
    }
    if recorded.keysets.is_empty() {
        output.result("No keysets in the state.\n");
        return Ok(Exit::Done);
    }
    let width =
        recorded.keysets.keys().map(|l| l.as_str().len()).max().unwrap_or(0).max("LABEL".len());
    let ids =
        recorded.keysets.values().map(|k| k.id.as_str().len()).max().unwrap_or(0).max("ID".len());
    let mut text = format!("{BOLD}{:width$}  {:ids$}  SECRET{BOLD:#}\n", "LABEL", "ID");
    for (label, keyset) in &recorded.keysets {
        let secret = match &keyset.secret {
            SecretRecord::Stored { sink, fingerprint } => format!("{sink}  {fingerprint}"),
            SecretRecord::Missing { why, .. } => format!("{BAD}MISSING{BAD:#}: {}", terminal(why)),
            SecretRecord::Unknown => "unknown: the keyset was adopted".to_owned(),
        };
        text.push_str(&format!(
            "{:width$}  {:ids$}  {secret}\n",
            label.as_str(),
            keyset.id.as_str()
        ));
    }
    output.result(&text);
    Ok(Exit::Done)
}

pub async fn get(
    workspace: &Workspace,
    snapshot: &Snapshot,
    text: &str,
    no_newline: bool,
    output: &Output,
) -> anyhow::Result<Exit> {
    let (label, keyset) = find(&snapshot.recorded, text)?;
    let homes = sinks::homes(workspace);
    let custody = sinks::custody(workspace, &homes, snapshot);
    let secret = secret_of(&custody, label, keyset).await?;
    output.raw(secret.expose_secret());
    if !no_newline {
        output.raw("\n");
    }
    Ok(Exit::Done)
}
