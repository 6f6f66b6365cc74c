//! (Desired, Recorded, Live?, Policy) -> Plan. Pure: no I/O, no async, no clock.

mod apps;
mod check;
mod diff;
mod drift;
mod guard;
mod inputs;
mod inventory;
mod kind;
mod make;
mod model;
mod moves;
mod parity;
mod push;
mod remove;
mod step;
mod summary;

pub use check::check;
pub use drift::{Drift, Finding, IgnoredDrift, Who, drift};
pub use inputs::Inputs;
pub use inventory::{AppItem, Inventory, KeysetItem, inventory};
pub use kind::{Mark, OpKind, ROWS, Row, Section, Subject};
pub use make::make;
pub use model::{Limit, Note, OpenCreates, Orphan, Plan, Policy, Refusal, Refused};
pub use parity::{
    Comparison, Disparity, FieldDisparity, IgnoredDisparity, NotLive, Parity, parity,
};
pub use step::{
    Change, Facts, Goal, Id, Mirroring, Op, PushUpload, Reason, Rotation, Step, Upload, Why,
};
pub use summary::Summary;
