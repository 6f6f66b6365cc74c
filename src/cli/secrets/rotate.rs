//! `secrets rotate`: a new secret key because somebody asks for one.

use std::time::Duration;

use super::super::apply::{LockArgs, duration, stop_on_signals};
use super::super::clock::SystemClock;
use super::super::error::{Exit, Failure};
use super::super::mirrors::{self, Sender};
use super::super::output::Output;
use super::super::session::{ConnectOptions, Connection, Session};
use super::super::sinks;
use super::find;
use crate::apply::mirror::Kept;
use crate::apply::resolve::Patience;
use crate::apply::{Outcome, Ports, Report, Step, Verb, rotate};
use crate::ports::{self, Api, Clock, Creation};
use crate::render::report;
use crate::state::{Snapshot, Store};

/// What the API takes as overlap (API notes, 6).
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// Keys that may be waiting for their end beside the permanent one.
const EXPIRING_MAX: usize = 5;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The keyset's label
    label: String,
    /// How long the present key goes on working: 60s to 366 days, such as 24h; needs a paid plan
    #[arg(long, value_name = "DURATION", value_parser = duration, required_unless_present = "now", conflicts_with = "now")]
    overlap: Option<Duration>,
    /// The present key ends at once: whatever uses it stops working
    #[arg(long)]
    now: bool,
    /// Seconds that a rotation whose answer was lost may take to show
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3600))]
    settle: u64,
    #[command(flatten)]
    connect: ConnectOptions,
    #[command(flatten)]
    lock: LockArgs,
}

pub async fn run(session: &Session, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    if let Some(overlap) = args.overlap.filter(|overlap| !(SHORTEST..=LONGEST).contains(overlap)) {
        let told = format!("an overlap of {} s: the API takes 60 s to 366 days", overlap.as_secs());
        return Err(Failure::new(Exit::Error, told).help("nothing was done").into());
    }
    session.prepare_state_folder()?;
    let (store, snapshot) = args.lock.open(session, "secrets rotate", output)?;
    let connection = session.connect(&args.connect).await?;
    let result = rotate(session, args, output, &connection, &store, &snapshot).await;
    let folded = store.fold();
    let closed = connection.close().await;
    let exit = result?;
    folded?;
    closed?;
    Ok(exit)
}

async fn rotate(
    session: &Session,
    args: &Args,
    output: &Output,
    connection: &Connection,
    store: &Store,
    snapshot: &Snapshot,
) -> anyhow::Result<Exit> {
    let (label, keyset) = find(&snapshot.recorded, &args.label)?;
    let api = &connection.client;
    if args.overlap.is_some() {
        let expiring = api.secret_keys(&keyset.id).await?.iter().filter(|key| key.expires_at.is_some()).count();
        if expiring >= EXPIRING_MAX {
            let told = format!("`{label}` has {expiring} keys that wait for their end, and the API takes no more: nothing was done");
            return Err(Failure::new(Exit::Refused, told).help("wait until one of them ends, or rotate with --now").into());
        }
    }
    let sinks = sinks::all(session)?;
    let sink = sinks::first_usable(&sinks).await?;
    let envelope = sinks::envelope(session, sink).await?;
    for open in &snapshot.open {
        if matches!(&open.intent.what, Creation::SecretKey { label: l, .. } if l == label) {
            // What it told of, if it was done, ends or expires with this one.
            ports::void(store, ports::left_open(open.intent.clone())).await?;
        }
    }
    let stop = stop_on_signals(output)?;
    let clock = SystemClock;
    let expires_at = args.overlap.map(|overlap| clock.now().saturating_add(overlap)).transpose()?;
    let copies = mirrors::wanted(session, label);
    let github = mirrors::reach(&copies).await?;
    let kept = Kept::of(&copies);
    let ports = Ports { api, ledger: store, escrow: &envelope, sink: Some(sink), clock: &clock, kept: &kept };
    let mut keyset = keyset.clone();
    let name = sinks::entry(session, label);
    let stop = || stop.load(std::sync::atomic::Ordering::SeqCst);
    let patience = Patience { settle: Duration::from_secs(args.settle), stop: &stop };
    let order = rotate::Order { label, name: &name, expires_at, patience };
    let outcome = rotate::rotate(&ports, sink, &mut keyset, &order).await?;
    let mut report = Report { steps: vec![(Step { verb: Verb::RotateSecret, label: label.clone() }, outcome)], ..Report::default() };
    if let Some(github) = &github {
        let sender = Sender { session, store, kept: &kept, again: false, stop: &stop, on_event: &|_| {} };
        let (steps, ended) = sender.send(github, &copies).await;
        report.steps.extend(steps);
        report.ledger_failed = ended.err().map(|error| error.to_string());
    }
    let exit = if report.all_good() { Exit::Done } else { Exit::Partial };
    if output.is_json() {
        output.json(&report::json(&report, exit as u8));
    } else {
        output.result(&told(&report, expires_at));
    }
    Ok(exit)
}

fn told(report: &Report, expires_at: Option<jiff::Timestamp>) -> String {
    let mut text = report::lines(report);
    if let (Some((_, Outcome::Rotated { .. })), Some(at)) = (report.steps.first(), expires_at) {
        text.push_str(&format!("The key of before works until {at:.0}.\n"));
    }
    text
}
