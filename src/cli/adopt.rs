//! `adopt`: takes over what exists in the account. Nothing in the account is changed.

use super::Global;
use super::error::Exit;
use super::output::Output;
use super::project::{self, ConnectArgs, LockArgs};
use crate::config;
use crate::documents::adopt::{Adopt, Adopted};
use crate::ops;
use crate::render::style::{DIM, GOOD, WARN};
use crate::render::text::{count, terminal};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The label of a keyset that is declared and not created yet; --id says which one of the
    /// account it is
    #[arg(requires = "id", conflicts_with_all = ["all", "app"])]
    label: Option<String>,
    /// A keyset's id; may be repeated where no label is named
    #[arg(long, value_name = "ID", required_unless_present_any = ["all", "app"])]
    id: Vec<String>,
    /// Every keyset of the account that nobody manages
    #[arg(long)]
    all: bool,
    /// Every such keyset of this app, by id or name; may be repeated
    #[arg(long, value_name = "APP")]
    app: Vec<String>,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    lock: LockArgs,
}

pub async fn run(global: &Global, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let workspace = project::open(global, output)?;
    let request = ops::adopt::Request {
        label: args.label.clone(),
        ids: args.id.clone(),
        all: args.all,
        apps: args.app.clone(),
        connect: args.connect.options(),
    };
    let writing = args.lock.writing("adopt", output);
    let finished = ops::adopt::run(&workspace, &request, writing).await?;
    show(finished.value, output);
    finished.closed?;
    Ok(Exit::Done)
}

fn show(adopted: ops::adopt::Adopted, output: &Output) {
    let ops::adopt::Adopted { keysets, declared, notes } = adopted;
    if output.is_json() {
        let keysets = keysets.into_iter().map(|(label, id)| Adopted { label, id }).collect();
        output.document(Adopt { keysets, declared, notes }, Exit::Done);
        return;
    }
    let mut text = String::new();
    for (label, id) in &keysets {
        text.push_str(&format!("{GOOD}✓{GOOD:#} keyset {label} adopted {DIM}(id {id}){DIM:#}\n"));
    }
    for note in &notes {
        text.push_str(&format!("{WARN}*{WARN:#} {}\n", terminal(note)));
    }
    if declared > 0 {
        text.push_str(&format!(
            "{} declared at the end of {}.\n",
            count(declared, "keyset"),
            config::MAIN_FILE
        ));
    }
    text.push_str(&match keysets.len() {
        0 => "Nothing to adopt: every keyset that was asked for is managed already.\n".to_owned(),
        n => format!(
            "{} adopted. Their secret keys are in other hands: `keyform secrets import` takes one \
             that you have, `keyform secrets rotate` \
             makes a new one.\n",
            count(n, "keyset")
        ),
    });
    output.result(&text);
}
