//! What is wrong with a project's TOML, as data.

use std::fmt;

use super::codes::Code;
use super::private::is_private;
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
    /// A rule that is only inferred from the vendor's material, or something that is harmless as it
    /// stands.
    Warning,
}

/// Replace the text at `at` by `with`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    pub at: Origin,
    pub with: String,
}

impl Problem {
    pub(super) fn new(
        code: Code,
        origin: impl Into<Option<Origin>>,
        title: impl Into<String>,
        label: impl Into<String>,
    ) -> Problem {
        Problem {
            code: code.code,
            severity: code.severity,
            title: title.into(),
            origin: origin.into(),
            label: label.into(),
            help: None,
            fix: None,
        }
    }
    pub(super) fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }
    pub(super) fn fix(mut self, at: Origin, with: impl Into<String>) -> Problem {
        self.fix = Some(Fix { at, with: with.into() });
        self
    }
    /// Private keys that stand in the project by mistake are not repeated.
    pub(super) fn without_keys(mut self) -> Problem {
        for text in [&mut self.title, &mut self.label].into_iter().chain(&mut self.help) {
            if is_private(text) {
                *text = "(withheld: it quotes a private key)".to_owned();
            }
        }
        self.fix = self.fix.filter(|fix| !is_private(&fix.with));
        self
    }
    pub(super) fn severity(mut self, severity: Severity) -> Problem {
        self.severity = severity;
        self
    }
}

/// The user's own words in a message: in backticks and not longer than a person reads.
pub(super) struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX: usize = 60;
        match self.0.char_indices().nth(MAX) {
            Some((end, _)) => write!(f, "`{}…`", self.0.get(..end).unwrap_or("")),
            None => write!(f, "`{}`", self.0),
        }
    }
}
