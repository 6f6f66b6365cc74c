//! What a webhook is told.

use schemars::JsonSchema;
use serde::Serialize;

use super::Document;

/// The body of the request.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Notification {
    /// `apply` or `drift`.
    pub event: &'static str,
    pub project: String,
    pub at: String,
    pub actor: String,
    pub host: String,
    /// Of the project's repository.
    pub commit: Option<String>,
    /// The page of the pipeline's run.
    pub run: Option<String>,
    /// One line.
    pub summary: String,
    /// A line each; long ones are cut.
    pub entries: Vec<String>,
    /// How many entries more there are.
    pub left_out: usize,
}

impl Document for Notification {
    const KIND: &'static str = "notification";
}
