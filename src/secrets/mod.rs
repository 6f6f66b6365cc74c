//! Where secrets go: the keyring of the operating system (macOS Keychain, Windows Credential
//! Manager, Secret Service), age files, a program of the user's; copies at GitHub; and the escrow,
//! which seals answers until their secrets are there.
//!
//! ```text
//! KeyringSink, ApiKeyStore   async, what the verbs see
//!   worker                   one thread of its own and a deadline: a keyring call can block for ever
//!     entries                the blocking calls, and their errors in keyform's words
//!       probe                what the platform itself says: is there a service, is it unlocked, does it persist
//! ```
//!
//! Kernel keyutils are never used: they forget at reboot, and answer differently on the first and
//! second call.

mod age;
mod any;
mod api_key;
mod daemons;
mod entries;
mod escrow;
mod exec;
mod github;
mod keyring;
mod probe;
mod sealed;
mod worker;

pub use age::{AgeSink, BadIdentity, Readers, Unseal};
pub use any::AnySink;
pub use api_key::{ApiKeyStore, parse_key_file};
pub use escrow::Envelope;
pub use exec::ExecSink;
pub use github::{Github, MirrorError};
pub use keyring::{KeyringSink, Surroundings};
pub use sealed::SealedSink;
