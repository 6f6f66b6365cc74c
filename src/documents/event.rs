//! A line of `keyform apply --format jsonl`: an apply as it goes.
//!
//! Lines come in this order: `begin`; `planned` and `refused` for each step and refusal, then
//! `plan`; `started`, `searching` and `finished` as it goes; `report`; `error`, if one ends the
//! command; and always `end`. Without that the rest was cut off.

use schemars::JsonSchema;
use serde::Serialize;

use super::Version;
use super::apply::{Step, StepName};
use super::plan::{Action, Refusal, Summary};

/// One line.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "event")]
pub struct Line {
    pub format_version: Version,
    pub kind: Kind,
    /// When it happened.
    pub at: String,
    #[serde(flatten)]
    pub event: Event,
}

/// The member `kind`.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Kind {
    Event,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
#[schemars(rename = "event_of_a_kind")]
pub enum Event {
    Begin {
        /// Its version.
        keyform: String,
        project: String,
    },
    Planned {
        action: Box<Action>,
    },
    Refused {
        refusal: Box<Refusal>,
    },
    /// After all of them.
    Plan {
        refreshed: bool,
        summary: Summary,
    },
    Started(StepName),
    /// The answer was lost, and the account is searched for what the request made.
    Searching(StepName),
    Finished(Box<Step>),
    /// Counts of all steps.
    Report {
        interrupted: bool,
        journal_error: Option<String>,
        #[serde(flatten)]
        counts: Counts,
    },
    /// What ended the command.
    Error {
        message: String,
        help: Vec<String>,
    },
    /// The last line.
    End {
        exit_code: u8,
    },
}

/// How many steps ended how.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "counts")]
pub struct Counts {
    pub done: usize,
    pub failed: usize,
    pub unknown: usize,
    pub not_begun: usize,
    /// Done, and somebody has to look at it.
    pub to_look_at: usize,
}
