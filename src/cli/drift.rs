//! `drift`: what is not as declared, applied or known, and who changed it.

use super::Global;
use super::error::Exit;
use super::notify::notify;
use super::output::Output;
use super::project::{self, ConnectArgs};
use crate::config::Occasion;
use crate::config::edit::Target;
use crate::documents::adopt::{Accept, Accepted, AcceptedKind};
use crate::ops;
use crate::ops::accept::{AcceptedValue, name_of};
use crate::render::notify::drift as notify_words;
use crate::render::style::{DIM, GOOD, WARN};
use crate::render::text::{count, terminal};
use crate::render::view::Drifted;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Say nothing of keysets and apps that nobody manages
    #[arg(long)]
    managed_only: bool,
    /// Write what the account has into the TOML: LABEL, LABEL.FIELD, LABEL.SECTION, or app:LABEL
    /// for an app's name; may be repeated
    #[arg(long, value_name = "WHAT")]
    accept: Vec<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Changes nothing but the TOML, and that only with `--accept`. Takes no lock.
pub async fn run(global: &Global, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let workspace = project::open(global, output)?;
    let options = args.connect.options();
    let drift = ops::drift::run(&workspace, &options, !args.managed_only).await?;
    if !args.accept.is_empty() {
        show_accepted(&ops::accept::run(&workspace, &drift, &args.accept)?, output);
        return Ok(Exit::Done);
    }
    let sources = &workspace.sources;
    let exit = if drift.is_empty() { Exit::Done } else { Exit::Differences };
    let shown = Drifted {
        drift: &drift,
        desired: &workspace.project.desired,
        sources,
        exit_code: exit as u8,
    };
    output.show(output.format().view().drift(), shown);
    if exit == Exit::Differences {
        notify(&workspace, Occasion::Drift, exit, output, || notify_words(&drift)).await;
    }
    Ok(exit)
}

impl Args {
    /// It writes, rather than only looks.
    pub fn accepts(&self) -> bool {
        !self.accept.is_empty()
    }
}

fn show_accepted(accepted: &ops::accept::Accepted, output: &Output) {
    let ops::accept::Accepted { values, notes } = accepted;
    if output.is_json() {
        let accepted = values.iter().map(document).collect();
        output.document(Accept { accepted, notes: notes.clone() }, Exit::Done);
        return;
    }
    let mut text = String::new();
    for AcceptedValue { target, from, to, path } in values {
        let (from, to) = (from.to_string(), to.to_string());
        text.push_str(&format!(
            "{GOOD}✓{GOOD:#} {}: {} -> {} {DIM}({}){DIM:#}\n",
            name_of(target),
            terminal(&from),
            terminal(&to),
            terminal(path)
        ));
    }
    notes.iter().for_each(|note| text.push_str(&format!("{WARN}*{WARN:#} {note}\n")));
    text.push_str(&format!("{} accepted.\n", count(values.len(), "value")));
    output.result(&text);
}

fn document(accepted: &AcceptedValue) -> Accepted {
    let AcceptedValue { target, from, to, path } = accepted;
    let (kind, label, field) = match target {
        Target::Field(label, field) => (AcceptedKind::Keyset, label, field.to_string()),
        Target::AppName(label) => (AcceptedKind::App, label, "name".to_owned()),
    };
    let (from, to) = (from.into(), to.into());
    Accepted { kind, label: label.clone(), field, from, to, path: path.clone() }
}
