//! `keyform secrets ...`

mod copy;
mod doctor;
mod import;
mod keys;
mod mirror;
mod recover;
mod rotate;
mod show;

use clap::Subcommand;

use super::Global;
use super::error::Exit;
use super::output::Output;
use super::project::LockArgs;
use super::project::{self};

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
    let workspace = project::open(global, output)?;
    let snapshot = async || workspace.snapshot().await;
    match &args.command {
        Verb::List => show::list(&snapshot().await?.recorded, output),
        Verb::Get { label, no_newline } => {
            show::get(&workspace, &snapshot().await?, label, *no_newline, output).await
        }
        Verb::Doctor(args) => doctor::run(&workspace, args, output).await,
        Verb::Recover(lock) => recover::run(&workspace, lock, output).await,
        Verb::Import(args) => import::run(&workspace, args, output).await,
        Verb::Rotate(args) => rotate::run(&workspace, args, output).await,
        Verb::Keys(args) => keys::list(&workspace, args, output).await,
        Verb::Expire(args) => keys::expire(&workspace, args, output).await,
        Verb::Mirror(args) => mirror::run(&workspace, args, output).await,
        Verb::Copy(args) => copy::run(&workspace, args, output).await,
    }
}
