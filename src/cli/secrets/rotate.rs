//! `secrets rotate`: a new secret key because somebody asks for one.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::error::exit_of;
use super::super::error::{Cause, Exit, Failure};
use super::super::output::Output;
use super::super::project::ConnectArgs;
use super::super::project::{LockArgs, duration};
use super::super::signals::stop_on_signals;
use crate::api::Client;
use crate::apply::custody::{Custody, InHand};
use crate::apply::mirror::Copy;
use crate::apply::resolve::Patience;
use crate::apply::{Outcome, Ports, Report, StepRef, rotate};
use crate::keyset::Label;
use crate::keyset::duration::{OVERLAP_MAX, OVERLAP_MIN};
use crate::keyset::views::{RecordedKeyset, SecretRecord};
use crate::ops::SystemClock;
use crate::ops::Workspace;
use crate::ops::find::find;
use crate::ops::mirrors::{self, Sender};
use crate::ops::recover::recover;
use crate::ops::sinks;
use crate::ops::{Changes, Writer};
use crate::plan::OpKind;
use crate::ports::{self, Clock, Creation, Open, Unknown};
use crate::render::report;
use crate::secrets::AnySink;
use crate::state::{Snapshot, Store};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The keyset's label
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    label: Option<String>,
    /// Every keyset whose secret key keyform has; those that were adopted need to be named
    #[arg(long)]
    all: bool,
    /// How long the present key goes on working: 60s to 366 days, such as 24h; needs a paid plan
    #[arg(long, value_name = "DURATION", value_parser = duration, required_unless_present = "now", conflicts_with = "now")]
    overlap: Option<Duration>,
    /// The present key ends at once: whatever uses it stops working
    #[arg(long)]
    now: bool,
    /// Put the new key also over what the sink may have under its name, if the state records none
    /// there
    #[arg(long)]
    overwrite: bool,
    /// Seconds that a rotation whose answer was lost may take to show
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3600))]
    settle: u64,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    lock: LockArgs,
}

pub async fn run(workspace: &Workspace, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    if let Some(overlap) =
        args.overlap.filter(|overlap| !(OVERLAP_MIN..=OVERLAP_MAX).contains(overlap))
    {
        let told = format!("an overlap of {} s: the API takes 60 s to 366 days", overlap.as_secs());
        return Err(Failure::new(Cause::Error, told).help("nothing was done").into());
    }
    let writing = args.lock.writing("secrets rotate", output);
    let finished = Writer::run(workspace, writing, async |writer, snapshot| {
        rotate(workspace, args, output, writer, &snapshot).await
    });
    finished.await?.whole()
}

async fn rotate(
    workspace: &Workspace,
    args: &Args,
    output: &Output,
    writer: &Writer<'_>,
    snapshot: &Snapshot,
) -> anyhow::Result<Exit> {
    let labels = wanted(args, snapshot)?;
    let changes = Changes::Keysets { labels: &labels, refused: "nothing was rotated" };
    let api = writer.account_to_change(&args.connect.options(), changes).await?;
    let store = writer.store();
    let sinks = sinks::all(workspace)?;
    let (snapshot, lost) = sealed_first(
        workspace,
        store,
        snapshot,
        &sinks,
        api,
        (&labels, Duration::from_secs(args.settle)),
    )
    .await?;
    if args.overlap.is_some() {
        let keysets =
            labels.iter().filter_map(|label| Some((label, snapshot.recorded.keysets.get(label)?)));
        for (label, keyset) in keysets {
            if let Some(expiring) = rotate::too_many_expiring(api, &keyset.id).await? {
                let told = format!(
                    "`{label}` has {expiring} keys that wait for their end, and the API takes no \
                     more: nothing was done"
                );
                let help = format!(
                    "`keyform secrets keys {label}` shows them; end one with `keyform secrets \
                     expire`, or rotate with --now"
                );
                return Err(Failure::new(Cause::Refused, told).help(help).into());
            }
        }
    }
    let sink = sinks::first_usable(&sinks).await?;
    let envelope = sinks::envelope(workspace, sink).await?;
    let stop = stop_on_signals(output)?;
    let stop = || stop.load(std::sync::atomic::Ordering::SeqCst);
    let clock = SystemClock;
    let copies: Vec<Copy> =
        labels.iter().flat_map(|label| mirrors::wanted(workspace, label)).collect();
    let github = mirrors::reach(&workspace.environment, &copies).await?;
    let homes = sinks::homes(workspace);
    let in_hand = InHand::for_labels(copies.iter().map(|copy| &copy.label));
    let custody = Custody { in_hand, ..sinks::custody(workspace, &homes, &snapshot) };
    let ports = Ports {
        api,
        ledger: store,
        escrow: &envelope,
        sink: Some(sink),
        clock: &clock,
        custody: &custody,
    };
    let mut report = Report::default();
    let mut until = None;
    for label in &labels {
        let Some(mut keyset) = snapshot.recorded.keysets.get(label).cloned() else { continue };
        let step = StepRef::new(OpKind::RotateSecret, label);
        if stop() || report.ledger_failed.is_some() {
            report.interrupted |= stop();
            report.steps.push((step, Outcome::Skipped { why: "not begun".to_owned() }));
            continue;
        }
        // They end with the key that is recorded, and not before.
        let begun = |open: &&Open| {
            matches!(&open.intent.what, Creation::SecretKey { id, .. } if *id == keyset.id)
                && (open.sealed.is_none() || lost.contains(&open.intent.id))
        };
        let older: Vec<Unknown> = snapshot
            .open
            .iter()
            .filter(begun)
            .map(|open| ports::left_open(open.intent.clone()))
            .collect();
        let expires_at =
            args.overlap.map(|overlap| clock.now().saturating_add(overlap)).transpose()?;
        let name = custody.entry(keyset.sink_label(label));
        let patience = Patience { settle: Duration::from_secs(args.settle), stop: &stop };
        let order =
            rotate::Order { label, name: &name, expires_at, patience, overwrite: args.overwrite };
        let done = rotate::rotate(&ports, sink, &mut keyset, &order, older).await;
        report.ledger_failed = done.as_ref().err().map(ToString::to_string);
        let outcome = done.unwrap_or_else(|error| Outcome::Unknown {
            why: format!(
                "{error}: the key may have been replaced; the next apply finds out and stores it"
            ),
        });
        report.interrupted |= stop() && !outcome.is_done();
        until = expires_at.filter(|_| matches!(outcome, Outcome::Rotated { .. })).or(until);
        report.steps.push((step, outcome));
    }
    if let Some(github) = &github {
        let sender =
            Sender { store, custody: &custody, again: false, stop: &stop, on_event: &|_| {} };
        let (steps, ended) = sender.send(github, &copies).await;
        report.steps.extend(steps);
        report.ledger_failed = report.ledger_failed.or(ended.err().map(|error| error.to_string()));
    }
    let exit = exit_of(&report);
    if output.is_json() {
        output.json(&report::json(&report, exit as u8));
    } else {
        output.result(&told(&report, until));
    }
    Ok(exit)
}

