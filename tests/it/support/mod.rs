//! What tests stand on.

mod tree;

pub use tree::read_tree;
