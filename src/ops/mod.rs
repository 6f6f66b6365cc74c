//! What keyform does: one file per use case. A use case takes values and ports and gives back a
//! typed result. It prints nothing, asks nobody but through a callback, knows no arguments and
//! reads no environment variable: what the environment says comes in as [`Environment`].

pub mod accept;
pub mod account;
pub mod adopt;
mod api_key;
pub mod apply;
mod clock;
pub mod drift;
mod endpoint;
mod environment;
mod error;
pub mod find;
pub mod log;
pub mod mirrors;
mod origin;
pub mod parity;
pub mod plan;
pub mod push;
mod saved;
pub mod secrets;
pub mod show;
pub mod sinks;
pub mod state;
mod workspace;
mod writer;

pub use api_key::{API_KEY, API_KEY_FILE, api_key_store};
pub use clock::SystemClock;
pub use endpoint::{ENDPOINT, Endpoint};
pub use environment::{Environment, Variable};
pub use error::{Cause, Failure, InvalidConfiguration};
pub use origin::origin;
pub use workspace::{Place, Workspace, read};
pub use writer::{Changes, Finished, Writer, Writing};
