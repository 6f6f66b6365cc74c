//! An error that ended a command, for comments and annotations.

use super::comment::Comment;
use super::github::{Level, annotation};

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
