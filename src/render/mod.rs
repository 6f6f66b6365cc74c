//! Values to text.

pub mod adopt;
pub mod drift;
pub mod inventory;
pub mod parity;
pub mod plan_human;
pub mod plan_json;
mod plan_words;
pub mod problems;
pub mod report;
pub mod saved;
pub mod style;
pub mod text;
