//! `secrets rotate`: a new secret key because somebody asks for one.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::clock::SystemClock;
use super::super::error::exit_of;
use super::super::error::{Exit, Failure};
use super::super::lock::{LockArgs, duration};
use super::super::mirrors::{self, Sender};
use super::super::output::Output;
use super::super::session::{ConnectOptions, Connection, Session};
use super::super::signals::stop_on_signals;
use super::super::sinks;
use super::find;
use super::recover::recover;
use crate::apply::mirror::Kept;
use crate::apply::resolve::Patience;
use crate::apply::{Outcome, Ports, Report, Step, Verb, rotate};
use crate::keyset::duration::{EXPIRING_MAX, OVERLAP_MAX, OVERLAP_MIN};
use crate::ports::{self, Api, Clock, Creation, Open, Unknown};
use crate::render::report;
use crate::state::{Snapshot, Store};

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
    if let Some(overlap) = args.overlap.filter(|overlap| !(OVERLAP_MIN..=OVERLAP_MAX).contains(overlap)) {
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
    find(&snapshot.recorded, &args.label)?;
    let api = &connection.client;
    let sinks = sinks::all(session)?;
    let mut lost = BTreeSet::new();
    let mut snapshot = snapshot.clone();
    let sealed = |open: &Open| open.sealed.is_some() && open.intent.what.label().as_str() == args.label;
    if snapshot.open.iter().any(sealed) {
        // What is sealed may be the only copy of the present key.
        let recovered = recover(session, store, &snapshot, &sinks, Some(api)).await?;
        lost = recovered.lost;
        snapshot = store.snapshot();
        if snapshot.open.iter().any(|open| sealed(open) && !lost.contains(&open.intent.id)) {
            let told = format!("the present key of `{}` is sealed in the journal and could not be stored: nothing was rotated", args.label);
            let why = recovered
                .steps
                .iter()
                .filter(|(step, _)| step.label.as_str() == args.label)
                .map(|(step, outcome)| report::line(step, outcome));
            return Err(Failure::new(Exit::Partial, told)
                .help(anstream::adapter::strip_str(&why.collect::<Vec<_>>().join("; ")).to_string())
                .into());
        }
    }
    let (label, keyset) = find(&snapshot.recorded, &args.label)?;
    if args.overlap.is_some() {
        let expiring = api.secret_keys(&keyset.id).await?.iter().filter(|key| key.expires_at.is_some()).count();
        if expiring >= EXPIRING_MAX {
            let told = format!("`{label}` has {expiring} keys that wait for their end, and the API takes no more: nothing was done");
            return Err(Failure::new(Exit::Refused, told).help("wait until one of them ends, or rotate with --now").into());
        }
    }
    let sink = sinks::first_usable(&sinks).await?;
    let envelope = sinks::envelope(session, sink).await?;
    // They end with the key that is recorded, and not before.
    let begun = |open: &&Open| {
        matches!(&open.intent.what, Creation::SecretKey { label: l, .. } if l == label)
            && (open.sealed.is_none() || lost.contains(&open.intent.id))
    };
    let older: Vec<Unknown> = snapshot.open.iter().filter(begun).map(|open| ports::left_open(open.intent.clone())).collect();
    let stop = stop_on_signals(output)?;
    let clock = SystemClock;
    let expires_at = args.overlap.map(|overlap| clock.now().saturating_add(overlap)).transpose()?;
    let copies = mirrors::wanted(session, label);
    let github = mirrors::reach(&copies).await?;
    let (kept, homes) = (Kept::of(&copies), sinks::homes(session));
    let ports = Ports { api, ledger: store, escrow: &envelope, sink: Some(sink), clock: &clock, kept: &kept, homes: &homes };
    let mut keyset = keyset.clone();
    let name = sinks::entry(session, keyset.sink_label(label));
    let stop = || stop.load(std::sync::atomic::Ordering::SeqCst);
    let patience = Patience { settle: Duration::from_secs(args.settle), stop: &stop };
    let order = rotate::Order { label, name: &name, expires_at, patience };
    let done = rotate::rotate(&ports, sink, &mut keyset, &order, older).await;
    let ledger_failed = done.as_ref().err().map(ToString::to_string);
    let outcome = done.unwrap_or_else(|error| Outcome::Unknown {
        why: format!("{error}: the key may have been replaced; the next apply finds out and stores it"),
    });
    let interrupted = stop() && !outcome.is_done();
    let mut report = Report { steps: vec![(Step { verb: Verb::RotateSecret, label: label.clone() }, outcome)], interrupted, ledger_failed };
    if let Some(github) = &github {
        let sender = Sender { session, store, kept: &kept, again: false, stop: &stop, on_event: &|_| {} };
        let (steps, ended) = sender.send(github, &copies).await;
        report.steps.extend(steps);
        report.ledger_failed = report.ledger_failed.or(ended.err().map(|error| error.to_string()));
    }
    let exit = exit_of(&report);
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
