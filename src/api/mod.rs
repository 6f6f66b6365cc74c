//! The Admin API over HTTP: the adapter of `ports::Api`.
//!
//! GET and PATCH are repeated with backoff; a POST is sent once, whatever becomes of it. The API
//! key is in one header, marked sensitive; no body and no header is ever logged.

mod answer;
mod client;
mod gate;
pub mod webhook;

pub use client::{BadEndpoint, Client, Options};
