use anyhow::anyhow;
use clap::Subcommand;

use super::Global;
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::{self, Session};
use crate::keyset::views::{Recorded, RecordedKeyset, SecretRecord};
use crate::keyset::{Label, Secret};
use crate::ports::{SecretName, Sink};
use crate::render::style::{BAD, BOLD};
use crate::render::text::{nearest, terminal};
use crate::state;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the keysets and where their secrets are; shows no secret
    List,
    /// Print the secret key of one keyset to stdout
    Get {
        /// The keyset's label
        label: String,
        /// No newline after the key
        #[arg(short, long)]
        no_newline: bool,
    },
}

pub async fn run(global: &Global, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let session = Session::open(global, output)?;
    let recorded = state::read(&session.state_paths(), &session.project.desired.project)?.recorded;
    match &args.command {
        Verb::List => list(&recorded, output),
        Verb::Get { label, no_newline } => get(&session, &recorded, label, *no_newline, output).await,
    }
}

fn list(recorded: &Recorded, output: &Output) -> anyhow::Result<Exit> {
    if output.is_json() {
        let keysets: Vec<_> = recorded.keysets.iter().map(|(label, keyset)| entry(label, keyset)).collect();
        output.json(&serde_json::json!({"format_version": 1, "kind": "secrets", "exit_code": 0, "keysets": keysets}));
        return Ok(Exit::Done);
    }
    if recorded.keysets.is_empty() {
        output.result("No keysets in the state.\n");
        return Ok(Exit::Done);
    }
    let width = recorded.keysets.keys().map(|l| l.as_str().len()).max().unwrap_or(0).max("LABEL".len());
    let ids = recorded.keysets.values().map(|k| k.id.as_str().len()).max().unwrap_or(0).max("ID".len());
    let mut text = format!("{BOLD}{:width$}  {:ids$}  SECRET{BOLD:#}\n", "LABEL", "ID");
    for (label, keyset) in &recorded.keysets {
        let secret = match &keyset.secret {
            SecretRecord::Stored { sink, fingerprint } => format!("{sink}  {fingerprint}"),
            SecretRecord::Missing { why } => format!("{BAD}MISSING{BAD:#}: {}", terminal(why)),
        };
        text.push_str(&format!("{:width$}  {:ids$}  {secret}\n", label.as_str(), keyset.id.as_str()));
    }
    output.result(&text);
    Ok(Exit::Done)
}

fn entry(label: &Label, keyset: &RecordedKeyset) -> serde_json::Value {
    let secret = match &keyset.secret {
        SecretRecord::Stored { sink, fingerprint } => serde_json::json!({"status": "stored", "sink": sink, "fingerprint": fingerprint}),
        SecretRecord::Missing { why } => serde_json::json!({"status": "missing", "why": why}),
    };
    serde_json::json!({"label": label, "id": keyset.id, "secret": secret})
}

async fn get(session: &Session, recorded: &Recorded, text: &str, no_newline: bool, output: &Output) -> anyhow::Result<Exit> {
    let Some((label, keyset)) = recorded.keysets.iter().find(|(label, _)| label.as_str() == text) else {
        let failure = Failure::new(Exit::Error, format!("no keyset `{text}` in the state"));
        return Err(anyhow!(match nearest(text, recorded.keysets.keys().map(Label::as_str)) {
            Some(near) => failure.help(format!("did you mean `{near}`?")),
            None => failure.help("`keyform secrets list` shows what there is"),
        }));
    };
    let fingerprint = match &keyset.secret {
        SecretRecord::Stored { fingerprint, .. } => fingerprint,
        SecretRecord::Missing { why } => {
            return Err(Failure::new(Exit::Error, format!("the secret of `{label}` was never stored: {why}"))
                .help("make a new secret key for it in the portal; the API shows each only once")
                .into());
        }
    };
    let name = SecretName { namespace: session.namespace(), project: session.project.desired.project.clone(), label: label.clone() };
    let secret: Secret = session::sink().get(&name).await?.ok_or_else(|| {
        Failure::new(Exit::Error, format!("the keyring has no secret for `{label}`"))
            .help("it was stored on another machine or by another user, or it was removed")
    })?;
    if secret.fingerprint() != *fingerprint {
        return Err(Failure::new(Exit::Error, format!("the keyring holds another secret for `{label}` than the state records"))
            .help("another clone of this project may have written it; nothing was printed")
            .into());
    }
    output.raw(secret.expose_secret());
    if !no_newline {
        output.raw("\n");
    }
    Ok(Exit::Done)
}
