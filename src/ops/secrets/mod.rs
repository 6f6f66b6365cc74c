//! What is done with secrets that exist: one file per use case.

pub mod copy;
pub mod doctor;
pub mod import;
pub mod keys;
pub mod mirror;
pub mod recover;
pub mod rotate;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Holds interrupts back from here on, and tells whether there was one: new work is not begun then.
pub type HoldInterrupts<'a> = &'a dyn Fn() -> anyhow::Result<Arc<AtomicBool>>;
