//! What is wrong with a project's TOML, as data.

use crate::keyset::Origin;

/// One mistake. All of a project's are reported in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Stable, `KF` and three digits.
    pub code: &'static str,
    pub severity: Severity,
    /// A constant summary, with names from the table and the user's own words in backticks.
    pub title: String,
    /// Where it stands; `None` where no text is at fault (a file that is missing).
    pub origin: Option<Origin>,
    /// What is said at the marked place.
    pub label: String,
    /// What to do.
    pub help: Option<String>,
    /// An edit that mends it.
    pub fix: Option<Fix>,
}

/// Ordered: errors first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    /// A rule that is only inferred from the vendor's material.
    Warning,
}

/// Replace the text at `at` by `with`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    pub at: Origin,
    pub with: String,
}
