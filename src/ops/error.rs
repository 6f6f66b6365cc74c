//! Why a use case ends early. What it costs the process - an exit code, a text - is the command
//! line's to say.

use crate::config::{Problem, Severity, Sources};
use crate::render::text::count;

/// What kind of end it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It cannot be done as asked for.
    Error,
    /// It could be done, and must not be.
    Refused,
    /// A part of it was done.
    Partial,
    /// There is no usable place for secrets.
    NoSink,
}

/// An error with its cause and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub cause: Cause,
    pub message: String,
    pub help: Vec<String>,
}

impl Failure {
    pub fn new(cause: Cause, message: impl Into<String>) -> Failure {
        Failure { cause, message: message.into(), help: Vec::new() }
    }
    pub fn help(mut self, help: impl Into<String>) -> Failure {
        self.help.push(help.into());
        self
    }
}

/// The project's TOML has errors.
#[derive(Debug)]
pub struct InvalidConfiguration {
    pub sources: Sources,
    /// Warnings too.
    pub problems: Vec<Problem>,
}

impl InvalidConfiguration {
    /// How many errors, in words.
    pub fn found(&self) -> String {
        count(self.problems.iter().filter(|p| p.severity == Severity::Error).count(), "error")
    }
}

impl std::fmt::Display for InvalidConfiguration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the configuration has {}; nothing was done", self.found())
    }
}

impl std::error::Error for InvalidConfiguration {}
