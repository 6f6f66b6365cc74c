//! What every command prints as JSON when it ends with an error.

use schemars::JsonSchema;
use serde::Serialize;

use super::Document;
use super::problems::Problem;

/// An error that ended a command.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Error {
    /// For people; it may be worded in another way one day.
    pub message: String,
    /// What to do about it.
    pub help: Vec<String>,
    /// Where the configuration is wrong: each problem of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problems: Option<Vec<Problem>>,
}

impl Document for Error {
    const KIND: &'static str = "error";
}
