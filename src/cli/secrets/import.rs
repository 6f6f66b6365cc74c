//! `secrets import`: a secret key that somebody has, for a keyset of which keyform has none, or an
//! old one.

use std::io::Read;

use zeroize::Zeroizing;

use super::super::error::{Cause, Exit, Failure};
use super::super::output::Output;
use super::super::project::ConnectArgs;
use super::super::project::LockArgs;
use crate::apply::custody::{Purpose, Refusal, Request};
use crate::apply::rotate::permanent;
use crate::documents::secrets::SecretImport;
use crate::keyset::views::{RecordedKeyset, SecretRecord};
use crate::keyset::{Label, Secret};
use crate::ops::SystemClock;
use crate::ops::Workspace;
use crate::ops::Writer;
use crate::ops::find::find;
use crate::ops::sinks;
use crate::ports::{Clock, Entry, Ledger};
use crate::render::style::GOOD;
use crate::state::Snapshot;

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
    let secret = read()?;
    let writing = args.lock.writing("secrets import", output);
    let finished = Writer::run(workspace, writing, async |writer, snapshot| {
        import(workspace, args, writer, &snapshot, &secret).await
    });
    let sink = finished.await?.whole()?;
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

/// Puts it into a sink if the account says that it is the current one.
async fn import(
    workspace: &Workspace,
    args: &Args,
    writer: &Writer<'_>,
    snapshot: &Snapshot,
    secret: &Secret,
) -> anyhow::Result<&'static str> {
    let (label, keyset) = find(&snapshot.recorded, &args.label)?;
    if snapshot.open.iter().any(|open| open.intent.what.label() == label) {
        return Err(Failure::new(
            Cause::Refused,
            format!("something was begun for `{label}` and has no end yet: nothing was done"),
        )
        .help("`keyform apply` first")
        .into());
    }
    let client = writer.account(&args.connect.options()).await?;
    let current = permanent(client, &keyset.id).await;
    match (current, secret.prefix()) {
        (Some(current), Some(prefix)) if current == prefix => {}
        (Some(_), _) => {
            return Err(Failure::new(
                Cause::Refused,
                format!(
                    "the account has another current key \
                                                            for `{label}`: nothing was done"
                ),
            )
            .help(
                "this one is of another keyset, or was replaced; `keyform secrets rotate` \
                       makes a new one",
            )
            .into());
        }
        (None, _) => {
            return Err(Failure::new(
                Cause::Error,
                format!(
                    "the account does not tell which key of `{label}` is the current one: \
                         nothing was done"
                ),
            )
            .into());
        }
    }
    let all = sinks::all(workspace)?;
    let sink = sinks::first_usable(&all).await?;
    let homes = sinks::homes(workspace);
    let custody = sinks::custody(workspace, &homes, snapshot);
    let name = custody.entry(keyset.sink_label(label));
    let request = Request {
        purpose: Purpose::Store,
        label,
        keyset: Some(keyset),
        coming: Some(secret.fingerprint()),
        overwrite: args.overwrite,
    };
    let placed = custody.place(sink.sink(), &name, &request, secret).await;
    placed.map_err(|refusal| not_placed(refusal, label))?;
    let record =
        SecretRecord::Stored { sink: sink.name().into(), fingerprint: secret.fingerprint() };
    let keyset =
        RecordedKeyset { secret: record, secret_since: Some(SystemClock.now()), ..keyset.clone() };
    writer
        .store()
        .append(Entry::Keyset { label: label.clone(), keyset: Box::new(keyset), intent: None })
        .await?;
    Ok(sink.name())
}

fn not_placed(refusal: Refusal, label: &Label) -> anyhow::Error {
    let refused = |told: String| {
        Failure::new(Cause::Refused, told).help(
            "it may be the only copy of another keyset's key; --overwrite puts this one there all \
             the same",
        )
    };
    match refusal {
        Refusal::Sink(error) => error.into(),
        Refusal::NotRecorded(entry) => refused(format!(
            "the {} sink has something else under `{label}`, which this state does not know: \
             nothing was done",
            entry.sink
        ))
        .into(),
        Refusal::NotTold(entry) => refused(format!(
            "the {} sink does not tell whether it has something under `{label}`, and this state \
             records nothing there: nothing was done",
            entry.sink
        ))
        .into(),
        Refusal::InUse(..) | Refusal::NotRead(_) => {
            let failure =
                Failure::new(Cause::Refused, format!("{}: nothing was done", refusal.why()));
            failure.help(refusal.help().unwrap_or_default()).into()
        }
    }
}