/// The keysets that were asked for.
fn wanted(args: &Args, snapshot: &Snapshot) -> anyhow::Result<Vec<Label>> {
    if let Some(label) = &args.label {
        return Ok(vec![find(&snapshot.recorded, label)?.0.clone()]);
    }
    // Who made an adopted keyset may be using its key, and nobody said what is to become of it.
    let ours = |keyset: &RecordedKeyset| !matches!(keyset.secret, SecretRecord::Unknown);
    Ok(snapshot
        .recorded
        .keysets
        .iter()
        .filter(|(_, keyset)| ours(keyset))
        .map(|(label, _)| label.clone())
        .collect())
}

/// What is sealed may be the only copy of a present key: it is stored before another one is asked
/// for. Gives back the state afterwards, and which answers cannot be opened.
async fn sealed_first(
    workspace: &Workspace,
    store: &Store,
    snapshot: &Snapshot,
    sinks: &[AnySink],
    api: &Client,
    (labels, settle): (&[Label], Duration),
) -> anyhow::Result<(Snapshot, BTreeSet<uuid::Uuid>)> {
    let sealed = |open: &Open| open.sealed.is_some() && labels.contains(open.intent.what.label());
    // Also what was sealed under another label: it may be about one of these keysets.
    if snapshot.open.iter().all(|open| open.sealed.is_none()) {
        return Ok((snapshot.clone(), BTreeSet::new()));
    }
    let recovered = recover(workspace, store, snapshot, sinks, Some(api), settle).await?;
    let snapshot = store.snapshot();
    if let Some(open) =
        snapshot.open.iter().find(|open| sealed(open) && !recovered.lost.contains(&open.intent.id))
    {
        let label = open.intent.what.label();
        let told = format!(
            "the present key of `{label}` is sealed in the journal and could not be stored: \
             nothing was rotated"
        );
        let why = recovered
            .steps
            .iter()
            .filter(|(step, _)| step.label == *label)
            .map(|(step, outcome)| report::line(step, outcome));
        return Err(Failure::new(Cause::Partial, told)
            .help(anstream::adapter::strip_str(&why.collect::<Vec<_>>().join("; ")).to_string())
            .into());
    }
    Ok((snapshot, recovered.lost))
}

fn told(report: &Report, expires_at: Option<jiff::Timestamp>) -> String {
    let mut text = report::lines(report);
    let rotated = report.count(|_, outcome| matches!(outcome, Outcome::Rotated { .. }));
    if let Some(at) = expires_at {
        let keys = if rotated == 1 { "The key of before works" } else { "The keys of before work" };
        text.push_str(&format!("{keys} until {at:.0}.\n"));
    }
    text
}
