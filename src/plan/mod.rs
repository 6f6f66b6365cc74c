//! (Desired, Recorded, Live?, Policy) -> Plan. Pure: no I/O, no async, no clock.

mod action;

pub use action::{Action, Change, Note, OpenCreates, Orphan, Plan, Policy, Reason, Refusal, Refused, Summary};
