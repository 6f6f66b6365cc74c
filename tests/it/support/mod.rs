//! What tests stand on.

mod keyring;
mod tree;

pub use keyring::Keyring;
pub use tree::read_tree;
