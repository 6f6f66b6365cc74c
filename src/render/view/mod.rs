//! Results in every format: a view each, with one method for each kind of result.
//!
//! No method has a default and no view a catch-all. So the compiler names what is missing where a
//! format or a kind of result is added. What a format does not have is said by the same method
//! that would print it, [`None`], and the command is refused before anything is done.

mod people;
mod pipelines;
mod programs;

use serde_json::Value as Json;

pub use people::{Human, Markdown};
pub use pipelines::{Github, Gitlab, Junit, Sarif};
pub use programs::{Dotenv, Jsonl, Shell, TerraformJson};

use super::log::Runs;
use super::terraform::Picture;
use crate::apply::Report;
use crate::audit::Chain;
use crate::config::{self, Sources};
use crate::documents::event::Event;
use crate::keyset::ProjectName;
use crate::keyset::views::{Desired, Recorded};
use crate::plan::{Drift, Inventory, Parity, Plan, Policy};

/// What a view makes of a result.
pub enum Shown {
    /// For people. Styles are stripped where they are not wanted.
    Text {
        stdout: String,
        /// What is wrong, which people are told in any case.
        stderr: Option<String>,
    },
    /// To stdout as it is.
    Raw(String),
    Json(Json),
    /// On one line.
    JsonLine(Json),
    /// One by one, each with its time.
    Events(Vec<Event>),
    /// Of a GitHub workflow.
    Step(StepResult),
    /// It could not be written in this format.
    Failed(String),
}

/// What a step of a GitHub workflow leaves behind.
pub struct StepResult {
    /// Workflow commands.
    pub annotations: String,
    /// Markdown, for the page of the run.
    pub summary: String,
    /// Values that the next steps can ask for, by name.
    pub outputs: Vec<(String, String)>,
}

/// How a result is shown. [`None`]: the format does not have it.
pub type Offer<R> = Option<fn(R) -> Shown>;

/// A format.
pub trait View: Sync {
    /// Of `validate`.
    fn problems<'a>(&self) -> Offer<Problems<'a>>;
    /// Of `plan`.
    fn plan<'a>(&self) -> Offer<Planned<'a>>;
    /// Of `apply`: the plan that it stops at, or begins with.
    fn plan_of_apply<'a>(&self) -> Offer<Planned<'a>>;
    /// Of `apply`.
    fn report<'a>(&self) -> Offer<Applied<'a>>;
    /// Of `drift`.
    fn drift<'a>(&self) -> Offer<Drifted<'a>>;
    /// Of `parity`.
    fn parity<'a>(&self) -> Offer<Compared<'a>>;
    /// Of `show`.
    fn inventory<'a>(&self) -> Offer<&'a Inventory<'a>>;
    /// Of `log`.
    fn log<'a>(&self) -> Offer<Logged<'a>>;
    /// Of a command that has a text for people and a document for programs.
    fn told(&self) -> Offer<Told>;
}

/// Problems of the configuration, and how many there are of each kind.
pub struct Problems<'a> {
    pub problems: &'a [config::Problem],
    pub sources: &'a Sources,
    pub errors: usize,
    pub warnings: usize,
    /// All of it in one line.
    pub summary: &'a str,
    /// For people whose terminal has colours.
    pub color: bool,
    pub exit_code: u8,
}

/// A plan, and what it stands on.
#[derive(Clone, Copy)]
pub struct Planned<'a> {
    pub plan: &'a Plan,
    pub sources: &'a Sources,
    pub project: &'a ProjectName,
    pub desired: &'a Desired,
    pub recorded: &'a Recorded,
    pub policy: &'a Policy,
    pub verbose: bool,
    /// What the next steps of a workflow hear.
    pub changed: bool,
    pub exit_code: u8,
}

impl<'a> Planned<'a> {
    fn picture(&self) -> Picture<'a> {
        let Planned { plan, desired, recorded, policy, .. } = *self;
        Picture { plan, desired, recorded, policy }
    }
}

pub struct Applied<'a> {
    pub report: &'a Report,
    pub exit_code: u8,
}

#[derive(Clone, Copy)]
pub struct Drifted<'a> {
    pub drift: &'a Drift,
    pub desired: &'a Desired,
    pub sources: &'a Sources,
    pub exit_code: u8,
}

#[derive(Clone, Copy)]
pub struct Compared<'a> {
    pub parity: &'a Parity,
    pub sources: &'a Sources,
    pub exit_code: u8,
}

pub struct Logged<'a> {
    pub chain: &'a Chain,
    pub runs: &'a Runs<'a>,
    pub path: &'a std::path::Path,
    pub exit_code: u8,
}

pub struct Told {
    pub text: String,
    pub document: Json,
}

/// JSON: the documents.
pub use programs::JsonDocument;

/// The results that a format does not have.
macro_rules! has_no {
    ($($result:ident),*) => {
        $(has_no!(@ $result);)*
    };
    (@ problems) => {
        fn problems<'a>(&self) -> Offer<Problems<'a>> {
            None
        }
    };
    (@ plan) => {
        fn plan<'a>(&self) -> Offer<Planned<'a>> {
            None
        }
    };
    (@ plan_of_apply) => {
        fn plan_of_apply<'a>(&self) -> Offer<Planned<'a>> {
            None
        }
    };
    (@ report) => {
        fn report<'a>(&self) -> Offer<Applied<'a>> {
            None
        }
    };
    (@ drift) => {
        fn drift<'a>(&self) -> Offer<Drifted<'a>> {
            None
        }
    };
    (@ parity) => {
        fn parity<'a>(&self) -> Offer<Compared<'a>> {
            None
        }
    };
    (@ inventory) => {
        fn inventory<'a>(&self) -> Offer<&'a Inventory<'a>> {
            None
        }
    };
    (@ log) => {
        fn log<'a>(&self) -> Offer<Logged<'a>> {
            None
        }
    };
    (@ told) => {
        fn told(&self) -> Offer<Told> {
            None
        }
    };
}
use has_no;
