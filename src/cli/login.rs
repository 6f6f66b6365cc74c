use std::io::{IsTerminal, Read};

use zeroize::Zeroizing;

use super::Global;
use super::environment;
use super::error::{Cause, Exit, Failure};
use super::output::Output;
use super::project::ConnectArgs;
use crate::config;
use crate::keyset::{ApiVersion, Secret};
use crate::ops::account::client;
use crate::ops::api_key_store;
use crate::ops::{Endpoint, Environment};
use crate::ports::Api;
use crate::render::style::GOOD;
use crate::secrets::parse_key_file;

#[derive(Debug, clap::Args)]
pub struct LoginArgs {
    /// Store the key without asking the API whether it is accepted
    #[arg(long)]
    no_verify: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, clap::Args)]
pub struct LogoutArgs {}

/// Longest key read from stdin, in bytes.
const KEY_MAX: u64 = 16 * 1024;

pub async fn login(global: &Global, args: &LoginArgs, output: &Output) -> anyhow::Result<Exit> {
    no_sandbox(global)?;
    let environment = environment::read();
    let (endpoint, version) = place(global, &environment)?;
    let key = read_key(&endpoint)?;
    if !args.no_verify {
        let copy = Secret::parse(Zeroizing::new(key.expose_secret().to_owned()))?;
        let client =
            client(endpoint.url().to_owned(), version, copy, &args.connect.options(), None)?;
        client.apps_page(1).await.map_err(|error| {
            let failure = Failure::new(Cause::Error, format!("the key was not stored: {error}"));
            error
                .help()
                .into_iter()
                .fold(failure, Failure::help)
                .help("--no-verify stores it without asking")
        })?;
    }
    api_key_store(&environment).set(&endpoint.authority(), &key).await?;
    output.result(&format!(
        "{GOOD}Logged in{GOOD:#}: the API key for {} is in the keyring.\n",
        endpoint.authority()
    ));
    Ok(Exit::Done)
}

pub async fn logout(global: &Global, _args: &LogoutArgs, output: &Output) -> anyhow::Result<Exit> {
    no_sandbox(global)?;
    let environment = environment::read();
    let (endpoint, _) = place(global, &environment)?;
    let host = endpoint.authority();
    if api_key_store(&environment).delete(&host).await? {
        output
            .result(&format!("Logged out: the API key for {host} is no longer in the keyring.\n"));
    } else {
        output.result(&format!("The keyring has no API key for {host}.\n"));
    }
    Ok(Exit::Done)
}

fn no_sandbox(global: &Global) -> anyhow::Result<()> {
    if global.sandbox {
        return Err(Failure::new(Cause::Error, "the sandbox needs no login").into());
    }
    Ok(())
}

/// Works outside a project too; a project's own endpoint and version count where there is one
/// without errors.
fn place(global: &Global, environment: &Environment) -> anyhow::Result<(Endpoint, ApiVersion)> {
    let project = config::load(&global.dir).project;
    let version = project.as_ref().map(|p| p.api.version.clone()).unwrap_or_default();
    Ok((Endpoint::of(environment, project.as_ref())?, version))
}

fn read_key(endpoint: &Endpoint) -> anyhow::Result<Secret> {
    let bytes = if std::io::stdin().is_terminal() {
        Zeroizing::new(
            rpassword::prompt_password(format!("API key for {}: ", endpoint.authority()))?
                .into_bytes(),
        )
    } else {
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_MAX as usize + 1));
        std::io::stdin().lock().take(KEY_MAX + 1).read_to_end(&mut bytes)?;
        bytes
    };
    parse_key_file(bytes).map_err(|bad| {
        Failure::new(Cause::Error, format!("no API key was read from stdin: {bad}")).into()
    })
}
