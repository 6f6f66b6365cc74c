//! Arguments that several commands have.

use std::collections::BTreeSet;

use crate::keyset::{Bounded, Budget};
use crate::ops;
use crate::ops::Workspace;
use crate::plan::Policy;

/// Whether the live account is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Refresh {
    None,
    Full,
}

/// What the user allows; the same for plan and apply, so that a plan shows what apply would refuse.
#[derive(Debug, clap::Args)]
pub struct PolicyArgs {
    /// Only this keyset and its app; may be repeated
    #[arg(long, value_name = "LABEL")]
    target: Vec<String>,
    /// Allow setting a region that can never be changed afterwards, on keysets that exist
    #[arg(long)]
    allow_irreversible: bool,
    /// Create this keyset again although so many are gone that it looks like the wrong account; may
    /// be repeated
    #[arg(long, value_name = "LABEL")]
    recreate: Vec<String>,
    /// Delete what is not declared any more, as far as `[limits] delete` (0 by default) or --limit
    /// delete=N allows; never what is protected
    #[arg(long)]
    delete: bool,
    /// Allow more than `[limits]` does: create=N, update=N, irreversible=N or delete=N, or N% of
    /// what is managed; may be repeated
    #[arg(long, value_name = "KIND=N", value_parser = limit)]
    limit: Vec<(Bounded, Budget)>,
}

fn limit(text: &str) -> Result<(Bounded, Budget), String> {
    let parsed = text
        .split_once('=')
        .and_then(|(kind, budget)| Some((Bounded::find(kind)?, Budget::parse(budget)?)));
    parsed.ok_or_else(|| {
        "expected KIND=N or KIND=N%, KIND being create, update, irreversible or delete".to_owned()
    })
}

impl PolicyArgs {
    pub fn policy(&self, workspace: &Workspace) -> Policy {
        Policy {
            allow_irreversible: self.allow_irreversible,
            targets: (!self.target.is_empty())
                .then(|| self.target.iter().cloned().collect::<BTreeSet<_>>()),
            recreate: self.recreate.iter().cloned().collect(),
            delete: self.delete,
            limits: ops::plan::limits(workspace, &self.limit),
        }
    }
}
