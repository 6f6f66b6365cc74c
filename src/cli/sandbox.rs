use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;

use super::Global;
use super::environment::sandbox_key;
use super::error::{Cause, Exit, Failure};
use super::output::Output;
use crate::keyset::Tier;
use crate::ops::account::sandbox_secret;
use crate::sandbox::{self, FAULT_KINDS, Fault};

#[derive(Debug, clap::Args)]
#[command(after_help = faults())]
pub struct Args {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 0)]
    port: u16,
    /// Keep the data in this file; without it everything is forgotten at the end
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Append a line for each request, its method and path, to this file
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Most entries of a page of a list, whatever is asked for
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    page_limit: u64,
    /// Billing plan whose limits are enforced: free, starter or pro
    #[arg(long, value_name = "TIER", default_value = "pro", value_parser = tier)]
    tier: Tier,
    /// Make keys and times repeatable
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Milliseconds that every answer takes
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,
    /// Misbehave: "METHOD PATH[#N]=KIND", such as "POST /v2/keysets#2=cut-after"; may be repeated
    #[arg(long, value_name = "SPEC", value_parser = fault)]
    fault: Vec<Fault>,
}

fn faults() -> String {
    let kinds: Vec<String> =
        FAULT_KINDS.iter().map(|(kind, what)| format!("  {kind:36} {what}")).collect();
    format!(
        "Kinds of --fault (a path is a prefix, or the whole path if it ends in $; #N or #N-M \
         counts requests from 1):\n{}",
        kinds.join("\n")
    )
}

fn tier(text: &str) -> Result<Tier, String> {
    Tier::parse(text).ok_or_else(|| "expected free, starter or pro".to_owned())
}

fn fault(text: &str) -> Result<Fault, String> {
    Fault::parse(text).map_err(|error| error.to_string())
}

pub async fn run(_global: &Global, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let key = sandbox_key();
    let options = sandbox::Options {
        port: args.port,
        data: args.data.clone(),
        log: args.log.clone(),
        page_limit: args.page_limit,
        api_key: sandbox_secret(&key)?,
        tier: args.tier,
        seed: args.seed,
        latency: Duration::from_millis(args.latency),
        faults: args.fault.clone(),
    };
    let running = sandbox::start(options)
        .await
        .map_err(|error| anyhow!(Failure::new(Cause::Error, error.to_string())))?;
    output.raw(&format!("listening on {}\n", running.endpoint()));
    output.say(&format!(
        "Use it: PUBNUB_API_KEY={key} KEYFORM_ENDPOINT={} keyform plan",
        running.endpoint()
    ));
    wait_for_signal().await?;
    running.stop().await?;
    Ok(Exit::Done)
}

#[cfg(unix)]
async fn wait_for_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    Ok(())
}

#[cfg(not(unix))]
async fn wait_for_signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
