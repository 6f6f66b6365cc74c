//! A plan for a comment: the words of the terminal, what matters most first.

use super::comment::Comment;
use super::plan_human::{Group, Options, groups, plain, summary_line};
use crate::config::Sources;
use crate::plan::Plan;

/// At most as long as a comment may be.
pub fn plan(plan: &Plan, sources: &Sources) -> String {
    let mut comment = Comment::new(&summary_line(plan));
    let mut groups = groups(plan, sources, Options::default());
    // A stable sort: the rest stays as it is on a terminal.
    groups.sort_by_key(|group| group.urgency);
    for Group { title, entries, urgency: _ } in &groups {
        comment.block(title, &entries.iter().map(|entry| plain(entry)).collect::<Vec<_>>());
    }
    comment.finish()
}
