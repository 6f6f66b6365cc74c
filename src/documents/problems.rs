//! `keyform validate --format json`

use schemars::JsonSchema;
use serde::Serialize;

use super::Document;
use crate::config::{self, Sources};
use crate::keyset::Origin;

/// What is wrong in the configuration.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Validate {
    pub errors: usize,
    pub warnings: usize,
    pub problems: Vec<Problem>,
}

impl Document for Validate {
    const KIND: &'static str = "validate";
}

/// `line` and `column` count from 1, in characters.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "problem")]
pub struct Problem {
    #[schemars(regex(pattern = r"^KF[0-9]{3}$"))]
    pub code: &'static str,
    pub severity: Severity,
    pub message: String,
    /// Null: it is a problem of the whole project.
    pub path: Option<String>,
    pub line: Option<usize>,
    pub column: Option<usize>,
    /// What is wrong at this place.
    pub label: String,
    pub help: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Severity {
    Error,
    Warning,
}

/// The edit that mends it: what stands there is replaced by `with`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "fix")]
pub struct Fix {
    pub path: String,
    pub line: usize,
    pub column: usize,
    pub end_line: usize,
    /// Of the first character that stays.
    pub end_column: usize,
    pub with: String,
}

impl Problem {
    pub fn of(problem: &config::Problem, sources: &Sources) -> Problem {
        let config::Problem { code, severity, title, origin, label, help, fix } = problem;
        let place = origin.and_then(|origin| sources.place(origin));
        Problem {
            code,
            severity: Severity::from(*severity),
            message: title.to_string(),
            path: place.as_ref().map(|place| place.path.to_owned()),
            line: place.as_ref().map(|place| place.line),
            column: place.as_ref().map(|place| place.column),
            label: label.to_string(),
            help: help.as_ref().map(ToString::to_string),
            fix: fix.as_ref().and_then(|fix| Fix::of(fix, sources)),
        }
    }
    pub fn all(problems: &[config::Problem], sources: &Sources) -> Vec<Problem> {
        problems.iter().map(|problem| Problem::of(problem, sources)).collect()
    }
}

impl Fix {
    fn of(config::Fix { at, with }: &config::Fix, sources: &Sources) -> Option<Fix> {
        let start = sources.place(*at)?;
        let end = sources.place(Origin { start: at.end, ..*at })?;
        Some(Fix {
            path: start.path.to_owned(),
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
            with: with.to_string(),
        })
    }
}

impl From<config::Severity> for Severity {
    fn from(severity: config::Severity) -> Severity {
        match severity {
            config::Severity::Error => Severity::Error,
            config::Severity::Warning => Severity::Warning,
        }
    }
}
