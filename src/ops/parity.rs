//! `parity`: where two sides that are to be the same are not.

use std::borrow::Cow;

use super::account::ConnectOptions;
use super::error::{Cause, Failure};
use super::plan::look;
use super::workspace::Workspace;
use crate::keyset::Label;
use crate::keyset::parity::{Between, ParityRule, Side};
use crate::keyset::views::Desired;
use crate::plan::{Parity, parity};
use crate::render::text::nearest;

/// What is asked for.
pub struct Request {
    /// Two sides as the user names them; `None`: every `[[parity]]` of the TOML.
    pub sides: Option<(String, String)>,
    /// How the live account is looked at; `None`: what is declared alone is compared (no network,
    /// no credentials).
    pub refresh: Option<ConnectOptions>,
}

/// Compares. Changes nothing, takes no lock.
pub async fn run(workspace: &Workspace, request: &Request) -> anyhow::Result<Parity> {
    let rules = rules(workspace, request.sides.as_ref())?;
    let snapshot = workspace.snapshot().await?;
    let live = match &request.refresh {
        None => None,
        Some(options) => Some(look(workspace, &snapshot, options).await?),
    };
    Ok(parity(&*rules, &workspace.project.desired, &snapshot.recorded, live.as_ref()))
}

/// What is asked for; the fields that may differ come from the entry of the same two sides.
fn rules<'s>(
    workspace: &'s Workspace,
    sides: Option<&(String, String)>,
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
