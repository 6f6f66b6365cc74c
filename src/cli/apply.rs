use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Global;
use super::clock::SystemClock;
use super::error::{Exit, Failure, SINK_HELP};
use super::output::{self, Output};
use super::plan::{self, PolicyArgs};
use super::progress::Progress;
use super::session::{self, ConnectOptions, Connection, Session};
use crate::apply::{self, Consent, Context, Ports, Report};
use crate::plan::{Action, Plan};
use crate::ports::Probed;
use crate::render::report;
use crate::render::style::BOLD;
use crate::secrets::{KeyringSink, MemoryEscrow};
use crate::state::{Snapshot, Store};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    connect: ConnectOptions,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Seconds that a create whose answer was lost may take to show up in the account, before it counts as not made
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3600))]
    settle: u64,
}

pub async fn run(global: &Global, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let session = Session::open(global, output)?;
    session.prepare_state_folder()?;
    let (store, snapshot) = Store::open(&session.state_paths(), &session.project.desired.project, "apply")?;
    let connection = session.connect(&args.connect).await?;
    let result = apply(global, args, output, &session, &connection, &store, snapshot).await;
    // What was done is folded and written down whatever became of the rest.
    let folded = store.fold();
    let closed = connection.close().await;
    let exit = result?;
    folded?;
    closed?;
    Ok(exit)
}

async fn apply(
    global: &Global,
    args: &Args,
    output: &Output,
    session: &Session,
    connection: &Connection,
    store: &Store,
    snapshot: Snapshot,
) -> anyhow::Result<Exit> {
    let live = plan::refresh(&connection.client, &snapshot, &args.connect).await?;
    let plan = plan::make(session, &snapshot, Some(&live), &args.policy)?;
    if !plan.refusals.is_empty() {
        plan::show(&plan, session, global, output, Exit::Refused);
        return Ok(Exit::Refused);
    }
    if plan.is_empty() && snapshot.open.is_empty() {
        plan::show(&plan, session, global, output, Exit::Done);
        return Ok(Exit::Done);
    }
    // In JSON the report is the one document on stdout.
    if !output.is_json() {
        plan::show(&plan, session, global, output, Exit::Done);
    }

    // Before anybody is asked: a plan that cannot be carried out is no question.
    let sink = session::sink();
    let probed = if needs_sink(&plan) { Some(probe(&sink).await?) } else { None };
    let consent = consent(args, session, output)?;
    let approved = apply::approve(plan, consent).map_err(|_| Failure::new(Exit::Refused, "the plan holds a refusal"))?;

    let stop = stop_on_signals(output)?;
    let progress = Progress::new(output, approved.plan().actions.len());
    let escrow = MemoryEscrow::default();
    let ports = Ports { api: &connection.client, ledger: store, escrow: &escrow, sink: probed, clock: &SystemClock };
    let context = Context {
        project: &session.project.desired.project,
        namespace: session.namespace(),
        recorded: &snapshot.recorded,
        live: &live,
        open: snapshot.open.clone(),
        parallelism: usize::from(args.connect.parallelism),
        settle: Duration::from_secs(args.settle),
        stop: &|| stop.load(Ordering::SeqCst),
        on_event: &|event| progress.event(&event),
    };
    let done = apply::run(&ports, &approved, context).await;
    progress.finish();
    let exit = exit_of(&done);
    if output.is_json() {
        output.json(&report::json(&done, exit as u8));
    } else {
        output.result(&report::human(&done));
    }
    Ok(exit)
}

fn exit_of(report: &Report) -> Exit {
    if report.interrupted {
        Exit::Interrupted
    } else if report.all_good() {
        Exit::Done
    } else {
        Exit::Partial
    }
}

fn needs_sink(plan: &Plan) -> bool {
    plan.actions.iter().any(|a| matches!(a, Action::CreateKeyset { .. }))
}

async fn probe(sink: &KeyringSink) -> anyhow::Result<Probed<'_, KeyringSink>> {
    Probed::of(sink).await.map_err(|error| {
        Failure::new(Exit::NoSink, format!("no usable place for secrets, so nothing was created: {error}")).help(SINK_HELP).into()
    })
}

/// `--yes`, or a person who types `yes`.
fn consent(args: &Args, session: &Session, output: &Output) -> anyhow::Result<Consent> {
    if args.yes {
        return Ok(Consent::Flag);
    }
    if !output::can_ask() || output.is_json() {
        return Err(Failure::new(Exit::Refused, "apply needs consent, and there is nobody to ask: nothing was done")
            .help("look at the plan (`keyform plan`) and add --yes")
            .into());
    }
    let whose = if session.sandbox { " in the sandbox" } else { "" };
    output.error(&format!("{BOLD}Apply this plan{whose}?{BOLD:#} Only `yes` is taken as consent:"));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == "yes" {
        return Ok(Consent::Person);
    }
    Err(Failure::new(Exit::Refused, "not applied: the answer was not `yes`").into())
}

/// The first SIGINT or SIGTERM stops new work; a second one ends the process at once. No keyset is lost by that, since its
/// intent is journalled and the next apply finds it; the secrets of creates in flight are.
fn stop_on_signals(output: &Output) -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = stop.clone();
    let output = *output;
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        loop {
            signals.next().await;
            if seen.swap(true, Ordering::SeqCst) {
                std::process::exit(Exit::Interrupted as i32);
            }
            output.say("Stopping: requests in flight are finished and recorded. Once more ends at once and loses their secrets.");
        }
    });
    Ok(stop)
}

#[cfg(unix)]
struct Signals(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    }
    async fn next(&mut self) {
        tokio::select! { _ = self.0.recv() => {}, _ = self.1.recv() => {} }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals)
    }
    async fn next(&mut self) {
        // Without a console there is nobody to interrupt.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
