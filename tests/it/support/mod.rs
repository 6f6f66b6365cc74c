//! What tests stand on.

pub mod checkout;
pub mod forge;
pub mod github;
pub mod keyform;
mod keyring;
pub mod place;
pub mod program;
pub mod sandbox;
pub mod serve;
mod tree;

pub use keyring::Keyring;
pub use place::Place;
pub use sandbox::Sandbox;
pub use tree::read_tree;
