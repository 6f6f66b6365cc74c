//! The verbs that act, written against ports only. Nothing here decides what to do: that is in the plan.

pub mod context;
pub mod create;
pub mod gate;
pub mod refresh;
pub mod report;
pub mod resume;
pub mod run;
pub mod update;

pub use context::{Context, Ports};
pub use gate::{Approved, Consent, approve};
pub use refresh::refresh;
pub use report::{Event, Outcome, Report, Step};
pub use run::run;
