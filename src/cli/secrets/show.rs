//! `secrets list` and `secrets get`.

use super::super::error::{Exit, Failure};
use super::super::output::Output;
use super::super::session::Session;
use super::super::sinks;
use super::{ADOPTED, find};
use crate::apply::Custody;
use crate::apply::custody::ReadError;
use crate::documents::secrets::SecretsList;
use crate::keyset::views::{Recorded, RecordedKeyset, SecretRecord};
use crate::keyset::{Label, Secret};
use crate::render::style::{BAD, BOLD};
use crate::render::text::terminal;
use crate::secrets::AnySink;
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
    session: &Session,
    snapshot: &Snapshot,
    text: &str,
    no_newline: bool,
    output: &Output,
) -> anyhow::Result<Exit> {
    let (label, keyset) = find(&snapshot.recorded, text)?;
    let homes = sinks::homes(session);
    let custody = sinks::custody(session, &homes, snapshot);
    let secret = secret_of(&custody, label, keyset).await?;
    output.raw(secret.expose_secret());
    if !no_newline {
        output.raw("\n");
    }
    Ok(Exit::Done)
}

/// The keyset's secret key, the very one that was stored; or why it is not to be had.
pub async fn secret_of(
    custody: &Custody<'_, AnySink>,
    label: &Label,
    keyset: &RecordedKeyset,
) -> anyhow::Result<Secret> {
    custody.read(label, keyset).await.map_err(|error| not_read(error, label))
}

fn not_read(error: ReadError, label: &Label) -> anyhow::Error {
    let failed = |told: String, help: &str| Failure::new(Exit::Error, told).help(help).into();
    match error {
        ReadError::NeverHad => failed(
            format!("the keyset `{label}` was adopted, and keyform never had its secret key"),
            ADOPTED,
        ),
        ReadError::Missing(why) => failed(
            format!("the secret of `{label}` was never stored: {why}"),
            "`keyform apply` makes a new secret key for it, since nobody can be using the one that \
             is lost",
        ),
        ReadError::NoSink(missing) => Failure::new(Exit::Error, missing.why).into(),
        ReadError::NotThere(sink) => failed(
            format!("the {sink} sink has no secret for `{label}`"),
            "it was stored on another machine or by another user, or it was removed; `keyform \
             secrets doctor` looks further",
        ),
        ReadError::Another(sink) => failed(
            format!("the {sink} sink holds another secret for `{label}` than the state records"),
            "another clone of this project may have written it; nothing was printed",
        ),
        ReadError::Sink(error) => error.into(),
    }
}
