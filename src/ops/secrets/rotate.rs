//! A new secret key because somebody asks for one.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::account::ConnectOptions;
use super::super::clock::SystemClock;
use super::super::error::{Cause, Failure};
use super::super::find::find;
use super::super::mirrors::{self, Sender};
use super::super::sinks;
use super::super::workspace::Workspace;
use super::super::writer::{Changes, Writer, Writing};
use super::HoldInterrupts;
use super::recover::{Asking, recover};
use crate::api::Client;
use crate::apply::custody::{Custody, InHand};
use crate::apply::mirror::Copy;
use crate::apply::resolve::Patience;
use crate::apply::{Outcome, Ports, Report, StepRef, rotate};
use crate::keyset::Label;
use crate::keyset::duration::{OVERLAP_MAX, OVERLAP_MIN};
use crate::keyset::views::{RecordedKeyset, SecretRecord};
use crate::plan::OpKind;
use crate::ports::{self, Clock, Creation, LedgerError, Open, Probed, Unknown};
use crate::render::report;
use crate::secrets::{AnySink, Envelope};
use crate::state::{Snapshot, Store};

/// What is rotated, and how.
pub struct Order<'a> {
    /// `None`: every keyset whose secret key keyform has.
    pub label: Option<&'a str>,
    /// How long the present key goes on working; `None`: it ends at once.
    pub overlap: Option<Duration>,
    /// Also where nobody knows what the sink has under the name.
    pub overwrite: bool,
    /// How long a rotation whose answer was lost may take to show.
    pub settle: Duration,
    pub connect: ConnectOptions,
    pub hold_interrupts: HoldInterrupts<'a>,
}

/// What was rotated.
pub struct Rotated {
    pub report: Report,
    /// Until when the keys of before work, if they do.
    pub until: Option<jiff::Timestamp>,
}

pub async fn rotate(
    workspace: &Workspace,
    writing: Writing<'_>,
    order: &Order<'_>,
) -> anyhow::Result<Rotated> {
    let outside = |overlap: &Duration| !(OVERLAP_MIN..=OVERLAP_MAX).contains(overlap);
    if let Some(overlap) = order.overlap.filter(outside) {
        let told = format!("an overlap of {} s: the API takes 60 s to 366 days", overlap.as_secs());
        return Err(Failure::new(Cause::Error, told).help("nothing was done").into());
    }
    let finished = Writer::run(workspace, writing, async |writer, snapshot| {
        let labels = wanted(order, &snapshot)?;
        let changes = Changes::Keysets { labels: &labels, refused: "nothing was rotated" };
        let api = writer.account_to_change(&order.connect, changes).await?;
        let sinks = sinks::all(workspace)?;
        let begun = Begun { workspace, order, api, store: writer.store(), labels: &labels };
        let (snapshot, lost) = begun.sealed_first(&snapshot, &sinks).await?;
        begun.has_room(&snapshot).await?;
        let sink = sinks::first_usable(&sinks).await?;
        let envelope = sinks::envelope(workspace, sink).await?;
        begun.all(&snapshot, &lost, (sink, &envelope)).await
    });
    finished.await?.whole()
}

/// The keysets that were asked for.
fn wanted(order: &Order<'_>, snapshot: &Snapshot) -> anyhow::Result<Vec<Label>> {
    if let Some(label) = order.label {
        return Ok(vec![find(&snapshot.recorded, label)?.0.clone()]);
    }
    // Who made an adopted keyset may be using its key, and nobody said what is to become of it.
    let ours = |keyset: &RecordedKeyset| !matches!(keyset.secret, SecretRecord::Unknown);
    let keysets = snapshot.recorded.keysets.iter().filter(|(_, keyset)| ours(keyset));
    Ok(keysets.map(|(label, _)| label.clone()).collect())
}

type AccountPorts<'a> = Ports<'a, Client, Store, Envelope, AnySink, SystemClock>;

/// A rotation of these keysets that may begin.
struct Begun<'a> {
    workspace: &'a Workspace,
    order: &'a Order<'a>,
    api: &'a Client,
    store: &'a Store,
    labels: &'a [Label],
}

