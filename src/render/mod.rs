//! Values to text.

pub mod adopt;
mod comment;
pub mod drift;
pub mod errors;
pub mod events;
pub mod github;
pub mod gitlab;
pub mod inventory;
pub mod junit;
pub mod log;
pub mod notify;
pub mod parity;
pub mod plan_human;
pub mod plan_json;
pub mod plan_markdown;
mod plan_words;
pub mod problems;
pub mod report;
pub mod sarif;
pub mod saved;
pub mod style;
pub mod terraform;
pub mod text;
pub mod view;
