//! Values to text.

pub mod text;
