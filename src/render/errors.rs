//! An error that ended a command, for programs and for comments.

use serde_json::{Value as Json, json};

use super::comment::Comment;
use super::github::{Level, annotation};
use super::plan_json::FORMAT_VERSION;

/// `{"format_version":1,"kind":"error",...}`; more members may come with it, such as `problems`.
pub fn json(exit_code: u8, message: &str, help: &[String]) -> Json {
    json!({ "format_version": FORMAT_VERSION, "kind": "error", "exit_code": exit_code, "message": message, "help": help })
}

pub fn for_markdown(message: &str, help: &[String]) -> String {
    let mut comment = Comment::new("keyform ended with an error.");
    comment.list(
        std::iter::once(message)
            .chain(help.iter().map(String::as_str))
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .into_iter(),
    );
    comment.finish()
}

pub fn for_github(message: &str, help: &[String]) -> String {
    let parts: Vec<&str> =
        std::iter::once(message).chain(help.iter().map(String::as_str)).collect();
    annotation(Level::Error, None, "keyform", &parts)
}
