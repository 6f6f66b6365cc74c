//! (Desired, Recorded, Live?, Policy) -> Plan. Pure: no I/O, no async, no clock.

mod action;
mod apps;
mod check;
mod diff;
mod guard;
mod make;

pub use action::{Action, Change, Mirroring, Note, OpenCreates, Orphan, Plan, Policy, Reason, Refusal, Refused, Rotation, Summary};
pub use check::check;
pub use make::{Inputs, make};
