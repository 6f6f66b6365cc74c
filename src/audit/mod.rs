//! The audit log as values: what a record says, and the chain that the records make. Pure: the file
//! is `state`'s.

mod chain;
mod record;

pub use chain::{Chain, Flaw, Line, RecordHash};
pub use record::{Ended, Origin, Record, What};
