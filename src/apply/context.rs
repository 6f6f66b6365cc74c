//! What a run acts through, and what it knows.

use std::collections::BTreeMap;
use std::time::Duration;

use super::custody::Custody;
use super::report::Event;
use crate::keyset::PushContent;
use crate::keyset::views::{Live, Recorded};
use crate::ports::{Intent, Probed};

/// The files of a run, by their path, as they were when the plan was made.
pub type PushContents = BTreeMap<Box<str>, PushContent>;

/// Everything that acts on the world. `sink` is there if anything is to be created.
pub struct Ports<'a, A, L, E, S, C> {
    pub api: &'a A,
    pub ledger: &'a L,
    pub escrow: &'a E,
    pub sink: Option<Probed<'a, S>>,
    /// All entries of all sinks there are.
    pub custody: &'a Custody<'a, S>,
    pub clock: &'a C,
}

/// What the run knows, and how it may go about it.
pub struct Context<'a> {
    pub recorded: &'a Recorded,
    pub live: &'a Live,
    /// The files that the plan uploads.
    pub push: &'a PushContents,
    /// What earlier runs began and did not end, without an answer.
    pub open: Vec<Intent>,
    /// Requests in flight, at least 1.
    pub parallelism: usize,
    /// How long a create whose answer was lost may take to show up in listings.
    pub settle: Duration,
    /// How long one request may take.
    pub timeout: Duration,
    /// Asked before each new step; once true, no new work is begun.
    pub stop: &'a dyn Fn() -> bool,
    pub on_event: &'a dyn Fn(Event),
}
