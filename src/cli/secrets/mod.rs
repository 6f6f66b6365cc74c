//! `keyform secrets ...`

mod copy;
mod doctor;
mod import;
mod keys;
mod mirror;
mod recover;
mod rotate;
mod show;

use anyhow::anyhow;
use clap::Subcommand;

use super::Global;
use super::error::{Exit, Failure};
use super::lock::LockArgs;
use super::output::Output;
use super::session::Session;
use crate::keyset::Label;
use crate::keyset::views::{Recorded, RecordedKeyset};
use crate::render::text::nearest;
use crate::state;

pub use recover::recover;
pub use show::secret_of;

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
    /// Check that every secret is in its sink and is the one that was stored; put back what another
    /// sink has
    Doctor(doctor::Args),
    /// Put the secrets of answers that an interrupted run left sealed in the journal where they
    /// belong
    Recover(LockArgs),
    /// Store a secret key that you have, read from stdin, if it is the account's current one
    Import(import::Args),
    /// Give a keyset, or all of them, a new secret key
    Rotate(rotate::Args),
    /// List the secret keys of a keyset that work, by their first characters
    Keys(keys::KeysArgs),
    /// End a secret key that a rotation has let work on
    Expire(keys::ExpireArgs),
    /// Send copies to GitHub again, as `[secrets.mirror.github]` says, whatever was sent before
    Mirror(mirror::Args),
    /// Copy secrets to another sink, which is theirs from then on; the old copies stay
    Copy(copy::Args),
}

pub async fn run(global: &Global, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let session = Session::open(global, output)?;
    let snapshot =
        async || state::read(&*session.storage(), &session.project.desired.project).await;
    match &args.command {
        Verb::List => show::list(&snapshot().await?.recorded, output),
        Verb::Get { label, no_newline } => {
            show::get(&session, &snapshot().await?, label, *no_newline, output).await
        }
        Verb::Doctor(args) => doctor::run(&session, args, output).await,
        Verb::Recover(lock) => recover::run(&session, lock, output).await,
        Verb::Import(args) => import::run(&session, args, output).await,
        Verb::Rotate(args) => rotate::run(&session, args, output).await,
        Verb::Keys(args) => keys::list(&session, args, output).await,
        Verb::Expire(args) => keys::expire(&session, args, output).await,
        Verb::Mirror(args) => mirror::run(&session, args, output).await,
        Verb::Copy(args) => copy::run(&session, args, output).await,
    }
}

/// What to do about the secret of an adopted keyset.
const ADOPTED: &str = "its secret key is in other hands: `keyform secrets import` takes one that \
                       you have, `keyform secrets rotate LABEL \
                       --overlap 24h` makes a new one and keeps the present one alive for a day";

/// The keyset of that label, or the nearest there is.
pub fn find<'a>(
    recorded: &'a Recorded,
    text: &str,
) -> anyhow::Result<(&'a Label, &'a RecordedKeyset)> {
    recorded.keysets.iter().find(|(label, _)| label.as_str() == text).ok_or_else(|| {
        let failure = Failure::new(Exit::Error, format!("no keyset `{text}` in the state"));
        anyhow!(match nearest(text, recorded.keysets.keys().map(Label::as_str)) {
            Some(near) => failure.help(format!("did you mean `{near}`?")),
            None => failure.help("`keyform secrets list` shows what there is"),
        })
    })
}
