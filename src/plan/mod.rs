//! (Desired, Recorded, Live?, Policy) -> Plan. Pure: no I/O, no async, no clock.

mod action;
mod apps;
mod check;
mod diff;
mod drift;
mod guard;
mod inventory;
mod make;
mod moves;
mod parity;
mod push;
mod remove;

pub use action::{
    Action, Change, Limit, Mirroring, Note, OpenCreates, Orphan, Plan, Policy, Reason, Refusal,
    Refused, Rotation, Summary, Upload,
};
pub use check::check;
pub use drift::{Drift, Finding, IgnoredDrift, Who, drift};
pub use inventory::{AppItem, Inventory, KeysetItem, inventory};
pub use make::{Inputs, make};
pub use parity::{
    Comparison, Disparity, FieldDisparity, IgnoredDisparity, NotLive, Parity, parity,
};
