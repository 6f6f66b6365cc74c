//! What keyform prints as JSON, as types: one struct a document, and what documents share. The
//! schemas that `keyform schema --of` prints are derived from them.
//!
//! Every document begins alike, see [`Envelope`]. A new member may come at any time. One that is
//! there keeps its name and its meaning, or [`FORMAT_VERSION`] rises.
//!
//! No document holds a secret: `keyset::Secret` cannot be serialized.
//!
//! To add a document: a struct here with [`Document`], a view in `render` that fills it, and a row
//! in `documents::schema`.

pub mod adopt;
pub mod apply;
pub mod drift;
mod envelope;
pub mod error;
pub mod event;
pub mod inventory;
pub mod log;
pub mod notification;
pub mod parity;
pub mod plan;
pub mod problems;
pub mod schema;
pub mod secrets;
mod shared;
pub mod state;

pub use envelope::{Document, Envelope, FORMAT_VERSION, Version, to_json};
pub use shared::{FieldName, FieldValue, Place};