impl Begun<'_> {
    /// What is sealed may be the only copy of a present key: it is stored before another one is
    /// asked for. Gives back the state afterwards, and which answers cannot be opened.
    async fn sealed_first(
        &self,
        snapshot: &Snapshot,
        sinks: &[AnySink],
    ) -> anyhow::Result<(Snapshot, BTreeSet<uuid::Uuid>)> {
        // Also what was sealed under another label: it may be about one of these keysets.
        if snapshot.open.iter().all(|open| open.sealed.is_none()) {
            return Ok((snapshot.clone(), BTreeSet::new()));
        }
        let asking = Asking { api: Some(self.api), settle: self.order.settle };
        let recovered = recover(self.workspace, self.store, snapshot, sinks, asking).await?;
        let snapshot = self.store.snapshot();
        let is_left = |open: &&Open| {
            open.sealed.is_some()
                && self.labels.contains(open.intent.what.label())
                && !recovered.lost.contains(&open.intent.id)
        };
        let Some(open) = snapshot.open.iter().find(is_left) else {
            return Ok((snapshot, recovered.lost));
        };
        let label = open.intent.what.label();
        let told = format!(
            "the present key of `{label}` is sealed in the journal and could not be stored: \
             nothing was rotated"
        );
        let steps = recovered.steps.iter().filter(|(step, _)| step.label == *label);
        let why: Vec<String> = steps.map(|(step, outcome)| report::line(step, outcome)).collect();
        let help = anstream::adapter::strip_str(&why.join("; ")).to_string();
        Err(Failure::new(Cause::Partial, told).help(help).into())
    }

    /// Whether the present keys can be let work on.
    async fn has_room(&self, snapshot: &Snapshot) -> anyhow::Result<()> {
        if self.order.overlap.is_none() {
            return Ok(());
        }
        let recorded = |label| Some((label, snapshot.recorded.keysets.get(label)?));
        for (label, keyset) in self.labels.iter().filter_map(recorded) {
            if let Some(expiring) = rotate::too_many_expiring(self.api, &keyset.id).await? {
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
        Ok(())
    }

    async fn all(
        &self,
        snapshot: &Snapshot,
        lost: &BTreeSet<uuid::Uuid>,
        (sink, envelope): (Probed<'_, AnySink>, &Envelope),
    ) -> anyhow::Result<Rotated> {
        let stop = (self.order.hold_interrupts)()?;
        let stop = || stop.load(Ordering::SeqCst);
        let workspace = self.workspace;
        let copies: Vec<Copy> =
            self.labels.iter().flat_map(|label| mirrors::wanted(workspace, label)).collect();
        let github = mirrors::reach(&workspace.environment, &copies).await?;
        let homes = sinks::homes(workspace);
        let in_hand = InHand::for_labels(copies.iter().map(|copy| &copy.label));
        let custody = Custody { in_hand, ..sinks::custody(workspace, &homes, snapshot) };
        let ports = Ports {
            api: self.api,
            ledger: self.store,
            escrow: envelope,
            sink: Some(sink),
            clock: &SystemClock,
            custody: &custody,
        };
        let mut report = Report::default();
        let mut until = None;
        for label in self.labels {
            let Some(mut keyset) = snapshot.recorded.keysets.get(label).cloned() else { continue };
            let step = StepRef::new(OpKind::RotateSecret, label);
            if stop() || report.ledger_failed.is_some() {
                report.interrupted |= stop();
                report.steps.push((step, Outcome::Skipped { why: "not begun".to_owned() }));
                continue;
            }
            let older = left_open(snapshot, lost, &keyset);
            let (done, expires_at) =
                self.one((&ports, sink), label, &mut keyset, older, &stop).await?;
            report.ledger_failed = done.as_ref().err().map(ToString::to_string);
            let outcome = done.unwrap_or_else(|error| {
                Outcome::unknown(format!(
                    "{error}: the key may have been replaced; the next apply finds out and stores \
                     it"
                ))
            });
            report.interrupted |= stop() && !outcome.is_done();
            until = expires_at.filter(|_| matches!(outcome, Outcome::Rotated { .. })).or(until);
            report.steps.push((step, outcome));
        }
        if let Some(github) = &github {
            let store = self.store;
            let sender =
                Sender { store, custody: &custody, again: false, stop: &stop, on_event: &|_| {} };
            let (steps, ended) = sender.send(github, &copies).await;
            report.steps.extend(steps);
            report.ledger_failed =
                report.ledger_failed.or(ended.err().map(|error| error.to_string()));
        }
        Ok(Rotated { report, until })
    }

    /// How it ended, and until when the key of before works.
    async fn one(
        &self,
        (ports, sink): (&AccountPorts<'_>, Probed<'_, AnySink>),
        label: &Label,
        keyset: &mut RecordedKeyset,
        older: Vec<Unknown>,
        stop: &dyn Fn() -> bool,
    ) -> anyhow::Result<(Result<Outcome, LedgerError>, Option<jiff::Timestamp>)> {
        let overlap = self.order.overlap;
        let expires_at =
            overlap.map(|overlap| SystemClock.now().saturating_add(overlap)).transpose()?;
        let order = rotate::Order {
            label,
            name: &ports.custody.entry(keyset.sink_label(label)),
            expires_at,
            patience: Patience { settle: self.order.settle, stop },
            overwrite: self.order.overwrite,
        };
        Ok((rotate::rotate(ports, sink, keyset, &order, older).await, expires_at))
    }
}

/// Rotations of the keyset that earlier runs began. They end with the key that is recorded, and not
/// before.
fn left_open(
    snapshot: &Snapshot,
    lost: &BTreeSet<uuid::Uuid>,
    keyset: &RecordedKeyset,
) -> Vec<Unknown> {
    let begun = |open: &&Open| {
        matches!(&open.intent.what, Creation::SecretKey { id, .. } if *id == keyset.id)
            && (open.sealed.is_none() || lost.contains(&open.intent.id))
    };
    let begun = snapshot.open.iter().filter(begun);
    begun.map(|open| ports::left_open(open.intent.clone())).collect()
}
