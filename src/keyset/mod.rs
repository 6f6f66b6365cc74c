//! Vocabulary of the domain. No I/O, no async, no clock, no TOML.
//!
//! It holds only what at least three other rooms need. Whatever names a section or field of the
//! Admin API lives in [`table`]; everything else iterates over it.

pub mod address;
pub mod budget;
pub mod describe;
pub mod duration;
pub mod field;
pub mod hash;
mod key_prefix;
pub mod mirror;
pub mod names;
pub mod parity;
pub mod push;
pub mod secret;
pub mod settings;
pub mod table;
pub mod views;
pub mod wire;

pub use budget::{Bounded, Budget};
pub use field::{Call, Certainty, Field, Kind, Life, Section, Tier};
pub use hash::Sha256Hash;
pub use key_prefix::KeyPrefix;
pub use mirror::MirrorTarget;
pub use names::{ApiVersion, AppId, Fingerprint, KeysetId, Label, ProjectName, PublicKeys};
pub use push::Push;
pub use secret::{PushContent, RawAnswer, Secret};
pub use settings::{Declared, FieldId, Observed, Origin, Rejected, Setting, Value};
