//! The verbs that act, written against ports only. Nothing here decides what to do: that is in the
//! plan.

pub mod adopt;
pub mod context;
pub mod create;
pub mod custody;
mod failure;
pub mod gate;
pub mod leftovers;
pub mod mirror;
pub mod push;
pub mod recover;
pub mod refresh;
pub mod relabel;
mod remove;
pub mod report;
pub mod resolve;
pub mod rotate;
pub mod run;
pub mod update;
mod worker;

pub use context::{Context, Ports, PushContents};
pub use custody::Custody;
pub use failure::{FailedRequest, StepError};
pub use gate::{Approved, Consent, approve};
pub use leftovers::Search;
pub use recover::{Recovered, Recovery};
pub use refresh::refresh;
pub use report::{Event, Outcome, Report, StepRef};
pub use run::run;
