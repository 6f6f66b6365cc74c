//! The audit log as values: what a record says, and the chain that the records make. Pure: the file
//! is `state`'s.

mod chain;
mod hash;
mod record;

pub use chain::{Chain, Flaw, Line};
pub use hash::RecordHash;
pub use record::{Ended, Origin, Record, What};
