//! `parity`: where two sides that are to be the same are not.

use std::borrow::Cow;

use super::Global;
use super::error::{Cause, Exit, Failure};
use super::output::Output;
use super::plan::Refresh;
use super::project::{self, ConnectArgs};
use crate::keyset::Label;
use crate::keyset::parity::{Between, ParityRule, Side};
use crate::keyset::views::Desired;
use crate::ops;
use crate::ops::Workspace;
use crate::plan::parity;
use crate::render::text::nearest;
use crate::render::view::Compared;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A keyset, an app (app:LABEL) or a pattern ('*-staging'); without it every [[parity]] of the
    /// TOML
    #[arg(requires = "b")]
    a: Option<String>,
    /// What it is compared with: another one of the same kind
    b: Option<String>,
    /// Look at the live account too, or compare what is declared alone (no network, no credentials)
    #[arg(long, value_enum, default_value_t = Refresh::Full)]
    refresh: Refresh,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Changes nothing, takes no lock.
pub async fn run(global: &Global, args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let workspace = project::open(global, output)?;
    let rules = rules(&workspace, args.a.as_deref().zip(args.b.as_deref()))?;
    let snapshot = workspace.snapshot().await?;
    let live = match args.refresh {
        Refresh::None => None,
        Refresh::Full => {
            Some(ops::plan::look(&workspace, &snapshot, &args.connect.options()).await?)
        }
    };
    let parity = parity(&*rules, &workspace.project.desired, &snapshot.recorded, live.as_ref());
    let exit = if parity.is_empty() { Exit::Done } else { Exit::Differences };
    let shown = Compared { parity: &parity, sources: &workspace.sources, exit_code: exit as u8 };
    output.show(output.format().view().parity(), shown);
    Ok(exit)
}

/// What is asked for; the fields that may differ come from the entry of the same two sides.
fn rules<'s>(
    workspace: &'s Workspace,
    sides: Option<(&str, &str)>,
) -> anyhow::Result<Cow<'s, [ParityRule]>> {
    let (declared, desired) = (&workspace.project.parity, &workspace.project.desired);
    let Some((a, b)) = sides else {
        if declared.is_empty() {
            let failure = Failure::new(
                Cause::Error,
                "nothing to compare: keyform.toml has no `[[parity]]`, and no two sides are given",
            );
            return Err(failure
                .help(
                    "keyform parity chat-staging chat-prod; or app:staging \
                                     app:prod, or '*-staging' '*-prod'",
                )
                .into());
        }
        return Ok(Cow::Borrowed(declared));
    };
    let sides = (side(desired, a)?, side(desired, b)?);
    let between = Between::new(sides.0, sides.1).map_err(|why| {
        Failure::new(Cause::Error, format!("`{a}` and `{b}` cannot be compared: {why}"))
    })?;
    let entry = declared.iter().find(|rule| rule.between.is_same(&between));
    let ignored = entry.map(|rule| rule.ignored.clone()).unwrap_or_default();
    Ok(Cow::Owned(vec![ParityRule { between, ignored }]))
}

/// A side with at least one keyset.
fn side(desired: &Desired, text: &str) -> anyhow::Result<Side> {
    let side = Side::parse(text).map_err(|bad| {
        let failure =
            Failure::new(Cause::Error, format!("`{text}` is nothing that can be compared: {bad}"));
        failure.help("a keyset's label, app:LABEL, or a pattern with one `*` for a part of labels")
    })?;
    match &side {
        Side::Keyset(label) if !desired.keysets.contains_key(label) => {
            return Err(undeclared("keyset", label, "", desired.keysets.keys()));
        }
        Side::App(label) if !desired.apps.contains_key(label) => {
            return Err(undeclared("app", label, "app:", desired.apps.keys()));
        }
        Side::Keyset(_) | Side::App(_) | Side::Pattern { .. } => {}
    }
    if !desired.keysets.iter().any(|(label, keyset)| side.has(label, &keyset.app)) {
        let what = if matches!(side, Side::App(_)) {
            "no keyset is declared in"
        } else {
            "no keyset has a label like"
        };
        return Err(Failure::new(Cause::Error, format!("{what} `{side}`")).into());
    }
    Ok(side)
}

fn undeclared<'l>(
    what: &str,
    label: &Label,
    prefix: &str,
    labels: impl Iterator<Item = &'l Label>,
) -> anyhow::Error {
    let failure = Failure::new(Cause::Error, format!("{what} `{label}` is not declared"));
    let near = nearest(label.as_str(), labels.map(Label::as_str));
    match near {
        Some(near) => failure.help(format!("did you mean `{prefix}{near}`?")).into(),
        None => failure.help("sides are keysets and apps that are declared in the project").into(),
    }
}
